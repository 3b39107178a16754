"""Loaded estimators whose insides were changed after the fit: each check that compiled code relies on."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from modelyard.intake.validate import validate
from modelyard.intake.verdict import Limits, Refused
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3))
CODES = np.c_[X, RANDOM.integers(0, 4, 60)]
LABELS = (X[:, 0] > 0).astype(int)


def rebuilt(tree: Any, **changes: Callable[[np.ndarray], Any]) -> Any:
    """A copy of a compiled tree with fields of its nodes, or its other state, changed."""
    function, arguments, state = tree.__reduce__()
    nodes = state["nodes"].copy()
    for name, change in changes.items():
        if name in nodes.dtype.names:
            change(nodes[name])
        else:
            state[name] = change(state[name])
    made = function(*arguments)
    made.__setstate__(state | {"nodes": nodes})
    return made


def put(index: int, value: float) -> Callable[[np.ndarray], None]:
    def apply(array: np.ndarray) -> None:
        array[index] = value

    return apply


def decision_tree(**changes: Callable[[np.ndarray], Any]) -> DecisionTreeClassifier:
    model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, LABELS)
    model.tree_ = rebuilt(model.tree_, **changes)
    return model


def nan_values(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, np.nan)


TREES = {
    "child outside": {"left_child": put(0, 10**6)},
    "child negative": {"right_child": put(0, -7)},
    "child backwards": {"right_child": put(0, 0)},
    "one child": {"left_child": put(0, -1)},
    "feature outside": {"feature": put(0, 3)},
    "feature negative": {"feature": put(0, -2)},
    "children shared": {"left_child": lambda left: put(0, left[1])(left)},
    "depth understated": {"max_depth": lambda depth: 0},
    "value no number": {"values": nan_values},
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_that_would_be_walked_out_of_bounds_is_refused(name: str) -> None:
    refused(decision_tree(**TREES[name]))


def test_unchanged_models_are_sound() -> None:
    for model in (
        decision_tree(),
        boosted(),
        RandomForestClassifier(3).fit(X, LABELS),
        KNeighborsClassifier(algorithm="ball_tree").fit(X, LABELS),
        KNeighborsClassifier(algorithm="kd_tree").fit(X, np.c_[LABELS, 1 - LABELS]),
        SVC().fit(X, np.arange(60) % 3),
        SVC().fit(sp.csr_matrix(X), LABELS),
        OneClassSVM().fit(X),
        SplineTransformer().fit(X),
    ):
        validate(model, Limits())


def refused(model: Any, rule: str = "unsound") -> str:
    with pytest.raises(Refused) as error:
        validate(model, Limits())
    assert error.value.rule == rule
    # whatever holds the model is refused as well
    with pytest.raises(Refused):
        validate(make_pipeline(model), Limits())
    return error.value.detail


def boosted() -> Any:
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[3], random_state=0)
    return model.fit(CODES, (CODES[:, 3] > 1).astype(int) ^ (CODES[:, 0] > 1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left", 10**6),
        ("right", 0),
        ("feature_idx", 99),
        ("feature_idx", -1),
        ("value", np.nan),
        ("bitset_idx", 10**6),
    ],
)
def test_histogram_boosting_is_followed(field: str, value: float) -> None:
    model = boosted()
    for step in model._predictors:
        nodes = step[0].nodes
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        if field == "bitset_idx":
            inner = inner[nodes["is_categorical"][inner] == 1]
        nodes[field][inner[:1]] = value
    refused(model)


def test_a_number_taken_for_a_category_is_refused() -> None:
    model = boosted()
    for step in model._predictors:
        nodes = step[0].nodes
        nodes["is_categorical"][nodes["is_leaf"] == 0] = 1
        nodes["feature_idx"][:] = 2  # categories come first in the order of the trees
        nodes["bitset_idx"][:] = 0
    refused(model)


@pytest.mark.parametrize("attribute", ["n_trees_per_iteration_", "_baseline_prediction", "is_categorical_"])
def test_histogram_boosting_is_as_wide_as_it_says(attribute: str) -> None:
    model = boosted()
    change = {
        "n_trees_per_iteration_": 3,
        "_baseline_prediction": np.zeros((1, 7)),
        "is_categorical_": np.zeros(9, bool),
    }
    setattr(model, attribute, change[attribute])
    if attribute == "is_categorical_":
        model._bin_mapper.is_categorical_ = change[attribute]
    refused(model)


def test_ensembles_and_their_trees_agree_about_the_features() -> None:
    narrow = DecisionTreeClassifier().fit(X[:, :1], LABELS)
    forest = RandomForestClassifier(3).fit(X, LABELS)
    forest.estimators_[1] = narrow
    refused(forest)
    boosting = GradientBoostingRegressor(n_estimators=3).fit(X, LABELS)
    boosting.n_features_in_ = 9
    refused(boosting)
    boosting = GradientBoostingRegressor(n_estimators=3).fit(X, LABELS)
    boosting.estimators_ = np.repeat(boosting.estimators_, 2, axis=1)
    refused(boosting)
    tree = decision_tree()
    tree.n_features_in_ = 2
    refused(tree)
    tree = decision_tree()
    del tree.n_features_in_
    refused(tree)
    tree = decision_tree()
    tree.n_outputs_ = 2
    refused(tree)
    tree = decision_tree()
    tree.n_classes_ = 5
    refused(tree)


def neighbours(position: int, change: Callable[[Any], Any], metric: str = "minkowski") -> Any:
    model = KNeighborsClassifier(algorithm="kd_tree", metric=metric, leaf_size=5).fit(X, LABELS)
    function, arguments, state = model._tree.__reduce__()
    made = function(*arguments)
    changed = list(state)
    changed[position] = change(copy.deepcopy(state[position]))
    made.__setstate__(tuple(changed))
    model._tree = made
    return model


def outside(order: np.ndarray) -> np.ndarray:
    order[0] = 10**6
    return order


def far(nodes: np.ndarray) -> np.ndarray:
    nodes["idx_end"][0] = 10**6
    return nodes


def no_leaf(nodes: np.ndarray) -> np.ndarray:
    nodes["is_leaf"][:] = 0
    return nodes


@pytest.mark.parametrize(
    ("position", "change"),
    [
        (0, lambda data: data[:5].copy()),
        (1, outside),
        (2, far),
        (2, no_leaf),
        (3, lambda bounds: bounds[:, :1].copy()),
        (4, lambda leaf_size: 0),
        (5, lambda levels: 40),
        (6, lambda count: 10**6),
        (12, lambda weights: np.ones(3)),
    ],
)
def test_a_neighbour_tree_stays_within_its_samples(position: int, change: Callable[[Any], Any]) -> None:
    refused(neighbours(position, change))


def test_neighbours_know_the_class_of_every_sample() -> None:
    model = KNeighborsClassifier().fit(X, LABELS)
    model._y = model._y + 5
    refused(model)
    model = KNeighborsClassifier().fit(X, LABELS)
    model._y = model._y[:-1]
    refused(model)
    model = KNeighborsClassifier(algorithm="brute").fit(X, LABELS)
    model._fit_X = model._fit_X[:, :2]
    refused(model)


def test_a_distance_is_for_as_many_features_as_the_data() -> None:
    from sklearn.metrics import DistanceMetric

    narrow = DistanceMetric.get_metric("seuclidean", V=np.ones(2))
    refused(neighbours(11, lambda distance: narrow))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("_n_support", np.array([1, 1, 1], np.int32)),
        ("_n_support", np.array([-1, 30, 31], np.int32)),
        ("_dual_coef_", np.zeros((2, 1))),
        ("_intercept_", np.zeros(1)),
        ("_probA", np.zeros(9)),
        ("support_", np.zeros(1, np.int32)),
        ("n_features_in_", 7),
    ],
)
def test_support_vectors_fit_their_classes(attribute: str, value: Any) -> None:
    model = SVC().fit(X, np.arange(60) % 3)
    vars(model)[attribute] = value
    refused(model)


def test_sparse_matrices_stay_within_their_shape() -> None:
    model = LinearRegression().fit(X, LABELS)
    for broken in (csr(), csc(), coo(), dia()):
        model.extra_ = broken
        refused(model)


def csr() -> Any:
    matrix = sp.csr_matrix(np.eye(3))
    matrix.indices[0] = 99
    return matrix


def csc() -> Any:
    matrix = sp.csc_matrix(np.eye(3))
    matrix.indptr[1] = 99
    return matrix


def coo() -> Any:
    matrix = sp.coo_matrix(np.eye(3))
    matrix.row[0] = 99
    return matrix


def dia() -> Any:
    matrix = sp.dia_matrix(np.eye(3))
    matrix.offsets = np.array([0, 1, 2])
    return matrix


def test_numbers_are_numbers_and_as_many_as_features() -> None:
    model = LogisticRegression().fit(X, LABELS)
    model.coef_ = model.coef_ * np.nan
    assert "coef_" in refused(model)
    model = LogisticRegression().fit(X, LABELS)
    model.coef_ = model.coef_[:, :2]
    refused(model)
    model = KMeans(2, n_init=1).fit(X)
    model.cluster_centers_ = model.cluster_centers_[:, :1]
    refused(model)
    model = CountVectorizer().fit(["red blue"])
    model.vocabulary_["red"] = 10**6
    refused(model)
    model = SplineTransformer().fit(X)
    model.bsplines_[0].k = 10**6
    refused(model)


def test_a_method_may_not_be_replaced() -> None:
    model = LogisticRegression().fit(X, LABELS)
    model.predict = np.log
    assert "predict" in refused(model, "attribute")


def test_unfitted_estimators_and_such_without_predictions_are_refused() -> None:
    with pytest.raises(Refused, match="not_fitted"):
        validate(LogisticRegression(), Limits())
    from sklearn.cluster import DBSCAN

    with pytest.raises(Refused, match="no_predict"):
        validate(DBSCAN().fit(X), Limits())


def test_shared_and_circular_parts_are_visited_once() -> None:
    model = LinearRegression().fit(X, LABELS)
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]
    circle: list[Any] = [model]
    circle.append(circle)
    model.extra_, model.circle_ = shared, circle
    validate(pickle.loads(pickle.dumps(model)), Limits())
