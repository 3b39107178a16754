"""Shapley values of trees against their definition: all coalitions, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.intake.explanation.models import analyse
from modelyard.intake.explanation.sums import NotExplainable
from modelyard.intake.explanation.trees import Forest, Tree
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

Game = Callable[[frozenset[int]], np.ndarray]
RNG = np.random.default_rng(11)
X = RNG.normal(size=(240, 4))
GAPS = np.where(RNG.random(X.shape) < 0.15, np.nan, X)
Y = X[:, 0] * X[:, 1] + np.abs(X[:, 2])
GROUPS = np.digitize(Y, [0.3, 1.2])
NAMES = np.where(Y > 0.6, "high", "low")


def shapley(game: Game, players: int) -> np.ndarray:
    """By the definition, (players, outputs)."""
    values = []
    for player in range(players):
        others = [p for p in range(players) if p != player]
        total = np.zeros_like(game(frozenset()))
        for size in range(players):
            weight = math.factorial(size) * math.factorial(players - 1 - size) / math.factorial(players)
            for coalition in combinations(others, size):
                known = frozenset(coalition)
                total = total + weight * (game(known | {player}) - game(known))
        values.append(total)
    return np.array(values)


def tree_game(tree: Any, row: np.ndarray) -> Game:
    """scikit-learn's tree: known features decide, others go both ways as the training rows did."""
    row = row.astype(np.float32)

    def at(node: int, known: frozenset[int]) -> np.ndarray:
        left, right, feature = tree.children_left[node], tree.children_right[node], tree.feature[node]
        if left < 0:
            return np.asarray(tree.value[node]).reshape(-1)
        if feature in known:
            missing = np.isnan(row[feature])
            goes_left = tree.missing_go_to_left[node] if missing else row[feature] <= tree.threshold[node]
            return at(left if goes_left else right, known)
        weight = tree.weighted_n_node_samples
        both = weight[left] * at(left, known) + weight[right] * at(right, known)
        return np.asarray(both / weight[node])

    return lambda known: at(0, known)


def histogram_game(estimator: Any, row: np.ndarray) -> Game:
    """`HistGradientBoosting*` over a row as its trees see it: categories first, as codes."""
    codes = {feature: set(known) for feature, known in enumerate(estimator._bin_mapper.bin_thresholds_)}

    def leaf(predictor: Any, node: int, known: frozenset[int]) -> float:
        n = predictor.nodes[node]
        if n["is_leaf"]:
            return float(n["value"])
        left, right, feature = int(n["left"]), int(n["right"]), int(n["feature_idx"])
        if feature in known:
            value = row[feature]
            missing = np.isnan(value)
            if n["is_categorical"] and not missing:
                missing = value not in codes[feature]
                words = predictor.raw_left_cat_bitsets[n["bitset_idx"]]
                goes_left = bool(words[int(value) // 32] >> np.uint32(int(value) % 32) & 1)
            else:
                goes_left = bool(value <= n["num_threshold"])
            goes_left = bool(n["missing_go_to_left"]) if missing else goes_left
            return leaf(predictor, left if goes_left else right, known)
        weights = predictor.nodes["count"]
        both = weights[left] * leaf(predictor, left, known) + weights[right] * leaf(predictor, right, known)
        return float(both / weights[node])

    def game(known: frozenset[int]) -> np.ndarray:
        return np.array(
            [
                sum(leaf(iteration[output], 0, known) for iteration in estimator._predictors)
                for output in range(estimator.n_trees_per_iteration_)
            ]
        )

    return game


def check_never() -> None:
    return None


def apart(estimator: Any, x: Any) -> tuple[np.ndarray, np.ndarray]:
    return analyse(estimator).apart(x, check_never)


@pytest.mark.parametrize(
    ("estimator", "x", "y"),
    [
        (DecisionTreeRegressor(random_state=0), X, Y),
        (DecisionTreeRegressor(max_depth=1), X, Y),
        (DecisionTreeRegressor(max_depth=4), X, np.c_[Y, X[:, 3]]),
        (DecisionTreeRegressor(random_state=0), GAPS, Y),
        (DecisionTreeClassifier(random_state=0, class_weight="balanced"), GAPS, NAMES),
        (ExtraTreeRegressor(random_state=0), X, Y),
    ],
)
def test_a_tree(estimator: Any, x: np.ndarray, y: np.ndarray) -> None:
    estimator.fit(x, y)
    parts, base = apart(estimator, x[:8])
    for row in range(8):
        game = tree_game(estimator.tree_, x[row])
        np.testing.assert_allclose(parts[row].T, shapley(game, 4), atol=1e-12)
        np.testing.assert_allclose(base[row], game(frozenset()), atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (RandomForestRegressor(5, random_state=1), Y),
        (RandomForestClassifier(5, random_state=1), GROUPS),
        (ExtraTreesClassifier(5, random_state=1, bootstrap=True), NAMES),
    ],
)
def test_a_forest_is_the_mean_of_its_trees(estimator: Any, y: np.ndarray) -> None:
    estimator.fit(X, y)
    parts, base = apart(estimator, X[:3])
    for row in range(3):
        games = [tree_game(tree.tree_, X[row]) for tree in estimator.estimators_]
        expected = np.mean([shapley(game, 4) for game in games], axis=0)
        np.testing.assert_allclose(parts[row].T, expected, atol=1e-12)
        np.testing.assert_allclose(base[row], np.mean([game(frozenset()) for game in games], axis=0))


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (GradientBoostingRegressor(n_estimators=9, random_state=1), Y),
        (GradientBoostingRegressor(n_estimators=9, loss="quantile", init="zero"), Y),
        (GradientBoostingClassifier(n_estimators=5, random_state=1), GROUPS),
        (GradientBoostingClassifier(n_estimators=5, random_state=1), NAMES),
    ],
)
def test_boosted_trees_add_up(estimator: Any, y: np.ndarray) -> None:
    estimator.fit(X, y)
    parts, base = apart(estimator, X[:5])
    for row in range(5):
        for output in range(estimator.estimators_.shape[1]):
            games = [tree_game(tree.tree_, X[row]) for tree in estimator.estimators_[:, output]]
            expected = estimator.learning_rate * np.sum([shapley(game, 4) for game in games], axis=0)
            np.testing.assert_allclose(parts[row, output], expected[:, 0], atol=1e-12)
    own = estimator.predict(X[:5]) if y is Y else estimator.decision_function(X[:5])
    np.testing.assert_allclose((base + parts.sum(axis=2)).reshape(own.shape), own)


def with_categories() -> pd.DataFrame:
    """Categories in the middle, so that the trees see other places than the caller; one is nearly unseen."""
    city = pd.Categorical(RNG.choice(["Bonn", "Köln", "Ulm", "Jena"], 240))
    plan = pd.Categorical(np.where(RNG.random(240) < 0.1, None, RNG.choice(["free", "pro"], 240)))
    return pd.DataFrame({"age": GAPS[:, 0], "city": city, "income": X[:, 1], "plan": plan})


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
        HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5, loss="poisson"),
    ],
)
def test_histogram_trees_with_categories_and_missing_values(estimator: Any) -> None:
    frame = with_categories()
    in_ulm = (frame["city"] == "Ulm").to_numpy()
    strength = 2.0 * in_ulm + np.nan_to_num(GAPS[:, 0]) + (frame["plan"] == "pro")
    classifies = hasattr(estimator, "predict_proba")
    estimator.fit(frame, np.digitize(strength, [0, 1.5]) if classifies else np.exp(strength))
    assert any(p.nodes["is_categorical"].any() for iteration in estimator._predictors for p in iteration)
    asked = frame.head(4).copy()
    asked["city"] = pd.Categorical(["Atlantis", *asked["city"].astype(str)[1:]])
    seen = estimator._preprocess_X(asked, reset=False)
    parts, base = apart(estimator, asked)
    order = [1, 3, 0, 2]  # the trees' features among the caller's columns
    for row in range(4):
        game = histogram_game(estimator, seen[row])
        np.testing.assert_allclose(parts[row][:, order].T, shapley(game, 4), atol=1e-12)
        start = np.ravel(estimator._baseline_prediction)
        np.testing.assert_allclose(base[row], start + game(frozenset()), atol=1e-12)


def test_codes_of_categories_that_training_never_saw_go_the_way_of_missing_values() -> None:
    x = np.c_[RNG.choice([0, 2, 5, 9], 240).astype(float), X[:, 1:]]
    estimator = HistGradientBoostingRegressor(max_iter=5, categorical_features=[0]).fit(x, (x[:, 0] == 5) + Y)
    asked = x[:6].copy()
    asked[:4, 0] = [7, -3, np.nan, 9]
    parts, base = apart(estimator, asked)
    np.testing.assert_allclose((base + parts.sum(axis=2))[:, 0], estimator.predict(asked))
    for row, seen in enumerate(estimator._preprocess_X(asked, reset=False)):
        np.testing.assert_allclose(parts[row].T, shapley(histogram_game(estimator, seen), 4), atol=1e-12)


def test_many_features_on_one_path() -> None:
    """A path of 25 features has more coalitions than can be listed; additivity gives the answer."""
    x = RNG.normal(size=(600, 30))
    estimator = DecisionTreeRegressor(random_state=0, splitter="random").fit(x, x.sum(axis=1))
    assert estimator.get_depth() > 12
    parts, base = apart(estimator, x[:40])
    np.testing.assert_allclose((base + parts.sum(axis=2))[:, 0], estimator.predict(x[:40]), atol=1e-9)
    unused = sorted(set(range(30)) - set(estimator.tree_.feature))
    assert not parts[:, :, unused].any()


def test_deep_trees_of_many_features_as_another_implementation_has_them() -> None:
    """LightGBM's trees, taken apart here and by LightGBM itself: paths of more than 15 features."""
    from lightgbm import LGBMRegressor

    x = RNG.normal(size=(3_000, 24))
    estimator = LGBMRegressor(
        n_estimators=3, num_leaves=300, min_child_samples=2, learning_rate=0.7, verbose=-1, n_jobs=1
    ).fit(x, np.prod(1 + 0.3 * x, axis=1))
    nodes = estimator.booster_.trees_to_dataframe()
    trees = []
    for _, table in nodes.groupby("tree_index"):
        place = {name: index for index, name in enumerate(table["node_index"])}

        def numbers(column: str, empty: float, table: pd.DataFrame = table) -> np.ndarray:
            return np.asarray(table[column].fillna(empty), dtype=np.float64)

        def below(column: str, table: Any = table, place: dict[str, int] = place) -> np.ndarray:
            return np.array([place.get(name, -1) for name in table[column]])

        feature = np.array(
            [
                -2 if not isinstance(name, str) else int(name.rpartition("_")[2])
                for name in table["split_feature"]
            ]
        )
        threshold = numbers("threshold", 0.0)

        def decide(at: np.ndarray, x: np.ndarray, f: Any = feature, t: Any = threshold) -> np.ndarray:
            return np.asarray(t[at][:, None] >= x[:, f[at]].T)

        leaf_values = numbers("value", 0.0)[:, None]
        trees.append(
            Tree(below("left_child"), below("right_child"), feature, numbers("count", 1), leaf_values, decide)
        )
    distinct = Forest(trees, 24)
    found = distinct.contributions(x[:30], check_never)[:, 0]
    assert max(len(group.points) for group in distinct._groups) >= 8
    np.testing.assert_allclose(found, estimator.predict(x[:30], pred_contrib=True), atol=1e-9)


def test_equal_features_share_alike() -> None:
    """Symmetry: a product of two features that training saw alike is owed to both in equal parts."""
    x = np.array([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0)] * 25)
    estimator = DecisionTreeRegressor().fit(x, x[:, 0] * x[:, 1])
    parts, base = apart(estimator, np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(base[:, 0], 0.25)
    np.testing.assert_allclose(parts[:, 0, :], [[0.375, 0.375], [-0.125, -0.125], [0.125, -0.375]])


def test_branches_without_weight_cannot_be_explained() -> None:
    estimator = DecisionTreeRegressor(max_depth=2).fit(X, Y)
    state = estimator.tree_.__getstate__()
    state["nodes"]["weighted_n_node_samples"][1] = 0.0
    estimator.tree_.__setstate__(state)
    with pytest.raises(NotExplainable, match="positive sample weights"):
        apart(estimator, X[:1])
