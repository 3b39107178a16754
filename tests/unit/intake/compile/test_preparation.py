"""Columns prepared in every usual way, compiled and proven; what is taken for what."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.intake.compile import Compiled, compile_and_prove
from modelyard.intake.describe import describe
from modelyard.intake.verdict import Refused, StaticReport
from modelyard.serving.decoding import Batch
from modelyard.serving.runtime import OnnxRuntime
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

REPORT = StaticReport(format="pickle", size=1)
RANDOM = np.random.default_rng(4)
ROWS = 240
X = RANDOM.normal(size=(ROWS, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def frame() -> pd.DataFrame:
    draw = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 80, ROWS),
            "rooms": draw.choice([1.0, 1.5, 2.0], ROWS),
            "income": draw.normal(50_000, 9_000, ROWS).round(2),
            "city": draw.choice(["Paris", "Rome", "Berlin", "Zürich"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
            "member": draw.random(ROWS) < 0.5,
            "title": [f"good thing {i}" if i % 3 else f"bad straße {i}" for i in range(ROWS)],
        }
    )


def gaps(column: str) -> pd.DataFrame:
    table = frame()
    table[column] = table[column].astype(object).mask(np.arange(ROWS) % 7 == 0, np.nan)
    return table


def on(*parts: Any, model: Any = None, data: pd.DataFrame | None = None) -> Any:
    columns = ColumnTransformer([(f"p{i}", *part) for i, part in enumerate(parts)])
    return make_pipeline(columns, model or LogisticRegression()).fit(frame() if data is None else data, Y)


PREPARED: dict[str, Callable[[], Any]] = {
    "one-hot with a category dropped": lambda: on((OneHotEncoder(drop="first"), ["city", "member"])),
    "one-hot of fractions": lambda: on((OneHotEncoder(handle_unknown="ignore"), ["rooms", "age"])),
    "one-hot of rare categories": lambda: on(
        (OneHotEncoder(min_frequency=40, handle_unknown="infrequent_if_exist"), ["city"]),
        (StandardScaler(), ["age"]),
    ),
    "one-hot of rare categories, unknown ignored": lambda: on(
        (OneHotEncoder(min_frequency=40, handle_unknown="ignore"), ["city"])
    ),
    "one-hot that knows gaps": lambda: on(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), data=gaps("city")
    ),
    "one-hot of numbers that knows gaps": lambda: on(
        (OneHotEncoder(handle_unknown="ignore"), ["rooms"]), data=gaps("rooms").astype({"rooms": float})
    ),
    "most frequent word, then one-hot": lambda: on(
        (
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
            ["city"],
        ),
        (make_pipeline(SimpleImputer(strategy="median"), RobustScaler()), ["age", "income"]),
        data=gaps("city"),
    ),
    "ordinal, the rest passed through": lambda: make_pipeline(
        ColumnTransformer(
            [("o", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["city"])],
            remainder="passthrough",
        ),
        RandomForestRegressor(5, random_state=0),
    ).fit(frame().drop(columns="title"), Y),
    "text beside numbers": lambda: on((TfidfVectorizer(), "title"), (MinMaxScaler(), ["income"])),
    "bins in three codings": lambda: on(
        (KBinsDiscretizer(3, encode="onehot"), ["age"]),
        (KBinsDiscretizer(4, encode="onehot-dense"), ["income"]),
        (KBinsDiscretizer(3, encode="ordinal"), ["rooms", "age"]),
    ),
    "box-cox": lambda: on((PowerTransformer(method="box-cox"), ["income", "age"])),
    "yeo-johnson, not standardised": lambda: make_pipeline(
        PowerTransformer(standardize=False), MaxAbsScaler(), LogisticRegression()
    ).fit(X, Y),
    "columns by mask and by slice": lambda: make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), [True, False, False, True]), ("b", MinMaxScaler(), slice(1, 3))]
        ),
        LogisticRegression(),
    ).fit(X, Y),
    "a union of scalings": lambda: make_pipeline(
        FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), LogisticRegression()
    ).fit(X, Y),
    "voting over frames": lambda: VotingClassifier(
        [
            ("a", on((StandardScaler(), ["age"]))),
            ("b", on((OneHotEncoder(handle_unknown="ignore"), ["city"]))),
        ],
        voting="soft",
    ).fit(frame(), Y),
    "a marker for what is missing": lambda: make_pipeline(
        SimpleImputer(missing_values=-1.0, strategy="mean"), LogisticRegression()
    ).fit(np.where(X > 1, -1.0, X), Y),
}
FUNCTIONS = ["exp", "sqrt", "log1p", "expm1", "square", "log2", "log10", "abs", "tanh", "reciprocal", "sign"]


def proven(estimator: Any) -> Compiled:
    result = compile_and_prove(estimator, describe(estimator, REPORT))
    assert result.signature.runtime == "onnx", result.signature.reason
    assert result.model is not None
    return result


@pytest.mark.parametrize("name", PREPARED)
def test_usual_preparation_is_compiled_and_proven(name: str) -> None:
    result = proven(PREPARED[name]())
    assert result.signature.parity["candidate"].startswith("float64")
    assert result.signature.parity["largest_difference"] < 1e-6


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_numpy(function: str) -> None:
    model = make_pipeline(FunctionTransformer(getattr(np, function)), LinearRegression())
    proven(model.fit(np.abs(X) + 0.5, X[:, 0]))


def test_a_target_that_is_brought_back() -> None:
    model = TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1)
    proven(model.fit(X, np.abs(X[:, 0])))


def test_a_missing_word_is_not_an_empty_one() -> None:
    """Trained with gaps: missing has a category of its own, an empty text is merely unknown."""
    model = on((OneHotEncoder(handle_unknown="ignore"), ["city"]), data=gaps("city"))
    result = proven(model)
    assert result.model is not None
    served = OnnxRuntime(result.signature, result.model).predict(
        Batch([["", None]], 2), ["predict_proba"], time.monotonic() + 30
    )
    table = pd.DataFrame({"city": pd.Series(["", np.nan], dtype=object)})
    expected = model.named_steps["logisticregression"].predict_proba(
        model.named_steps["columntransformer"].transform(frame().head(2).assign(city=table["city"]))
    )
    np.testing.assert_allclose(served["predict_proba"], expected, rtol=1e-6)


def test_categories_of_pandas_are_served_natively_with_their_categories() -> None:
    import lightgbm
    import xgboost

    table = frame()[["age", "city"]].replace("Zürich", "Zurich").astype({"city": "category"})
    for model in (
        lightgbm.LGBMClassifier(n_estimators=4, verbose=-1),
        xgboost.XGBClassifier(n_estimators=4, enable_categorical=True),
        HistGradientBoostingClassifier(max_iter=4, categorical_features="from_dtype"),
    ):
        model.fit(table, Y)
        described = describe(model, REPORT)
        city = described.signature.columns[1]
        assert city.categories == ["Berlin", "Paris", "Rome", "Zurich"]
        assert city.kind == "string"
        assert compile_and_prove(model, described).signature.runtime == "native"


def test_categories_that_xgboost_cut_short_are_refused_with_a_way_out() -> None:
    import xgboost

    table = frame()[["age", "city"]].astype({"city": "category"})
    model = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True).fit(table, Y)
    with pytest.raises(Refused, match="plain letters"):
        describe(model, REPORT)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "tweedie"},
        {"objective": "quantile"},
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.8},
        {"linear_tree": True},
        {"zero_as_missing": True},
    ],
)
def test_lightgbm_is_served_as_it_predicts_or_not_compiled(settings: dict[str, Any]) -> None:
    import lightgbm

    x = np.where(RANDOM.random(X.shape) < 0.1, np.nan, X)
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, **settings).fit(x, np.abs(X[:, 0]) + 1)
    signature = compile_and_prove(model, describe(model, REPORT)).signature
    expressible = not {"linear_tree", "zero_as_missing"} & set(settings)
    assert (signature.runtime == "onnx") or not expressible, signature.reason


def test_lightgbm_one_against_all() -> None:
    import lightgbm

    three = np.array(["a", "b", "c"])[Y + (X[:, 2] > 0)]
    proven(lightgbm.LGBMClassifier(objective="multiclassova", n_estimators=5, verbose=-1).fit(X, three))
