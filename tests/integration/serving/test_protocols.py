"""Open Inference Protocol V2, KServe V1, MLflow and SageMaker over the Lambda handler."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard.accounts.admission import Admission, Caller
from modelyard.accounts.limits import PER_MINUTE, Rate
from modelyard.kit.errors import Unavailable
from modelyard.telemetry.records import parse

from tests.integration.serving.conftest import TRAINED, Platform
from tests.support.events import EVENTS, sample
from tests.support.http import ApiGateway, LambdaContext, read
from tests.support.serving import boosting, token_for

ROWS = [[0.5, -1.25, 3, 0], [1, 2, 3, 4]]
TENSOR = {"name": "input", "shape": [2, 4], "datatype": "FP64", "data": ROWS}
ROUTES_OF_A_MODEL = [
    ("GET", "/v2/models/{}", None),
    ("GET", "/v2/models/{}/ready", None),
    ("POST", "/v2/models/{}/infer", {"inputs": [TENSOR]}),
    ("GET", "/v2/models/{}/versions/v1", None),
    ("GET", "/v2/models/{}/versions/1/ready", None),
    ("POST", "/v2/models/{}/versions/1/infer", {"inputs": [TENSOR]}),
    ("GET", "/v1/models/{}", None),
    ("POST", "/v1/models/{}:predict", {"instances": ROWS}),
    ("POST", "/models/{}/invocations", {"inputs": ROWS}),
    ("GET", "/models/{}/ping", None),
    ("GET", "/models/{}/version", None),
    ("POST", "/endpoints/{}/invocations", {"instances": ROWS}),
]
LISTS = [("GET", "/v2/models", None), ("GET", "/v1/models", None), ("POST", "/v2/repository/index", {})]
ALL = ROUTES_OF_A_MODEL + LISTS


def send(platform: Platform, name: str, **headers: str) -> Any:
    """Sends a sample event as the platform's user."""
    given = {"Authorization": platform.api.headers["Authorization"]} | headers
    return read(platform.handler(sample(f"predict/{name}", **given), LambdaContext()))


def call(api: ApiGateway, method: str, path: str, body: Any) -> Any:
    return api.request(method, path, json=body)


def message_of(answer: Any) -> str:
    """The words of an error, which must have the shape that the path's clients expect."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    return str(body["error"] if "error" in body else body["message"])


class TestUnauthenticated:
    @pytest.mark.parametrize(("method", "path", "body"), ALL)
    def test_every_route_asks_who_calls(self, platform: Platform, method: str, path: str, body: Any) -> None:
        platform.add("logistic", name="iris")
        answer = call(ApiGateway(platform.handler), method, path.format("iris"), body)
        assert answer.status == 401
        assert "www-authenticate" in answer.headers
        assert "access token" in message_of(answer)

    def test_health_and_server_are_public(self, platform: Platform) -> None:
        for name in ("v2_live", "v2_health_ready"):
            answer = read(platform.handler(sample(f"predict/{name}"), LambdaContext()))
            assert (answer.status, answer.json()) == (200, {"live": True, "ready": True})
        answer = read(platform.handler(sample("predict/v2_server"), LambdaContext()))
        assert "binary_tensor_data" in answer.json()["extensions"]

    def test_a_stranger_learns_nothing_from_a_bad_body(self, platform: Platform) -> None:
        api = ApiGateway(platform.handler)
        assert api.post("/v2/models/iris/infer", body=b"{").status == 401
        event = sample("predict/v2_infer_without_token_invalid")
        assert read(platform.handler(event, LambdaContext())).status == 401

    @pytest.mark.parametrize("coded", ["!!!", base64.b64encode(b"key:").decode(), "=", ""])
    def test_basic_without_a_key(self, platform: Platform, coded: str) -> None:
        api = ApiGateway(platform.handler, headers={"Authorization": f"Basic {coded}"})
        assert api.get("/models/iris/ping").status == 401


class TestForbidden:
    def admitted_as(self, platform: Platform, **claims: Any) -> list[dict[str, str]]:
        """Has every request admitted as an API key with these claims; returns the headers that were seen."""
        seen: list[dict[str, str]] = []

        class Given:
            def admit(self, headers: Any, *, lookups: Any = None) -> Admission:
                seen.append(dict(headers))
                given = {
                    "role": "user",
                    "scopes": frozenset({"predict"}),
                    "credential_id": "key_1",
                    "kind": "key",
                }
                caller = Caller(user_id=platform.user_id, **given | claims)
                names = lookups(caller) if lookups else ()
                return Admission(caller, Rate(PER_MINUTE, True, 99, 60), (None,) * len(names))

        platform.composition.__dict__["admitter"] = Given()
        return seen

    @pytest.mark.parametrize(("method", "path", "body"), ALL)
    def test_a_credential_without_the_scope(
        self, platform: Platform, method: str, path: str, body: Any
    ) -> None:
        platform.add("logistic", name="iris")
        self.admitted_as(platform, scopes=frozenset({"jobs"}))
        answer = call(platform.api, method, path.format("iris"), body)
        assert answer.status == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert "scope" in message_of(answer)

    @pytest.mark.parametrize(("method", "path", "body"), ROUTES_OF_A_MODEL)
    def test_a_key_for_other_models(self, platform: Platform, method: str, path: str, body: Any) -> None:
        mine = platform.add("logistic", name="mine")
        other = platform.add("logistic", name="other")
        self.admitted_as(platform, models=frozenset({mine.id}))
        assert call(platform.api, method, path.format("mine"), body).status == 200
        for name in ("other", other.id):
            assert call(platform.api, method, path.format(name), body).status == 403

    def test_lists_show_what_the_key_may_use(self, platform: Platform) -> None:
        mine = platform.add("logistic", name="mine")
        platform.add("logistic", name="other")
        self.admitted_as(platform, models=frozenset({mine.id}))
        assert platform.api.get("/v2/models").json() == {"models": ["mine"]}
        assert platform.api.get("/v1/models").json() == {"models": ["mine"]}
        assert [entry["name"] for entry in platform.api.post("/v2/repository/index").json()] == ["mine"]

    @pytest.mark.parametrize(("method", "path", "body"), ROUTES_OF_A_MODEL)
    def test_a_foreign_model_answers_as_a_missing_one(
        self, platform: Platform, method: str, path: str, body: Any
    ) -> None:
        registered = platform.add("logistic", name="iris")
        stranger = ApiGateway(platform.handler, headers=token_for(platform.composition, "usr_other"))
        for name in ("iris", registered.id, "nothing", "a b", "%00", "x" * 129):
            answer = call(stranger, method, path.format(name), body)
            assert answer.status == 404, name
            assert "There is no model" in message_of(answer)

    def test_a_key_may_come_as_the_password_of_basic(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        seen = self.admitted_as(platform)
        coded = base64.b64encode(b"any:mdk_something").decode()
        api = ApiGateway(platform.handler, headers={"Authorization": f"Basic {coded}"})
        assert api.post("/models/iris/invocations", json={"inputs": ROWS}).status == 200
        assert seen[0]["x-api-key"] == "mdk_something"
        assert "authorization" not in seen[0]

    def test_the_limit(self, platform: Platform, redis_client: Any) -> None:
        platform.add("logistic", name="iris")
        redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1)
        assert platform.api.get("/v2/models/iris/ready").headers["ratelimit"].split(";")[1] == "r=0"
        for method, path, body in ALL:
            answer = call(platform.api, method, path.format("iris"), body)
            assert answer.status == 429
            assert "retry-after" in answer.headers
            assert "Try again" in message_of(answer)


V2_INVALID: list[tuple[Any, str]] = [
    ({}, "/inputs"),
    ({"inputs": []}, "/inputs"),
    ({"inputs": [1]}, "/inputs/0"),
    ({"inputs": [TENSOR], "id": 7}, "/id"),
    ({"inputs": [TENSOR], "outputs": {}}, "/outputs"),
    ({"inputs": [TENSOR], "outputs": [{}]}, "/outputs/0"),
    ({"inputs": [TENSOR], "outputs": [{"name": "magic"}]}, "does not offer"),
    ({"inputs": [TENSOR | {"name": None}]}, "/inputs/0/name"),
    ({"inputs": [TENSOR | {"shape": [2, 3]}]}, "/inputs/0/data"),
    ({"inputs": [TENSOR | {"shape": [2, -4]}]}, "/inputs/0/shape"),
    ({"inputs": [TENSOR | {"shape": []}]}, "/inputs/0/shape"),
    ({"inputs": [TENSOR | {"shape": [8], "data": [0] * 8}]}, "/inputs/0/shape"),
    ({"inputs": [TENSOR | {"shape": [0, 4], "data": []}]}, "/inputs/0/shape"),
    ({"inputs": [TENSOR | {"datatype": "FP8"}]}, "/inputs/0/datatype"),
    ({"inputs": [TENSOR | {"data": [[1, 2, 3], [4, 5, 6, 7, 8]]}]}, "/inputs/0/data"),
    ({"inputs": [TENSOR | {"data": [1, 2, 3, 4, 5, 6, 7, "x"]}]}, "/inputs/0/data/7"),
    ({"inputs": [TENSOR | {"datatype": "INT64"}]}, "/inputs/0/data/0"),
    ({"inputs": [TENSOR | {"datatype": "BOOL", "data": [True] * 8}]}, "/inputs/0/data/0"),
    ({"inputs": [{k: v for k, v in TENSOR.items() if k != "data"}]}, "/inputs/0/data"),
    ({"inputs": [TENSOR | {"parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
    ({"inputs": [TENSOR | {"parameters": {"binary_data_size": 64}}]}, "binary_data_size"),
    ({"inputs": [{"name": "x0", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}, "missing a tensor"),
    ({"inputs": [TENSOR, TENSOR]}, "missing a tensor"),
]


class TestInvalid:
    @pytest.mark.parametrize(("body", "words"), V2_INVALID)
    def test_v2(self, platform: Platform, body: Any, words: str) -> None:
        platform.add("logistic", name="iris")
        answer = platform.api.post("/v2/models/iris/infer", json=body)
        assert answer.status == 422
        assert set(answer.json()) == {"error"}
        assert words in message_of(answer)

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b"\xff", b"NaN", b'{"a": NaN', b"[" * 99_999]
    )
    @pytest.mark.parametrize(
        "path", ["/v2/models/iris/infer", "/v1/models/iris:predict", "/models/iris/invocations"]
    )
    def test_what_is_no_json_object(self, platform: Platform, path: str, body: bytes) -> None:
        platform.add("logistic", name="iris")
        answer = platform.api.post(path, body=body)
        assert answer.status == 400
        assert "JSON object with" in message_of(answer)

    @pytest.mark.parametrize(
        ("name", "status", "words"),
        [
            ("v2_infer_shape_invalid", 422, "/inputs/0/data"),
            ("v1_predict_without_instances_invalid", 422, '"instances"'),
            ("mlflow_parquet_invalid", 415, "text/csv"),
        ],
    )
    def test_sample_events(self, platform: Platform, name: str, status: int, words: str) -> None:
        platform.add("logistic", name="iris")
        answer = send(platform, name)
        assert answer.status == status
        assert words in message_of(answer)

    @pytest.mark.parametrize(
        ("head", "tail", "length", "status"),
        [
            ({"parameters": {"binary_data_size": 64}}, b"\0" * 63, None, 422),
            ({"parameters": {"binary_data_size": 63}}, b"\0" * 63, None, 422),
            ({"parameters": {"binary_data_size": 64}}, b"\0" * 65, None, 400),
            ({"parameters": {"binary_data_size": -1}}, b"\0" * 64, None, 422),
            ({"parameters": {"binary_data_size": 64}}, b"\0" * 64, "x", 400),
            ({"parameters": {"binary_data_size": 64}}, b"\0" * 64, "99999", 400),
            ({"parameters": {"binary_data_size": 64}}, b"\0" * 64, "-5", 400),
            ({"datatype": "BYTES", "parameters": {"binary_data_size": 8}}, b"\xff" * 8, None, 422),
            ({"datatype": "BYTES", "parameters": {"binary_data_size": 37}}, b"\0" * 37, None, 422),
            (
                {"datatype": "BYTES", "parameters": {"binary_data_size": 33}},
                b"\0" * 28 + b"\1\0\0\0\xff",
                None,
                422,
            ),
        ],
    )
    def test_binary_that_does_not_add_up(
        self, platform: Platform, head: dict[str, Any], tail: bytes, length: str | None, status: int
    ) -> None:
        platform.add("logistic", name="iris")
        tensor = {name: value for name, value in TENSOR.items() if name != "data"} | head
        text = json.dumps({"inputs": [tensor]}).encode()
        headers = {"Inference-Header-Content-Length": length or str(len(text))}
        answer = platform.api.post("/v2/models/iris/infer", body=text + tail, headers=headers)
        assert answer.status == status
        assert message_of(answer)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"instances": []}, "/instances"),
            ({"instances": {}}, "/instances"),
            ({"instances": [1, 2, 3, 4]}, "/instances/0"),
            ({"instances": [[1, 2, 3]]}, "/instances/0"),
            ({"instances": [[1, 2, 3, "x"]]}, "/instances/0/3"),
            ({"instances": [{"x0": 1, "x1": 1, "x2": 1, "y": 1}]}, "/instances/0/x3"),
        ],
    )
    def test_v1(self, platform: Platform, body: Any, words: str) -> None:
        platform.add("logistic", name="iris")
        answer = platform.api.post("/v1/models/iris:predict", json=body)
        assert answer.status == 422
        assert words in message_of(answer)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "exactly one"),
            ({"inputs": ROWS, "instances": ROWS}, "exactly one"),
            ({"inputs": ROWS, "params": 1}, "/params"),
            ({"inputs": ROWS, "params": {"outputs": [1]}}, "/params/outputs"),
            ({"inputs": ROWS, "params": {"outputs": "magic"}}, "does not offer"),
            ({"dataframe_records": [{"x0": 1}]}, "/dataframe_records/0/x1"),
            ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "/dataframe_split/columns"),
            ({"inputs": {"x0": [1]}}, "/inputs/x1"),
        ],
    )
    @pytest.mark.parametrize("path", ["/models/iris/invocations", "/endpoints/iris/invocations"])
    def test_mlflow(self, platform: Platform, path: str, body: Any, words: str) -> None:
        platform.add("logistic", name="iris")
        answer = platform.api.post(path, json=body)
        assert answer.status == 422
        assert set(answer.json()) == {"error_code", "message"}
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert words in message_of(answer)
        assert answer.headers.get("x-amzn-errortype") == ("ValidationError" if "endpoints" in path else None)

    @pytest.mark.parametrize(
        ("text", "status", "words"),
        [
            (b"", 422, "first line"),
            (b"a,b,c,d\n1,2,3,4\n", 422, "first line"),
            (b"x0,x1,x2,x3\n", 422, "at least one row"),
            (b"x0,x1,x2,x3\n1,2,3\n", 422, "/1"),
            (b"x3,x1,x2,x0\n1,2,3,four\n", 422, "/1/3"),
            (b"x0,x1,x2,x3\n1,2,3,\n", 422, "/1/3"),
            (b"\xff\n", 400, "UTF-8"),
            (b'"x0', 400, "quote"),
        ],
    )
    def test_csv(self, platform: Platform, text: bytes, status: int, words: str) -> None:
        platform.add("logistic", name="iris")
        answer = platform.api.post(
            "/models/iris/invocations", body=text, headers={"Content-Type": "text/csv"}
        )
        assert answer.status == status
        assert words in message_of(answer)
        assert "four" not in answer.text

    @pytest.mark.parametrize(
        "headers", [{"Content-Type": "text/csv; charset=latin-1"}, {"Content-Encoding": "gzip"}]
    )
    def test_other_encodings(self, platform: Platform, headers: dict[str, str]) -> None:
        platform.add("logistic", name="iris")
        assert platform.api.post("/models/iris/invocations", body=b"a", headers=headers).status == 415

    @pytest.mark.parametrize("version", ["9", "v9", "latest", "1.0", "-1", "99999999999999"])
    def test_versions_that_are_not_there(self, platform: Platform, version: str) -> None:
        platform.add("logistic", name="iris")
        for end, method in (("", "GET"), ("/ready", "GET"), ("/infer", "POST")):
            path = f"/v2/models/iris/versions/{version}{end}"
            assert platform.api.request(method, path, json={"inputs": [TENSOR]}).status == 404

    def test_no_version_is_ready(self, platform: Platform) -> None:
        platform.add(name="iris")
        for method, path, _ in ROUTES_OF_A_MODEL:
            if method == "GET" and "versions" not in path:
                answer = platform.api.get(path.format("iris"))
                assert answer.status == 503
                assert "No version of this model is ready" in message_of(answer)
        assert platform.api.get("/v1/models/iris").json()["ready"] is False
        assert platform.api.post("/v1/models/iris:predict", json={"instances": ROWS}).status == 409

    def test_sagemaker_clients_get_their_exceptions(self, platform: Platform) -> None:
        """boto3 makes them from a header; the names are those of its own model of the service."""
        platform.add(name="empty")
        path = "/endpoints/empty/invocations"
        kinds = {
            api.post(path, json={"instances": ROWS}).headers["x-amzn-errortype"]
            for api in (ApiGateway(platform.handler), platform.api)
        }
        assert kinds == {"AccessDeniedException", "ModelNotReadyException"}

    def test_paths_that_are_almost_right(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        for path in ("/v1/models/iris", "/v1/models/iris:explain", "/v2/models/iris"):
            answer = platform.api.post(path, json={"instances": ROWS})
            assert answer.status in (404, 405)
            assert message_of(answer)

    def test_an_index_that_is_not_asked_for_rightly(self, platform: Platform) -> None:
        assert platform.api.post("/v2/repository/index", json={"ready": "yes"}).status == 422
        assert platform.api.post("/v2/repository/index", body=b"{").status == 400

    def test_too_many_rows(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        rows = [[0, 0, 0, 0]] * 20_001
        tensor = TENSOR | {"shape": [20_001, 4], "data": rows}
        assert platform.api.post("/v2/models/iris/infer", json={"inputs": [tensor]}).status == 413
        answer = platform.api.post("/v1/models/iris:predict", json={"instances": rows})
        assert (answer.status, "/api/predict/batch/" in message_of(answer)) == (413, True)


class TestValid:
    def test_sample_events_predict_as_scikit_learn(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        expected = TRAINED["logistic"]().estimator.predict(ROWS).tolist()
        for name in ("v1_predict", "mlflow_invocations", "mlflow_csv", "sagemaker_invocations"):
            answer = send(platform, name)
            assert (answer.status, answer.json()) == (200, {"predictions": expected}), name
        for name in ("v2_infer", "v2_version_infer"):
            body = send(platform, name).json()
            assert (body["model_name"], body["model_version"]) == ("iris", "v1")
            output = {"name": "predict", "shape": [2], "datatype": "INT64", "data": expected}
            assert body["outputs"] == [output]
        assert send(platform, "v2_infer").json()["id"] == "r-1"

    def test_sample_events_describe(self, platform: Platform) -> None:
        registered = platform.add("logistic", name="iris")
        assert (
            send(platform, "v2_models").json() == send(platform, "v1_models").json() == {"models": ["iris"]}
        )
        index = [{"name": "iris", "version": "v1", "state": "READY", "reason": ""}]
        assert send(platform, "v2_index").json() == index
        for name in ("v2_model", "v2_version"):
            body = send(platform, name).json()
            assert (body["name"], body["versions"]) == ("iris", ["v1"])
            assert body["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
            assert body["outputs"] == [
                {"name": "predict", "datatype": "INT64", "shape": [-1]},
                {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
            ]
            assert body["parameters"]["model_id"] == registered.id
        for name in ("v2_ready", "v2_version_ready", "v1_model"):
            assert send(platform, name).json()["ready"] is True
        assert send(platform, "mlflow_ping").status == 200
        version = send(platform, "mlflow_version")
        assert (version.text, version.headers["content-type"]) == ("v1", "text/plain; charset=utf-8")

    def test_every_sample_event_is_used_here(self) -> None:
        here = ("v1_", "v2_", "mlflow_", "sagemaker_")
        names = {path.stem for path in (EVENTS / "predict").iterdir() if path.stem.startswith(here)}
        text = Path(__file__).read_text()
        assert names == {name for name in names if f'"{name}"' in text or f"/{name}" in text}

    @pytest.mark.parametrize("nested", [True, False])
    def test_probabilities(self, platform: Platform, nested: bool) -> None:
        registered = platform.add("logistic", name="iris")
        data = ROWS if nested else [value for row in ROWS for value in row]
        body = {"inputs": [TENSOR | {"data": data}], "outputs": [{"name": "predict_proba"}]}
        (output,) = platform.api.post("/v2/models/iris/infer", json=body).json()["outputs"]
        expected = registered.trained.estimator.predict_proba(ROWS)
        np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), expected, atol=1e-6)
        answer = platform.api.post(
            "/models/iris/invocations", json={"inputs": ROWS, "params": {"outputs": "predict_proba"}}
        )
        np.testing.assert_allclose(answer.json()["predictions"], expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("datatype", "code"),
        [("FP64", "<f8"), ("FP32", "<f4"), ("FP16", "<f2"), ("INT64", "<i8"), ("INT32", "<i4"),
         ("INT16", "<i2"), ("INT8", "<i1"), ("UINT64", "<u8"),
         ("UINT32", "<u4"), ("UINT16", "<u2"), ("UINT8", "<u1")],
    )  # fmt: skip
    def test_binary_tensors(self, platform: Platform, datatype: str, code: str) -> None:
        registered = platform.add("logistic", name="iris")
        data = np.array([[1, 2, 3, 4], [0, 5, 1, 2]]).astype(code)
        size = {"binary_data_size": data.nbytes}
        head = json.dumps(
            {"inputs": [{"name": "input", "shape": [2, 4], "datatype": datatype, "parameters": size}]}
        )
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = platform.api.post(
            "/v2/models/iris/infer", body=head.encode() + data.tobytes(), headers=headers
        )
        assert answer.status == 200, answer.text
        expected = registered.trained.estimator.predict(data.astype(float)).tolist()
        assert answer.json()["outputs"][0]["data"] == expected

    def test_a_tensor_per_column(self, platform: Platform) -> None:
        registered = platform.add("mixed", name="flats")
        rows = registered.trained.rows
        texts = b"".join(len(row[2].encode()).to_bytes(4, "little") + row[2].encode() for row in rows)
        rooms = np.array([row[1] for row in rows], "<i8").tobytes()
        pd = {"content_type": "pd"}
        n = len(rows)
        inputs = [
            {
                "name": "city",
                "shape": [n, 1],
                "datatype": "BYTES",
                "parameters": {"binary_data_size": len(texts)},
            },
            {"name": "price", "shape": [n], "datatype": "FP64", "data": [row[0] for row in rows], "more": 1},
            {
                "name": "rooms",
                "shape": [n],
                "datatype": "INT64",
                "parameters": {"binary_data_size": len(rooms)},
            },
        ]
        head = json.dumps({"inputs": inputs, "parameters": pd, "unknown": {}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = platform.api.post("/v2/models/flats/infer", body=head + texts + rooms, headers=headers)
        assert answer.status == 200, answer.text
        import pandas as pd_

        frame = pd_.DataFrame(rows, columns=["price", "rooms", "city"])
        (output,) = answer.json()["outputs"]
        assert output["datatype"] == "BYTES"
        assert output["data"] == registered.trained.estimator.predict(frame).tolist()
        metadata = platform.api.get("/v2/models/flats").json()
        assert [(i["name"], i["datatype"]) for i in metadata["inputs"]] == [
            ("price", "FP64"), ("rooms", "INT64"), ("city", "BYTES")
        ]  # fmt: skip

    def test_a_python_nan_is_a_missing_number(self, platform: Platform) -> None:
        trained = boosting()
        columns = [replace(column, nullable=True) for column in trained.signature.columns]
        platform.add(replace(trained, signature=replace(trained.signature, columns=columns)), name="iris")
        body = b'{"dataframe_split": {"columns": [0, 1, 2, 3], "data": [[NaN, 1, 2, 3], [1, NaN, -2, 3]]}}'
        expected = trained.estimator.predict([[np.nan, 1, 2, 3], [1, np.nan, -2, 3]]).tolist()
        answer = platform.api.post("/models/iris/invocations", body=body)
        assert (answer.status, answer.json()) == (200, {"predictions": expected})
        tensor = np.array([[np.nan, 1, 2, 3], [1, np.nan, -2, 3]]).tobytes()
        sent = {name: value for name, value in TENSOR.items() if name != "data"}
        head = json.dumps({"inputs": [sent | {"parameters": {"binary_data_size": len(tensor)}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = platform.api.post("/v2/models/iris/infer", body=head + tensor, headers=headers)
        assert answer.json()["outputs"][0]["data"] == expected
        refused = platform.add("logistic", name="strict")
        answer = platform.api.post(f"/models/{refused.id}/invocations", body=body)
        assert (answer.status, "got null" in message_of(answer)) == (422, True)

    def test_the_cache_is_one_for_all_protocols(self, platform: Platform) -> None:
        registered = platform.add("logistic", name="iris")
        assert platform.api.post(registered.path, json={"inputs": ROWS}).headers["x-cache"] == "MISS"
        for method, path, body in ROUTES_OF_A_MODEL:
            if method == "POST":
                answer = platform.api.post(path.format("iris"), json=body)
                assert answer.headers["x-cache"] == "HIT", path
                assert answer.headers["x-model-version"] == "v1"
                assert "server-timing" in answer.headers

    def test_predictions_are_recorded_and_descriptions_are_not(
        self, platform: Platform, records: Any
    ) -> None:
        registered = platform.add("logistic", name="iris")
        answers = {path: call(platform.api, method, path.format("iris"), body) for method, path, body in ALL}
        lines = records()
        made = [parse(json.dumps(line)) for line in lines if line["message"] == "prediction_record"]
        assert len(made) == 5
        assert {record.model_id for record in made if record} == {registered.id}
        ids = {answer.headers.get("x-prediction-id") for answer in answers.values()} - {None}
        assert {record.prediction_id for record in made if record} == ids
        assert len([line for line in lines if line["message"] == "request"]) == len(ALL) - 5


class TestRoundTrips:
    def test_a_warm_name_costs_what_an_id_costs(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        body = {"instances": ROWS}
        platform.api.post("/v1/models/iris:predict", json=body)
        loads = platform.composition.routes.loads
        counted = platform.composition.count()
        assert platform.api.post("/v1/models/iris:predict", json=body).headers["x-cache"] == "HIT"
        assert counted.sends == 1
        counted = platform.composition.count()
        other = {"instances": [[9, 9, 9, 9]]}
        assert platform.api.post("/v1/models/iris:predict", json=other).headers["x-cache"] == "MISS"
        assert counted.sends <= 2
        assert platform.composition.routes.loads == loads

    def test_a_cold_environment_learns_names_from_redis(self, platform: Platform) -> None:
        from functions.predict.handler import make_handler

        platform.add("logistic", name="iris")
        body = {"instances": ROWS}
        assert platform.api.post("/v1/models/iris:predict", json=body).status == 200
        platform.composition.redis.ping()
        cold = platform.composition.cold()
        loads = cold.routes.loads
        api = ApiGateway(make_handler(cold), headers=platform.api.headers)
        assert api.post("/v1/models/iris:predict", json=body).headers["x-cache"] == "HIT"
        assert cold.routes.loads == loads
        cold.redis.close()

    def test_a_name_that_another_model_took(self, platform: Platform, redis_client: Any) -> None:
        first = platform.add("logistic", name="iris")
        body = {"instances": ROWS}
        assert platform.api.post("/v1/models/iris:predict", json=body).status == 200
        routes = platform.composition.routes
        del routes.routes[platform.user_id, first.id]
        redis_client.set(f"{{{platform.user_id}}}:route:{first.id}", "null")
        second = platform.add("forest", name="iris")
        platform.composition.route_table.expire()
        answer = platform.api.get("/v2/models/iris")
        assert (answer.status, answer.json()["parameters"]["model_id"]) == (200, second.id)
        del routes.routes[platform.user_id, second.id]
        redis_client.set(f"{{{platform.user_id}}}:route:{second.id}", "null")
        platform.composition.route_table.expire()
        assert platform.api.get("/v2/models/iris").status == 404


class TestDependencies:
    def test_redis_away(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        with platform.composition.redis_away():
            for method, path, body in ALL:
                answer = call(platform.api, method, path.format("iris"), body)
                assert answer.status == 200, path
        assert answer.json()[0]["name"] == "iris"

    def test_postgresql_away(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        assert platform.api.post("/v1/models/iris:predict", json={"instances": ROWS}).status == 200
        platform.composition.routes.failure = Unavailable("The database is away.")
        assert platform.api.post("/v1/models/iris:predict", json={"instances": ROWS}).status == 200
        for method, path, body in LISTS:
            answer = call(platform.api, method, path, body)
            assert (answer.status, message_of(answer)) == (503, "The database is away.")
        assert platform.api.get("/v2/models/unknown").status == 503

    def test_a_damaged_file_is_a_model_that_is_not_ready(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        objects = platform.composition.objects
        (key,) = [key for key in objects.data if key.endswith("model.onnx")]
        objects.data[key] = objects.data[key][:-10]
        assert platform.api.get("/v2/models/iris/ready").status == 503
        answer = platform.api.post("/endpoints/iris/invocations", json={"inputs": ROWS})
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (503, "ServiceUnavailable")
