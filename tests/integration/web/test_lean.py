"""The lean adapter answers as the FastAPI apps do: the same events to both, the same answers from both."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from fastapi import Body
from modelyard.kit.errors import Conflict, FieldError, Invalid, TooManyRequests, Unavailable
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.lean import LeanApp, LeanRequest, LeanResponse, log_request
from modelyard.web.routing import PUBLIC, Router

from tests.support.composition import LocalComposition
from tests.support.http import Answer, ApiGateway, LambdaContext, event

PROBLEMS: dict[str, Exception] = {
    "conflict": Conflict("It is there already."),
    "invalid": Invalid("No.", errors=[FieldError("/a/0", "expected a number, got null")]),
    "limited": TooManyRequests("Later.", headers={"Retry-After": "7"}, **{"violated-policies": ["permin"]}),
    "away": Unavailable("Away.", retry_after=9),
    "bug": ZeroDivisionError("inner secret"),
}


def web() -> ApiGateway:
    router = Router()

    @router.post("/things/{name}", dependencies=[PUBLIC])
    async def thing(name: str, body: Annotated[Any, Body()] = None) -> dict[str, Any]:
        if name in PROBLEMS:
            raise PROBLEMS[name]
        return {"name": name}

    return ApiGateway(lambda_handler(create_app(router, LocalComposition())))


def lean() -> ApiGateway:
    def thing(request: LeanRequest) -> LeanResponse:
        name = request.parameters["name"]
        if name in PROBLEMS:
            raise PROBLEMS[name]
        return LeanResponse(json.dumps({"name": name}, separators=(",", ":")))

    origins = LocalComposition()
    return ApiGateway(
        LeanApp({"POST /things/{name}": thing}, origins=lambda: origins.allowed_origins, log=log_request)
    )


def comparable(answer: Answer) -> tuple[int, dict[str, str], Any]:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status, headers, answer.json() if answer.body else None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/things/a"),
        ("POST", "/api/things/a"),
        ("POST", "/things/a%20b"),
        ("GET", "/things/a"),
        ("DELETE", "/things/a"),
        ("POST", "/things"),
        ("POST", "/things/a/b"),
        ("POST", "/nothing"),
        ("POST", "/"),
        ("OPTIONS", "/nothing"),
        *(("POST", f"/things/{name}") for name in PROBLEMS),
    ],
)
@pytest.mark.parametrize("origin", [None, "https://app.example.com", "https://evil.example"])
def test_both_answer_alike(
    method: str, path: str, origin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", "https://app.example.com")
    headers = {"X-Request-Id": "req-1"} | ({"Origin": origin} if origin else {})
    answers = [api.request(method, path, json={}, headers=headers) for api in (web(), lean())]
    assert comparable(answers[1]) == comparable(answers[0])
    assert "inner secret" not in answers[1].text


def test_options_of_a_route() -> None:
    answers = [api.request("OPTIONS", "/things/a") for api in (web(), lean())]
    assert answers[0].headers["allow"] == answers[1].headers["allow"] == "POST, OPTIONS"
    assert answers[0].status == answers[1].status == 204


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("a\nb", False), ("", False)],
)
def test_request_ids(given: str, kept: bool) -> None:
    for api in (web(), lean()):
        answer = api.post("/things/a", json={}, headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) == kept
        assert answer.headers["x-request-id"]


def test_the_log_line_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for api in (web(), lean()):
        capsys.readouterr()
        api.post("/things/conflict", json={}, headers={"X-Request-Id": "r"})
        (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        lines.append(line)
    own = {"timestamp", "response_time_ms", "_aws", "service", "model_id", "user_id"}
    assert {k: v for k, v in lines[1].items() if k not in own} == {
        k: v for k, v in lines[0].items() if k not in own | {"location"}
    }
    assert lines[1]["_aws"]["CloudWatchMetrics"] == lines[0]["_aws"]["CloudWatchMetrics"]


@pytest.mark.parametrize(
    ("text", "status"),
    [("x" * 6_000_000, 200), ("x" * 6_300_000, 413), ('"' * 2_000_000, 413), ("é" * 3_200_000, 413)],
)
def test_answers_that_lambda_would_not_take(
    text: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would become the gateway's 502; their size is that of the body as a JSON text."""

    def large(_: LeanRequest) -> LeanResponse:
        return LeanResponse(json.dumps({"text": text}, ensure_ascii=False))

    answer = ApiGateway(LeanApp({"POST /large": large}, origins=tuple, log=log_request)).post("/large")
    assert answer.status == status
    line = json.loads(capsys.readouterr().out)
    assert line["status_code"] == status
    if status == 413:
        assert (answer.json()["code"], line["error"]) == ("too_large", "too_large")
        assert "fewer rows" in answer.json()["detail"]


class TestRequest:
    def read(self, **changes: Any) -> LeanRequest:
        seen: list[LeanRequest] = []

        def keep(request: LeanRequest) -> LeanResponse:
            seen.append(request)
            return LeanResponse("{}")

        sent = event("POST", "/things/a", body="{}") | changes
        app = LeanApp({"POST /things/{name}": keep}, origins=lambda: (), log=lambda *_: None)
        app(sent, LambdaContext(milliseconds=5000))
        return seen[0]

    def test_bodies(self) -> None:
        assert self.read().body() == b"{}"
        assert self.read(body=None, isBase64Encoded=False).body() == b""
        assert self.read(body="ü", isBase64Encoded=False).body() == "ü".encode()
        assert self.read(body="\ud800", isBase64Encoded=False).body() == b"\xed\xa0\x80"

    def test_queries(self) -> None:
        assert self.read(multiValueQueryStringParameters={"a": ["1", "2"]}).query == {"a": ["1", "2"]}
        single = self.read(multiValueQueryStringParameters=None, queryStringParameters={"a": "1"})
        assert single.query == {"a": ["1"]}
        assert self.read(multiValueQueryStringParameters=None, queryStringParameters=None).query == {}

    def test_time_left(self) -> None:
        assert self.read().seconds_left == 5.0

    def test_an_event_that_is_hardly_one(self) -> None:
        app = LeanApp({}, origins=lambda: (), log=lambda *_: None)
        answer = app({}, None)
        assert answer["statusCode"] == 404
        assert answer["headers"]["x-request-id"]
