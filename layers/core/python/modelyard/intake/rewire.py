"""Shallow copies of an estimator with which the converter has an easier life; the original stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.intake.facts import META, META_LISTS, parts, positions

_SEARCHES = {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}


def unwrapped(estimator: Any) -> Any:
    """What predicts in the end: a search's best estimator, a frozen estimator's own, and so on."""
    for _ in range(5):
        kind = type(estimator).__name__
        if kind in _SEARCHES and hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif kind == "FrozenEstimator":
            estimator = estimator.estimator
        elif kind in ("RFE", "RFECV") and hasattr(estimator.estimator_, "predict"):
            return _as_pipeline(_selection(estimator), estimator.estimator_)
        elif kind == "TransformedTargetRegressor" and _untransforms(estimator):
            return _as_pipeline(estimator.regressor_, estimator.transformer_, inverse=True)
        else:
            break
    return _simplified(estimator)


def _as_pipeline(first: Any, second: Any, *, inverse: bool = False) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    if inverse:
        second = FunctionTransformer(second.inverse_func)
    return Pipeline([("first", first), ("second", second)])


def _untransforms(estimator: Any) -> bool:
    """Whether the target's way back is a plain function, which a graph may hold."""
    transformer = estimator.transformer_
    return type(transformer).__name__ == "FunctionTransformer" and not transformer.inv_kw_args


def _selection(estimator: Any) -> Any:
    """A recursive elimination as the plain selection that it came to."""
    from sklearn.feature_selection import SelectKBest

    chosen = estimator.support_
    selection = SelectKBest(k=int(chosen.sum()))
    selection.scores_ = chosen.astype(float)
    selection.n_features_in_ = len(chosen)
    return selection


def _as_logistic(estimator: Any) -> Any:
    """The same scores and probabilities; the converter takes a softmax where two classes need a sigmoid."""
    from sklearn.linear_model import LogisticRegression

    twin = LogisticRegression()
    for name in ("coef_", "intercept_", "classes_", "n_features_in_"):
        setattr(twin, name, getattr(estimator, name))
    return twin


def _simplified(estimator: Any) -> Any:
    """Without what only hinders the converter: voting's own transform, names in a booster of XGBoost."""
    kind = type(estimator).__name__
    if kind == "Pipeline":
        last = _simplified(estimator.steps[-1][1])
        if last is estimator.steps[-1][1]:
            return estimator
        twin = copy.copy(estimator)
        twin.steps = [*estimator.steps[:-1], (estimator.steps[-1][0], last)]
        return twin
    if kind == "LinearDiscriminantAnalysis" and hasattr(estimator, "predict_proba"):
        return _as_logistic(estimator)
    if kind == "VotingClassifier" and estimator.flatten_transform:
        twin = copy.copy(estimator)
        twin.flatten_transform = False
        return twin
    if type(estimator).__module__.startswith("xgboost") and hasattr(estimator, "get_booster"):
        twin = copy.copy(estimator)
        twin._Booster = estimator.get_booster().copy()
        twin._Booster.feature_names = None
        return twin
    return estimator


def selection_order(estimator: Any, names: Sequence[str] | None, width: int, depth: int = 0) -> list[int]:
    """Trained columns in the order in which the first ColumnTransformer takes them; empty without one."""
    kind = type(estimator).__name__
    if kind == "ColumnTransformer":
        found = [
            place
            for _, transformer, columns in estimator.transformers_
            if transformer != "drop"
            for place in positions(columns, width, names)
        ]
        return list(dict.fromkeys(found))
    if depth > 5:
        return []
    if kind == "Pipeline":
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return selection_order(steps[0], names, width, depth + 1) if steps else []
    inside = parts(estimator) if hasattr(estimator, "__dict__") else ()
    return next(filter(None, (selection_order(part, names, width, depth + 1) for part in inside)), [])


def by_position(estimator: Any, names: Sequence[str] | None, width: int, places: Mapping[int, int]) -> Any:
    """Every ColumnTransformer that sees the input selects by position in the graph's inputs instead of by
    name.

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
    for attribute in (*META, *META_LISTS):
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
