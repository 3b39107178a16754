"""Explanations on request: this side of the call to the sandbox.

The original estimator explains, in its tenant's sandbox, whichever runtime answers; that both say the same
is checked here, for every row.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from modelyard.kit.errors import DeadlineExceeded, Invalid, Problem, Unavailable
from modelyard.serving import answers
from modelyard.serving.decoding import Batch
from modelyard.serving.errors import PredictionTimeout, TooManyRows
from modelyard.serving.explanation_terms import KINDS, MOST_ROWS
from modelyard.serving.models import LoadedModel
from modelyard.serving.runtime import NativeRuntime, checked, native_problem

LONGEST_EXPLANATION = 20.0  # seconds

# As far apart as a compiled model and its original may be (`intake.parity`).
_RELATIVE, _OF_SCALE = 1e-5, 1e-6


class NotExplainable(Invalid):
    """The model is of a kind that has no exact explanations."""

    code, title = "not_explainable", "The model cannot be explained"


class ExplanationTimeout(DeadlineExceeded):
    """A code of its own: no failure of the model, for which canaries are watched."""

    code, title = "explanation_timeout", "The explanation took too long"


class ExplanationMismatch(Problem):
    """The parts do not add up to the answer: better no explanation than a wrong one."""

    status, code, title = 500, "explanation_mismatch", "The explanation does not fit the prediction"


def check(model: LoadedModel, batch: Batch) -> None:
    """Refuse what cannot be explained before anything is computed."""
    if model.version.artifact_format == "onnx":
        raise NotExplainable(
            "The model was uploaded as ONNX, which does not say how its answer came about. Upload the "
            "estimator itself (joblib, pickle or skops) to have its predictions explained."
        )
    if model.signature.explainable is False:
        raise NotExplainable(f"This model cannot be explained: {KINDS}")
    if batch.rows > MOST_ROWS:
        raise TooManyRows(
            f"At most {MOST_ROWS} rows can be explained in one request. Send fewer rows at a time."
        )


def core(
    model: LoadedModel,
    original: NativeRuntime,
    batch: Batch,
    prepared: Any,
    outputs: Sequence[str],
    deadline: float,
) -> bytes:
    """The answer of the version's own runtime, with explanations by `original` beside it.

    Raises what `Runtime.run` raises, `NotExplainable` and `ExplanationMismatch`.
    """
    columns = original.prepare(batch)
    try:
        answer = original.ask(
            columns, outputs, deadline, longest=LONGEST_EXPLANATION, too_slow=too_slow, explain=True
        )
    except PredictionTimeout as error:  # not even the sandbox's own deadline was kept
        raise too_slow() from error
    if "outputs" not in answer:
        raise _problem(answer.get("error") or {}, batch.rows)
    told = checked(answer["outputs"], outputs, batch.rows)
    if "explanations" not in answer:
        raise Unavailable("Explanations are not at hand yet; they are being deployed. Try again shortly.")
    explanations = answer["explanations"]
    if not isinstance(explanations, list) or len(explanations) != batch.rows:
        raise mismatch("not one explanation per row")
    if model.runtime is not original:
        compiled = [output for output in outputs if output in model.signature.outputs]
        served = model.runtime.run(prepared, batch.rows, compiled, deadline)
        for output, values in served.items():
            if not agrees(values, told[output]):
                raise mismatch(f"{output} of the original is not what the compiled model answered")
        told |= served
    answered = answers.render(model.signature, told)
    return answered[:-1] + b',"explanations":' + orjson.dumps(explanations) + b"}"


def too_slow() -> ExplanationTimeout:
    return ExplanationTimeout(
        "The explanation was not ready within the time of one request. Send fewer rows; a model of very many "
        "or very large trees cannot be explained within it. Predictions without explain=true go on."
    )


def _problem(error: dict[str, Any], rows: int) -> Exception:
    kind = error.get("kind")
    if kind == "not_explainable":
        return NotExplainable(str(error.get("detail") or ""))
    if kind == "explanation_mismatch":
        # How far stands in the sandbox's own log: what a sandbox writes does not enter this one.
        return mismatch("the parts do not add up to what the original says; the sandbox's log says how far")
    if kind == "too_large":
        return _too_large(rows)
    return too_slow() if kind == "timeout" else native_problem(error)


def _too_large(rows: int) -> Exception:
    if rows > 1:
        return TooManyRows(
            "The explanations of these rows are larger than one answer can be. Send fewer rows."
        )
    return NotExplainable(
        "The explanation of one row is larger than an answer can be: the model has too many outputs, or the "
        "names of its columns or classes are too long."
    )


def agrees(served: Any, original: Any) -> bool:
    """Equal labels, and numbers as near as a compiled model must be to its original."""
    scale = max((abs(number) for number in _numbers(original)), default=0.0)
    return _near(served, original, _OF_SCALE * max(scale, 1.0))


def _numbers(values: Any) -> list[float]:
    if isinstance(values, list):
        return [number for value in values for number in _numbers(value)]
    return [values] if isinstance(values, float) and math.isfinite(values) else []


def _near(one: Any, other: Any, absolute: float) -> bool:
    if isinstance(one, list) or isinstance(other, list):
        if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
            return False
        return all(_near(left, right, absolute) for left, right in zip(one, other, strict=True))
    if type(one) is float or type(other) is float:
        if one is None or other is None:
            return (one is None or one != one) and (other is None or other != other)
        if isinstance(one, str | bool) or isinstance(other, str | bool):
            return False
        return (
            one == other
            or (one != one and other != other)
            or bool(abs(one - other) <= absolute + _RELATIVE * abs(other))
        )
    return bool(one == other)


def mismatch(detail: str) -> ExplanationMismatch:
    """The error for the caller; `detail`, which holds no value of the input, goes to the log."""
    line = {
        "level": "ERROR",
        "message": "explanation_mismatch",
        "service": "serving",
        "detail": detail[:2000],
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return ExplanationMismatch(
        "What explains the prediction does not add up to it, so it is not shown. The prediction itself "
        "can be had without explain=true; the log holds the reason."
    )
