"""What every answer has, whichever adapter makes it: the FastAPI apps or the lean one of `predict`.

Imports nothing but `kit`, for the sake of the hot path.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from modelyard.kit.errors import NotFound, Problem

PROBLEM_TYPE = "application/problem+json"
BASE_PATH = "/api"
REQUEST_ID = re.compile(r"^[A-Za-z0-9._:=/+@-]{1,128}$")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Strict-Transport-Security": "max-age=63072000",
}
EXPOSED_HEADERS = (
    "X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Location, Link, ETag, "
    "X-Prediction-Id, X-Model-Version, X-Cache, Age, Server-Timing, Deprecation, Sunset, Idempotent-Replayed"
)
UNEXPECTED = "Something went wrong on our side. Quote the request_id when you ask about it."
DETAILS = {
    400: "The request cannot be read.",
    404: "This path does not exist. GET /api/openapi.json lists those that do.",
    405: "This path does not take this method; the Allow header names those it takes.",
    413: "The body is larger than this route accepts.",
}


class NoSuchRoute(NotFound):
    code, title = "no_such_route", "No such route"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


def cors(origin: str, origins: Collection[str]) -> dict[str, str]:
    """The CORS headers of an answer to `origin` (empty: not a browser's cross-origin request)."""
    if not origin:
        return {}
    if origin not in origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }


def request_id(asked: str, event: dict[str, Any]) -> str:
    """The client's X-Request-Id if it is harmless, else the gateway's id, else a new one."""
    if REQUEST_ID.match(asked):
        return asked
    found = (event.get("requestContext") or {}).get("requestId")
    if found:
        return str(found)
    import uuid

    return str(uuid.uuid4())
