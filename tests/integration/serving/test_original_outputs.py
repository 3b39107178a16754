"""Outputs that a compiled model does not have are given by its original, through a real sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.serving.conftest import ROWS, TRAINED, Sandboxed
from tests.support.serving import Registered

ASKED = "?outputs=decision_function,predict_proba"


@pytest.fixture
def registered(sandboxed: Sandboxed) -> Registered:
    """A compiled logistic regression, as intake registers it."""
    trained = TRAINED["logistic"]()
    signature = replace(trained.signature, original_outputs=["decision_function"])
    return sandboxed.add(replace(trained, signature=signature))


def test_what_nobody_offers_is_refused_with_what_is_offered(sandboxed: Sandboxed, registered: Registered):
    answer = sandboxed.ask(registered, "?outputs=transform")

    assert (answer.status, answer.json()["code"]) == (422, "invalid_parameter")
    assert "predict, predict_proba, decision_function" in answer.json()["detail"]
    assert sandboxed.platform.composition.native_calls == []


def test_values_of_both_are_the_librarys(sandboxed: Sandboxed, registered: Registered):
    answer = sandboxed.ask(registered, ASKED)

    body, estimator = answer.json(), registered.trained.estimator
    assert answer.status == 200
    assert body["predictions"] == estimator.predict(ROWS).tolist()
    assert body["decision_function"] == pytest.approx(estimator.decision_function(ROWS).tolist())
    assert [row[1] for row in body["probabilities"]] == pytest.approx(
        estimator.predict_proba(ROWS)[:, 1], abs=1e-5
    )
    ((payload, tenant, _),) = sandboxed.platform.composition.native_calls
    assert (payload["outputs"], tenant) == (["decision_function"], sandboxed.platform.user_id)


def test_the_answer_is_cached_apart_from_that_without_it(sandboxed: Sandboxed, registered: Registered):
    first, plain, second = (sandboxed.ask(registered, query) for query in (ASKED, "", ASKED))

    assert [each.headers["x-cache"] for each in (first, plain, second)] == ["MISS", "MISS", "HIT"]
    assert second.json()["decision_function"] == first.json()["decision_function"]
    assert "decision_function" not in plain.json()
    assert len(sandboxed.platform.composition.native_calls) == 1


def test_predictions_alone_never_ask_the_sandbox(sandboxed: Sandboxed, registered: Registered):
    for query in ("", "?outputs=predict_proba"):
        assert sandboxed.ask(registered, query).status == 200

    assert sandboxed.platform.composition.native_calls == []


def test_it_says_nothing_about_a_canary(sandboxed: Sandboxed, registered: Registered, records: Any):
    """Its time is the sandbox's, which predictions do not need."""
    for query in (ASKED, "?outputs=predict_proba"):
        sandboxed.ask(registered, query)

    assert [line["routed"] for line in records()] == [False, True]


def test_with_an_explanation_beside_it(sandboxed: Sandboxed, registered: Registered):
    body = sandboxed.explain(registered, query="&outputs=decision_function").json()

    expected = registered.trained.estimator.decision_function(ROWS).tolist()
    assert body["decision_function"] == pytest.approx(expected)
    assert [told["sum"] for told in body["explanations"]] == pytest.approx(expected)


def test_clients_of_v2_find_and_get_it(sandboxed: Sandboxed, registered: Registered):
    path = f"/v2/models/{registered.id}"
    listed = {each["name"]: each for each in sandboxed.api.get(path).json()["outputs"]}
    tensor = {"name": "input", "datatype": "FP64", "shape": [6, 4], "data": ROWS}
    body = {"inputs": [tensor], "outputs": [{"name": "decision_function"}]}

    (output,) = sandboxed.api.post(f"{path}/infer", json=body).json()["outputs"]

    assert (listed["decision_function"]["datatype"], listed["decision_function"]["shape"]) == ("FP64", [-1])
    assert (output["name"], output["datatype"], output["shape"]) == ("decision_function", "FP64", [6])
    assert output["data"] == pytest.approx(registered.trained.estimator.decision_function(ROWS).tolist())


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"outputs": {}}, 500, "model_error"),
        ({"outputs": {"decision_function": [1.0]}}, 500, "model_error"),
        ({"error": {"kind": "model_error", "detail": "secret inside"}}, 500, "model_error"),
        ({"error": {"kind": "timeout", "detail": ""}}, 504, "prediction_timeout"),
    ],
    ids=["nothing", "too few rows", "an error", "no time"],
)
def test_a_sandbox_that_fails(
    sandboxed: Sandboxed, registered: Registered, told: dict[str, Any], status: int, code: str
):
    sandboxed.platform.composition.sandbox = lambda payload: told

    answer = sandboxed.ask(registered, ASKED)

    assert (answer.status, answer.json()["code"]) == (status, code)
    assert "secret inside" not in json.dumps(answer.json())
    assert sandboxed.ask(registered, "").status == 200
