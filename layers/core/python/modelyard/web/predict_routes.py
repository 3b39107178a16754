"""What `predict` answers, for the OpenAPI document. `functions/predict` serves these routes without FastAPI;
`tests/infra/test_drift.py` holds the two against each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.serving.deadlines import DEADLINE_SECONDS, SHORTEST_TIMEOUT
from modelyard.web.dependencies import PredictCaller
from modelyard.web.routing import Router

router = Router(tags=["predict"])

_EXAMPLES = {
    "rows": {"value": {"inputs": [[5.1, 3.5, 1.4, 0.2]]}},
    "columns": {"value": {"inputs": {"age": [31, 44], "city": ["Bonn", "Ulm"]}}},
    "records": {"value": {"records": [{"age": 31, "city": "Bonn"}]}},
    "split": {"value": {"dataframe_split": {"columns": ["age", "city"], "data": [[31, "Bonn"]]}}},
}
_ROWS = {"type": "array", "items": {}, "description": "Rows, or the values of one column"}
_OBJECTS = {"type": "array", "items": {"type": "object"}, "minItems": 1}
PREDICTION_BODY: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["inputs"],
            "properties": {"inputs": {"oneOf": [_ROWS, {"type": "object", "additionalProperties": _ROWS}]}},
        },
        {"type": "object", "required": ["records"], "properties": {"records": _OBJECTS}},
        {
            "type": "object",
            "required": ["dataframe_split"],
            "properties": {
                "dataframe_split": {
                    "type": "object",
                    "required": ["columns", "data"],
                    "properties": {
                        "columns": {"type": "array", "items": {"type": "string"}},
                        "data": {"type": "array", "items": {"type": "array"}},
                    },
                }
            },
        },
    ]
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "One of these forms. `null` is a missing value.",
        "content": {"application/json": {"schema": PREDICTION_BODY, "examples": _EXAMPLES}},
    }
}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_HEADERS = {
    "X-Prediction-Id": _header("The prediction's id, for feedback and support"),
    "X-Model-Version": _header("The version that answered"),
    "X-Cache": _header(
        "HIT: from the cache; MISS: computed; BYPASS: the cache is away, off for this model or not asked"
    ),
    "Age": _header("Seconds since a cached answer was computed; only with HIT"),
    "Server-Timing": _header("Milliseconds spent on admission, loading and prediction"),
}


class Explanation(BaseModel):
    """One row's `base` and the contributions, which add up to `sum`.

    Where the model has several outputs (classes, targets), each number is a list of one number per output.
    """

    model_config = ConfigDict(extra="allow")
    of: str = Field(
        description="What is explained: predict, predict_proba, decision_function, margin (of boosters) or "
        "link (predict before the inverse of the model's link function)"
    )
    classes: list[Any] | None = Field(None, description="Of the outputs, in order")
    toward: Any = Field(None, description="The class that positive contributions speak for")
    per: Literal["column", "feature"] = Field(
        description="Contributions of the input's columns, or of features that the model makes of a text or "
        "of several columns"
    )
    base: float | list[float] = Field(description="The output where nothing is known of the row")
    contributions: dict[str, float | list[float]] = Field(description="At most 200, the largest first")
    others: float | list[float] | None = Field(None, description="All contributions that are not listed")
    features: dict[str, float | list[float]] | None = Field(
        None, description="The same per feature, where the model makes features of single columns"
    )
    sum: float | list[float]


class Prediction(BaseModel):
    model_config = ConfigDict(extra="allow")
    predictions: list[Any] = Field(description="One per row, in order")
    probabilities: list[Any] | None = Field(
        None, description="Per row one per class, where the model has them"
    )
    classes: list[Any] | None = None
    explanations: list[Explanation] | None = Field(None, description="One per row, with explain=true")
    model_id: str
    model_version: str
    prediction_id: str
    cached: bool


@router.post(
    "/predict/{model_id}",
    openapi_extra=_BODY,
    response_model=Prediction,
    response_model_exclude_none=True,
    responses={200: {"headers": _HEADERS}},
)
async def predict(
    caller: PredictCaller,
    model_id: Annotated[str, Path(description="The model's id, `mdl_…`")],
    version: Annotated[str | None, Query(description="`2` or `v2`; otherwise the default version")] = None,
    routing_key: Annotated[
        str | None,
        Header(alias="X-Routing-Key", description="Equal keys get the same version where requests are split"),
    ] = None,
    cache_control: Annotated[
        str | None,
        Header(
            alias="Cache-Control",
            description="no-cache: computed, and stored; no-store: neither read from the cache nor stored",
        ),
    ] = None,
    alias: Annotated[
        str | None, Query(max_length=64, description="Such as champion, instead of a version")
    ] = None,
    outputs: Annotated[
        str | None, Query(description="Comma-separated, such as predict,predict_proba")
    ] = None,
    explain: Annotated[
        bool,
        Query(
            description="With true, what each column contributed; linear models and trees, at most 100 rows"
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        Query(
            alias="timeout",
            ge=SHORTEST_TIMEOUT,
            le=DEADLINE_SECONDS,
            description="Seconds after which a 504 beats an answer",
        ),
    ] = None,
) -> None:
    """Predicts with the model's default version, or the one asked for."""
    raise NotImplementedError("functions/predict answers this route")
