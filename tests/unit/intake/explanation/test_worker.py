"""The sandbox's worker around explanations: what goes wrong in them is said, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.explanation.sums import TooLong
from modelyard.intake.native_worker import Model, missing_strings
from modelyard.intake.verdict import Limits, StaticReport
from sklearn.linear_model import Ridge

X = np.random.default_rng(2).normal(size=(30, 3))
COLUMNS = X[:4].T.tolist()


class Failing:
    """An explainer that raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.seconds = 0.0

    def explain(self, batch: Any, seconds: float) -> Any:
        self.seconds = seconds
        raise self._error


def model_with(explainer: Any = None) -> Model:
    estimator = Ridge().fit(X, X[:, 0])
    model = Model(estimator, describe(estimator, StaticReport(format="joblib", size=1)).signature, None)
    model._explainer = explainer
    return model


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError(), "not_explainable", "memory"),
        (TooLong(), "too_large", "larger than one answer"),
        (RecursionError("3.75"), "model_error", "RecursionError at"),
        (FloatingPointError("3.75"), "model_error", "FloatingPointError at"),
    ],
)
def test_what_an_explanation_raises(error: Exception, kind: str, words: str) -> None:
    model = model_with(Failing(error))
    answer = model.answer(COLUMNS, ["predict"], explain_seconds=10)
    assert set(answer) == {"error"}
    assert answer["error"]["kind"] == kind
    assert words in answer["error"]["detail"]
    assert "3.75" not in answer["error"]["detail"]
    assert "outputs" in model.answer(COLUMNS, ["predict"])


def test_memory_that_an_explanation_took_is_given_back() -> None:
    model = model_with(Failing(MemoryError()))
    assert "error" in model.answer(COLUMNS, ["predict"], explain_seconds=10)
    assert len(model.answer(COLUMNS, ["predict"], explain_seconds=10)["explanations"]) == 4


def test_the_prediction_before_it_uses_the_time_up() -> None:
    explainer = Failing(TooLong())
    model = model_with(explainer)
    model.answer(COLUMNS, ["predict"] * 300, explain_seconds=10)
    assert explainer.seconds < 9.99


def test_one_request_leaves_nothing_for_the_next() -> None:
    model = model_with()
    fresh = model_with().answer(COLUMNS, ["predict"], explain_seconds=10)
    model.answer((X[4:20] * 1e6).T.tolist(), ["predict"], explain_seconds=10)
    model.answer([["no"], ["number"], ["here"]], ["predict"], explain_seconds=10)
    assert model.answer(COLUMNS, ["predict"], explain_seconds=10) == fresh


def test_numbers_need_no_second_description_of_the_model() -> None:
    """Of a large booster two of them took half a minute, which its first callers waited for."""
    nothing_to_ask = object()
    signature = describe(Ridge().fit(X, X[:, 0]), StaticReport(format="joblib", size=1)).signature
    assert missing_strings(nothing_to_ask, signature) is None


def test_missing_strings_are_what_they_were_in_training(tmp_path: Path) -> None:
    import joblib
    import pandas as pd
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    for missing in (None, np.nan):
        frame = pd.DataFrame({"city": pd.Series(["Ulm", missing, "Bonn"] * 10, dtype=object)})
        estimator = make_pipeline(OneHotEncoder(), Ridge()).fit(frame, np.arange(30) % 3)
        joblib.dump(estimator, tmp_path / "model.joblib")
        signature = describe(estimator, StaticReport(format="joblib", size=1)).signature.to_json()
        answer = Model.load(tmp_path / "model.joblib", Limits(), signature).answer([[None]], ["predict"])
        assert answer["outputs"]["predict"] == pytest.approx(estimator.predict(frame[1:2]))
