"""One corpus per session: honest models are fitted once and written in every form that the tests ask for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from modelyard.intake.verdict import Limits

from tests.support.honest_models import all_models, write_all

EVERY_FORMAT = (
    "LogisticRegression", "RandomForestRegressor", "GradientBoostingClassifier", "KNeighborsClassifier",
    "Ridge", "frame_forest", "text_tfidf", "random_search", "hist_multi", "mlp_sgd_state", "lgbm_classifier",
    "xgb_classifier",
)  # fmt: skip


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits()


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return all_models()


@pytest.fixture(scope="session")
def honest_files(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every model as pickle, joblib and skops; a dozen of them in all forms and compressions."""
    folder = tmp_path_factory.mktemp("honest")
    paths = write_all(folder, models, ["p4.pkl", "raw.joblib", "stored.skops"])
    return paths + write_all(folder, {name: models[name] for name in EVERY_FORMAT if name in models})
