"""Compiled against original, on many rows: the proof without which nothing compiled is served."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelyard.intake.describe import Described
from modelyard.intake.estimators import call
from modelyard.intake.frames import native_input
from modelyard.intake.rows import Batch, Family, take
from modelyard.serving.feeds import build_feeds
from modelyard.serving.signature import Signature

RELATIVE = 1e-5
ABSOLUTE = 1e-6  # of the output's own scale
_NATIVE_SECONDS = 4.0  # how long the original may take for all its rows
_MAX_CELLS = 4_000_000
_SINGLE_ROWS = 120
_SINGLE_SECONDS = 2.0  # for one family's rows one by one
Check = Callable[[], None]


class Disagrees(Exception):
    """The compiled model is not the original. The text says on which kind of rows."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the original says about one family of rows, per output."""

    family: Family
    outputs: dict[str, np.ndarray]


@dataclass(slots=True)
class Reference:
    """The original's answers, computed once and held against every candidate."""

    answers: list[Answers]
    scales: dict[str, float]
    row_seconds: float  # the original, one row
    rows: int
    skipped: list[str] = field(default_factory=list)  # families on which the original itself raises


def reference(estimator: Any, described: Described) -> Reference:
    """Ask the original about every family of rows, within a few seconds."""
    signature = described.signature
    row_seconds = native_row_seconds(estimator, described)
    probe = described.rows.typical(50)
    start = time.perf_counter()
    shape = np.shape(_ask(estimator, described, signature.outputs[0], probe))
    per_row = (time.perf_counter() - start) / 50 * len(signature.outputs)
    cells = max(len(signature.columns), math.prod(shape[1:]) if len(shape) > 1 else 1)
    scale = 1
    while scale < 64 and (per_row * 6000 / scale > _NATIVE_SECONDS or cells * 2000 / scale > _MAX_CELLS):
        scale *= 2
    answers, skipped = [], []
    for family in described.rows.families(scale):
        try:
            outputs = {o: _array(_ask(estimator, described, o, family.columns)) for o in signature.outputs}
        except Exception:  # what the original refuses, no caller can get an answer for
            skipped.append(family.name)
            continue
        answers.append(Answers(family, outputs))
    scales = {output: _scale(answers[0].outputs[output]) for output in signature.outputs} if answers else {}
    return Reference(answers, scales, row_seconds, sum(a.family.rows for a in answers), skipped)


def _ask(estimator: Any, described: Described, output: str, batch: Batch) -> Any:
    return call(estimator, output, native_input(described.signature, batch, described.missing))


def _array(value: Any) -> np.ndarray:
    return value if isinstance(value, np.ndarray) else np.array(value)


def _scale(values: np.ndarray) -> float:
    if values.dtype.kind not in "fiu":
        return 1.0
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


# --- the compiled side


class Session:
    """ONNX Runtime exactly as serving opens it: one thread, feeds from `serving.feeds`."""

    def __init__(self, model: bytes, signature: Signature) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._signature = signature

    def run(self, batch: Batch, outputs: Sequence[str] | None = None) -> dict[str, Any]:
        graph = self._signature.onnx
        assert graph is not None
        wanted = list(outputs if outputs is not None else graph.outputs)
        values = self._session.run([graph.outputs[o] for o in wanted], build_feeds(self._signature, batch))
        return dict(zip(wanted, values, strict=True))


def compare(session: Session, signature: Signature, truth: Reference) -> dict[str, Any]:
    """What was compared and the largest difference, for `Signature.parity`; raises `Disagrees`."""
    assert signature.onnx is not None
    outputs = list(signature.onnx.outputs)
    worst = 0.0
    for answers in truth.answers:
        served = session.run(answers.family.columns)
        for output in outputs:
            found = difference(answers.outputs[output], served[output], truth.scales[output])
            worst = max(worst, _judge(found, output, answers.family.name))
        count = min(
            _SINGLE_ROWS if answers.family.name == "typical" else _SINGLE_ROWS // 3, answers.family.rows
        )
        end = time.perf_counter() + _SINGLE_SECONDS
        for row in range(count):
            if row >= 10 and time.perf_counter() > end:
                break
            single = session.run(take(answers.family.columns, [row]))
            for output in outputs:
                expected = answers.outputs[output][row : row + 1]
                found = difference(expected, single[output], truth.scales[output])
                worst = max(worst, _judge(found, output, f"{answers.family.name}, row by row"))
    return {
        "rows": truth.rows,
        "families": {answers.family.name: answers.family.rows for answers in truth.answers},
        "skipped": truth.skipped,
        "outputs": outputs,
        "largest_difference": float(f"{worst:.3g}"),
        "tolerance": {"relative": RELATIVE, "absolute_of_scale": ABSOLUTE, "labels": "equal"},
    }


def _judge(found: float, output: str, family: str) -> float:
    if not found < math.inf:
        raise Disagrees(f"{output} differs on rows of the kind '{family}'")
    return found


def difference(expected: np.ndarray, served: Any, scale: float) -> float:
    """The largest difference, relative to the value or the output's scale; infinite beyond the tolerance.

    Labels must be equal.
    """
    got = np.asarray(served)
    if expected.shape != got.shape:
        return math.inf
    if expected.dtype.kind in "OUSb" or got.dtype.kind in "OUSb":
        same = bool(np.all(expected.astype(object) == got.astype(object)))
        return 0.0 if same else math.inf
    if expected.dtype.kind in "iu" and got.dtype.kind in "iu":
        return 0.0 if np.array_equal(expected, got) else math.inf
    left, right = expected.astype(np.float64), got.astype(np.float64)
    alike = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        gap = np.where(alike, 0.0, np.abs(left - right))
        allowed = RELATIVE * np.abs(left) + ABSOLUTE * scale
        if not np.all(alike | (gap <= allowed)):
            return math.inf
    sizes = np.maximum(np.abs(np.where(np.isfinite(left), left, 0.0)), scale)
    return float((gap / sizes).max(initial=0.0))


# --- speed


def native_row_seconds(estimator: Any, described: Described) -> float:
    batch = described.rows.typical(1)
    output = described.signature.outputs[0]
    return row_seconds(lambda: _ask(estimator, described, output, batch))


def row_seconds(run: Callable[[], Any], budget: float = 0.25) -> float:
    """Median time of one call, from as many calls as the budget allows (3 to 50)."""
    run()
    times: list[float] = []
    end = time.perf_counter() + budget
    while len(times) < 50 and (len(times) < 3 or time.perf_counter() < end):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def without_outputs(signature: Signature, graph: Any, parity: dict[str, Any]) -> Signature:
    """The signature as served by ONNX: what the graph holds, what is left to the original, and the proof."""
    kept = [output for output in signature.outputs if output in graph.outputs]
    left = [output for output in signature.offered if output not in graph.outputs]
    return replace(
        signature,
        runtime="onnx",
        reason=None,
        onnx=graph,
        outputs=kept,
        original_outputs=left,
        parity=parity,
    )
