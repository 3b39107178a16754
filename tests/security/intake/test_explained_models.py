"""Every honest model of the corpus is either explained, exactly, or refused in words: nothing in between."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.estimators import single_thread
from modelyard.intake.explanation.explainer import Explainer
from modelyard.intake.explanation.sums import NotExplainable
from modelyard.intake.frames import native_input, records
from modelyard.intake.verdict import Refused, StaticReport


def total(told: dict[str, Any]) -> np.ndarray:
    parts = [told["base"], *told["contributions"].values(), told.get("others", 0.0)]
    return np.sum([np.broadcast_to(part, np.shape(told["base"])) for part in parts], axis=0)


def test_each_is_explained_or_refused(models: dict[str, Any]) -> None:
    found: Counter[str] = Counter()
    refused: dict[str, tuple[bool | None, str]] = {}
    for name, estimator in models.items():
        single_thread(estimator)
        try:
            described = describe(estimator, StaticReport(format="joblib", size=1))
        except Refused:
            continue
        signature, batch = described.signature, described.rows.typical(4)
        if signature.layout == "records":
            batch = [records(signature, batch)]
        rows = native_input(signature, batch, described.missing)
        try:
            explained = Explainer(estimator, signature).explain(rows, 30)
        except NotExplainable as refusal:
            refused[name] = (signature.explainable, str(refusal))
            continue
        assert signature.explainable is True, name
        for told in explained:
            np.testing.assert_allclose(total(told), told["sum"], rtol=1e-6, atol=1e-9, err_msg=name)
        found[explained[0]["of"]] += 1
    assert {"predict", "decision_function", "predict_proba", "margin", "link"} <= set(found)
    assert found.total() >= 90
    for name, (foretold, words) in refused.items():
        assert foretold is False, name
        assert words.endswith("."), name


@pytest.mark.parametrize("name", ["frame_forest", "text_tfidf", "lgbm_classifier", "xgb_classifier"])
def test_these_are_explained(models: dict[str, Any], name: str) -> None:
    described = describe(models[name], StaticReport(format="joblib", size=1))
    assert described.signature.explainable is True
