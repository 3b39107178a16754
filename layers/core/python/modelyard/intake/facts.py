"""What a fitted estimator shows about each of its input columns, through whatever it is composed of.

Attributes are read; nothing is run here but the way back through scalers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from modelyard.intake.fact import Fact, finite, span
from modelyard.intake.leaf_facts import leaf_facts

META = ("best_estimator_", "estimator_", "regressor_", "classifier_", "base_estimator_", "_preprocessor")
META_LISTS = ("estimators_", "calibrated_classifiers_", "transformer_list")


def read(estimator: Any, width: int, names: Sequence[str] | None = None, depth: int = 0) -> list[Fact]:
    """Facts of each of `width` input columns; `names` are those the estimator was trained with."""
    if depth > 12 or estimator is None or isinstance(estimator, str):
        return [Fact() for _ in range(width)]
    for known, reader in _READERS:
        if known(estimator):
            found: list[Fact] = reader(estimator, width, names, depth)
            return found
    facts = leaf_facts(estimator, width)
    inside = [
        read(part, width, names, depth + 1)
        for part in parts(estimator)
        if getattr(part, "n_features_in_", width) == width
    ]
    for part_facts in inside:
        _merge(facts, part_facts)
    for index, fact in enumerate(facts):
        # A column that no part uses is one that a ColumnTransformer drops.
        fact.used = not inside or any(part_facts[index].used for part_facts in inside)
    return facts


def parts(estimator: Any) -> Iterable[Any]:
    """The fitted estimators inside a meta-estimator that see the same columns as it does."""
    for name in META:
        part = vars(estimator).get(name)
        if part is not None and not isinstance(part, str):
            yield part
    for name in META_LISTS:
        several = vars(estimator).get(name)
        if isinstance(several, np.ndarray):
            several = several.ravel().tolist()
        if isinstance(several, list | tuple):
            yield from (_bare(item) for item in several[:64])


def _bare(item: Any) -> Any:
    if isinstance(item, tuple) and len(item) >= 2:
        item = item[1]
    return getattr(item, "estimator", item) if type(item).__name__ == "_CalibratedClassifier" else item


# --- compositions


def _pipeline(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    """Facts of the first step, and of later ones as long as every step before keeps columns one to one."""
    facts = [Fact() for _ in range(width)]
    undo: list[Any] = []
    first = True
    for _, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        found = read(step, width, names, depth + 1)
        for before in reversed(undo):
            _unscale(before, found)
        if first:
            facts, first = found, False
        else:
            _merge(facts, found)
        if not _one_to_one(step, width):
            break
        undo.append(step)
    return facts


def _one_to_one(step: Any, width: int) -> bool:
    kept = type(step).__name__ in _SCALERS or type(step).__name__ in {
        "SimpleImputer",
        "OrdinalEncoder",
        "Normalizer",
    }
    if type(step).__name__ == "SimpleImputer":
        indicator = getattr(step, "add_indicator", False)
        dropped = len(getattr(step, "statistics_", ())) != width
        return not indicator and not dropped
    return kept


_SCALERS = {
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "PowerTransformer",
    "QuantileTransformer",
}


def _unscale(step: Any, facts: list[Fact]) -> None:
    """Bring thresholds and spans from a scaler's output back to its input; categories do not survive
    scaling.
    """
    name = type(step).__name__
    if name == "SimpleImputer":
        return
    if name not in _SCALERS:
        for fact in facts:
            fact.points, fact.span, fact.low, fact.high, fact.categories = [], None, None, None, None
        return
    rows = max((len(fact.points) for fact in facts), default=0) + 4
    table = np.zeros((rows, len(facts)))
    for index, fact in enumerate(facts):
        values = [*fact.points, *(fact.span or ()), *((fact.low, fact.high) if fact.low is not None else ())]
        table[: len(values), index] = values
    with np.errstate(all="ignore"):
        back = step.inverse_transform(table)
    for index, fact in enumerate(facts):
        count = len(fact.points)
        fact.points = finite(back[:count, index])
        if fact.span is not None:
            fact.span = span(back[count : count + 2, index])
            count += 2
        if fact.low is not None:
            fact.low, fact.high = (float(v) for v in sorted(back[count : count + 2, index]))


def _column_transformer(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    facts = [Fact(used=False) for _ in range(width)]
    for _, transformer, columns in estimator.transformers_:
        chosen = positions(columns, width, names)
        if transformer == "drop" or not chosen:
            continue
        scalar = isinstance(columns, str | int | np.integer)
        found = read(transformer, len(chosen), [names[i] for i in chosen] if names else None, depth + 1)
        if scalar and not any(fact.text for fact in found):
            found[0].text = vectorizes(transformer)
        for fact in found:
            if fact.text:
                fact.kind, fact.dtype = "string", "object"
        for index, fact in zip(chosen, found, strict=True):
            if facts[index].used:
                facts[index].merge(fact)
            else:
                facts[index] = fact
    return facts


def positions(columns: Any, width: int, names: Sequence[str] | None) -> list[int]:
    """Column positions behind a ColumnTransformer's selection: names, numbers, slices or masks."""
    known = list(names) if names else []
    if callable(columns):
        return []
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            start = known.index(columns.start) if columns.start is not None else 0
            stop = known.index(columns.stop) + 1 if columns.stop is not None else width
            return list(range(width))[start : stop : columns.step]
        return list(range(width))[columns]
    items = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        return [index for index, chosen in enumerate(items) if chosen]
    return [known.index(item) if isinstance(item, str) else int(item) % width for item in items]


def _feature_union(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    facts = [Fact() for _ in range(width)]
    for _, part in estimator.transformer_list:
        if part not in ("drop", "passthrough"):
            _merge(facts, read(part, width, names, depth + 1))
    return facts


def vectorizes(estimator: Any) -> bool:
    """Whether the estimator takes texts: a vectoriser, or something that begins with one."""
    name = type(estimator).__name__
    if name in {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}:
        return True
    if name == "Pipeline":
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return bool(steps) and vectorizes(steps[0])
    if name == "FeatureUnion":
        return any(vectorizes(part) for _, part in estimator.transformer_list)
    return any(vectorizes(part) for part in parts(estimator)) if hasattr(estimator, "__dict__") else False


# --- small things


def _merge(facts: list[Fact], others: list[Fact]) -> None:
    for mine, theirs in zip(facts, others, strict=True):
        mine.merge(theirs)


def _named(*names: str) -> Any:
    return lambda estimator: type(estimator).__name__ in names


def _inner_preprocessor(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    """Histogram boosting on a frame with categories: its own ColumnTransformer sees the frame first."""
    facts = read(estimator._preprocessor, width, names, depth + 1)
    for fact in facts:
        fact.handle_unknown = True  # unknown categories are treated as missing
    return facts


_READERS: tuple[tuple[Any, Any], ...] = (
    (_named("Pipeline"), _pipeline),
    (_named("ColumnTransformer"), _column_transformer),
    (_named("FeatureUnion"), _feature_union),
    (
        lambda e: vars(e).get("_preprocessor") is not None if hasattr(e, "__dict__") else False,
        _inner_preprocessor,
    ),
)
