"""A loaded estimator, described: task, columns, outputs, classes, versions. Trial predictions settle what
is unclear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np

from modelyard.intake import schema
from modelyard.intake.estimators import call, plain
from modelyard.intake.facts import Fact, parts, read, vectorizes
from modelyard.intake.frames import native_input, records
from modelyard.intake.rows import DOMAINS, Rows
from modelyard.intake.verdict import Refused, StaticReport
from modelyard.serving.signature import Column, Signature, Task

MAX_COLUMNS = 30_000  # what a signature can list within the 6 MB of an answer
_HASHERS = {"FeatureHasher", "MultiLabelBinarizer"}
_TARGET_ENCODERS = {"LabelEncoder", "LabelBinarizer"}
_LIBRARIES = {"sklearn": "scikit-learn", "lightgbm": "lightgbm", "xgboost": "xgboost"}


Inputs = tuple[Any, list[Column], list[Fact], bool]


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
    rows.columns = signature.columns
    signature = replace(
        signature,
        input_schema=schema.input_schema(signature),
        example=schema.example(signature, rows.typical(1)),
    )
    return Described(signature, facts, rows, missing)


# --- inputs


def inputs_of(estimator: Any, *, unused: bool = False) -> Inputs:
    """Layout, columns, what is known of each, and whether they were named in training.

    Columns of a frame that the model drops are left out, unless `unused` asks for them.
    """
    first = _first(estimator)
    kind = type(first).__name__
    if kind == "DictVectorizer":
        return _records(first)
    if kind in _HASHERS:
        fact = Fact()
        return "records", [_column("feature", fact)], [fact], False
    if kind in _TARGET_ENCODERS:
        return _targets(first)
    names = trained_names(estimator)
    width = _width(estimator, names)
    if vectorizes(estimator) and width is None:
        fact = Fact(kind="string", dtype="object", text=True)
        return "text", [Column(name="text", kind="string", dtype="object")], [fact], False
    if width is None:
        raise Refused(
            "input",
            f"{kind} does not say how many columns it takes, so no request can be checked against it; "
            "wrap it in a Pipeline whose first step is fitted on a table.",
        )
    if width > MAX_COLUMNS:
        raise Refused("input", f"the model takes {width} columns; at most {MAX_COLUMNS} can be served.")
    facts = read(estimator, width, names)
    columns = [_column(names[i] if names else f"x{i}", fact) for i, fact in enumerate(facts)]
    if names and not unused and any(fact.used for fact in facts):
        used = [index for index, fact in enumerate(facts) if fact.used]
        columns, facts = [columns[i] for i in used], [facts[i] for i in used]
    return ("frame" if names else "matrix"), columns, facts, bool(names)


def isinstance_name(estimator: Any, name: str) -> bool:
    return type(estimator).__name__ == name


def _column(name: str, fact: Fact) -> Column:
    return Column(
        name=name,
        kind=fact.kind or "number",  # type: ignore[arg-type]
        dtype=fact.dtype or "float64",
        categories=plain(fact.categories) if fact.categories is not None else None,
        handle_unknown=fact.handle_unknown,
        low=fact.low,
        high=fact.high,
    )


def _records(vectorizer: Any) -> tuple[Any, list[Column], list[Fact], bool]:
    """DictVectorizer: `city=Paris` is a category of `city`, `age` is a number."""
    strings: dict[str, list[str] | None] = {}
    for feature in vectorizer.feature_names_:
        name, separator, value = str(feature).partition(vectorizer.separator)
        known = strings.setdefault(name, [] if separator else None)
        if separator and known is not None:
            known.append(value)
    facts = [
        Fact(kind="string", dtype="object", categories=values) if values is not None else Fact()
        for values in strings.values()
    ]
    return "records", [_column(name, fact) for name, fact in zip(strings, facts, strict=True)], facts, True


def _targets(encoder: Any) -> tuple[Any, list[Column], list[Fact], bool]:
    """LabelEncoder and LabelBinarizer take one value per row, and only those they know."""
    classes = encoder.classes_
    strings = classes.dtype.kind not in "iufb"
    fact = Fact(
        kind="string" if strings else "number",
        dtype="object" if strings else str(classes.dtype),
        categories=plain(classes),
        handle_unknown=False,
    )
    return "text", [_column("label", fact)], [fact], False


def _first(estimator: Any) -> Any:
    """What sees the input first."""
    for _ in range(20):
        if isinstance_name(estimator, "Pipeline"):
            steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
            if not steps:
                return estimator
            estimator = steps[0]
            continue
        inner = next((part for part in parts(estimator) if isinstance_name(part, "Pipeline")), None)
        best = vars(estimator).get("best_estimator_") if hasattr(estimator, "__dict__") else None
        if best is not None:
            estimator = best
        elif inner is not None:
            estimator = inner
        else:
            return estimator
    return estimator


def trained_names(estimator: Any) -> list[str] | None:
    """Column names of the training frame; LightGBM's made-up ones do not count."""
    for holder in _outside_in(estimator):
        names = getattr(holder, "feature_names_in_", None)
        if names is not None and len(names) and all(isinstance(name, str) for name in names):
            listed = [str(name) for name in names]
            if type(holder).__module__.startswith("lightgbm") and all(
                re.fullmatch(r"Column_\d+", n) for n in listed
            ):
                return None
            return listed
    return None


def _width(estimator: Any, names: list[str] | None) -> int | None:
    if names:
        return len(names)
    for holder in _outside_in(estimator):
        width = getattr(holder, "n_features_in_", None)
        if isinstance(width, int | np.integer) and width > 0:
            return int(width)
        if isinstance_name(holder, "IsotonicRegression"):
            return 1
    return None


def _outside_in(estimator: Any) -> list[Any]:
    """The estimator, then what it wraps, outermost first."""
    found: list[Any] = []
    stack = [estimator]
    while stack and len(found) < 50:
        holder = stack.pop(0)
        found.append(holder)
        if isinstance_name(holder, "Pipeline"):
            stack += [step for _, step in holder.steps if step is not None and step != "passthrough"][:1]
        elif not isinstance_name(holder, "ColumnTransformer") and hasattr(holder, "__dict__"):
            stack += list(parts(holder))[:1]
    return found


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
        if isinstance_name(part, "Pipeline"):
            stack += [step for _, step in part.steps]
        elif isinstance_name(part, "ColumnTransformer"):
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
    """Keep the outputs that answer two ordinary rows; the first must, for some domain of numbers."""
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
        batch: Any = rows.typical(2)
        if signature.layout == "records":
            batch = [records(signature, batch)]
        try:
            first = call(estimator, wanted[0], native_input(signature, batch, missing))
        except Exception as error:  # the estimator's own code may raise anything
            trouble = trouble or error
            continue
        if len(first) == 2:
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
        return len(call(estimator, output, native_input(signature, batch, missing))) == 2
    except Exception:  # an output that raises is one that the model does not have
        return False


def _trouble(signature: Signature, trouble: BaseException | None) -> str:
    kind = type(trouble).__name__ if trouble is not None else "an answer of the wrong length"
    return (
        f"{signature.estimator} loaded, but did not predict two ordinary rows of "
        f"{len(signature.columns)} column(s) ({kind}); save a fitted estimator, with the scikit-learn version it was trained with if possible."
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
            versions[library] = metadata.version(library)
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
