"""Inspecting one upload from outside: a confined child does it, this side holds the clock and believes
nothing.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard.intake.confine import Budget
from modelyard.intake.process import Child, ChildDied
from modelyard.intake.verdict import Limits
from modelyard.kit.hashing import sha256_of_chunks
from modelyard.serving.signature import Signature

MODULE = "modelyard.intake.examine"
COMPILE_SHARE = 0.5  # of the inspection's time at most; the rest belongs to scanning and loading
COMPILE_SECONDS = 90.0  # and no longer than this, however much time there is
_SLACK = 5.0  # seconds beyond a stage's own limit, for a machine that is busy
_CHUNK = 1 << 20
_STAGES = {
    "starting": "while its process started",
    "scanning": "while the file was read",
    "loading": "while the model was loaded",
    "predicting": "while the model predicted its first rows",
}
_ADVICE = "Save a smaller or simpler model, or export it to ONNX."


def inspect(
    path: Path, limits: Limits, *, onnx_out: Path | None = None, module: str = MODULE
) -> dict[str, Any]:
    """Judge, describe and compile one file; never raises for what the file holds or its model does.

    Returns `{"verdict": "accepted", "format", "size", "sha256", "signature", "onnx", "seconds"}` or
    `{"verdict": "refused", "rule", "detail", "format", "seconds"}`. The compiled model, if any, is moved to
    `onnx_out`; without `onnx_out` it is dropped, but described all the same. `module` is the child's program.
    """
    start = time.monotonic()
    result = _inspect(path, limits, onnx_out, module, start)
    return result | {"seconds": round(time.monotonic() - start, 3)}


def _inspect(path: Path, limits: Limits, onnx_out: Path | None, module: str, start: float) -> dict[str, Any]:
    size = path.stat().st_size
    if size > limits.upload_bytes:
        return _refusal(
            "too_large", f"the file has {size} bytes; at most {limits.upload_bytes} are taken.", None
        )
    budget = Budget(
        memory_bytes=limits.memory_bytes,
        cpu_seconds=math.ceil(limits.inspection_seconds + _SLACK),
        file_bytes=limits.inflated_bytes,
    )
    seen: dict[str, Any] = {}
    try:
        with Child(module, budget) as child:
            return _converse(child, path, limits, onnx_out, start, seen)
    except ChildDied as death:
        return _after_death(death, seen)


def _converse(
    child: Child, path: Path, limits: Limits, onnx_out: Path | None, start: float, seen: dict[str, Any]
) -> dict[str, Any]:
    end = start + limits.inspection_seconds
    request = {
        "path": str(path.resolve()),
        "limits": asdict(limits),
        "compile_seconds": _compile_seconds(limits),
    }
    child.send(request, seconds=_SLACK)
    while True:
        message = child.receive(seconds=_patience(child.stage, limits, end))
        if message.get("native"):
            seen["native"] = _checked(message["native"], child)
            seen["format"] = message["native"].get("format")
        if "result" not in message:
            continue
        result = message["result"]
        if isinstance(result, dict) and result.get("verdict") == "refused":
            return _refusal(str(result.get("rule")), str(result.get("detail")), result.get("format"))
        result = _checked(result, child)
        _collect(child, result, onnx_out)
        return result


def _patience(stage: str, limits: Limits, end: float) -> float:
    """Seconds until the next message is overdue."""
    left = max(0.0, end - time.monotonic())
    own = {
        "scanning": limits.scan_seconds,
        "predicting": limits.prediction_seconds,
        # The child looks at the clock between candidates; one that takes for ever is cut off here.
        "compiling": _compile_seconds(limits) * 1.2,
    }.get(stage)
    return left if own is None else min(left, own + _SLACK)


def _compile_seconds(limits: Limits) -> float:
    return min(limits.inspection_seconds * COMPILE_SHARE, COMPILE_SECONDS)


def _checked(result: Any, child: Child) -> dict[str, Any]:
    """The child's word, in the shape that others rely on; what does not fit counts as a crash."""
    try:
        signature = Signature.from_json(result["signature"])
        kept: dict[str, Any] = {
            "verdict": "accepted",
            "format": str(result["format"]),
            "size": int(result["size"]),
            "sha256": str(result["sha256"]),
            "signature": signature.to_json(),
            "onnx": result["onnx"],
        }
        if not signature.outputs or signature.runtime not in ("onnx", "native"):
            raise ValueError("a signature without outputs")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ChildDied("protocol", "its answer has the wrong shape", child.stage) from error
    return kept


def _collect(child: Child, result: dict[str, Any], onnx_out: Path | None) -> None:
    """Take the compiled model out of the scratch folder; its size and checksum are ours, not the child's."""
    if result["onnx"] is None:
        return
    found = child.scratch / "model.onnx"
    if found.is_symlink() or not found.is_file():
        raise ChildDied("protocol", "its compiled model is missing", child.stage)
    with found.open("rb") as file:
        digest = sha256_of_chunks(iter(lambda: file.read(_CHUNK), b""))
    result["onnx"] = {"size": found.stat().st_size, "sha256": digest}
    if onnx_out is not None:
        shutil.move(found, onnx_out)


def _after_death(death: ChildDied, seen: dict[str, Any]) -> dict[str, Any]:
    """Dying over the compilation costs the compiled form only; dying earlier refuses the model."""
    if "native" in seen and death.kind != "protocol":
        native: dict[str, Any] = seen["native"]
        native["signature"]["reason"] = f"compiling failed: {death.detail}"
        return native
    where = _STAGES.get(death.stage, "while the model was inspected")
    rule = {"timeout": "timeout", "out_of_memory": "memory"}.get(death.kind, "crash")
    return _refusal(
        rule, f"The inspection was stopped {where}: {death.detail}. {_ADVICE}", seen.get("format")
    )


def _refusal(rule: str, detail: str, format_name: Any) -> dict[str, Any]:
    return {
        "verdict": "refused",
        "rule": rule[:100],
        "detail": detail[:4000],
        "format": str(format_name) if format_name else None,
    }
