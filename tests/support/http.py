"""Drives a Lambda handler with the events that API Gateway's REST API sends, and reads its answers."""

from __future__ import annotations

import base64
import json as jsonlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class LambdaContext:
    """The part of Lambda's context that code reads."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:function"
    log_group_name = "/aws/lambda/function"
    log_stream_name = "stream"

    def __init__(self, *, milliseconds: int = 29_000, tenant_id: str | None = None) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.tenant_id = tenant_id
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


@dataclass(frozen=True)
class Answer:
    """What the handler answered. Header names are in lower case; a repeated header is a list in `many`."""

    status: int
    headers: dict[str, str]
    many: dict[str, list[str]]
    body: bytes

    def json(self) -> Any:
        return jsonlib.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class ApiGateway:
    """Calls a handler as the REST API does, stage `api` included: paths may be given with or without
    `/api`.
    """

    def __init__(
        self, handler: Handler, *, headers: Mapping[str, str] | None = None, ip: str = "203.0.113.7"
    ) -> None:
        self.handler = handler
        self.headers = dict(headers or {})
        self.ip = ip

    def with_headers(self, headers: Mapping[str, str]) -> ApiGateway:
        """The same gateway for a caller who always sends these."""
        return ApiGateway(self.handler, headers=self.headers | dict(headers), ip=self.ip)

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Answer:
        return self.request("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Answer:
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        context: LambdaContext | None = None,
    ) -> Answer:
        """`parameters` are the path parameters, for handlers that read them from the event (`predict`)."""
        given = self.headers | dict(headers or {})
        if json is not None:
            body = jsonlib.dumps(json)
            given.setdefault("Content-Type", "application/json")
        if form is not None:
            from urllib.parse import urlencode

            body = urlencode(form)
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        built = event(method, path, body=body, headers=given, ip=self.ip, parameters=parameters)
        return read(self.handler(built, context or LambdaContext()))


def event(
    method: str,
    path: str,
    *,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    ip: str = "203.0.113.7",
    parameters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A REST API proxy event. `binaryMediaTypes: */*` means that every body comes in base64."""
    url = urlsplit(path)
    inner = url.path.removeprefix("/api") if url.path.startswith("/api/") else url.path
    query = parse_qsl(url.query, keep_blank_values=True)
    several: dict[str, list[str]] = {}
    for name, value in query:
        several.setdefault(name, []).append(value)
    sent = {"Host": "api.example.com", "X-Forwarded-Proto": "https"} | dict(headers or {})
    raw = body.encode() if isinstance(body, str) else body
    return {
        "resource": inner,
        "path": inner,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": several or None,
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "resourcePath": inner,
            "httpMethod": method,
            "path": f"/api{inner}",
            "stage": "api",
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": ip, "userAgent": sent.get("User-Agent", "tests")},
            "requestTimeEpoch": 1_780_000_000_000,
        },
        "body": base64.b64encode(raw).decode() if raw is not None else None,
        "isBase64Encoded": raw is not None,
    }


def read(response: dict[str, Any]) -> Answer:
    """Checks that API Gateway would accept the response, and decodes it."""
    assert isinstance(response["statusCode"], int)
    body = response.get("body") or ""
    assert isinstance(body, str)
    single = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    many = {name.lower(): list(values) for name, values in (response.get("multiValueHeaders") or {}).items()}
    assert all(isinstance(value, str) for value in single.values()), single
    headers = {name: ", ".join(values) for name, values in many.items()} | single
    raw = base64.b64decode(body) if response.get("isBase64Encoded") else body.encode()
    return Answer(response["statusCode"], headers, many, raw)
