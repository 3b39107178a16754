"""Around every request: id, headers, CORS, HEAD, the answer to exceptions nobody expected, and the log
line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.kit.errors import Problem
from modelyard.telemetry.log import logger, request_done
from modelyard.web.context import RequestContext
from modelyard.web.problems import render
from modelyard.web.shapes import SECURITY_HEADERS, UNEXPECTED, cors

_REQUEST_HEADERS = (
    "Authorization, Content-Type, X-API-Key, X-CSRF-Token, X-Request-Id, Idempotency-Key, "
    "If-Match, If-None-Match, X-Routing-Key, Cache-Control, Inference-Header-Content-Length, traceparent"
)
MethodsOf = Callable[[str], Iterable[str]]
"""The methods that a path (without `/api`) takes."""


class Envelope:
    """Pure ASGI, outermost. `origins` is asked per request: settings are not read when the app is built."""

    def __init__(self, app: ASGIApp, *, origins: Callable[[], Collection[str]], methods: MethodsOf) -> None:
        self.app = app
        self.origins = origins
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        context = RequestContext.begin(scope, headers)  # type: ignore[arg-type]
        allowed = cors(headers.get("origin", ""), self.origins())
        answer = _Answer(context, allowed, send)
        if context.method == "OPTIONS":
            await self._options(scope, headers, answer)
        else:
            if context.method == "HEAD":
                scope["method"] = "GET"
            await self._run(scope, receive, answer)
        for tell in context.at_end:
            try:
                tell(answer.status)
            except Exception:
                logger.exception("at the end", request_id=context.request_id)
        _log(scope, context, answer.status)

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            logger.exception("unexpected", request_id=answer.context.request_id, endpoint=_endpoint(scope))
            if answer.status:
                raise
            problem = Problem(UNEXPECTED)
            await render(problem, answer.context)(scope, receive, answer.send)

    async def _options(self, scope: Scope, headers: Headers, answer: _Answer) -> None:
        methods = set(self.methods(answer.context.path.removeprefix("/api")))
        if not methods:
            await self.app(scope, _no_body, answer.send)  # the router's own 404
            return
        # HEAD, which we would answer, is not among them: the gateway has no route for it.
        allow = ", ".join([*sorted(methods), "OPTIONS"])
        extra = {"Allow": allow}
        if "access-control-request-method" in headers and "Access-Control-Allow-Origin" in answer.cors:
            extra |= {
                "Access-Control-Allow-Methods": allow,
                "Access-Control-Allow-Headers": _REQUEST_HEADERS,
                "Access-Control-Max-Age": "600",
            }
        raw = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
        await answer.send({"type": "http.response.start", "status": 204, "headers": raw})
        await answer.send({"type": "http.response.body", "body": b""})


class _Answer:
    """Puts on each answer what every answer has."""

    def __init__(self, context: RequestContext, cors: dict[str, str], send: Send) -> None:
        self.context = context
        self.cors = cors
        self.status = 0
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.context.request_id
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if self.context.admission is not None:
                for name, value in self.context.admission.rate.headers().items():
                    headers.setdefault(name, value)
            for name, value in self.cors.items():
                headers[name] = value
        elif self.context.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


def _log(scope: Scope, context: RequestContext, status: int) -> None:
    admission = context.admission
    parameters: dict[str, Any] = scope.get("path_params") or {}
    facts = {
        "model_id": parameters.get("model_id"),
        "user_id": admission.caller.user_id if admission is not None else None,
    } | context.log
    if context.error is not None:
        facts["error"] = context.error
    request_done(
        endpoint=_endpoint(scope),
        method=context.method,
        status_code=status,
        response_time_ms=context.milliseconds,
        request_id=context.request_id,
        **facts,
    )


def _endpoint(scope: Scope) -> str:
    """The route's template: paths carry ids, and paths that match nothing carry anything."""
    route = scope.get("route")
    return f"/api{route.path}" if route is not None else "unmatched"


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
