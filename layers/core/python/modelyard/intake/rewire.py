"""Shallow copies of an estimator with which the converter has an easier life; the original stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.intake.facts import _META, _META_LISTS, positions

_SEARCHES = {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}


def unwrapped(estimator: Any) -> Any:
    """What a search found: its predictions are those of its best estimator."""
    for _ in range(5):
        best = getattr(estimator, "best_estimator_", None) if type(estimator).__name__ in _SEARCHES else None
        if best is None:
            return estimator
        estimator = best
    return estimator


def by_position(estimator: Any, names: Sequence[str] | None, width: int, places: Mapping[int, int]) -> Any:
    """Every ColumnTransformer that sees the input selects by position in the graph's inputs instead of by name.

    `places` maps a trained column's position to its position among the graph's inputs, laid side by side.
    """
    kind = type(estimator).__name__
    if kind == "ColumnTransformer":
        twin = copy.copy(estimator)
        chosen = []
        for name, transformer, columns in estimator.transformers_:
            indices = [places[i] for i in positions(columns, width, names) if i in places]
            if transformer != "drop" and indices:
                chosen.append((name, transformer, indices))
        twin.transformers_ = chosen
        return twin
    if kind == "Pipeline":
        twin = copy.copy(estimator)
        twin.steps = list(estimator.steps)
        for index, (name, step) in enumerate(twin.steps):
            if step is not None and step != "passthrough":
                twin.steps[index] = (name, by_position(step, names, width, places))
                break
        return twin
    changed = {}
    for attribute in (*_META, *_META_LISTS):
        value = vars(estimator).get(attribute) if hasattr(estimator, "__dict__") else None
        new = _rewired(value, names, width, places)
        if new is not value:
            changed[attribute] = new
    if not changed:
        return estimator
    twin = copy.copy(estimator)
    vars(twin).update(changed)
    return twin


def _rewired(value: Any, names: Sequence[str] | None, width: int, places: Mapping[int, int]) -> Any:
    if isinstance(value, list):
        new = [_rewired(item, names, width, places) for item in value]
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    if isinstance(value, tuple) and len(value) == 2:
        inner = _rewired(value[1], names, width, places)
        return value if inner is value[1] else (value[0], inner)
    if type(value).__name__ == "_CalibratedClassifier":
        inner = by_position(value.estimator, names, width, places)
        if inner is value.estimator:
            return value
        twin = copy.copy(value)
        twin.estimator = inner
        return twin
    if hasattr(value, "get_params"):
        return by_position(value, names, width, places)
    return value
