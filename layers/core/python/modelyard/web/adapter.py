"""API Gateway's REST proxy events as ASGI, through Mangum.

Mangum's own translation is replaced where it could fail on hostile input (a Host with two colons) or lose
something (repeated headers), and where the stage prefix matters: the app always sees the path that the
client used, `/api/…`.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlencode

from mangum.handlers.api_gateway import APIGateway

BASE_PATH = "/api"
_AUTHORITY = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class RestApi(APIGateway):
    """One REST API proxy event."""

    @property
    def scope(self) -> dict[str, Any]:
        event = self.event
        headers = _headers(event)
        path = unquote(event.get("path") or "/")
        if path != BASE_PATH and not path.startswith(BASE_PATH + "/"):
            path = BASE_PATH + path
        identity = (event.get("requestContext") or {}).get("identity") or {}
        named = dict(headers)
        return {
            "type": "http",
            "http_version": "1.1",
            "method": str(event["httpMethod"]).upper(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "path": path,
            "raw_path": path.encode(),
            "root_path": BASE_PATH,
            "scheme": "http" if named.get("x-forwarded-proto") == "http" else "https",
            "query_string": _query(event),
            "server": _server(named.get("host", "")),
            "client": (identity.get("sourceIp") or "", 0),
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "aws.event": event,
            "aws.context": self.context,
        }


def run(adapter: Callable[[Any, Any], dict[str, Any]]) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Gives the adapter an event loop and the caller an answer, whatever happens."""

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            _ensure_loop()
        try:
            return adapter(event, context)
        except Exception:
            from modelyard.telemetry.log import logger

            logger.exception("the event could not be handled")
            return _failure(event if isinstance(event, dict) else {})

    return handler


def _ensure_loop() -> None:
    """Mangum asks for the thread's loop; `asyncio.run` elsewhere may have taken it away."""
    policy = asyncio.get_event_loop_policy()
    try:
        loop = policy.get_event_loop()
    except RuntimeError:
        loop = None
    if loop is None or loop.is_closed():
        policy.set_event_loop(policy.new_event_loop())


def _failure(event: dict[str, Any]) -> dict[str, Any]:
    request_id = str((event.get("requestContext") or {}).get("requestId") or uuid.uuid4())
    body = {
        "type": "/api/problems/internal_error",
        "title": "Internal error",
        "status": 500,
        "detail": "Something went wrong on our side. Quote the request_id when you ask about it.",
        "code": "internal_error",
        "request_id": request_id,
    }
    headers = {"content-type": "application/problem+json", "x-request-id": request_id}
    return {"statusCode": 500, "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}


def _headers(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Every value of every header, names in lower case; cookies of several headers are one."""
    several: dict[str, list[str]] = event.get("multiValueHeaders") or {}
    single: dict[str, str] = event.get("headers") or {}
    found = {name.lower(): [str(value)] for name, value in single.items()}
    found |= {name.lower(): [str(value) for value in values or []] for name, values in several.items()}
    # The body came whole with the event. Starlette would believe the client's number instead, and say in
    # plain text what our problems say.
    found.pop("content-length", None)
    if not _AUTHORITY.fullmatch("".join(found.get("host", []))):
        found.pop("host", None)  # links are made from it
    if "cookie" in found:
        found["cookie"] = ["; ".join(found["cookie"])]
    return [(name, value) for name, values in found.items() for value in values]


def _query(event: dict[str, Any]) -> bytes:
    several = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    return urlencode(several, doseq=True).encode()


def _server(host: str) -> tuple[str, int]:
    name, _, port = host.rpartition(":")
    if name and port.isdigit() and len(port) <= 5:
        return name, int(port)
    return host or "localhost", 443
