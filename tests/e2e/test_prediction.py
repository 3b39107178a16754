"""Predictions over HTTP equal the estimator's own, in every form of input, and leave a record behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.e2e.conftest import Cloud, Served
from tests.support.account import Account, expect
from tests.support.estimators import dumped, iris, people


def test_predictions_equal_scikit_learn_on_every_row(iris_model: Served):
    x, _ = iris()

    body = expect(iris_model.owner.predict(iris_model.model_id, {"inputs": x.tolist()}), 200)

    assert body["predictions"] == iris_model.estimator.predict(x).tolist()
    assert (body["model_id"], body["model_version"]) == (iris_model.model_id, "v1")


def test_probabilities_equal_scikit_learn(iris_model: Served):
    x, _ = iris()

    answer = iris_model.owner.predict(
        iris_model.model_id, {"inputs": x[:40].tolist()}, outputs="predict,predict_proba"
    )

    body = expect(answer, 200)
    assert body["classes"] == iris_model.estimator.classes_.tolist()
    assert np.allclose(body["probabilities"], iris_model.estimator.predict_proba(x[:40]), atol=1e-5)


def test_outputs_that_only_the_original_has_equal_scikit_learn(account: Callable[[], Account]):
    """A compiled classifier has probabilities; its decision function is asked of the estimator itself."""
    from sklearn.linear_model import LogisticRegression

    x, y = iris()
    estimator = LogisticRegression(max_iter=1000).fit(x, y)
    owner = account()
    created = owner.upload("decisions", dumped(estimator))
    assert owner.ready(created)["runtime"] == "onnx"

    body = expect(
        owner.predict(created["model_id"], {"inputs": x[:40].tolist()}, outputs="decision_function"), 200
    )

    assert body["predictions"] == estimator.predict(x[:40]).tolist()
    assert np.allclose(body["decision_function"], estimator.decision_function(x[:40]), rtol=1e-9)

    job = {"inputs": x[:40].tolist(), "output": {"outputs": ["decision_function"]}}
    submitted = expect(owner.api.post(f"/predict/batch/{created['model_id']}", json=job), 202)
    done = owner.poll(submitted["status_url"], lambda found: found["status"] == "succeeded", seconds=120)

    items = [item["decision_function"] for item in done["results"]["items"]]
    assert np.allclose(items, estimator.decision_function(x[:40]), rtol=1e-9)


def test_a_pipeline_on_records_equals_scikit_learn(people_model: Served):
    frame = people().head(120)

    answer = people_model.owner.predict(people_model.model_id, {"records": frame.to_dict("records")})

    assert expect(answer, 200)["predictions"] == people_model.estimator.predict(frame).tolist()


@pytest.mark.parametrize("form", ["columns", "dataframe_split"])
def test_other_forms_of_input_mean_the_same(people_model: Served, form: str):
    frame = people().iloc[200:230]
    if form == "columns":
        body = {"inputs": {name: frame[name].tolist() for name in frame.columns}}
    else:
        body = {"dataframe_split": {"columns": list(frame.columns), "data": frame.to_numpy().tolist()}}

    answer = people_model.owner.predict(people_model.model_id, body)

    assert expect(answer, 200)["predictions"] == people_model.estimator.predict(frame).tolist()


def test_the_second_time_the_answer_comes_from_the_cache(iris_model: Served):
    body = {"inputs": [[4.25, 3.125, 1.0, 0.5]]}

    first = iris_model.owner.predict(iris_model.model_id, body)
    second = iris_model.owner.predict(iris_model.model_id, body)

    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert second.json()["cached"] is True
    assert second.json()["predictions"] == first.json()["predictions"]
    assert second.headers["x-prediction-id"] != first.headers["x-prediction-id"]


def test_a_prediction_leaves_a_row_that_nothing_waited_for(cloud: Cloud, iris_model: Served):
    answer = iris_model.owner.predict(iris_model.model_id, {"inputs": [[6.1, 2.9, 4.7, 1.4]] * 3})
    prediction = expect(answer, 200)["prediction_id"]

    rows: list[tuple[object, ...]] = []
    deadline = time.monotonic() + 60
    while not rows and time.monotonic() < deadline:
        time.sleep(0.5)
        rows = cloud.rows(
            "select user_id, model_id, version_id, status_code, rows, cached from predictions where id = %s",
            prediction,
        )

    version_id = iris_model.version["version_id"]
    assert rows == [(iris_model.owner.user_id, iris_model.model_id, version_id, 200, 3, False)]
    timing = answer.headers["server-timing"]
    assert "predict" in timing
    assert "record" not in timing


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"inputs": [[1.0, 2.0, 3.0]]}, "/inputs/0"),
        ({"inputs": [[1.0, 2.0, 3.0, "four"]]}, "/inputs/0/3"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_not_echoed(
    iris_model: Served, body: dict[str, object], pointer: str
):
    answer = iris_model.owner.predict(iris_model.model_id, body)

    problem = expect(answer, 422)
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"])
    assert "four" not in answer.text


def test_an_unknown_version_is_not_found(iris_model: Served):
    answer = iris_model.owner.predict(iris_model.model_id, {"inputs": [[1.0, 2.0, 3.0, 4.0]]}, version="v99")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_json_is_malformed(iris_model: Served):
    answer = iris_model.owner.api.post(
        f"/predict/{iris_model.model_id}", content=b"{", headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 400
