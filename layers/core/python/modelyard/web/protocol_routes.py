"""What `predict` answers in other servers' protocols, for the OpenAPI document; see `predict_routes`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from modelyard.web.dependencies import PredictCaller
from modelyard.web.routing import PUBLIC, Router

ELSEWHERE = "functions/predict answers this route"


def _error(description: str, *names: str) -> dict[int | str, dict[str, Any]]:
    schema = {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "string"} for name in names},
    }
    return {"default": {"description": description, "content": {"application/json": {"schema": schema}}}}


def _body(
    description: str, schema: dict[str, Any], example: Any, *, required: bool = True, other: Any = None
) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}, **(other or {})}
    return {"requestBody": {"required": required, "description": description, "content": content}}


Name = Annotated[str, Path(description="A model's id, `mdl_…`, or your own name for it")]
Number = Annotated[str, Path(description="`2` or `v2`")]

v2 = Router(tags=["open inference protocol v2"], responses=_error("What was wrong", "error"))
v1 = Router(tags=["kserve v1"], responses=_error("What was wrong", "error"))
mlflow = Router(tags=["mlflow and sagemaker"], responses=_error("What was wrong", "error_code", "message"))


class Server(BaseModel):
    name: str
    version: str
    extensions: list[str]


class Health(BaseModel):
    live: bool
    ready: bool


class Names(BaseModel):
    models: list[str]


class TensorShape(BaseModel):
    name: str
    datatype: str
    shape: Annotated[list[int], Field(description="-1: any number")]


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorShape]
    outputs: list[TensorShape]
    parameters: dict[str, Any]


class ModelReady(BaseModel):
    name: str
    ready: bool


class VersionReady(ModelReady):
    version: str


class IndexEntry(BaseModel):
    name: str
    version: str
    state: str
    reason: str


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferResponse(BaseModel):
    model_name: str
    model_version: str
    id: str
    parameters: dict[str, Any]
    outputs: list[Tensor]


class Predictions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    predictions: list[Any]


_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {
            "enum": [
                *("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
                *("FP16", "FP32", "FP64", "BYTES"),
            ]
        },
        "parameters": {"type": "object"},
        "data": {"type": "array", "description": "Row-major, nested or flat"},
    },
}
_INFER = _body(
    "One tensor with all columns, or one per column. With Inference-Header-Content-Length the tensors follow "
    "the JSON in binary.",
    {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}},
                },
            },
        },
    },
    {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]},
    other={"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
)
_ROWS = {"type": "array", "minItems": 1, "items": {}}
_INSTANCES = _body(
    "Rows, as arrays or objects",
    {"type": "object", "required": ["instances"], "properties": {"instances": _ROWS}},
    {"instances": [[5.1, 3.5, 1.4, 0.2]]},
)
_INVOCATION = _body(
    "JSON with exactly one of `dataframe_split`, `dataframe_records`, `instances`, `inputs`, and perhaps "
    "`params` (`outputs` there names what to answer); or CSV.",
    {"type": "object"},
    {"dataframe_records": [{"age": 31, "city": "Bonn"}]},
    other={"text/csv": {"schema": {"type": "string"}, "example": "age,city\n31,Bonn\n"}},
)


@v2.get("/v2", dependencies=[PUBLIC])
async def server_metadata() -> Server:
    """The server and the extensions that it has."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/health/live", dependencies=[PUBLIC])
async def server_live() -> Health:
    """Whether the server is alive."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/health/ready", dependencies=[PUBLIC])
async def server_ready() -> Health:
    """Whether the server takes requests."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/models")
async def v2_list(caller: PredictCaller) -> Names:
    """The names of your models."""
    raise NotImplementedError(ELSEWHERE)


@v2.post(
    "/v2/repository/index",
    openapi_extra=_body(
        "Left out: all",
        {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        {"ready": True},
        required=False,
    ),
)
async def v2_index(caller: PredictCaller) -> list[IndexEntry]:
    """All versions of your models, or those that answer."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/models/{model}")
async def v2_metadata(caller: PredictCaller, model: Name) -> ModelMetadata:
    """What a model takes and gives."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/models/{model}/ready")
async def v2_model_ready(caller: PredictCaller, model: Name) -> VersionReady:
    """Whether a model answers; otherwise 503."""
    raise NotImplementedError(ELSEWHERE)


@v2.post("/v2/models/{model}/infer", openapi_extra=_INFER)
async def v2_infer(caller: PredictCaller, model: Name) -> InferResponse:
    """Predicts from tensors."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/models/{model}/versions/{version}")
async def v2_version_metadata(caller: PredictCaller, model: Name, version: Number) -> ModelMetadata:
    """What one version takes and gives."""
    raise NotImplementedError(ELSEWHERE)


@v2.get("/v2/models/{model}/versions/{version}/ready")
async def v2_version_ready(caller: PredictCaller, model: Name, version: Number) -> VersionReady:
    """Whether one version answers; otherwise 503."""
    raise NotImplementedError(ELSEWHERE)


@v2.post("/v2/models/{model}/versions/{version}/infer", openapi_extra=_INFER)
async def v2_version_infer(caller: PredictCaller, model: Name, version: Number) -> InferResponse:
    """Predicts from tensors with one version."""
    raise NotImplementedError(ELSEWHERE)


@v1.get("/v1/models")
async def v1_list(caller: PredictCaller) -> Names:
    """The names of your models."""
    raise NotImplementedError(ELSEWHERE)


@v1.get("/v1/models/{model}")
async def v1_ready(caller: PredictCaller, model: Name) -> ModelReady:
    """Whether a model answers; otherwise 503."""
    raise NotImplementedError(ELSEWHERE)


@v1.post("/v1/models/{model}", openapi_extra=_INSTANCES)
async def v1_predict(
    caller: PredictCaller,
    model: Annotated[str, Path(description="`{model}:predict`", examples=["iris:predict"])],
) -> Predictions:
    """Predicts: the last part of the path is the model's id or name with `:predict` behind it."""
    raise NotImplementedError(ELSEWHERE)


@mlflow.post("/models/{model_id}/invocations", openapi_extra=_INVOCATION)
async def invocations(caller: PredictCaller, model_id: Name) -> Predictions:
    """Predicts as MLflow's scoring server does; CSV begins with the columns' names."""
    raise NotImplementedError(ELSEWHERE)


@mlflow.get("/models/{model_id}/ping")
async def ping(caller: PredictCaller, model_id: Name) -> None:
    """Whether a model answers: an empty 200; otherwise 503."""
    raise NotImplementedError(ELSEWHERE)


@mlflow.get(
    "/models/{model_id}/version",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Such as v3"}},
)
async def scoring_version(caller: PredictCaller, model_id: Name) -> None:
    """The version that answers."""
    raise NotImplementedError(ELSEWHERE)


@mlflow.post("/endpoints/{model}/invocations", openapi_extra=_INVOCATION)
async def endpoint_invocations(caller: PredictCaller, model: Name) -> Predictions:
    """Predicts as a SageMaker endpoint does; CSV may come without names."""
    raise NotImplementedError(ELSEWHERE)
