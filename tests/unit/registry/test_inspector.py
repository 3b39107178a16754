"""What is believed of an inspector's answer, and what is made of its silence."""

from __future__ import annotations

import io
import json

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from modelyard.registry.inspector import (
    Accepted,
    CompiledFile,
    Inspection,
    InspectionCrashed,
    InspectorUnavailable,
    LambdaInspector,
    RefusedFile,
    parse_verdict,
)

from tests.support.models import some_signature

SHA = "ab" * 32
ACCEPTED = {
    "verdict": "accepted",
    "format": "joblib",
    "size": 10,
    "sha256": SHA,
    "signature": some_signature().to_json(),
    "onnx": {"size": 5, "sha256": SHA},
    "seconds": 1.5,
}
INSPECTION = Inspection("ver_1", "m.joblib", "https://get", 10, SHA, "https://put", 300)


def test_accepted():
    verdict = parse_verdict(json.dumps(ACCEPTED))
    assert verdict == Accepted("joblib", 10, SHA, some_signature(), CompiledFile(5, SHA))


def test_uploaded_onnx_needs_no_compiled_file():
    assert parse_verdict(json.dumps(ACCEPTED | {"format": "onnx", "onnx": None})).onnx is None


def test_refused():
    verdict = parse_verdict(
        json.dumps({"verdict": "refused", "rule": "global", "detail": "No\nway.", "format": "pickle"})
    )
    assert verdict == RefusedFile("global", "No way.", "pickle")


def test_an_endless_detail_is_cut_and_an_invented_format_left_out():
    verdict = parse_verdict(
        json.dumps({"verdict": "refused", "rule": "r", "detail": "x" * 99_999, "format": "exe"})
    )
    assert len(verdict.detail) == 4000
    assert verdict.format is None


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        {"verdict": "perhaps"},
        {"verdict": "refused", "detail": "no rule"},
        {"verdict": "refused", "rule": "a b", "detail": ""},
        {"verdict": "refused", "rule": "r", "detail": 7},
        ACCEPTED | {"format": "exe"},
        ACCEPTED | {"size": 0},
        ACCEPTED | {"size": True},
        ACCEPTED | {"size": "10"},
        ACCEPTED | {"sha256": SHA.upper()},
        ACCEPTED | {"sha256": None},
        ACCEPTED | {"signature": None},
        ACCEPTED | {"signature": {}},
        ACCEPTED | {"signature": some_signature(hyperparameters={"a": float("nan")}).to_json()},
        ACCEPTED | {"signature": some_signature(hyperparameters={"a": "x" * 5_000_000}).to_json()},
        ACCEPTED | {"signature": some_signature(outputs=[]).to_json()},
        ACCEPTED | {"signature": some_signature(runtime="shell").to_json()},
        ACCEPTED | {"signature": some_signature(onnx=None).to_json()},
        ACCEPTED | {"onnx": None},
        ACCEPTED | {"onnx": {"size": 5}},
    ],
)
def test_an_answer_beside_the_contract_is_no_verdict(answer):
    with pytest.raises(InspectionCrashed):
        parse_verdict(answer if isinstance(answer, str) else json.dumps(answer))


@pytest.mark.parametrize("name", ["a\0", "\\\0", "\ud800"])
def test_names_that_no_database_takes_are_the_models_fault(name):
    signature = some_signature(classes=["b", name]).to_json()
    verdict = parse_verdict(json.dumps(ACCEPTED | {"signature": signature}))
    assert isinstance(verdict, RefusedFile)
    assert verdict.rule == "unsupported_text"


@pytest.mark.parametrize("name", ["\\u0000", "\\\\u0000", "é🙂", "\x01"])
def test_names_that_only_look_like_it_are_taken(name):
    signature = some_signature(classes=["b", name]).to_json()
    assert parse_verdict(json.dumps(ACCEPTED | {"signature": signature})).signature.classes == ["b", name]


class Client:
    def __init__(self, *, answer=None, error=None, function_error=None):
        self.calls = []
        self._answer, self._error, self._function_error = answer, error, function_error

    def invoke(self, **call):
        self.calls.append(call)
        if self._error:
            raise self._error
        told = {"FunctionError": self._function_error} if self._function_error else {}
        return told | {"Payload": io.BytesIO(json.dumps(self._answer).encode())}


def test_the_function_is_called_for_its_tenant():
    client = Client(answer=ACCEPTED)
    assert isinstance(LambdaInspector(client, "inspect").inspect(INSPECTION, tenant="usr_1"), Accepted)
    (call,) = client.calls
    assert call["FunctionName"] == "inspect"
    assert call["TenantId"] == "usr_1"
    assert json.loads(call["Payload"])["source_url"] == "https://get"
    assert json.loads(call["Payload"])["deadline_seconds"] == 300


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        ReadTimeoutError(endpoint_url="https://x"),
    ],
)
def test_not_reached_is_the_platforms_fault(error):
    with pytest.raises(InspectorUnavailable) as raised:
        LambdaInspector(Client(error=error), "inspect").inspect(INSPECTION, tenant="usr_1")
    assert not isinstance(raised.value, InspectionCrashed)


def test_a_dead_environment_is_a_crash():
    client = Client(answer={"errorType": "Runtime.ExitError"}, function_error="Unhandled")
    with pytest.raises(InspectionCrashed):
        LambdaInspector(client, "inspect").inspect(INSPECTION, tenant="usr_1")
