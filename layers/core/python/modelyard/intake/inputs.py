"""What an estimator takes: layout, columns and their names, read off whatever sees the input first."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from modelyard.intake.estimators import plain
from modelyard.intake.fact import Fact
from modelyard.intake.facts import parts, read, vectorizes
from modelyard.intake.verdict import Refused
from modelyard.serving.signature import Column

MAX_COLUMNS = 30_000  # what a signature can list within the 6 MB of an answer
_HASHERS = {"FeatureHasher", "MultiLabelBinarizer"}
_TARGET_ENCODERS = {"LabelEncoder", "LabelBinarizer"}
Inputs = tuple[Any, list[Column], list[Fact], bool]


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


def is_a(estimator: Any, name: str) -> bool:
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
        if is_a(estimator, "Pipeline"):
            steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
            if not steps:
                return estimator
            estimator = steps[0]
            continue
        inner = next((part for part in parts(estimator) if is_a(part, "Pipeline")), None)
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
        if is_a(holder, "IsotonicRegression"):
            return 1
    return None


def _outside_in(estimator: Any) -> list[Any]:
    """The estimator, then what it wraps, outermost first."""
    found: list[Any] = []
    stack = [estimator]
    while stack and len(found) < 50:
        holder = stack.pop(0)
        found.append(holder)
        if is_a(holder, "Pipeline"):
            stack += [step for _, step in holder.steps if step is not None and step != "passthrough"][:1]
        elif not is_a(holder, "ColumnTransformer") and hasattr(holder, "__dict__"):
            stack += list(parts(holder))[:1]
    return found
