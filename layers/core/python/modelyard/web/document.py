"""The OpenAPI document: made from all functions' routers, and read for what paths exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from fastapi.openapi.utils import get_openapi

from modelyard.accounts.admission import ACCOUNT
from modelyard.web.middleware import MethodsOf

METHODS = ("get", "post", "put", "patch", "delete")
DESCRIPTION = """\
Upload a trained scikit-learn model, get an endpoint.

Register, log in, and send the access token as `Authorization: Bearer …`. Errors are
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems; `request_id` identifies a request in the logs.
"""
PROBLEM_SCHEMA_BODY: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong and what to change"},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "description": "The kind of problem, for programs"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body, or query:name"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}


def make_document(routes: Sequence[Any], *, version: str) -> dict[str, Any]:
    """One OpenAPI 3.1 document for these routes, with problems as the answer to everything that goes
    wrong.
    """
    document = get_openapi(
        title="Modelyard", version=version, description=DESCRIPTION, routes=routes, servers=[{"url": "/api"}]
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own shape, which we never answer
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA_BODY
    seen: set[str] = set()
    for path, item in document["paths"].items():
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            operation["operationId"] = _operation_id(method, path)
            if operation["operationId"] in seen:
                raise ValueError(f"two operations are called {operation['operationId']}")
            seen.add(operation["operationId"])
            if operation.get("security"):  # what is about the account itself takes a session
                needs = operation["security"]
                operation["security"] = [need for need in needs if need.get("ApiKey") != [ACCOUNT]]
            if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                del operation["responses"]["422"]
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def _operation_id(method: str, path: str) -> str:
    """`get_models_model_id_versions`: stable, and a good name for a generated client's method."""
    return f"{method}_" + re.sub(r"[^a-z0-9]+", "_", path.lower()).strip("_")


def methods_in(document: Path) -> MethodsOf:
    """Reads, on first use, which methods each path of the document takes."""

    @cache
    def patterns() -> list[tuple[re.Pattern[str], list[str]]]:
        paths = orjson.loads(document.read_bytes())["paths"]
        return [
            (re.compile(_pattern(path)), [method.upper() for method in METHODS if method in item])
            for path, item in paths.items()
        ]

    def methods(path: str) -> Iterable[str]:
        found = [(pattern.pattern, taken) for pattern, taken in patterns() if pattern.fullmatch(path)]
        literal = [taken for pattern, taken in found if pattern == re.escape(path)]
        for taken in literal or [taken for _, taken in found]:  # API Gateway prefers a literal path, too
            yield from taken

    return methods


def _pattern(path: str) -> str:
    parts = re.split(r"\{[^}]+\}", path)
    return "[^/]+".join(re.escape(part) for part in parts)
