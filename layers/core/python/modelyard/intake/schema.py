"""JSON for people and clients: a record's schema, an example request, hyperparameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelyard.serving.signature import Column, Signature

MAX_ENUM = 1000
MAX_LISTED = 2000  # columns that a schema spells out
_MAX_TEXT = 200
_TYPES = {"number": "number", "string": "string", "boolean": "boolean"}


def input_schema(signature: Signature) -> dict[str, Any]:
    """JSON Schema (2020-12) of one record."""
    listed = signature.columns[:MAX_LISTED]
    if signature.layout == "records":  # these keys are known from training; any may be left out or added
        listed = [replace(column, nullable=False, handle_unknown=True) for column in listed]
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": signature.estimator.rpartition(".")[2],
        "type": "object",
        "properties": {column.name: _property(column) for column in listed},
        "required": [column.name for column in listed],  # also where a value may be null
        "additionalProperties": len(listed) < len(signature.columns),
    }
    if signature.layout == "records":
        value = {"type": ["number", "string", "boolean"]}
        schema["properties"] = {name: each | value for name, each in schema["properties"].items()}
        schema |= {"required": [], "additionalProperties": value}
    return schema


def _property(column: Column) -> dict[str, Any]:
    kind = _TYPES[column.kind]
    if column.kind == "number" and column.dtype.startswith("int") and not column.nullable:
        kind = "integer"
    found: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    closed = (
        column.categories is not None and not column.handle_unknown and len(column.categories) <= MAX_ENUM
    )
    if closed and column.categories:
        found["enum"] = [*column.categories, None] if column.nullable else list(column.categories)
    elif column.categories and len(column.categories) <= MAX_ENUM:
        found["examples"] = list(column.categories)[:10]
    if column.low is not None and column.high is not None:
        found["description"] = f"between {column.low:g} and {column.high:g} in training"
    return found


def example(signature: Signature, batch: list[list[Any]]) -> dict[str, Any]:
    """A request body that predicts: records where columns have names, rows otherwise."""
    row = [_tidy(column, values[0]) for column, values in zip(signature.columns, batch, strict=True)]
    if signature.named or signature.layout == "records":
        return {"records": [dict(zip((column.name for column in signature.columns), row, strict=True))]}
    if signature.layout == "text":
        return {"inputs": row}
    return {"inputs": [row]}


def _tidy(column: Column, value: Any) -> Any:
    """Numbers that a person would type."""
    if column.kind == "number" and not column.categories and isinstance(value, float):
        return int(value) if column.dtype.startswith("int") else float(f"{value:.4g}")
    return value


def hyperparameters(estimator: Any, limit: int = 200) -> dict[str, Any]:
    """`get_params`, made safe: scalars as they are, estimators by class name, everything else by type."""
    try:
        parameters = estimator.get_params(deep=True)
    except Exception:  # a search over parts that no longer exist, for example
        return {}
    return {str(name)[:_MAX_TEXT]: _safe(parameters[name]) for name in sorted(parameters)[:limit]}


def _safe(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _safe(value.item(), depth)
    if isinstance(value, list | tuple) and depth < 2 and len(value) <= 50:
        return [_safe(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < 2 and len(value) <= 50:
        return {str(key)[:_MAX_TEXT]: _safe(item, depth + 1) for key, item in value.items()}
    return f"<{type(value).__name__}>"
