"""`POST /predict/{model_id}` over the Lambda handler."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.accounts.admission import Admission, Caller
from modelyard.accounts.limits import PER_MINUTE, Rate
from modelyard.kit.awslite import AwsError
from modelyard.kit.errors import Unavailable
from modelyard.telemetry.records import parse

from tests.integration.serving.conftest import TRAINED, Platform
from tests.support.events import EVENTS, sample
from tests.support.http import ApiGateway, LambdaContext, read
from tests.support.serving import token_for
from tools.local.services import wait_until

SAMPLE_MODEL = "mdl_01kb0000000000000000000001"
ROW = [0.5, -1.25, 3, 0]


def predict(platform: Platform, name: str, **headers: str) -> Any:
    """Sends a sample event as the platform's user."""
    given = {"Authorization": platform.api.headers["Authorization"]} | headers
    return read(platform.handler(sample(f"predict/{name}", **given), LambdaContext()))


class TestUnauthenticated:
    def test_without_a_token(self, platform: Platform, records: Any) -> None:
        platform.add("logistic", model_id=SAMPLE_MODEL)
        event = sample("predict/without_token_invalid")
        answer = read(platform.handler(event, LambdaContext()))
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        (line,) = records()
        assert (line["message"], line["status_code"], line["user_id"]) == ("request", 401, None)

    def test_a_bad_token_is_refused_before_the_body_is_looked_at(self, platform: Platform) -> None:
        answer = predict(platform, "not_json_invalid", Authorization="Bearer a.b.c")
        assert answer.status == 401

    def test_a_session_that_was_ended(self, platform: Platform, redis_client: Any) -> None:
        registered = platform.add("logistic")
        headers = token_for(platform.composition, platform.user_id, session_id="ses_1")
        api = ApiGateway(platform.handler, headers=headers)
        assert api.post(registered.path, json={"inputs": [ROW]}).status == 200
        redis_client.set(f"{{{platform.user_id}}}:revoked:ses_1", "1")
        assert api.post(registered.path, json={"inputs": [ROW]}).status == 401


class TestForbidden:
    def admitted_as(self, platform: Platform, **claims: Any) -> None:
        """Has every request admitted as an API key with these claims."""

        class Given:
            def admit(self, headers: Any, *, lookups: Any = None) -> Admission:
                given = {
                    "role": "user",
                    "scopes": frozenset({"predict"}),
                    "credential_id": "key_1",
                    "kind": "key",
                }
                caller = Caller(user_id=platform.user_id, **given | claims)
                names = lookups(caller)
                return Admission(caller, Rate(PER_MINUTE, True, 99, 60), (None,) * len(names))

        platform.composition.__dict__["admitter"] = Given()

    def test_a_credential_without_the_scope(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        self.admitted_as(platform, scopes=frozenset({"jobs"}))
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert answer.status == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]

    def test_a_key_for_other_models(self, platform: Platform) -> None:
        mine, other = platform.add("logistic"), platform.add("logistic")
        self.admitted_as(platform, models=frozenset({mine.id}))
        assert platform.api.post(mine.path, json={"inputs": [ROW]}).status == 200
        answer = platform.api.post(other.path, json={"inputs": [ROW]})
        assert answer.status == 403
        assert "predictions" not in answer.text

    def test_a_foreign_model_answers_as_a_missing_one(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        stranger = ApiGateway(platform.handler, headers=token_for(platform.composition, "usr_other"))
        foreign = stranger.post(registered.path, json={"inputs": [ROW]})
        missing = predict(platform, "unknown_model_invalid")
        assert foreign.status == missing.status == 404
        own = {"instance", "request_id"}
        assert {k: v for k, v in foreign.json().items() if k not in own} == {
            k: v for k, v in missing.json().items() if k not in own
        }

    def test_the_limit(self, platform: Platform, redis_client: Any) -> None:
        registered = platform.add("logistic")
        redis_client.set(f"{{{platform.user_id}}}:quota:permin", 2)
        answers = [platform.api.post(registered.path, json={"inputs": [ROW]}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert "retry-after" in answers[2].headers
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]


class TestInvalid:
    @pytest.mark.parametrize(
        ("name", "status", "code", "pointer"),
        [
            ("not_json_invalid", 400, "malformed_body", None),
            ("empty_invalid", 400, "malformed_body", None),
            ("not_base64_invalid", 400, "malformed", None),
            ("form_invalid", 415, "unsupported_media_type", None),
            ("unknown_model_invalid", 404, "model_not_found", None),
            ("unknown_version_invalid", 404, "version_not_found", None),
            ("wrong_type_invalid", 422, "invalid_input", "/inputs/0/1"),
            ("ragged_invalid", 422, "invalid_input", "/inputs/1"),
            ("missing_column_invalid", 422, "invalid_input", "/records/0/x3"),
        ],
    )
    @pytest.mark.parametrize("warm", [False, True])
    def test_sample_events(
        self, platform: Platform, name: str, status: int, code: str, pointer: str | None, warm: bool
    ) -> None:
        platform.add("logistic", model_id=SAMPLE_MODEL)
        if warm:
            assert predict(platform, "rows").status == 200
        answer = predict(platform, name)
        body = answer.json()
        assert (answer.status, body["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["instance"].startswith("/api/predict/mdl_")
        assert "ratelimit" in answer.headers
        if pointer is not None:
            assert body["errors"][0]["pointer"] == pointer

    def test_every_sample_event_is_used_here(self) -> None:
        # tests/integration/serving/test_protocols.py, test_explanations.py
        other = ("v1_", "v2_", "mlflow_", "sagemaker_", "explain")
        names = {path.stem for path in (EVENTS / "predict").iterdir() if not path.stem.startswith(other)}
        text = Path(__file__).read_text()
        assert names == {name for name in names if f'"{name}"' in text or f"/{name}" in text}

    @pytest.mark.parametrize(
        ("query", "status", "pointer"),
        [
            ("version=latest", 422, "query:version"),
            ("version=", 422, "query:version"),
            ("version=v1&version=v1", 422, "query:version"),
            ("version=v99999999999999", 422, "query:version"),
            ("version=¹", 422, "query:version"),
            ("outputs=", 422, "query:outputs"),
            ("outputs=decision_function", 422, "query:outputs"),
            ("timeout=0", 422, "query:timeout"),
            ("timeout=nan", 422, "query:timeout"),
            ("timeout=soon", 422, "query:timeout"),
            ("timeout=26", 422, "query:timeout"),
            ("channel=champion", 422, "query:…"),
            ("version=0", 404, None),
        ],
    )
    def test_query_parameters(self, platform: Platform, query: str, status: int, pointer: str | None) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(f"{registered.path}?{query}", json={"inputs": [ROW]})
        assert answer.status == status
        if pointer is not None:
            assert answer.json()["errors"][0]["pointer"] == pointer

    @pytest.mark.parametrize(
        "model_id", ["x", "..%2F..", "mdl_UPPER", "ver_01kb0000000000000000000001", "%00"]
    )
    def test_what_is_no_id(self, platform: Platform, model_id: str) -> None:
        assert platform.api.post(f"/predict/{model_id}", json={"inputs": [ROW]}).status == 404

    def test_no_version_is_ready(self, platform: Platform) -> None:
        registered = platform.add()
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (409, "model_not_ready")
        assert registered.id in answer.json()["detail"]

    def test_other_methods_and_paths(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.get(registered.path)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        assert platform.api.post(f"{registered.path}/more").status == 404
        assert platform.api.request("OPTIONS", registered.path).status == 204

    def test_too_many_rows(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(registered.path, json={"inputs": [[0, 0, 0, 0]] * 20_001})
        assert answer.status == 413
        assert "/api/predict/batch/" in answer.json()["detail"]

    def test_hostile_bodies_never_become_a_5xx(self, platform: Platform) -> None:
        registered = platform.add("mixed")
        bodies: list[Any] = [
            b"\x00", b"{}", b"[]", b"null", b'"x"', b"1e999", b'{"inputs":1e308}', b"{" * 2000, b"[" * 99_999,
            '{"inputs": [["\\ud800", 1, "a"]]}', '{"records": [{"price": {}, "rooms": [], "city": null}]}',
            '{"records":[{"price": -1e308, "rooms": 9223372036854775807, "city": "\\u0000"}]}',
            '{"records": [{"price": 1, "rooms": 9223372036854775808, "city": "Bern"}]}',
            '{"inputs": {"": []}}', '{"dataframe_split": {"columns": [[]], "data": [[]]}}',
            json.dumps({"inputs": [[1, 2, "x" * 1_000_000]]}),
        ]  # fmt: skip
        for body in bodies:
            answer = platform.api.post(registered.path, body=body)
            assert answer.status in (200, 400, 413, 422), (body[:50], answer.text)


class TestValid:
    @pytest.mark.parametrize(
        "name", ["rows", "rows_base64", "one_row", "columns", "records", "dataframe_split"]
    )
    def test_every_form_gives_what_scikit_learn_gives(self, platform: Platform, name: str) -> None:
        platform.add("logistic", model_id=SAMPLE_MODEL)
        answer = predict(platform, name)
        assert answer.status == 200, answer.text
        estimator = TRAINED["logistic"]().estimator
        expected = estimator.predict([ROW, [1, 2, 3, 4]]).tolist()
        body = answer.json()
        assert body["predictions"] == expected[: len(body["predictions"])]
        assert set(body) == {"predictions", "model_id", "model_version", "prediction_id", "cached"}
        assert (body["model_id"], body["model_version"], body["cached"]) == (SAMPLE_MODEL, "v1", False)

    def test_outputs(self, platform: Platform) -> None:
        platform.add("logistic", model_id=SAMPLE_MODEL)
        body = predict(platform, "outputs").json()
        expected = TRAINED["logistic"]().estimator.predict_proba([ROW])
        np.testing.assert_allclose(body["probabilities"], expected, atol=1e-6)
        assert body["classes"] == [0, 1]

    def test_predictions_are_there_whatever_else_was_asked(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(f"{registered.path}?outputs=predict_proba", json={"inputs": [ROW]})
        expected = registered.trained.estimator.predict([ROW]).tolist()
        assert answer.json()["predictions"] == expected
        assert len(answer.json()["probabilities"]) == 1

    def test_a_pipeline_trained_on_a_data_frame(self, platform: Platform) -> None:
        registered = platform.add("mixed")
        names = ["price", "rooms", "city"]
        rows = [*registered.trained.rows, [50.0, 3, "Never seen"]]
        sent = [dict(zip(names, row, strict=True)) for row in rows]
        answer = platform.api.post(f"{registered.path}?outputs=predict,predict_proba", json={"records": sent})
        assert answer.status == 200, answer.text
        frame = pd.DataFrame(rows, columns=names)
        estimator = registered.trained.estimator
        assert answer.json()["predictions"] == estimator.predict(frame).tolist()
        np.testing.assert_allclose(answer.json()["probabilities"], estimator.predict_proba(frame), atol=1e-5)

    def test_headers(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(
            registered.path, json={"inputs": [ROW]}, headers={"X-Request-Id": "my-request"}
        )
        headers = answer.headers
        assert headers["x-request-id"] == "my-request"
        assert headers["x-prediction-id"] == answer.json()["prediction_id"]
        assert headers["x-model-version"] == "v1"
        assert headers["x-cache"] == "MISS"
        assert headers["server-timing"].startswith("admit;dur=")
        assert "load;dur=" in headers["server-timing"]
        assert headers["ratelimit-policy"] == '"permin";q=100;w=60'
        assert headers["content-type"] == "application/json"
        assert headers["x-content-type-options"] == "nosniff"

    def test_the_second_answer_comes_from_the_cache(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        first = platform.api.post(registered.path, json={"inputs": [ROW]})
        second = platform.api.post(
            registered.path, json={"records": [dict(zip(["x0", "x1", "x2", "x3"], ROW, strict=True))]}
        )
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        assert second.json()["cached"]
        assert second.json()["predictions"] == first.json()["predictions"]
        assert second.json()["prediction_id"] != first.json()["prediction_id"]

    def test_a_cold_environment_finds_what_another_one_stored(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        platform.api.post(registered.path, json={"inputs": [ROW]})
        platform.composition.redis.ping()
        other = platform.composition.cold()
        answer = ApiGateway(Platform(other).handler, headers=platform.api.headers).post(
            registered.path, json={"inputs": [ROW]}
        )
        assert answer.headers["x-cache"] == "HIT"

    def test_what_differs_is_not_mistaken(self, platform: Platform) -> None:
        registered = platform.add("logistic", "forest")
        for path in (
            registered.path,
            f"{registered.path}?outputs=predict_proba",
            f"{registered.path}?version=2",
        ):
            assert platform.api.post(path, json={"inputs": [ROW]}).headers["x-cache"] == "MISS"

    @pytest.mark.parametrize(
        ("control", "first", "second"),
        [("no-cache", "BYPASS", "HIT"), ("No-Cache", "BYPASS", "HIT"), ("no-store", "BYPASS", "MISS")],
    )
    def test_the_caller_may_bypass_the_cache(
        self, platform: Platform, control: str, first: str, second: str
    ) -> None:
        registered = platform.add("logistic")
        body = {"inputs": [ROW]}
        for _ in range(2):
            bypassed = platform.api.post(registered.path, json=body, headers={"Cache-Control": control})
            assert (bypassed.status, bypassed.headers["x-cache"]) == (200, first)
        assert platform.api.post(registered.path, json=body).headers["x-cache"] == second

    def test_a_large_answer_is_not_kept(self, platform: Platform, redis_client: Any) -> None:
        registered = platform.add("logistic")
        path = f"{registered.path}?outputs=predict,predict_proba"
        rows = np.random.default_rng(1).normal(size=(8_000, 4)).tolist()
        answer = platform.api.post(path, json={"inputs": rows})
        assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")
        assert len(answer.json()["predictions"]) == 8_000
        assert redis_client.keys("*:answer:*") == []

    def test_versions(self, platform: Platform) -> None:
        registered = platform.add("logistic", "forest")
        for version, label in (("", "v1"), ("?version=2", "v2"), ("?version=v1", "v1")):
            answer = platform.api.post(registered.path + version, json={"inputs": [ROW]})
            assert answer.json()["model_version"] == answer.headers["x-model-version"] == label

    def test_a_promotion_is_seen_when_the_route_is_next_read(self, platform: Platform) -> None:
        registered = platform.add("logistic", "forest")
        body = {"inputs": [ROW]}
        assert platform.api.post(registered.path, json=body).json()["model_version"] == "v1"
        platform.composition.routes.promote(registered, 2)
        platform.composition.redis.delete(f"{{{platform.user_id}}}:route:{registered.id}")
        platform.composition.route_table.expire()
        assert platform.api.post(registered.path, json=body).json()["model_version"] == "v2"

    def test_the_record(self, platform: Platform, records: Any) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(registered.path, json={"inputs": [ROW, ROW]})
        platform.api.post(registered.path, json={"inputs": [ROW, ROW]})
        platform.api.post(registered.path, json={"inputs": [["a"] * 4]})
        lines = records()
        found = [parse(json.dumps(line)) for line in lines]
        assert [(r.status_code, r.rows, r.cached, r.error) for r in found] == [
            (200, 2, False, None),
            (200, 2, True, None),
            (422, 0, False, "invalid_input"),
        ]
        first = found[0]
        assert first.prediction_id == answer.json()["prediction_id"]
        assert first.request_id == answer.headers["x-request-id"]
        assert (first.user_id, first.model_id, first.model_version) == (platform.user_id, registered.id, "v1")
        assert first.version_id == registered.route.versions[1].version_id
        assert (first.runtime, first.endpoint) == ("onnx", "/api/predict/{model_id}")

    def test_the_record_says_for_whom_a_model_was_loaded_and_who_chose_the_version(
        self, platform: Platform, records: Any
    ) -> None:
        registered = platform.add("logistic", "forest")
        for query in ("", "", "?version=v2", "?version=v2", "?alias=champion"):
            platform.api.post(registered.path + query, json={"inputs": [ROW]})
        platform.api.post(f"/v2/models/{registered.id}/versions/v1/infer", json={"inputs": []})
        found = [parse(json.dumps(line)) for line in records()]
        assert [(r.model_version, r.cold, r.routed) for r in found] == [
            ("v1", True, True),
            ("v1", False, True),
            ("v2", True, False),
            ("v2", False, False),
            ("v1", False, False),
            ("v1", False, False),
        ]

    def test_an_explained_request_says_nothing_about_a_canary(self, platform: Platform, records: Any) -> None:
        """It takes as long as the estimator needs to explain, which its predictions do not."""
        registered = platform.add("logistic")
        for query in ("?explain=true", "?explain=false"):
            platform.api.post(registered.path + query, json={"inputs": [ROW]})
        assert [parse(json.dumps(line)).routed for line in records()] == [False, True]

    def test_no_input_value_is_logged(self, platform: Platform, records: Any) -> None:
        registered = platform.add("mixed")
        platform.api.post(registered.path, json={"inputs": [[1, 2, "do-not-log-me"]]})
        platform.api.post(registered.path, json={"inputs": [[1, "do-not-log-me", "x"]]})
        assert "do-not-log-me" not in json.dumps(records())

    def test_cors(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        registered = platform.add("logistic")
        monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", "https://app.example.com")
        good = platform.api.post(
            registered.path, json={"inputs": [ROW]}, headers={"Origin": "https://app.example.com"}
        )
        assert good.headers["access-control-allow-origin"] == "https://app.example.com"
        bad = platform.api.post(
            registered.path, json={"inputs": [ROW]}, headers={"Origin": "https://evil.example"}
        )
        assert "access-control-allow-origin" not in bad.headers


class TestNative:
    def add(self, platform: Platform, answer: Any) -> Any:
        trained = TRAINED["logistic"]()
        native = replace(trained, signature=replace(trained.signature, runtime="native", onnx=None))
        platform.composition.native_answer = answer
        return platform.add(native)

    def test_the_sandbox_is_asked_for_its_tenant(self, platform: Platform, records: Any) -> None:
        registered = self.add(platform, {"outputs": {"predict": [1]}})
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["predictions"]) == (200, [1])
        ((payload, tenant, seconds),) = platform.composition.native_calls
        assert tenant == platform.user_id
        assert payload["artifact_url"].startswith("https://bucket.example.com/models/")
        assert 0 < seconds < 26
        assert platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"
        assert len(platform.composition.native_calls) == 1
        assert [line["runtime"] for line in records()] == ["native", "native"]

    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            ("model_error", 500, "model_error"),
            ("timeout", 504, "prediction_timeout"),
            ("crashed", 500, "model_error"),
            ("load_failed", 503, "model_unavailable"),
        ],
    )
    def test_its_failures(self, platform: Platform, kind: str, status: int, code: str) -> None:
        registered = self.add(platform, {"error": {"kind": kind, "detail": "secret inside"}})
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (status, code)
        assert "secret inside" not in answer.text

    @pytest.mark.parametrize(
        "told",
        [{}, {"predict": [1, 2]}, {"predict": 1}, {"other": [1]}, ["predict"], None],
        ids=["nothing", "too many rows", "no list", "another output", "no object", "null"],
    )
    def test_an_answer_that_does_not_fit_the_question(self, platform: Platform, told: Any) -> None:
        registered = self.add(platform, {"outputs": told})
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (500, "model_error")

    def test_nothing_but_what_was_asked_enters_the_answer(self, platform: Platform) -> None:
        registered = self.add(platform, {"outputs": {"predict": [1], "model_id": ["another"]}})
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.json()["predictions"], answer.json()["model_id"]) == ([1], registered.id)

    def test_the_caller_sets_the_time(self, platform: Platform) -> None:
        registered = self.add(platform, {"outputs": {"predict": [1]}})
        assert platform.api.post(f"{registered.path}?timeout=3", json={"inputs": [ROW]}).status == 200
        ((payload, _, seconds),) = platform.composition.native_calls
        assert payload["deadline_seconds"] < seconds <= 3

    def test_who_gives_up_early_says_nothing_about_a_canary(self, platform: Platform, records: Any) -> None:
        registered = self.add(platform, {"error": {"kind": "timeout", "detail": ""}})
        for query in ("?timeout=3", "?timeout=25", ""):
            assert platform.api.post(registered.path + query, json={"inputs": [ROW]}).status == 504
        assert [(line["error"], line["routed"]) for line in records()] == [
            ("prediction_timeout", False),
            ("prediction_timeout", True),
            ("prediction_timeout", True),
        ]

    def test_a_call_with_little_time_left(self, platform: Platform) -> None:
        registered = self.add(platform, {"outputs": {"predict": [1]}})
        context = LambdaContext(milliseconds=1020)
        answer = platform.api.post(registered.path, json={"inputs": [ROW]}, context=context)
        assert answer.status == 504
        assert "/api/predict/batch/" in answer.json()["detail"]


class TestAhead:
    """A quick model answers while Redis is asked; that must never show."""

    def warm(self, platform: Platform) -> Any:
        registered = platform.add("logistic")
        for value in range(3):
            platform.api.post(registered.path, json={"inputs": [[value, 0, 0, 0]]})
        (model,) = platform.composition.model_cache._models.values()
        model.runtime.quick = True  # whatever else the machine is doing
        return registered, model

    def test_the_model_is_asked_once(self, platform: Platform) -> None:
        registered, model = self.warm(platform)
        runs = counting(model.runtime)
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert answer.headers["x-cache"] == "MISS"
        assert answer.json()["predictions"] == registered.trained.estimator.predict([ROW]).tolist()
        assert len(runs) == 1

    def test_a_refused_caller_learns_nothing(self, platform: Platform, redis_client: Any) -> None:
        registered, _ = self.warm(platform)
        platform.composition.redis.ping()  # what was posted has arrived
        kept = sorted(redis_client.keys("*:answer:*"))
        redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1)
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert answer.status == 429
        assert "predictions" not in answer.text
        assert sorted(redis_client.keys("*:answer:*")) == kept

    def test_many_rows_wait_for_admission(self, platform: Platform, redis_client: Any) -> None:
        registered, model = self.warm(platform)
        runs = counting(model.runtime)
        redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1)
        assert platform.api.post(registered.path, json={"inputs": [ROW] * 9}).status == 429
        assert runs == []

    def test_a_failure_is_told_and_logged_once(self, platform: Platform, records: Any) -> None:
        registered, model = self.warm(platform)
        records()

        class Failing:
            def run(self, *_: Any) -> Any:
                raise RuntimeError("inside")

        model.runtime._session = Failing()
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (500, "model_error")
        assert [line["message"] for line in records()] == ["model_error", "prediction_record"]


def counting(runtime: Any) -> list[int]:
    """Has the runtime's session note each of its runs."""
    runs: list[int] = []
    session = runtime._session

    class Counting:
        def run(self, *arguments: Any) -> Any:
            runs.append(1)
            return session.run(*arguments)

    runtime._session = Counting()
    return runs


class TestRoundTrips:
    """Counted, not read off the code."""

    def test_warm_cached_one_warm_uncached_two_and_no_sql(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        platform.api.post(registered.path, json={"inputs": [ROW]})
        counted = platform.composition.count()
        assert platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"
        assert (counted.sends, counted.commands) == (1, ["EVALSHA"])
        counted.reset()
        answer = platform.api.post(registered.path, json={"inputs": [[1, 1, 1, 1]]})
        assert answer.headers["x-cache"] == "MISS"
        assert (counted.sends, counted.commands) == (2, ["EVALSHA", "SET"])
        assert platform.composition.routes.loads == 1  # by the very first request

    def test_a_refreshed_route_costs_no_further_trip(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        platform.api.post(registered.path, json={"inputs": [ROW]})
        platform.composition.route_table.expire()
        counted = platform.composition.count()
        assert platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"
        assert counted.commands == ["EVALSHA"]
        assert platform.composition.routes.loads == 1


class TestDependencyDown:
    def test_redis_down_answers_uncached_and_comes_back(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        body = {"inputs": [ROW]}
        platform.api.post(registered.path, json=body)
        with platform.composition.redis_away():
            for _ in range(3):
                answer = platform.api.post(registered.path, json=body)
                assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")
                assert "ratelimit" in answer.headers
        wait_until(
            lambda: platform.api.post(registered.path, json=body).headers["x-cache"] == "HIT",
            seconds=10,
            what="the cache",
        )

    def test_redis_down_from_the_start(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        with platform.composition.redis_away():
            answer = platform.api.post(registered.path, json={"inputs": [ROW]})
            assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")

    def test_postgresql_down_leaves_warm_models_answering(self, platform: Platform) -> None:
        registered, unknown = platform.add("logistic"), platform.add("logistic")
        platform.api.post(registered.path, json={"inputs": [ROW]})
        platform.composition.routes.failure = Unavailable("The database does not answer right now.")
        platform.composition.redis.delete(f"{{{platform.user_id}}}:route:{registered.id}")
        platform.composition.route_table.expire()
        assert platform.api.post(registered.path, json={"inputs": [[1, 1, 1, 1]]}).status == 200
        cold = platform.api.post(unknown.path, json={"inputs": [ROW]})
        assert cold.status == 503
        assert "retry-after" in cold.headers
        platform.composition.routes.failure = None
        assert platform.api.post(unknown.path, json={"inputs": [ROW]}).status == 200

    def test_s3_down_for_a_cold_model(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        platform.composition.objects.failure = AwsError("s3", 503, "SlowDown")
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (503, "storage_unavailable")
        platform.composition.objects.failure = None
        assert platform.api.post(registered.path, json={"inputs": [ROW]}).status == 200

    @pytest.mark.parametrize("part", ["model.onnx", "metadata.json"])
    def test_a_damaged_file_is_never_served(self, platform: Platform, part: str) -> None:
        registered = platform.add("logistic")
        objects = platform.composition.objects
        (key,) = [key for key in objects.data if key.endswith(part)]
        objects.data[key] = objects.data[key][:-10]
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (503, "model_unavailable")

    def test_an_unknown_exception_is_a_500_without_words(self, platform: Platform, records: Any) -> None:
        registered = platform.add("logistic")

        class Broken:
            def admit(self, headers: Any, *, lookups: Any = None) -> Admission:
                raise RuntimeError("inner secret")

        platform.composition.__dict__["admitter"] = Broken()
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (500, "internal_error")
        assert answer.json()["request_id"] in answer.headers["x-request-id"]
        assert "secret" not in answer.text
        assert any("inner secret" in json.dumps(line) for line in records())
