"""A loaded estimator, described: task, columns, outputs, classes, versions. Trial predictions settle what
is unclear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np

from modelyard.intake import schema
from modelyard.intake.estimators import call, plain
from modelyard.intake.explanation.explainer import explainable
from modelyard.intake.fact import Fact
from modelyard.intake.facts import parts
from modelyard.intake.frames import native_input, records
from modelyard.intake.inputs import Inputs, inputs_of, is_a
from modelyard.intake.rows import DOMAINS, Rows
from modelyard.intake.verdict import Refused, StaticReport
from modelyard.serving.rules import FLOAT32_MAX
from modelyard.serving.signature import Signature, Task

_TRIAL_ROWS = 32
_EXPLAINING_SECONDS = 2.0
_MAGNITUDES = (1.7e308, 1e150, FLOAT32_MAX)
_LIBRARIES = {"sklearn": "scikit-learn", "lightgbm": "lightgbm", "xgboost": "xgboost"}
_DISTRIBUTIONS = {"xgboost": "xgboost-cpu"}  # under which name a library is installed here


@dataclass(frozen=True, slots=True)
class Described:
    """The signature (native so far) and what is needed to try the model out."""

    signature: Signature
    facts: list[Fact]
    rows: Rows
    missing: list[Any]  # what stands for a missing string, per column


def describe(estimator: Any, report: StaticReport) -> Described:
    """Raises `Refused` where the estimator cannot be asked for anything or does not answer a single row."""
    inputs = inputs_of(estimator)
    try:
        return _describe(estimator, report, inputs)
    except Refused:
        everything = inputs_of(estimator, unused=True)
        if len(everything[1]) == len(inputs[1]):
            raise
        return _describe(estimator, report, everything)


def _describe(estimator: Any, report: StaticReport, inputs: Inputs) -> Described:
    layout, columns, facts, named = inputs
    signature = Signature(
        estimator=_class_name(estimator),
        task=_task(estimator),
        layout=layout,
        columns=columns,
        outputs=[],
        named=named,
        hyperparameters=schema.hyperparameters(estimator),
        trained_with=_trained_with(report),
        served_with=_served_with(),
    )
    signature = replace(signature, warnings=_skew(signature))
    missing = [fact.missing for fact in facts]
    rows = Rows(signature, facts, vocabulary=vocabulary(estimator))
    rows.seen = _kept_rows(estimator, len(columns))
    signature = _outputs(estimator, signature, rows, missing)
    signature = _nullable(estimator, signature, rows, missing)
    signature = replace(signature, largest=_largest(estimator, signature, rows, missing))
    signature = replace(signature, explainable=_explainable(estimator, signature, rows, missing))
    rows.columns = signature.columns
    signature = replace(
        signature,
        input_schema=schema.input_schema(signature),
        example=schema.example(signature, rows.typical(1)),
    )
    return Described(signature, facts, rows, missing)


def vocabulary(estimator: Any) -> list[str]:
    """Words that the model's vectorisers know."""
    words: list[str] = []
    stack, seen = [estimator], 0
    while stack and seen < 200:
        part = stack.pop()
        seen += 1
        known = getattr(part, "vocabulary_", None)
        if isinstance(known, dict):
            words += [str(word) for word in list(known)[:2000]]
        if is_a(part, "Pipeline"):
            stack += [step for _, step in part.steps]
        elif is_a(part, "ColumnTransformer"):
            stack += [transformer for _, transformer, _ in part.transformers_]
        elif hasattr(part, "__dict__"):
            stack += list(parts(part))
    return words


def _kept_rows(estimator: Any, width: int) -> np.ndarray | None:
    """Training rows that the estimator itself keeps, as neighbours do."""
    for name in ("_fit_X", "X_fit_", "X_train_"):
        table = getattr(estimator, name, None)
        if isinstance(table, np.ndarray) and table.ndim == 2 and table.shape[1] == width and len(table):
            return table
    return None


# --- outputs


def _task(estimator: Any) -> Task:
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    checks: tuple[tuple[Callable[[Any], bool], Task], ...] = (
        (is_classifier, "classifier"),
        (is_regressor, "regressor"),
        (is_outlier_detector, "outlier_detector"),
        (is_clusterer, "clusterer"),
    )
    for check, task in checks:
        try:
            if check(estimator):
                return task
        except (AttributeError, TypeError, ValueError):
            continue
    if not hasattr(estimator, "predict"):
        return "transformer"
    if hasattr(estimator, "classes_"):
        return "classifier"
    return "clusterer" if hasattr(estimator, "predict_proba") else "regressor"


_WANTED: dict[str, tuple[str, ...]] = {
    "classifier": ("predict", "predict_proba", "decision_function"),
    "regressor": ("predict",),
    "clusterer": ("predict", "predict_proba", "transform", "score_samples"),
    "outlier_detector": ("predict", "decision_function", "score_samples"),
    "transformer": ("transform",),
}


def _outputs(estimator: Any, signature: Signature, rows: Rows, missing: list[Any]) -> Signature:
    """Keep the outputs that answer some ordinary rows; the first must, for some domain of numbers."""
    wanted = [name for name in _WANTED[signature.task] if hasattr(estimator, name)]
    if not wanted:
        raise Refused(
            "no_prediction",
            f"{signature.estimator} has neither predict nor transform for new rows; "
            "save a fitted estimator that has one of them.",
        )
    trouble: BaseException | None = None
    for domain in DOMAINS:
        rows.domain = domain
        batch: Any = rows.typical(_TRIAL_ROWS)
        if signature.layout == "records":
            batch = [records(signature, batch)]
        try:
            first = call(estimator, wanted[0], native_input(signature, batch, missing))
        except Exception as error:  # the estimator's own code may raise anything
            trouble = trouble or error
            continue
        if len(first) == _TRIAL_ROWS:
            break
    else:
        raise Refused("no_prediction", _trouble(signature, trouble))
    others = [name for name in wanted[1:] if _answers(estimator, name, signature, batch, missing)]
    shape = np.shape(first)
    classes = None
    found = getattr(estimator, "classes_", None) if signature.task == "classifier" else None
    if isinstance(found, np.ndarray | list):
        classes = plain(found)
    n_outputs = int(shape[1]) if len(shape) > 1 else 1
    return replace(signature, outputs=[*wanted[:1], *others], n_outputs=n_outputs, classes=classes)


def _answers(estimator: Any, output: str, signature: Signature, batch: Any, missing: list[Any]) -> bool:
    try:
        return len(call(estimator, output, native_input(signature, batch, missing))) == _TRIAL_ROWS
    except Exception:  # an output that raises is one that the model does not have
        return False


def _trouble(signature: Signature, trouble: BaseException | None) -> str:
    kind = type(trouble).__name__ if trouble is not None else "an answer of the wrong length"
    return (
        f"{signature.estimator} loaded, but did not predict ordinary rows of {len(signature.columns)} "
        f"column(s) ({kind}); save a fitted estimator, with the scikit-learn version it was trained with if "
        "possible."
    )


def _nullable(estimator: Any, signature: Signature, rows: Rows, missing: list[Any]) -> Signature:
    """Which columns may be missing, found by leaving them out."""
    if signature.layout == "text":
        return signature
    if signature.layout == "records":
        columns = [replace(column, nullable=signature.named) for column in signature.columns]
        return replace(signature, columns=columns)
    batch = rows.typical(1)

    def accepts(indices: Sequence[int]) -> bool:
        chosen = set(indices)
        tried = [[None] if i in chosen else list(column) for i, column in enumerate(batch)]
        try:
            for output in signature.outputs[:2]:
                call(estimator, output, native_input(signature, tried, missing))
        except Exception:  # refusing a missing value is an answer
            return False
        return True

    free = _accepted(list(range(len(batch))), accepts, budget=64)
    columns = [replace(column, nullable=index in free) for index, column in enumerate(signature.columns)]
    return replace(signature, columns=columns)


def _accepted(indices: list[int], accepts: Callable[[Sequence[int]], bool], budget: int) -> set[int]:
    """Indices that may be missing, by halving; what the budget does not reach counts as not accepted."""
    found: set[int] = set()
    stack = [indices]
    while stack and budget > 0:
        group = stack.pop()
        budget -= 1
        if not group:
            continue
        if accepts(group):
            found.update(group)
        elif len(group) > 1:
            half = len(group) // 2
            stack += [group[:half], group[half:]]
    return found


def _largest(estimator: Any, signature: Signature, rows: Rows, missing: list[Any]) -> float | None:
    """How far from zero numbers may be, found by trying; None where all are taken, or the trial tells
    nothing, as with estimators that refuse whatever lies outside their training.
    """
    numbers = [column.kind == "number" for column in signature.columns]
    if signature.layout in ("text", "records") or not any(numbers):
        return None
    apart = copy(rows)  # draws of its own: the rows that compiled forms are compared on stay the same
    apart.random = np.random.default_rng(0)
    typical = apart.typical(2)
    signs = (1, -1) if rows.domain == "any" else (1, 1)
    for largest in _MAGNITUDES:
        far = [sign * largest for sign in signs]
        batch = [far if number else column for number, column in zip(numbers, typical, strict=True)]
        if all(_takes(estimator, output, signature, batch, missing) for output in signature.outputs):
            return None if largest == _MAGNITUDES[0] else largest
    return None


def _explainable(estimator: Any, signature: Signature, rows: Rows, missing: list[Any]) -> bool | None:
    """Whether `?explain=true` will be answered; None where one row took too long to tell."""
    apart = copy(rows)
    apart.random = np.random.default_rng(0)
    batch: Any = apart.typical(1)
    if signature.layout == "records":
        batch = [records(signature, batch)]
    try:
        row = native_input(signature, batch, missing)
    except Exception:  # found out above, for rows of other numbers
        return None
    return explainable(estimator, signature, row, _EXPLAINING_SECONDS)


def _takes(estimator: Any, output: str, signature: Signature, batch: Any, missing: list[Any]) -> bool:
    try:
        call(estimator, output, native_input(signature, batch, missing))
    except Exception:  # refusing a number is an answer
        return False
    return True


# --- versions


def _class_name(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def _trained_with(report: StaticReport) -> dict[str, str]:
    versions = {str(name): str(version) for name, version in report.libraries.items()}
    if report.sklearn_version:
        versions["scikit-learn"] = report.sklearn_version
    return versions


def _served_with() -> dict[str, str]:
    versions = {}
    for library in ("scikit-learn", "numpy", "onnxruntime", "skl2onnx", "lightgbm", "xgboost"):
        try:
            versions[library] = metadata.version(_DISTRIBUTIONS.get(library, library))
        except metadata.PackageNotFoundError:
            continue
    return versions


def _skew(signature: Signature) -> list[str]:
    warnings = []
    for library, trained in signature.trained_with.items():
        served = signature.served_with.get(library)
        if served and served.split(".")[:2] != trained.split(".")[:2]:
            warnings.append(
                f"trained with {library} {trained}, opened with {library} {served}: predictions may differ; "
                f"retrain with {served} or export to ONNX where the original library is at hand"
            )
    return warnings
