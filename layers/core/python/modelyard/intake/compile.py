"""An estimator to ONNX: try the candidates, keep the first that is proven, or say why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelyard.intake import graphs, parity
from modelyard.intake.candidates import (
    Candidate,
    CannotConvert,
    Converted,
    candidates,
    convert,
    everything,
)
from modelyard.intake.describe import Described
from modelyard.intake.inputs import trained_names
from modelyard.intake.rows import take
from modelyard.serving.signature import OnnxGraph, Signature

MAX_ONNX_BYTES = 1 << 30
_MOST_TERMS = 2000
_INVOKE_SECONDS = 0.015  # what a prediction in the sandbox function costs beyond the estimator itself


@dataclass(frozen=True, slots=True)
class Compiled:
    """`model` is None where the estimator has to be served as it is; `signature` says so, and why."""

    signature: Signature
    model: bytes | None = None


def compile_and_prove(estimator: Any, described: Described, *, deadline: float = float("inf")) -> Compiled:
    """`deadline` is a moment of `time.monotonic()`; what is not proven by then stays native."""
    signature = described.signature
    obstacle = _obstacle(estimator, signature)
    if obstacle:
        return Compiled(replace(signature, reason=obstacle))
    try:
        truth = parity.reference(estimator, described)
    except Exception as error:  # the estimator's own code may raise anything
        return Compiled(replace(signature, reason=f"the original did not answer many rows ({_kind(error)})"))
    if not truth.answers:
        return Compiled(replace(signature, reason="the original answers none of the rows to compare on"))
    reasons: dict[str, str] = {}
    for candidate in candidates(estimator, signature):
        if time.monotonic() > deadline:
            reasons["time"] = "there was no time left to prove a compiled form"
            break
        try:
            compiled = _attempt(estimator, described, candidate, truth)
        except (CannotConvert, parity.Disagrees) as error:
            reasons[candidate.name] = str(error)
            continue
        slower = _slower(compiled.signature.parity)
        if not slower:
            return compiled
        reasons[candidate.name] = slower
    speed = {"native_row_microseconds": _microseconds(truth.row_seconds)}
    return Compiled(replace(signature, reason=_summary(reasons), parity=speed))


def _obstacle(estimator: Any, signature: Signature) -> str | None:
    """What makes the attempt pointless, or endless."""
    for part in everything(estimator):
        if getattr(part, "n_output_features_", 0) > _MOST_TERMS:
            return f"{type(part).__name__} makes more than {_MOST_TERMS} terms, each a node of the graph"
    if signature.layout == "records":
        return "records of any keys have no tensor form"
    if any(column.dtype == "category" for column in signature.columns):
        return "pandas categories have no tensor form"
    if any(column.dtype.startswith("datetime64") for column in signature.columns):
        return "dates have no tensor form"
    if signature.layout == "text" and signature.columns[0].name == "label":
        return "label encoders are served as they are"
    return None


def _attempt(estimator: Any, described: Described, candidate: Candidate, truth: parity.Reference) -> Compiled:
    converted = convert(estimator, described.signature, candidate, trained_names(estimator))
    signature, model = _shaped(converted, described, truth)
    session = _open(model, signature)
    try:
        proof = parity.compare(session, signature, truth)
        batch = described.rows.typical(1)
        first = signature.outputs[:1]
        seconds = parity.row_seconds(lambda: session.run(batch, first))
    except parity.Disagrees:
        raise
    except Exception as error:  # ONNX Runtime raises its own kinds
        raise CannotConvert(f"the compiled model does not run ({_kind(error)})") from error
    proof |= {
        "candidate": candidate.name,
        "native_row_microseconds": _microseconds(truth.row_seconds),
        "onnx_row_microseconds": _microseconds(seconds),
        "speed_ratio": float(f"{truth.row_seconds / max(seconds, 1e-9):.3g}"),
    }
    return Compiled(replace(signature, parity=proof), model)


def _shaped(converted: Converted, described: Described, truth: parity.Reference) -> tuple[Signature, bytes]:
    """The graph with outputs in the estimator's own shapes; those that do not fit are left out, but for the
    first.
    """
    proto = converted.model
    graph = OnnxGraph(inputs=converted.inputs, outputs=dict(converted.outputs))
    signature = replace(described.signature, onnx=graph)
    probe = take(truth.answers[0].family.columns, range(min(7, truth.answers[0].family.rows)))
    session = _open(proto.SerializeToString(), signature)
    try:
        served = session.run(probe)
    except Exception as error:  # ONNX Runtime raises its own kinds
        raise CannotConvert(f"the compiled model does not run ({_kind(error)})") from error
    outputs: dict[str, str] = {}
    for output, name in converted.outputs.items():
        value = served[output]
        rows = len(probe[0]) if probe else 0
        wanted = (rows, *truth.answers[0].outputs[output].shape[1:])
        new = graphs.reshaped(proto, name, value.shape, wanted) if hasattr(value, "shape") else None
        if new is not None:
            outputs[output] = new
    if described.signature.outputs[0] not in outputs:
        raise CannotConvert("the compiled model answers in another shape")
    if "predict_proba" in described.signature.outputs and "predict_proba" not in outputs:
        raise CannotConvert("the compiled model has no probabilities in the original's shape")
    graphs.keep_outputs(proto, list(outputs.values()))
    model = proto.SerializeToString()
    if len(model) > MAX_ONNX_BYTES:
        raise CannotConvert("the compiled model is too large")
    graph = OnnxGraph(inputs=converted.inputs, outputs=outputs)
    return parity.without_outputs(signature, graph, {}), model


def _open(model: bytes, signature: Signature) -> parity.Session:
    try:
        return parity.Session(model, signature)
    except Exception as error:  # ONNX Runtime raises its own kinds
        raise CannotConvert(f"the compiled model does not load ({_kind(error)})") from error


def _kind(error: Exception) -> str:
    return type(error).__name__


def _slower(proof: dict[str, Any]) -> str | None:
    """Why the original should serve after all: only where it wins although a call to its sandbox is dear."""
    onnx, native = proof["onnx_row_microseconds"] / 1e6, proof["native_row_microseconds"] / 1e6
    if onnx > native + _INVOKE_SECONDS:
        return f"compiled, one row takes {onnx / native:.0f} times as long"
    return None


def _microseconds(seconds: float) -> float:
    return float(f"{seconds * 1e6:.3g}")


def _summary(reasons: dict[str, str]) -> str:
    """The distinct reasons, first seen first, without those that only say a variant does not apply."""
    told: list[str] = []
    for reason in reasons.values():
        if reason not in told and reason != "the graph has no trees":
            told.append(reason)
    return "; ".join(told[:3]) or "no compiled form could be made"


def write(compiled: Compiled, path: Path, digest: Callable[[bytes], str]) -> dict[str, Any] | None:
    """Write the model file; returns its size and checksum."""
    if compiled.model is None:
        return None
    path.write_bytes(compiled.model)
    return {"size": len(compiled.model), "sha256": digest(compiled.model)}
