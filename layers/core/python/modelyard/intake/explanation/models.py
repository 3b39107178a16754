"""Estimators whose output is a sum over their features, and how to take the sum apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelyard.intake.explanation.sums import (
    MOST_CELLS,
    Additive,
    Check,
    NotExplainable,
    dense,
    labels_of,
    too_wide,
)
from modelyard.serving.explanation_terms import KINDS

_LINEAR_SVMS = {"SVC", "NuSVC", "SVR", "NuSVR"}
_LINEAR = {"LinearDiscriminantAnalysis", "LinearSVC", "LinearSVR"}
_GENERALIZED = {"PoissonRegressor", "GammaRegressor", "TweedieRegressor"}
_TREES = {
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
}
_BOOSTED = {"GradientBoostingClassifier", "GradientBoostingRegressor"}
_HISTOGRAM = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
_BAGGING = {"BaggingRegressor", "BaggingClassifier"}
_SEARCHES = {"GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}
_DEEPEST = 5  # ensembles of ensembles of …


def analyse(estimator: Any, depth: int = 0) -> Additive:
    """How `estimator` is taken apart; raises `NotExplainable` where its output is no sum over features."""
    kind, home = type(estimator).__name__, type(estimator).__module__.partition(".")[0]
    if depth > _DEEPEST:
        raise NotExplainable("This model nests ensembles too deeply to be explained.")
    if home in ("lightgbm", "xgboost"):
        from modelyard.intake.explanation import boosters

        return boosters.analyse(estimator)
    if home != "sklearn":
        raise _unknown(kind)
    if kind in _TREES:
        from modelyard.intake.explanation import forests

        return forests.of_trees(estimator)
    if kind in _BOOSTED:
        from modelyard.intake.explanation import forests

        return forests.of_gradient_boosting(estimator)
    if kind in _HISTOGRAM:
        from modelyard.intake.explanation import forests

        return forests.of_histograms(estimator)
    if kind in _GENERALIZED:
        return _generalized(estimator)
    if kind in _LINEAR_SVMS:
        return _support_vectors(estimator)
    if kind == "RANSACRegressor":
        return analyse(estimator.estimator_, depth + 1)
    if kind == "VotingRegressor":
        return _voting(estimator, depth)
    if kind in _BAGGING:
        return _bagging(estimator, depth)
    if kind == "OneVsRestClassifier":
        return _one_vs_rest(estimator, depth)
    if kind in _LINEAR or _is_linear(estimator):
        return _linear(estimator)
    raise _unknown(kind)


def _unknown(kind: str) -> NotExplainable:
    return NotExplainable(f"A model of the kind {kind} cannot be explained: {KINDS}")


# --- linear models


def _is_linear(estimator: Any) -> bool:
    home = type(estimator).__module__
    shows_all = hasattr(estimator, "coef_") and hasattr(estimator, "intercept_")
    return home.startswith("sklearn.linear_model.") and shows_all and hasattr(estimator, "predict")


def _linear(estimator: Any, coefficients: Any = None) -> Additive:
    """Contribution = coefficient · value; base = intercept."""
    raw = estimator.coef_ if coefficients is None else coefficients
    if math.prod(np.shape(raw)) > 10 * MOST_CELLS:  # a sparse one may be of any shape
        raise too_wide()
    coef = np.atleast_2d(np.asarray(raw.toarray() if hasattr(raw, "toarray") else raw, dtype=np.float64))
    intercept = np.ravel(np.asarray(estimator.intercept_, dtype=np.float64))
    base = np.broadcast_to(intercept, (len(coef),)).astype(np.float64)
    classifies = hasattr(estimator, "decision_function") and hasattr(estimator, "classes_")
    output = "decision_function" if classifies else "predict"

    def parts(x: Any, check: Check) -> np.ndarray:
        check()
        values = dense(x)
        product: np.ndarray = values[:, None, :] * coef[None, :, :]
        return product

    def own(x: Any) -> np.ndarray:
        found = np.asarray(getattr(estimator, output)(x), dtype=np.float64)
        return found.reshape(len(found), -1)

    def among(x: Any, chosen: np.ndarray) -> np.ndarray:
        product: np.ndarray = dense(x[:, chosen])[:, None, :] * coef[None, :, chosen]
        return product

    names = labels_of(estimator) if classifies else None
    return Additive(
        of=output,
        base=base,
        parts=parts,
        among=among,
        own=own,
        features=coef.shape[1],
        classes=names if names is not None and len(names) == len(base) else None,
        toward=names[1] if names is not None and len(base) == 1 and len(names) == 2 else None,
        has_toward=names is not None and len(base) == 1 and len(names) == 2,
    )


def _generalized(estimator: Any) -> Additive:
    """A sum before the link's inverse; what `predict` gives is after it."""
    link = estimator._base_loss.link
    return replace(_linear(estimator), of="link", shown=link.inverse)


def _support_vectors(estimator: Any) -> Additive:
    if estimator.kernel != "linear":
        raise NotExplainable(
            f"A {type(estimator).__name__} with a kernel that is not linear cannot be explained: {KINDS}"
        )
    classes = getattr(estimator, "classes_", ())
    if len(classes) > 2:
        raise NotExplainable(
            "A SVC of more than two classes compares them in pairs, which is no sum over features; "
            f"train a LinearSVC instead. {KINDS}"
        )
    return _linear(estimator)


# --- ensembles that add up


def _combined(
    members: list[Additive],
    columns: list[Any],
    own: Callable[[Any], np.ndarray],
    weights: np.ndarray,
    width: int,
) -> Additive:
    """The weighted sum of `members`, each of which sees some `columns` (None: all)."""
    first = members[0]

    def parts(x: Any, check: Check) -> np.ndarray:
        values = dense(x) if any(picked is not None for picked in columns) else x
        total = np.zeros((values.shape[0], len(first.base), width + 1))
        for member, picked, weight in zip(members, columns, weights, strict=True):
            found, base = member.apart(values if picked is None else values[:, picked], check)
            if picked is None or (len(picked) == width and (picked == np.arange(width)).all()):
                total[:, :, :-1] += weight * found
            else:  # a feature may have been drawn more than once
                np.add.at(total.transpose(2, 0, 1), picked, weight * found.transpose(2, 0, 1))
            total[:, :, -1] += weight * base
        return total

    tolerance = max(member.tolerance for member in members)
    base = np.zeros(len(first.base))
    return replace(first, base=base, parts=parts, among=None, own=own, features=width, tolerance=tolerance)


def _voting(estimator: Any, depth: int) -> Additive:
    members = [analyse(member, depth + 1) for member in estimator.estimators_]
    if any(member.of != "predict" for member in members):
        raise NotExplainable(f"A VotingRegressor of models whose predictions are no sums: {KINDS}")
    weights = np.asarray(estimator._weights_not_none or [1.0] * len(members), dtype=np.float64)
    return _combined(
        members,
        [None] * len(members),
        lambda x: np.asarray(estimator.predict(x), dtype=np.float64).reshape(x.shape[0], -1),
        weights / weights.sum(),
        members[0].features,
    )


def _bagging(estimator: Any, depth: int) -> Additive:
    members = [analyse(member, depth + 1) for member in estimator.estimators_]
    wanted = "predict_proba" if hasattr(estimator, "classes_") else "predict"
    whole = all(member.of == wanted and len(member.base) == len(members[0].base) for member in members)
    if not whole or any(
        labels_of(member) != labels_of(estimator.estimators_[0]) for member in estimator.estimators_
    ):
        raise NotExplainable(f"A {type(estimator).__name__} of models whose answers are no sums: {KINDS}")
    width = int(estimator.n_features_in_)
    drawn = [np.asarray(picked) for picked in estimator.estimators_features_]
    combined = _combined(
        members,
        drawn,
        lambda x: np.asarray(getattr(estimator, wanted)(x), dtype=np.float64).reshape(x.shape[0], -1),
        np.full(len(members), 1 / len(members)),
        width,
    )
    return replace(combined, classes=labels_of(estimator))


def _one_vs_rest(estimator: Any, depth: int) -> Additive:
    """One linear decision per class, beside each other."""
    classes = labels_of(estimator)
    members = [analyse(member, depth + 1) for member in estimator.estimators_]
    fitting = all(member.of == "decision_function" and len(member.base) == 1 for member in members)
    if classes is None or not fitting or len(members) < 2 or getattr(estimator, "multilabel_", False):
        raise NotExplainable(
            f"A OneVsRestClassifier that is not one linear decision per class cannot be explained: {KINDS}"
        )

    def parts(x: Any, check: Check) -> np.ndarray:
        both = [member.apart(x, check) for member in members]
        return np.concatenate(
            [np.concatenate([found, base[:, :, None]], axis=2) for found, base in both], axis=1
        )

    return Additive(
        of="decision_function",
        base=np.zeros(len(members)),
        parts=parts,
        own=lambda x: np.asarray(estimator.decision_function(x), dtype=np.float64),
        features=members[0].features,
        classes=classes,
        tolerance=max(member.tolerance for member in members),
    )


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What predicts in the end, and the transformers before it, in order."""

    steps: list[Any]
    final: Any


def unwrap(estimator: Any) -> Unwrapped:
    """Looks through pipelines and finished searches; whatever else wraps an estimator is one itself."""
    steps: list[Any] = []
    for _ in range(20):
        if type(estimator).__name__ in _SEARCHES and hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif type(estimator).__name__ == "Pipeline":
            *before, last = [step for _, step in estimator.steps]
            steps += [step for step in before if step is not None and step != "passthrough"]
            estimator = last
        else:
            break
    return Unwrapped(steps, estimator)
