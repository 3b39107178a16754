"""One model's own OpenAPI document: its columns, its example, its outputs."""

from __future__ import annotations

from typing import Any

from modelyard.serving.answers import WIRE_NAMES
from modelyard.serving.deadlines import DEADLINE_SECONDS, SHORTEST_TIMEOUT
from modelyard.serving.signature import Signature
from modelyard.web.document import PROBLEM_SCHEMA_BODY
from modelyard.web.snippets import example_of, snippets

_LANGUAGES = {"curl": "Shell", "python": "Python", "javascript": "JavaScript"}


def model_document(
    signature: Signature,
    *,
    model_id: str,
    name: str,
    version: str,
    description: str,
    base_url: str,
    pinned: bool = False,
    deprecated: bool = False,
) -> dict[str, Any]:
    """OpenAPI 3.1 of the routes that predict with this model; `version` such as `v3`.

    `pinned`: only of those that ask this version; else of those that ask the default one.
    """
    record = {key: value for key, value in signature.input_schema.items() if key != "$schema"}
    record["properties"] = _columns(signature)
    native = {
        "operationId": "predict",
        "summary": f"Predict with {name}",
        "deprecated": deprecated,
        "parameters": _parameters(signature, version if pinned else None),
        "requestBody": _body({"oneOf": _forms(signature)}, example_of(signature)),
        "responses": _responses({"$ref": "#/components/schemas/Prediction"}),
        "x-codeSamples": [
            {"lang": _LANGUAGES[language], "source": source}
            for language, source in snippets(
                signature, model_id=model_id, base_url=base_url, version=version if pinned else None
            ).items()
        ],
    }
    paths: dict[str, Any] = {f"/predict/{model_id}": {"post": native}}
    if not pinned:  # clients of V1 cannot name a version
        paths[f"/v1/models/{name}:predict"] = {"post": _v1(signature)}
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": version, "description": description},
        "servers": [{"url": base_url}],
        "security": [{"Bearer": []}, {"ApiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "Bearer": {"type": "http", "scheme": "bearer"},
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {
                "Record": record,
                "Prediction": _prediction(signature),
                "Problem": PROBLEM_SCHEMA_BODY,
            },
        },
    }


def _query(name: str, schema: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


_CHOICE = [
    _query("version", {"type": "string"}, "A version such as v2, instead of the default one"),
    _query("alias", {"type": "string"}, "An alias such as challenger, instead of the default version"),
]
_TIMEOUT = _query(
    "timeout",
    {"type": "number", "minimum": SHORTEST_TIMEOUT, "maximum": DEADLINE_SECONDS},
    "Seconds to wait before the answer is a 504",
)
_EXPLAIN = _query(
    "explain",
    {"type": "boolean", "default": False},
    "With true, what each column contributed to each prediction; at most 100 rows",
)
_RECORD = {"$ref": "#/components/schemas/Record"}


def _parameters(signature: Signature, version: str | None) -> list[dict[str, Any]]:
    """`version` where no other may be asked."""
    found = list(_CHOICE)
    if version is not None:
        found = [_query("version", {"const": version}, "The version that this describes", required=True)]
    if len(signature.offered) > 1:
        # One text such as `predict_proba,transform`: that is what these two words mean in OpenAPI.
        several = {"type": "array", "minItems": 1, "items": {"enum": signature.offered}}
        text = f"What to answer beside {signature.outputs[0]}, separated by commas"
        found.append(_query("outputs", several, text, style="form", explode=False))
    if signature.explainable is not False:
        found.append(_EXPLAIN)
    return [*found, _TIMEOUT]


def _v1(signature: Signature) -> dict[str, Any]:
    one_row: list[dict[str, Any]] = [_RECORD]
    if signature.layout != "records":
        one_row.append(_row(signature))
        if len(signature.columns) == 1:
            one_row.extend(_columns(signature).values())  # a single value needs no brackets
    rows = {"type": "array", "minItems": 1, "items": {"oneOf": one_row}}
    answer = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": _predictions(signature)},
    }
    return {
        "operationId": "predictV1",
        "summary": "Predict as a KServe V1 client does",
        "requestBody": _body(
            {"type": "object", "required": ["instances"], "properties": {"instances": rows}},
            {"instances": next(iter(example_of(signature).values()), [])},
        ),
        "responses": _responses(answer),
    }


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _responses(schema: dict[str, Any]) -> dict[str, Any]:
    problem = {"$ref": "#/components/schemas/Problem"}
    return {
        "200": {"description": "One prediction per row", "content": {"application/json": {"schema": schema}}},
        "default": {
            "description": "A problem (RFC 9457)",
            "content": {"application/problem+json": {"schema": problem}},
        },
    }


def _columns(signature: Signature) -> dict[str, Any]:
    """Name → schema in the order of the columns, which PostgreSQL does not keep; not all of very many."""
    known = signature.input_schema.get("properties", {})
    return {column.name: known[column.name] for column in signature.columns if column.name in known}


def _row(signature: Signature) -> dict[str, Any]:
    """A row in the order of the columns."""
    columns = list(_columns(signature).values())
    width = len(signature.columns)
    return {"type": "array", "prefixItems": columns, "minItems": width, "maxItems": width}


def _forms(signature: Signature) -> list[dict[str, Any]]:
    records = _form("records", {"type": "array", "minItems": 1, "items": _RECORD})
    if signature.layout == "records":
        return [records]
    properties = _columns(signature)
    by_column = {
        "type": "object",
        "required": list(properties),
        "properties": {name: {"type": "array", "items": schema} for name, schema in properties.items()},
    }
    rows = {"type": "array", "minItems": 1, "items": _row(signature)}
    if len(signature.columns) == 1:
        rows = {"type": "array", "minItems": 1, "items": {}}
    width = len(signature.columns)
    any_order = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "array", "minItems": width, "maxItems": width},
    }
    # Of very many columns not all are listed: then any name may be one.
    name = {"enum": list(properties)} if len(properties) == width else {"type": "string"}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {"columns": {"type": "array", "items": name}, "data": any_order},
    }
    return [
        _form("inputs", {"oneOf": [rows, by_column]}),
        records,
        _form("dataframe_split", split),
    ]


def _form(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: schema}, "additionalProperties": False}


def _prediction(signature: Signature) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "predictions": _predictions(signature),
        "model_id": {"type": "string"},
        "model_version": {"type": "string"},
        "prediction_id": {"type": "string"},
        "cached": {"type": "boolean"},
    }
    required = list(properties)
    if "predict_proba" in signature.outputs:
        properties["probabilities"] = {"type": "array", "description": "With ?outputs=predict_proba"}
        properties["classes"] = {"type": "array", "const": signature.classes}
    for output in signature.offered[1:]:
        if output not in WIRE_NAMES:
            properties[output] = {"type": "array", "description": f"With ?outputs={output}"}
    if signature.explainable is not False:
        properties["explanations"] = {
            "type": "array",
            "items": {"type": "object"},
            "description": "With ?explain=true: per row a base and each column's contribution",
        }
    return {"type": "object", "required": required, "properties": properties}


def _predictions(signature: Signature) -> dict[str, Any]:
    one: dict[str, Any] = {}
    if signature.n_outputs == 1 and signature.task == "classifier" and signature.classes:
        one = {"enum": signature.classes}
    elif signature.n_outputs == 1 and signature.task == "regressor":
        one = {"type": "number"}
    elif signature.n_outputs == 1 and signature.task in ("clusterer", "outlier_detector"):
        one = {"type": "integer"}
    return {"type": "array", "items": one}
