"""Explanations over HTTP equal what can be computed without Modelyard, and add up to what the model says."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier

from tests.e2e.conftest import Served
from tests.support.account import Account, expect
from tests.support.boosters import boosted
from tests.support.estimators import dumped, iris, people

X, SPECIES = iris()
LENGTH = X[:, 0]
ROWS = X[::40].tolist()
COLUMNS = ["x0", "x1", "x2", "x3"]


@pytest.fixture(scope="module")
def owner(account: Callable[[], Account]) -> Account:
    return account()


@pytest.fixture(scope="module")
def explained(owner: Account) -> Callable[..., dict[str, Any]]:
    """Registers an estimator and has rows explained; the answer, with what the description foretold."""

    def ask(name: str, estimator: Any, body: dict[str, Any]) -> dict[str, Any]:
        created = owner.upload(name, dumped(estimator))
        version = owner.ready(created)
        answer = expect(owner.predict(created["model_id"], body, explain="true"), 200)
        return answer | {"foretold": version["signature"]["explainable"], "runtime": version["runtime"]}

    return ask


def matrix(told: dict[str, Any]) -> np.ndarray:
    """Contributions as (outputs, columns)."""
    return np.array([np.atleast_1d(told["contributions"][name]) for name in COLUMNS]).T


def sums(answer: dict[str, Any]) -> np.ndarray:
    """The sums, after adding up what they are of."""
    found = []
    for told in answer["explanations"]:
        total = np.atleast_1d(told["base"]) + sum(np.atleast_1d(v) for v in told["contributions"].values())
        np.testing.assert_allclose(total, np.atleast_1d(told["sum"]), rtol=1e-6, atol=1e-9)
        found.append(told["sum"])
    return np.array(found)


def shapley(value: Callable[[frozenset[int]], np.ndarray]) -> np.ndarray:
    """By the definition over all coalitions of the four columns: (columns, outputs)."""
    found = []
    for player in range(4):
        others = [p for p in range(4) if p != player]
        total: Any = 0.0
        for size in range(4):
            weight = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
            for coalition in combinations(others, size):
                known = frozenset(coalition)
                total = total + weight * (value(known | {player}) - value(known))
        found.append(total)
    return np.array(found)


def tree_value(tree: Any, row: Any) -> Callable[[frozenset[int]], np.ndarray]:
    asked = np.asarray(row, dtype=np.float32)

    def at(node: int, known: frozenset[int]) -> np.ndarray:
        left, right, feature = tree.children_left[node], tree.children_right[node], tree.feature[node]
        if left < 0:
            return np.asarray(tree.value[node][0])
        if feature in known:
            return at(left if asked[feature] <= tree.threshold[node] else right, known)
        weight = tree.weighted_n_node_samples
        return np.asarray((weight[left] * at(left, known) + weight[right] * at(right, known)) / weight[node])

    return lambda known: at(0, known)


def histogram_value(predictor: Any, row: Any) -> Callable[[frozenset[int]], np.ndarray]:
    nodes = predictor.nodes

    def at(node: int, known: frozenset[int]) -> float:
        one = nodes[node]
        if one["is_leaf"]:
            return float(one["value"])
        left, right = int(one["left"]), int(one["right"])
        if int(one["feature_idx"]) in known:
            return at(left if row[one["feature_idx"]] <= one["num_threshold"] else right, known)
        count = nodes["count"]
        both = count[left] * at(left, known) + count[right] * at(right, known)
        return float(both / count[node])

    return lambda known: np.array([at(0, known)])


def test_a_linear_regression_is_coefficient_times_value(explained: Callable[..., dict[str, Any]]):
    estimator = LinearRegression().fit(X[:, 1:], LENGTH)
    rows = X[::40, 1:]

    answer = explained("line", estimator, {"inputs": rows.tolist()})

    assert answer["foretold"] is True
    assert answer["runtime"] == "onnx"
    for told, row, predicted in zip(answer["explanations"], rows, answer["predictions"], strict=True):
        assert (told["of"], told["per"]) == ("predict", "column")
        expected = dict(zip(COLUMNS, estimator.coef_ * row, strict=False))
        assert told["contributions"] == pytest.approx(expected)
        assert told["base"] == pytest.approx(estimator.intercept_)
        assert told["sum"] == pytest.approx(predicted, rel=1e-5)


def test_a_pipeline_is_explained_by_its_columns(people_model: Served):
    estimator, frame = people_model.estimator, people().head(5)
    body = {"records": frame.to_dict("records")}

    answer = expect(people_model.owner.predict(people_model.model_id, body, explain="true"), 200)

    prepared = estimator[:-1].transform(frame)
    prepared = prepared.toarray() if hasattr(prepared, "toarray") else prepared
    names = estimator[:-1].get_feature_names_out()
    np.testing.assert_allclose(
        [told["sum"] for told in answer["explanations"]], estimator.decision_function(frame), rtol=1e-6
    )
    for row, told in enumerate(answer["explanations"]):
        assert told["toward"] == estimator.classes_[1]
        parts = estimator[-1].coef_[0] * prepared[row]
        assert told["features"] == pytest.approx(dict(zip(names, parts, strict=True)))
        assert set(told["contributions"]) == set(frame.columns)
        for column, value in told["contributions"].items():
            own = sum(
                part
                for name, part in zip(names, parts, strict=True)
                if name.split("__")[1].startswith(column)
            )
            assert value == pytest.approx(own)


def test_a_random_forest_by_all_coalitions(explained: Callable[..., dict[str, Any]]):
    estimator = RandomForestClassifier(12, random_state=1).fit(X, SPECIES)

    answer = explained("forest", estimator, {"inputs": ROWS})

    np.testing.assert_allclose(sums(answer), estimator.predict_proba(ROWS), atol=1e-9)
    for told, row in zip(answer["explanations"], ROWS, strict=True):
        assert told["classes"] == estimator.classes_.tolist()
        trees = [shapley(tree_value(tree.tree_, row)) for tree in estimator.estimators_]
        np.testing.assert_allclose(matrix(told).T, np.mean(trees, axis=0), atol=1e-9)


def test_histogram_boosting_by_all_coalitions(explained: Callable[..., dict[str, Any]]):
    estimator = HistGradientBoostingClassifier(max_iter=6).fit(X, SPECIES == "virginica")

    answer = explained("histograms", estimator, {"inputs": ROWS})

    np.testing.assert_allclose(sums(answer), estimator.decision_function(ROWS), rtol=1e-6)
    for told, row in zip(answer["explanations"], ROWS, strict=True):
        assert told["toward"] is True
        trees = [shapley(histogram_value(iteration[0], row)) for iteration in estimator._predictors]
        np.testing.assert_allclose(matrix(told).T, np.sum(trees, axis=0), atol=1e-9)


def test_gradient_boosting_by_all_coalitions(explained: Callable[..., dict[str, Any]]):
    estimator = GradientBoostingRegressor(n_estimators=15, random_state=1).fit(X, LENGTH)

    answer = explained("boosting", estimator, {"inputs": ROWS})

    np.testing.assert_allclose(sums(answer), estimator.predict(ROWS), rtol=1e-6)
    for told, row in zip(answer["explanations"], ROWS, strict=True):
        trees = [shapley(tree_value(tree.tree_, row)) for tree in estimator.estimators_[:, 0]]
        np.testing.assert_allclose(matrix(told).T, 0.1 * np.sum(trees, axis=0), atol=1e-9)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_by_the_librarys_own_contributions(explained: Callable[..., dict[str, Any]], library: str):
    estimator = boosted(library)
    if library == "lightgbm":
        theirs = estimator.predict(ROWS, pred_contrib=True).reshape(len(ROWS), 3, 5)
    else:
        import xgboost

        theirs = estimator.get_booster().predict(xgboost.DMatrix(np.array(ROWS)), pred_contribs=True)

    answer = explained(library, estimator, {"inputs": ROWS})

    np.testing.assert_allclose(sums(answer), theirs.sum(axis=2), rtol=1e-4, atol=1e-4)
    for row, told in enumerate(answer["explanations"]):
        assert told["of"] == "margin"
        np.testing.assert_allclose(matrix(told), theirs[row, :, :4], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_explained_says_so_beforehand_and_when_asked(owner: Account):
    created = owner.upload("neighbours", dumped(KNeighborsClassifier().fit(X, SPECIES)))
    assert owner.ready(created)["signature"]["explainable"] is False

    answer = owner.predict(created["model_id"], {"inputs": ROWS}, explain="true")

    assert expect(answer, 422)["code"] == "not_explainable"
    assert "linear models" in answer.json()["detail"]
    expect(owner.predict(created["model_id"], {"inputs": ROWS}), 200)


def test_an_explained_answer_is_cached_apart(people_model: Served):
    body = {"records": people().iloc[7:9].to_dict("records")}
    ask = people_model.owner.predict

    answers = [ask(people_model.model_id, body, explain=wish) for wish in ("true", "true", "false")]

    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT", "MISS"]
    assert answers[0].json()["explanations"] == answers[1].json()["explanations"]
    assert "explanations" not in answers[2].json()


def test_the_routes_and_the_models_document_know_it(people_model: Served):
    path = f"/models/{people_model.model_id}/openapi.json"
    document = expect(people_model.owner.api.get(path), 200)
    (route,) = [methods for name, methods in document["paths"].items() if name.startswith("/predict/")]
    assert "explain" in [parameter["name"] for parameter in route["post"]["parameters"]]
    assert "explanations" in document["components"]["schemas"]["Prediction"]["properties"]
    answer = people_model.owner.predict(
        people_model.model_id, {"records": people().head(1).to_dict("records")}, explain="maybe"
    )
    assert expect(answer, 422)["errors"][0]["pointer"] == "query:explain"
