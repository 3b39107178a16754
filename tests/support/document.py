"""Reads the OpenAPI document as an attacker would: which operations there are, what a request looks like, and
where strings go.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Operation:
    """One method of one path; `raw` is its part of the document."""

    document: dict[str, Any]
    method: str
    path: str
    raw: dict[str, Any]

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that it needs; none: it is public."""
        return frozenset(s for need in self.raw.get("security", []) for names in need.values() for s in names)

    @property
    def takes_keys(self) -> bool:
        return any("ApiKey" in need for need in self.raw.get("security", []))

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of its JSON body."""
        content = self.raw.get("requestBody", {}).get("content", {})
        found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return None if found is None else self.resolved(found)

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                real = [self.resolved(one) for one in schema[choice]]
                return next((one for one in real if one.get("type") != "null"), real[0])
        return schema

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [one for one in self.raw.get("parameters", []) if one["in"] == place]

    def url(self, ids: dict[str, str]) -> str:
        """Its path with these ids, or with some that nothing has."""
        url = self.path
        for parameter in self.parameters("path"):
            name = parameter["name"]
            url = url.replace(f"{{{name}}}", ids.get(name, "1"))
        if self.label == "POST /v1/models/{model}":  # the gateway has no parameter within a segment
            url += ":predict"
        return url

    def example(self) -> Any:
        """A body of the right shape, every property there."""
        return None if self.body is None else self._example(self.body)

    def _example(self, schema: dict[str, Any]) -> Any:
        schema = self.resolved(schema)
        for key in ("const", "default"):
            if schema.get(key) is not None:
                return schema[key]
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("examples"):
            return schema["examples"][0]
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            return {name: self._example(inner) for name, inner in schema.get("properties", {}).items()}
        if kind == "array":
            return [self._example(schema.get("items") or {"type": "integer"})]
        if kind == "string":
            return {"email": "a@example.com", "date-time": "2030-01-01T00:00:00Z"}.get(
                schema.get("format", ""), "some text that is long enough"
            )
        return {"boolean": False, "null": None}.get(str(kind), max(1, schema.get("minimum", 1)))


def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(document, method.upper(), path, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def strings(value: Any, at: Path = ()) -> Iterator[Path]:
    """Where strings stand in a JSON value."""
    if isinstance(value, str):
        yield at
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, (*at, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from strings(inner, (*at, place))


def put(value: Any, at: Path, new: Any) -> Any:
    """A copy with `new` at that place."""
    changed = copy.deepcopy(value)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    if at:
        inner[at[-1]] = new
    return changed if at else new
