"""API Gateway's proxy events without FastAPI, for the hot path: the same answers in a tenth of the time.

`tests/integration/web/test_lean.py` holds the two adapters against each other.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from modelyard.kit.errors import Malformed, Problem, TooLarge
from modelyard.telemetry.metrics import directive, embedded
from modelyard.telemetry.records import rfc3339, write_line
from modelyard.web.shapes import (
    BASE_PATH,
    DETAILS,
    PROBLEM_TYPE,
    SECURITY_HEADERS,
    UNEXPECTED,
    MethodNotAllowed,
    NoSuchRoute,
    cors,
    request_id,
)

_LARGEST_ANSWER = 6_200_000  # bytes; Lambda's own end is at 6 MiB, headers included …
_SURELY_FITS = 1_000_000  # … and no character takes more than six of them
_PARAMETER = re.compile(r"\\?\{([a-z_]+)\\?\}")
_LOWER_SECURITY = {name.lower(): value for name, value in SECURITY_HEADERS.items()}
_METRICS: Any = orjson.Fragment(
    orjson.dumps(directive([("response_time_ms", "Milliseconds"), ("failures", "Count")]))
)


@dataclass(slots=True)
class LeanRequest:
    """One request; header names are in lower case, `path` is as the client sees it, `/api/…`."""

    event: dict[str, Any]
    method: str
    path: str
    headers: dict[str, str]
    request_id: str
    started: float
    seconds_left: float  # until Lambda ends this call
    endpoint: str = "unmatched"
    parameters: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # more for the log line, such as user_id
    more_headers: dict[str, str] = field(default_factory=dict)  # for the answer, be it an error or not

    @property
    def query(self) -> dict[str, list[str]]:
        """Every value of every parameter."""
        several = self.event.get("multiValueQueryStringParameters")
        if several is None:
            single = self.event.get("queryStringParameters") or {}
            return {name: [value] for name, value in single.items()}
        return {name: list(values) for name, values in several.items()}

    def body(self) -> bytes:
        """The body's bytes; raises `Malformed` where the gateway's base64 is none."""
        body = self.event.get("body")
        if not body:
            return b""
        if not self.event.get("isBase64Encoded"):
            return str(body).encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("The body is not the base64 that it is said to be.") from error

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self.started) * 1000


@dataclass(slots=True)
class LeanResponse:
    """A JSON answer."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Endpoint = Callable[[LeanRequest], LeanResponse]
Log = Callable[[LeanRequest, int, str | None], None]
"""Writes the request's log line, given status and the problem's code."""


ErrorShape = Callable[[Problem, str], tuple[dict[str, Any], dict[str, str]]]
"""A problem and the request's path as another protocol tells it: body, and headers besides the problem's."""


class LeanApp:
    """The routes of one function: `LeanApp({"POST /predict/{model_id}": endpoint}, …)`.

    `error_shape` gives the shape of errors where a path's clients expect another than RFC 9457.
    """

    def __init__(
        self,
        routes: dict[str, Endpoint],
        *,
        origins: Callable[[], Collection[str]],
        log: Log,
        error_shape: Callable[[str], ErrorShape | None] = lambda path: None,
    ) -> None:
        self._error_shape = error_shape
        self._routes = [_compile(route, endpoint) for route, endpoint in routes.items()]
        self._origins = origins
        self._log = log

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Lambda's entry."""
        request = _read(event, context)
        code: str | None = None
        try:
            response = self._dispatch(request)
            if len(response.body) > _SURELY_FITS:
                _check_size(response.body)
        except Problem as problem:
            response, code = self._rendered(problem, request), problem.code
        except Exception:
            _log_unexpected(request)
            unexpected = Problem(UNEXPECTED)
            response, code = self._rendered(unexpected, request), unexpected.code
        answer = self._finish(request, response)
        self._log(request, response.status, code)
        return answer

    def _dispatch(self, request: LeanRequest) -> LeanResponse:
        allowed = []
        for method, template, pattern, endpoint in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            request.endpoint = template
            if method == request.method:
                request.parameters = match.groupdict()
                return endpoint(request)
            allowed.append(method)
        if not allowed:
            raise NoSuchRoute(DETAILS[404])
        if request.method == "OPTIONS":
            return LeanResponse("", 204, {"allow": ", ".join([*allowed, "OPTIONS"])})
        raise MethodNotAllowed(DETAILS[405], headers={"allow": ", ".join(allowed)})

    def _rendered(self, problem: Problem, request: LeanRequest) -> LeanResponse:
        shape = self._error_shape(request.path)
        if shape is None:
            body = problem.body(instance=request.path, request_id=request.request_id)
            more = {"content-type": PROBLEM_TYPE}
        else:
            body, more = shape(problem, request.path)
        headers = {name.lower(): value for name, value in problem.headers.items()}
        return LeanResponse(orjson.dumps(body).decode(), problem.status, more | headers)

    def _finish(self, request: LeanRequest, response: LeanResponse) -> dict[str, Any]:
        headers = {
            "content-type": "application/json",
            **_LOWER_SECURITY,
            "x-request-id": request.request_id,
            **request.more_headers,
            **response.headers,
        }
        origin = request.headers.get("origin")
        if origin:
            headers |= cors(origin, self._origins())
        return {
            "statusCode": response.status,
            "headers": headers,
            "body": response.body,
            "isBase64Encoded": False,
        }


def log_request(request: LeanRequest, status: int, code: str | None) -> None:
    """The log line of a request, as `telemetry.log.request_done` writes it elsewhere."""
    now = time.time()
    failed = status >= 500
    line = {
        "level": "ERROR" if failed else "INFO",
        "message": "request",
        "timestamp": rfc3339(now),
        "service": "predict",
        "endpoint": request.endpoint,
        "method": request.method,
        "status_code": status,
        "response_time_ms": round(request.milliseconds, 3),
        "request_id": request.request_id,
        "failures": int(failed),
        **request.facts,
        "_aws": embedded(_METRICS, epoch_ms=int(now * 1000)),
    }
    if code is not None:
        line["error"] = code
    write_line(orjson.dumps(line).decode())


def _check_size(body: str) -> None:
    """Lambda takes answers as JSON texts; one that is too large would become a 502 of the gateway."""
    if len(orjson.dumps(body)) > _LARGEST_ANSWER:
        raise TooLarge(
            "The answer is larger than one response can be (6 MB). Send fewer rows, ask for fewer outputs, "
            "or send all of them as a job to /api/predict/batch/{model_id}."
        )


def _compile(route: str, endpoint: Endpoint) -> tuple[str, str, re.Pattern[str], Endpoint]:
    method, _, path = route.partition(" ")
    pattern = _PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(BASE_PATH + path))
    return method, BASE_PATH + path, re.compile(pattern), endpoint


def _read(event: dict[str, Any], context: Any) -> LeanRequest:
    started = time.perf_counter()
    path = unquote(event.get("path") or "/")
    if path != BASE_PATH and not path.startswith(BASE_PATH + "/"):
        path = BASE_PATH + path
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return LeanRequest(
        event=event,
        method=str(event.get("httpMethod", "")).upper(),
        path=path,
        headers=headers,
        request_id=request_id(headers.get("x-request-id", ""), event),
        started=started,
        seconds_left=remaining() / 1000 if remaining is not None else 29.0,
    )


def _log_unexpected(request: LeanRequest) -> None:
    # The logger that hides secrets takes long to import; this is the one case that is worth it.
    from modelyard.telemetry.log import logger

    logger.exception("unexpected", request_id=request.request_id, endpoint=request.endpoint)
