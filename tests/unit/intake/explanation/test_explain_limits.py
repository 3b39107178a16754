"""Models that are too large, too wide, too deep or made up: explained in bounds, or refused in words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.explanation import trees
from modelyard.intake.explanation.explainer import Explainer
from modelyard.intake.explanation.features import distinct
from modelyard.intake.explanation.sums import Mismatch, NotExplainable, OutOfTime, TooLong
from modelyard.intake.verdict import StaticReport
from modelyard.serving.signature import Column, Signature
from sklearn.ensemble import BaggingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LinearRegression, PoissonRegressor, Ridge, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor
from sklearn.tree._tree import Tree

RNG = np.random.default_rng(11)
X = RNG.normal(size=(120, 4))
Y = X @ [1.0, 2.0, -3.0, 0.5]


def signature_of(estimator: Any) -> Signature:
    return describe(estimator, StaticReport(format="joblib", size=1)).signature


def matrix(width: int) -> Signature:
    columns = [Column(name=f"x{i}", kind="number", dtype="float64") for i in range(width)]
    return Signature("…", "regression", "matrix", columns, ["predict"])


def explained(estimator: Any, batch: Any, signature: Signature | None = None) -> list[dict[str, Any]]:
    return Explainer(estimator, signature or signature_of(estimator)).explain(batch, 30)


def total(told: dict[str, Any]) -> Any:
    return np.sum([told["base"], *told["contributions"].values(), told.get("others", 0.0)])


def chain(depth: int, features: int) -> DecisionTreeRegressor:
    """One path as deep as wished; each of its turns asks the next feature and leaves one row behind."""
    estimator = DecisionTreeRegressor(max_depth=1).fit(RNG.normal(size=(10, features)), range(10))
    state = estimator.tree_.__getstate__()
    nodes = np.zeros(2 * depth + 1, dtype=state["nodes"].dtype)
    nodes["left_child"] = nodes["right_child"] = -1
    inner = 2 * np.arange(depth)
    nodes["left_child"][inner], nodes["right_child"][inner] = inner + 1, inner + 2
    nodes["feature"] = -2
    nodes["feature"][inner] = np.arange(depth) % features
    nodes["threshold"] = -10.0
    nodes["weighted_n_node_samples"] = 1.0
    nodes["weighted_n_node_samples"][2::2] = np.arange(depth, 0, -1)
    nodes["weighted_n_node_samples"][0] = depth + 1
    nodes["n_node_samples"] = nodes["weighted_n_node_samples"]
    values = RNG.normal(size=(2 * depth + 1, 1, 1))
    made = Tree(features, np.array([1]), 1)
    made.__setstate__(
        state | {"nodes": nodes, "values": values, "node_count": len(nodes), "max_depth": depth}
    )
    estimator.tree_ = made
    return estimator


class TestTrees:
    def test_a_path_over_a_thousand_features_is_exact(self) -> None:
        estimator = chain(1_000, 1_000)
        told = explained(estimator, RNG.normal(size=(2, 1_000)), matrix(1_000))[0]
        assert total(told) == pytest.approx(told["sum"])
        assert told["sum"] == pytest.approx(estimator.tree_.value[-1, 0, 0])

    def test_a_path_over_more_features_than_quadrature_can_bear(self) -> None:
        started = time.monotonic()
        with pytest.raises(NotExplainable, match="too deep"):
            explained(chain(4_000, 4_000), np.zeros((1, 4_000)), matrix(4_000))
        assert time.monotonic() - started < 5

    def test_the_clock_is_looked_at_within_one_tree(self) -> None:
        explainer = Explainer(chain(100_000, 4), matrix(4))
        started = time.monotonic()
        with pytest.raises(OutOfTime):
            explainer.explain(X, 0.5)
        assert time.monotonic() - started < 3

    def test_points_may_be_worked_on_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        x = RNG.normal(size=(200, 12))
        estimator = RandomForestRegressor(3, random_state=0).fit(x, RNG.normal(size=200))
        at_once = explained(estimator, x[:3], matrix(12))
        monkeypatch.setattr(trees, "_MOST_CELLS", 1)
        for one, other in zip(explained(estimator, x[:3], matrix(12)), at_once, strict=True):
            assert one["sum"] == pytest.approx(other["sum"])
            assert one["contributions"] == pytest.approx(other["contributions"])

    @pytest.mark.parametrize("weights", [[1e-300, 1e300], [1.7e308], [0.0]])
    def test_shares_beyond_what_numbers_hold(self, weights: list[float]) -> None:
        estimator = DecisionTreeRegressor(max_depth=4, random_state=0).fit(X, Y)
        state = estimator.tree_.__getstate__()
        nodes = state["nodes"]
        nodes["weighted_n_node_samples"][1:] = np.resize(weights, len(nodes) - 1)
        estimator.tree_.__setstate__(state)
        with pytest.raises(NotExplainable, match="weights"):
            explained(estimator, X[:3], matrix(4))

    def test_weights_of_honest_models_may_differ_by_twelve_orders(self) -> None:
        weights = 10.0 ** RNG.integers(-6, 7, len(Y))
        estimator = DecisionTreeRegressor(random_state=0).fit(X, Y, sample_weight=weights)
        for told, predicted in zip(explained(estimator, X), estimator.predict(X), strict=True):
            assert total(told) == pytest.approx(predicted)


class TestWidth:
    def test_features_times_outputs_are_bounded(self) -> None:
        estimator = RidgeClassifier().fit(X, np.arange(120) % 4)
        estimator.coef_ = np.zeros((1_001, 20_000))
        estimator.intercept_ = np.zeros(1_001)
        with pytest.raises(NotExplainable, match="too wide"):
            explained(estimator, np.zeros((1, 20_000)), matrix(20_000))

    def test_sparse_coefficients_of_any_shape(self) -> None:
        from scipy import sparse

        estimator = RidgeClassifier().fit(X, np.arange(120) % 4)
        estimator.coef_ = sparse.csr_matrix((1_000_000, 1_000_000))
        with pytest.raises(NotExplainable, match="too wide"):
            Explainer(estimator, matrix(4))

    def test_of_many_sparse_features_those_in_the_row_are_worked_on(self) -> None:
        texts = [" ".join(f"w{number}" for number in RNG.integers(0, 900, 40)) for _ in range(40)]
        estimator = make_pipeline(HashingVectorizer(), SGDClassifier(random_state=0))
        estimator.fit(texts, np.arange(40) % 20)
        started = time.monotonic()
        told = explained(estimator, ["", *texts, *texts])
        assert time.monotonic() - started < 10
        assert told[0]["contributions"] == {}
        assert told[0]["base"] == told[0]["sum"]
        x, model = estimator[0].transform(texts[:1]), estimator[1]
        expected = {f"hashingvectorizer{i}": x[0, i] * model.coef_[:, i] for i in x.indices}
        assert set(told[1]["contributions"]) == set(expected)
        for name, values in expected.items():
            assert told[1]["contributions"][name] == pytest.approx(values)

    def test_columns_of_many_sparse_features(self) -> None:
        """A category that nobody has seen stands in no feature at all."""
        frame = pd.DataFrame({"id": [f"id{i}" for i in range(300)], "of": ["a", "b", "c"] * 100})
        estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()).fit(frame, np.arange(300))
        rows = pd.DataFrame({"id": ["id7", "new"], "of": ["b", "new"]})
        known = explained(estimator, rows)[0]
        (unknown,) = explained(estimator, rows[1:])
        assert set(known["contributions"]) == set(unknown["contributions"]) == {"id", "of"}
        assert set(known["features"]) == {"id_id7", "of_b"}
        assert unknown["contributions"] == {"id": 0, "of": 0}
        assert unknown["features"] == {}
        assert total(known) == pytest.approx(estimator.predict(rows)[0])

    def test_very_many_features_have_numbers_for_names(self) -> None:
        """To spell 324,631 products takes seconds, which registration and every first explanation lacked."""
        x = RNG.normal(size=(5, 5))
        estimator = make_pipeline(PolynomialFeatures(30, include_bias=False), Ridge())
        estimator.fit(x / 9, x[:, 0])
        explainer = Explainer(estimator, matrix(5))
        told = explainer.explain(x[:1] / 9, 30)[0]
        assert len(told["contributions"]) == 200
        assert all(name.startswith("polynomialfeatures") for name in told["contributions"])
        assert total(told) == pytest.approx(told["sum"])

    def test_ensembles_of_many_features(self) -> None:
        x = RNG.normal(size=(20, 5_000))
        estimator = BaggingRegressor(Ridge(), 50, max_features=0.5, bootstrap_features=True, random_state=0)
        estimator.fit(x, x[:, 0])
        explainer = Explainer(estimator, matrix(5_000))
        started = time.monotonic()
        told = explainer.explain(x[:2], 30)[0]
        assert time.monotonic() - started < 3
        assert total(told) == pytest.approx(estimator.predict(x[:1])[0])


class TestLength:
    def test_many_outputs(self) -> None:
        x = RNG.normal(size=(1_200, 220))
        estimator = RidgeClassifier().fit(x, np.arange(1_200) % 600)
        explainer = Explainer(estimator, matrix(220))
        assert len(explainer.explain(x[:2], 30)) == 2
        with pytest.raises(TooLong):
            explainer.explain(x[:100], 30)

    def test_long_names(self) -> None:
        frame = pd.DataFrame(RNG.normal(size=(20, 2)), columns=["a" * 100_000, "b"])
        explainer = Explainer(estimator := Ridge().fit(frame, frame["b"]), signature_of(estimator))
        assert len(explainer.explain(frame[:10], 30)) == 10
        with pytest.raises(TooLong):
            explainer.explain(pd.concat([frame] * 4), 30)


class TestNumbers:
    def test_parts_beyond_what_numbers_hold_are_refused(self) -> None:
        estimator = LinearRegression().fit(X, Y)
        estimator.coef_ = np.array([1e200, -1e200, 0.0, 0.0])
        with pytest.raises(NotExplainable, match="number"):
            explained(estimator, np.full((1, 4), 1e200), matrix(4))

    def test_a_sum_of_huge_parts_seen_through_a_link(self) -> None:
        """Rounding of the sum is rounding of a logarithm: it grows with the parts, not with the answer."""
        estimator = PoissonRegressor().fit(X, np.exp(Y / 4))
        estimator.coef_ = RNG.normal(size=4)
        rows = RNG.normal(size=(50, 4)) * 1e11
        rows[:, 3] = -(rows[:, :3] @ estimator.coef_[:3]) / estimator.coef_[3]
        told = explained(estimator, rows, matrix(4))
        off = [
            abs(math.exp(row["sum"]) / own - 1)
            for row, own in zip(told, estimator.predict(rows), strict=True)
        ]
        assert max(off) > 1e-6


class TestNames:
    def test_names_that_stand_twice(self) -> None:
        assert distinct(["a", "a", "b", "a", "a #2"]) == ["a", "a #2", "b", "a #3", "a #2 #2"]
        assert distinct(["x"] * 20_000)[-1] == "x #20000"

    def test_names_are_text_that_can_be_written(self) -> None:
        for name in distinct(["é", "\ud800", "\\ud800"]):
            name.encode()

    def test_columns_of_one_name_all_count(self) -> None:
        from lightgbm import LGBMRegressor

        frame = pd.DataFrame(X, columns=list("abcd"))
        estimator = make_pipeline(FunctionTransformer(), LGBMRegressor(n_estimators=5, verbose=-1))
        estimator.fit(frame, Y)
        estimator[0].feature_names_in_ = np.array(["a", "a", "c", "d"], dtype=object)
        for told in explained(estimator, frame[:3]):
            assert len(told["contributions"]) == 4
            assert total(told) == pytest.approx(told["sum"])


class TestBoosters:
    @pytest.mark.parametrize("labels", [None, X[:, 0] > 0, np.digitize(Y, [-2, 2])])
    def test_lightgbm_forests_answer_the_mean_of_their_rounds(self, labels: np.ndarray | None) -> None:
        from lightgbm import LGBMClassifier, LGBMRegressor

        kind: Callable[..., Any] = LGBMRegressor if labels is None else LGBMClassifier
        estimator = kind(
            boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, n_estimators=10, verbose=-1
        )
        estimator.fit(X, Y if labels is None else labels)
        sums = np.array([told["sum"] for told in explained(estimator, X[:5])])
        if labels is None:
            np.testing.assert_allclose(sums, estimator.predict(X[:5]))
            return
        shares = np.exp(sums if sums.ndim == 2 else np.c_[np.zeros(5), sums])
        expected = estimator.predict_proba(X[:5])
        np.testing.assert_allclose(shares / shares.sum(axis=1, keepdims=True), expected)

    @pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
    def test_an_objective_that_is_not_what_was_trained(self, library: str) -> None:
        from lightgbm import LGBMRegressor
        from xgboost import XGBRegressor

        if library == "lightgbm":
            estimator = LGBMRegressor(objective="poisson", n_estimators=5, verbose=-1).fit(X, np.exp(Y / 4))
            estimator.set_params(objective="regression")
        else:
            estimator = XGBRegressor(objective="count:poisson", n_estimators=5).fit(X, np.exp(Y / 4))
            estimator.objective = "reg:squarederror"
        with pytest.raises(Mismatch):
            explained(estimator, X[:3], matrix(4))

    def test_the_clock_is_looked_at_between_rows(self) -> None:
        from lightgbm import LGBMRegressor

        x = RNG.normal(size=(3_000, 10))
        estimator = LGBMRegressor(n_estimators=100, num_leaves=127, n_jobs=1, verbose=-1)
        explainer = Explainer(estimator.fit(x, RNG.normal(size=3_000)), matrix(10))
        started = time.monotonic()
        explainer.explain(x[:1], 30)
        one = time.monotonic() - started
        started = time.monotonic()
        with pytest.raises(OutOfTime):
            explainer.explain(x, one)
        assert time.monotonic() - started < max(1.5, 40 * one)
