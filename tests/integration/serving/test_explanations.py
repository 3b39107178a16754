"""`POST /predict/{model_id}?explain=true` over the Lambda handler, explained by real sandbox workers."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.native import Workers
from modelyard.intake.verdict import StaticReport
from modelyard.kit.errors import Unavailable
from modelyard.serving.errors import PredictionTimeout
from modelyard.serving.explanation_terms import KINDS
from modelyard.serving.signature import Signature

from tests.integration.serving.conftest import ROWS, TRAINED, Platform, Sandboxed
from tests.support.events import sample
from tests.support.http import ApiGateway, LambdaContext, read
from tests.support.serving import Trained, matrix_model, token_for

SAMPLE_MODEL = "mdl_01kb0000000000000000000001"


def native(estimator: Any) -> Trained:
    """A fitted estimator as registration makes it where it cannot be compiled."""
    described = describe(estimator, StaticReport(format="joblib", size=1))
    return Trained(estimator, b"", described.signature, ROWS)


@cache
def fitted(kind: str) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor

    rng = np.random.default_rng(8)
    if kind == "huge":
        x = rng.normal(size=(6_000, 4))
        return ExtraTreesRegressor(40, random_state=0).fit(x, rng.normal(size=6_000))
    x = rng.normal(size=(300, 4))
    made = {"forest": RandomForestClassifier(10), "ridge": Ridge(), "neighbours": KNeighborsRegressor()}[kind]
    return made.fit(x, np.where(x[:, 0] > 0, "up", "down") if kind == "forest" else x @ [1, 2, 3, 4])


def adds_up(told: dict[str, Any]) -> bool:
    total = np.array(told["base"]) + sum(np.array(value) for value in told["contributions"].values())
    return np.allclose(total, told["sum"], atol=1e-9)


class TestRefused:
    def test_without_a_token(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        stranger = ApiGateway(sandboxed.platform.handler)
        answer = stranger.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert answer.status == 401
        assert sandboxed.platform.composition.native_calls == []

    def test_a_foreign_model(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        assert sandboxed.explain(registered).status == 200
        headers = token_for(sandboxed.platform.composition, "usr_other")
        stranger = ApiGateway(sandboxed.platform.handler, headers=headers)
        answer = stranger.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert answer.status == 404
        assert len(sandboxed.platform.composition.native_calls) == 1

    def test_a_revoked_session_has_nothing_explained_ahead_of_admission(
        self, sandboxed: Sandboxed, redis_client: Any
    ) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        assert sandboxed.explain(registered).status == 200  # warm, and known to be quick
        user = sandboxed.platform.user_id
        headers = token_for(sandboxed.platform.composition, user, session_id="ses_1")
        redis_client.set(f"{{{user}}}:revoked:ses_1", "1")
        assert sandboxed.explain(registered, [[1, 2, 3, 4]], headers=headers).status == 401
        assert len(sandboxed.platform.composition.native_calls) == 1

    def test_the_sample_event(self, sandboxed: Sandboxed) -> None:
        sandboxed.add(TRAINED["logistic"](), model_id=SAMPLE_MODEL)
        event = sample("predict/explain_invalid", **sandboxed.api.headers)
        answer = read(sandboxed.platform.handler(event, LambdaContext()))
        assert (answer.status, answer.json()["code"]) == (422, "invalid_parameter")
        assert answer.json()["errors"] == [
            {"pointer": "query:explain", "detail": "expected true or false"},
        ]

    @pytest.mark.parametrize("value", ["", "1", "True", "true&explain=true"])
    def test_what_is_neither_true_nor_false(self, sandboxed: Sandboxed, value: str) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        answer = sandboxed.api.post(f"{registered.path}?explain={value}", json={"inputs": ROWS})
        assert answer.status == 422
        assert answer.json()["errors"][0]["pointer"] == "query:explain"

    @pytest.mark.parametrize("warm", [False, True])
    def test_more_than_100_rows(self, sandboxed: Sandboxed, warm: bool) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        if warm:
            sandboxed.explain(registered)
        answer = sandboxed.explain(registered, ROWS[:1] * 101)
        assert (answer.status, answer.json()["code"]) == (413, "too_many_rows")
        assert "100 rows" in answer.json()["detail"]
        assert sandboxed.explain(registered, ROWS[:1] * 100).status == 200

    def test_rows_that_do_not_fit(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        answer = sandboxed.explain(registered, [[1, 2, "secret", 4]])
        assert (answer.status, answer.json()["code"]) == (422, "invalid_input")
        assert "secret" not in answer.text

    def test_a_model_that_was_uploaded_as_onnx(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        route = registered.route
        versions = {1: replace(route.versions[1], artifact_format="onnx")}
        registered.route = replace(route, versions=versions)
        sandboxed.platform.composition.routes.add(registered)
        answer = sandboxed.explain(registered)
        assert (answer.status, answer.json()["code"]) == (422, "not_explainable")
        assert "uploaded as ONNX" in answer.json()["detail"]
        assert sandboxed.platform.composition.native_calls == []

    @pytest.mark.parametrize("known", [True, False])
    def test_a_kind_without_exact_explanations(self, sandboxed: Sandboxed, known: bool) -> None:
        """Versions of before this feature do not know; the sandbox does."""
        trained = native(fitted("neighbours"))
        assert trained.signature.explainable is False
        if not known:
            trained = replace(trained, signature=replace(trained.signature, explainable=None))
        registered = sandboxed.add(trained)
        answer = sandboxed.explain(registered)
        assert (answer.status, answer.json()["code"]) == (422, "not_explainable")
        assert KINDS in answer.json()["detail"]
        assert len(sandboxed.platform.composition.native_calls) == (not known)
        assert sandboxed.api.post(registered.path, json={"inputs": ROWS}).status == 200


class TestExplained:
    def test_a_compiled_model_answers_and_its_original_explains(
        self, sandboxed: Sandboxed, records: Any
    ) -> None:
        trained = TRAINED["logistic"]()
        registered = sandboxed.add(trained)
        plain = sandboxed.api.post(registered.path, json={"inputs": ROWS}).json()
        records()
        answer = sandboxed.explain(registered, query="&outputs=predict_proba")
        assert answer.status == 200
        body = answer.json()
        assert body["predictions"] == plain["predictions"]
        assert "probabilities" in body
        x = np.array(ROWS)
        for row, told in enumerate(body["explanations"]):
            assert told["of"] == "decision_function"
            assert told["toward"] == trained.estimator.classes_.tolist()[1]
            expected = dict(zip(["x0", "x1", "x2", "x3"], trained.estimator.coef_[0] * x[row], strict=True))
            assert told["contributions"] == pytest.approx(expected)
            assert adds_up(told)
        sums = [told["sum"] for told in body["explanations"]]
        np.testing.assert_allclose(sums, trained.estimator.decision_function(x))
        (line,) = [line for line in records() if line["message"] == "prediction_record"]
        assert (line["rows"], line["runtime"], line["status_code"]) == (6, "onnx", 200)

    def test_a_native_model_explains_itself(self, sandboxed: Sandboxed) -> None:
        estimator = fitted("forest")
        registered = sandboxed.add(native(estimator))
        body = sandboxed.explain(registered).json()
        assert body["predictions"] == estimator.predict(ROWS).tolist()
        assert all(told["classes"] == ["down", "up"] and adds_up(told) for told in body["explanations"])
        sums = [told["sum"] for told in body["explanations"]]
        np.testing.assert_allclose(sums, estimator.predict_proba(ROWS), atol=1e-12)
        assert len(sandboxed.platform.composition.native_calls) == 1

    def test_a_pipeline_on_records(self, sandboxed: Sandboxed) -> None:
        trained = TRAINED["mixed"]()
        registered = sandboxed.add(trained)
        record = {"price": 48.5, "rooms": 3, "city": "Genève"}
        answer = sandboxed.api.post(f"{registered.path}?explain=true", json={"records": [record]})
        (told,) = answer.json()["explanations"]
        assert set(told["contributions"]) == {"price", "rooms", "city"}
        assert "names__city_Genève" in told["features"]
        assert adds_up(told)

    def test_the_sample_event(self, sandboxed: Sandboxed) -> None:
        sandboxed.add(TRAINED["logistic"](), model_id=SAMPLE_MODEL)
        event = sample("predict/explain", **sandboxed.api.headers)
        answer = read(sandboxed.platform.handler(event, LambdaContext()))
        assert answer.status == 200
        assert len(answer.json()["explanations"]) == 1

    def test_false_is_as_if_nothing_was_asked(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        answer = sandboxed.api.post(f"{registered.path}?explain=false", json={"inputs": ROWS})
        assert "explanations" not in answer.json()
        assert sandboxed.platform.composition.native_calls == []

    def test_the_cache_keeps_explained_answers_apart(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        plain = sandboxed.api.post(registered.path, json={"inputs": ROWS})
        first = sandboxed.explain(registered)
        second = sandboxed.explain(registered)
        again = sandboxed.api.post(registered.path, json={"inputs": ROWS})
        caches = [answer.headers["x-cache"] for answer in (plain, first, second, again)]
        assert caches == ["MISS", "MISS", "HIT", "HIT"]
        assert second.json()["explanations"] == first.json()["explanations"]
        assert "explanations" not in again.json()
        assert len(sandboxed.platform.composition.native_calls) == 1

    def test_round_trips_are_those_of_a_prediction(self, sandboxed: Sandboxed) -> None:
        composition = sandboxed.platform.composition
        registered = sandboxed.add(TRAINED["logistic"]())
        sandboxed.explain(registered)
        loads = composition.routes.loads
        counted = composition.count()
        assert sandboxed.explain(registered).headers["x-cache"] == "HIT"
        assert counted.sends == 1
        counted = composition.count()
        assert sandboxed.explain(registered, [[9, 8, 7, 6]]).headers["x-cache"] == "MISS"
        assert counted.sends == 2
        assert composition.routes.loads == loads

    def test_a_shadow_is_not_asked_to_explain(self, sandboxed: Sandboxed, redis_client: Any) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        registered.route = replace(registered.route, shadow=2, shadow_percent=100)
        sandboxed.platform.composition.routes.add(registered)
        assert sandboxed.explain(registered).status == 200
        sandboxed.platform.composition.count()
        waiting = f"{{{sandboxed.platform.user_id}}}:shadow:{registered.id}"
        assert redis_client.llen(waiting) == 0
        sandboxed.api.post(registered.path, json={"inputs": ROWS})
        sandboxed.platform.composition.count()
        assert redis_client.llen(waiting) == 1

    def test_redis_away(self, sandboxed: Sandboxed) -> None:
        registered = sandboxed.add(TRAINED["logistic"]())
        with sandboxed.platform.composition.redis_away():
            answer = sandboxed.explain(registered)
        assert answer.status == 200
        assert answer.headers["x-cache"] == "BYPASS"
        assert len(answer.json()["explanations"]) == 6


class TestNeverWrong:
    def test_an_original_that_answers_otherwise(self, sandboxed: Sandboxed, records: Any) -> None:
        """The file in the sandbox is another model than the compiled one."""
        from sklearn.linear_model import LogisticRegression

        trained = TRAINED["logistic"]()
        other = matrix_model(LogisticRegression()).estimator
        other.intercept_ = other.intercept_ + 100
        registered = sandboxed.add(trained, estimator=other)
        answer = sandboxed.explain(registered)
        assert (answer.status, answer.json()["code"]) == (500, "explanation_mismatch")
        assert "explanations" not in answer.json()
        assert "explain=true" in answer.json()["detail"]
        lines = records()
        assert any(
            line["message"] == "explanation_mismatch" and "predict of the original" in line["detail"]
            for line in lines
        )
        assert [line["error"] for line in lines if line["message"] == "prediction_record"] == [
            "explanation_mismatch"
        ]
        assert sandboxed.api.post(registered.path, json={"inputs": ROWS}).status == 200

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"explanations": []}, 500, "explanation_mismatch"),
            ({"explanations": None}, 500, "explanation_mismatch"),
            ({}, 503, "unavailable"),
        ],
    )
    def test_a_sandbox_that_does_not_explain_each_row(
        self, platform: Platform, change: dict[str, Any], status: int, code: str
    ) -> None:
        registered = platform.add(native(fitted("ridge")))
        platform.composition.native_answer = {"outputs": {"predict": [0.0] * 6}} | change
        answer = platform.api.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert (answer.status, answer.json()["code"]) == (status, code)


class TestDown:
    @pytest.mark.parametrize(
        ("kind", "status", "code", "words"),
        [
            ("timeout", 504, "explanation_timeout", "Send fewer rows"),
            ("load_failed", 503, "model_unavailable", "again"),
            ("too_large", 413, "too_many_rows", "fewer rows"),
            ("out_of_memory", 500, "model_error", "fewer rows"),
            ("crashed", 500, "model_error", "log"),
            ("model_error", 500, "model_error", "log"),
            ("explanation_mismatch", 500, "explanation_mismatch", "not shown"),
        ],
    )
    def test_what_goes_wrong_in_the_sandbox(
        self,
        platform: Platform,
        kind: str,
        status: int,
        code: str,
        words: str,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        registered = platform.add("logistic")
        platform.composition.native_answer = {"error": {"kind": kind, "detail": "the sandbox's words"}}
        answer = platform.api.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert (answer.status, answer.json()["code"]) == (status, code)
        assert words in answer.json()["detail"]
        assert "the sandbox's words" not in answer.text + capfd.readouterr().out

    def test_one_row_whose_explanation_is_too_large(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        platform.composition.native_answer = {"error": {"kind": "too_large", "detail": ""}}
        answer = platform.api.post(f"{registered.path}?explain=true", json={"inputs": ROWS[:1]})
        assert (answer.status, answer.json()["code"]) == (422, "not_explainable")
        assert "too many outputs" in answer.json()["detail"]

    def test_no_sandbox(self, platform: Platform) -> None:
        def away(_: dict[str, Any]) -> dict[str, Any]:
            raise Unavailable("The model's sandbox does not answer right now. Try again shortly.")

        registered = platform.add("logistic")
        platform.composition.sandbox = away
        answer = platform.api.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert answer.status == 503
        assert "retry-after" in answer.headers
        assert platform.api.post(registered.path, json={"inputs": ROWS}).status == 200

    def test_a_sandbox_that_keeps_no_deadline(self, platform: Platform) -> None:
        def hangs(_: dict[str, Any]) -> dict[str, Any]:
            raise PredictionTimeout("The model did not answer in time. Send fewer rows, or a batch job.")

        registered = platform.add("logistic")
        platform.composition.sandbox = hangs
        answer = platform.api.post(f"{registered.path}?explain=true", json={"inputs": ROWS})
        assert (answer.status, answer.json()["code"]) == (504, "explanation_timeout")

    def test_no_time_left(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(
            f"{registered.path}?explain=true",
            json={"inputs": ROWS},
            context=LambdaContext(milliseconds=1_010),
        )
        assert (answer.status, answer.json()["code"]) == (504, "explanation_timeout")
        assert platform.composition.native_calls == []

    def test_a_forest_too_large_for_the_deadline(self, sandboxed: Sandboxed, workers: Workers) -> None:
        registered = sandboxed.add(native(fitted("huge")))
        assert sandboxed.api.post(registered.path, json={"inputs": ROWS}).status == 200
        busy = next(reversed(workers._workers.values()))
        started = time.monotonic()
        answer = sandboxed.explain(registered, ROWS[:1] * 100, query="&timeout=2")
        assert time.monotonic() - started < 4
        assert (answer.status, answer.json()["code"]) == (504, "explanation_timeout")
        assert "explanation was not ready" in answer.json()["detail"]
        assert busy.child.alive  # it noticed by itself: predictions need not wait for another load
        again = sandboxed.api.post(registered.path, json={"inputs": ROWS})
        assert again.status == 200


def test_what_the_sandbox_is_told(platform: Platform) -> None:
    """docs/ARCHITECTURE.md: one more field in the request, nothing else."""
    registered = platform.add("logistic")
    platform.composition.native_answer = {"error": {"kind": "crashed", "detail": ""}}
    platform.api.post(f"{registered.path}?explain=true&timeout=5", json={"inputs": ROWS})
    ((payload, tenant, seconds),) = platform.composition.native_calls
    assert tenant == platform.user_id
    assert payload["explain"] is True
    assert payload["outputs"] == ["predict"]
    assert [list(column) for column in payload["columns"]] == np.array(ROWS).T.tolist()
    assert payload["deadline_seconds"] < seconds <= 5
    assert Signature.from_json(json.loads(json.dumps(payload["signature"]))).columns
