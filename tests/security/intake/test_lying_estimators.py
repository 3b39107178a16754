"""Files that pass the gate and whose parts tell another story than their predictions are not explained."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.native import Workers
from modelyard.intake.verdict import Limits, StaticReport
from modelyard.kit.hashing import sha256_hex

from tests.support.estimators import iris

Ask = Callable[[Any], dict[str, Any]]
X = iris()[0]
Y = X @ [1.0, -2.0, 3.0, 0.5]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    def fetch(url: str, target: Path, **_: Any) -> str:
        shutil.copy(url, target)
        return ""

    workers = Workers(Limits(), keep_bytes=1 << 31, fetch=fetch)
    yield workers
    workers.close()


@pytest.fixture
def ask(workers: Workers, tmp_path: Path) -> Ask:
    """Has rows explained by the estimator in a file, through gate, load and sandbox as for any upload."""

    def asked(estimator: Any) -> dict[str, Any]:
        path = tmp_path / "model.joblib"
        joblib.dump(estimator, path)
        signature = describe(estimator, StaticReport(format="joblib", size=1)).signature
        digest = sha256_hex(path.read_bytes())
        return workers.predict(
            {
                "version_id": f"ver_{digest[:8]}",
                "artifact_url": str(path),
                "artifact_sha256": digest,
                "artifact_format": "joblib",
                "artifact_size": path.stat().st_size,
                "signature": signature.to_json(),
                "columns": X[:5].T.tolist(),
                "outputs": ["predict"],
                "explain": True,
                "deadline_seconds": 60,
            }
        )

    return asked


def honest_then(lie: Callable[[Any], None], estimator: Any) -> tuple[Any, Any]:
    import copy

    liar = copy.deepcopy(estimator)
    lie(liar)
    return estimator, liar


def shown_intercept(estimator: Any) -> None:
    """A SVM predicts with one copy of its intercept and shows another."""
    estimator.intercept_ = np.array([1234.5])


def test_a_support_vector_machine_that_shows_another_intercept(ask: Ask) -> None:
    from sklearn.svm import SVR

    honest, liar = honest_then(shown_intercept, SVR(kernel="linear").fit(X, Y))
    assert len(ask(honest)["explanations"]) == 5
    answer = ask(liar)
    assert set(answer) == {"error"}
    assert answer["error"]["kind"] == "explanation_mismatch"
    for value in X[:5].ravel():  # the log is told how far, not from what
        assert f"{value!r}" not in answer["error"]["detail"]


def best_of_another(estimator: Any) -> None:
    """What only searches have, on an estimator that predicts without it."""
    from sklearn.linear_model import LinearRegression

    estimator.best_estimator_ = LinearRegression().fit(X, 100 - Y)


def test_an_estimator_that_shows_another_as_its_best(ask: Ask) -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    for estimator in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())):
        answer = ask(honest_then(best_of_another, estimator.fit(X, Y))[1])
        for told, predicted in zip(answer["explanations"], answer["outputs"]["predict"], strict=True):
            assert told["sum"] == pytest.approx(predicted)


def test_covers_that_were_made_up_still_add_up_or_are_refused(ask: Ask) -> None:
    """No prediction depends on the shares of training rows; they make neither a wrong sum nor a crash."""
    from sklearn.tree import DecisionTreeRegressor

    def made_up(weight: float) -> Callable[[Any], None]:
        def lie(estimator: Any) -> None:
            state = estimator.tree_.__getstate__()
            state["nodes"]["weighted_n_node_samples"][1:] = weight
            estimator.tree_.__setstate__(state)

        return lie

    estimator = DecisionTreeRegressor(max_depth=3).fit(X, Y)
    for weight, refused in [(7.0, False), (-3.0, True), (np.nan, True)]:
        answer = ask(honest_then(made_up(weight), estimator)[1])
        if refused:
            assert answer["error"]["kind"] in ("not_explainable", "load_failed"), weight
            continue
        for told, predicted in zip(answer["explanations"], answer["outputs"]["predict"], strict=True):
            total = told["base"] + sum(told["contributions"].values())
            assert total == pytest.approx(predicted)
            assert told["sum"] == pytest.approx(predicted)
