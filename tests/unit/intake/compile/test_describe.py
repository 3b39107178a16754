"""Descriptions: what a data scientist knows about the model, read off the model."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema_rs import validator_for
from modelyard.intake.describe import describe
from modelyard.intake.verdict import Refused, StaticReport
from modelyard.serving.decoding import decode
from modelyard.serving.signature import Signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)

REPORT = StaticReport(format="pickle", size=1, sklearn_version="1.9.1", libraries={"numpy": "2.4.6"})
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(100, 3))
Y = (X[:, 0] > 0).astype(int)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": RANDOM.integers(20, 60, 100),
            "income": RANDOM.normal(50, 5, 100),
            "city": RANDOM.choice(["Paris", "Rome"], 100),
            "member": RANDOM.random(100) < 0.5,
            "note": ["never used"] * 100,
        }
    )


def mixed(unknown: str = "ignore") -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("words", OneHotEncoder(handle_unknown=unknown), ["city", "member"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame(), Y)


def signature_of(estimator: Any, report: StaticReport = REPORT) -> Signature:
    return describe(estimator, report).signature


def test_an_array_model() -> None:
    signature = signature_of(RandomForestClassifier(5).fit(X, np.array(["a", "b"])[Y]))
    assert (signature.task, signature.layout, signature.named) == ("classifier", "matrix", False)
    assert [column.name for column in signature.columns] == ["x0", "x1", "x2"]
    assert signature.outputs == ["predict", "predict_proba"]
    assert signature.classes == ["a", "b"]
    assert all(column.nullable for column in signature.columns)
    assert signature.hyperparameters["n_estimators"] == 5
    assert signature.trained_with == {"numpy": "2.4.6", "scikit-learn": "1.9.1"}
    assert signature.warnings == []


def test_strings_and_flags_of_a_frame_are_told_from_numbers_and_unused_columns_left_out() -> None:
    signature = signature_of(mixed())
    kinds = {column.name: (column.kind, column.nullable) for column in signature.columns}
    assert kinds == {
        "age": ("number", True), "income": ("number", True), "city": ("string", True),
        "member": ("boolean", True),
    }  # fmt: skip
    city = signature.columns[2]
    assert (city.categories, city.handle_unknown) == (["Paris", "Rome"], True)
    assert signature.named


def test_a_strict_encoder_closes_its_column() -> None:
    signature = signature_of(mixed(unknown="error"))
    city = signature.columns[2]
    assert not city.handle_unknown
    assert not city.nullable
    assert signature.input_schema["properties"]["city"]["enum"] == ["Paris", "Rome"]


def test_the_same_through_a_search() -> None:
    search = GridSearchCV(mixed(), {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(frame(), Y)
    assert [c.name for c in signature_of(search).columns] == ["age", "income", "city", "member"]


@pytest.mark.parametrize("estimator", [mixed(), RandomForestClassifier(3).fit(X, Y), mixed("error")])
def test_the_example_is_a_request_that_decodes_and_fits_its_schema(estimator: Any) -> None:
    signature = signature_of(estimator)
    assert decode(json.dumps(signature.example).encode(), signature).rows == 1
    if signature.named:
        validator_for(signature.input_schema).validate(signature.example["records"][0])
    assert json.dumps(signature.to_json(), allow_nan=False)
    assert Signature.from_json(json.loads(json.dumps(signature.to_json()))) == signature


def test_missing_values_are_found_by_leaving_them_out() -> None:
    assert not any(column.nullable for column in signature_of(LinearRegression().fit(X, Y)).columns)
    imputer_for_one = ColumnTransformer([("fill", SimpleImputer(), [1])], remainder="passthrough")
    signature = signature_of(make_pipeline(imputer_for_one, LinearRegression()).fit(X, Y))
    assert [column.nullable for column in signature.columns] == [False, True, False]


@pytest.mark.parametrize(
    ("estimator", "largest"),
    [
        (LinearRegression(), None),
        (RandomForestClassifier(3, random_state=0), 3.4028234663852886e38),
        (make_pipeline(PolynomialFeatures(2), LinearRegression()), 1e150),
        # refuses whatever lies outside its training: that tells nothing about magnitudes
        (make_pipeline(SplineTransformer(extrapolation="error"), LinearRegression()), None),
    ],
)
def test_how_large_numbers_may_be_is_found_by_trying(estimator: Any, largest: float | None) -> None:
    described = signature_of(estimator.fit(X, Y))
    assert described.largest == largest
    assert Signature.from_json(described.to_json()).largest == largest


def test_training_bounds_are_shown_where_the_model_keeps_them() -> None:
    signature = signature_of(make_pipeline(MinMaxScaler(), LogisticRegression()).fit(X, Y))
    assert signature.columns[0].low == pytest.approx(X[:, 0].min())
    assert signature.columns[0].high == pytest.approx(X[:, 0].max())
    assert signature_of(LinearRegression().fit(X, Y)).columns[0].low is None


def test_thresholds_behind_a_scaler_come_back_in_the_columns_own_units() -> None:
    data = X * [1, 100, 10_000] + [0, 5, -3]
    model = make_pipeline(StandardScaler(), RandomForestClassifier(9, random_state=0))
    model.fit(data, X.sum(axis=1) > 0)
    facts = describe(model, REPORT).facts
    for index, fact in enumerate(facts):
        assert min(fact.points) >= data[:, index].min() - 1e-6
        assert max(fact.points) <= data[:, index].max() + 1e-6


def test_several_outputs() -> None:
    two = np.stack([Y, 1 - Y], axis=1)
    classifier = signature_of(RandomForestClassifier(3).fit(X, two))
    assert classifier.n_outputs == 2
    assert classifier.classes == [[0, 1], [0, 1]]
    assert signature_of(LinearRegression().fit(X, two * 1.0)).n_outputs == 2


def test_an_unordered_frame_of_categories_for_histogram_boosting() -> None:
    data = frame()[["age", "city"]].astype({"city": "category"})
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype").fit(data, X[:, 0])
    assert [(c.name, c.kind) for c in signature_of(model).columns] == [("age", "number"), ("city", "string")]


def test_encoders_that_know_gaps_take_them_as_trained() -> None:
    data = pd.DataFrame({"a": ["x", None, "y"] * 10})
    described = describe(OrdinalEncoder().fit(data), REPORT)
    assert described.signature.columns[0].categories == ["x", "y"]
    assert described.signature.columns[0].nullable
    assert described.missing[0] is None or math.isnan(described.missing[0])


def test_version_skew_is_told() -> None:
    old = StaticReport(format="pickle", size=1, sklearn_version="1.4.2")
    warnings = signature_of(LinearRegression().fit(X, Y), old).warnings
    assert len(warnings) == 1
    assert "1.4.2" in warnings[0]


@pytest.mark.parametrize("kind", ["unfitted", "clusters_only"])
def test_what_cannot_answer_is_refused_with_words(kind: str) -> None:
    from sklearn.cluster import DBSCAN

    estimator = LinearRegression() if kind == "unfitted" else DBSCAN().fit(X)
    with pytest.raises(Refused) as refusal:
        describe(estimator, REPORT)
    assert refusal.value.rule in ("input", "no_prediction")
    assert "fitted" in refusal.value.detail


def test_thresholds_of_lightgbm_are_those_of_its_trees() -> None:
    """Read off the model's text; the library's own dump takes a hundred times as long."""
    from lightgbm import LGBMRegressor
    from modelyard.intake.boosters import lightgbm_facts
    from modelyard.intake.fact import Fact, finite, thin

    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    frame["city"] = pd.Categorical(rng.choice(["Bonn", "Ulm", "Köln"], 300))
    frame.iloc[::7, 1] = np.nan
    y = frame["a"] * 2 + (frame["city"] == "Ulm")
    model = LGBMRegressor(n_estimators=30, verbose=-1).fit(frame, y)
    facts = [Fact() for _ in range(4)]
    lightgbm_facts(model, facts)
    trees = model.booster_.trees_to_dataframe()
    for index, name in enumerate(frame):
        asked = trees[(trees["split_feature"] == name) & (trees["decision_type"] == "<=")]
        assert facts[index].points == pytest.approx(thin(finite(asked["threshold"].astype(float))))
    assert facts[0].points
    assert facts[3].points == []
    assert facts[3].categories == ["Bonn", "Köln", "Ulm"]
