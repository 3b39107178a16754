"""Errors as the clients of other protocols expect them."""

from __future__ import annotations

import re
from typing import Any

from modelyard.kit.errors import Problem, Unavailable
from modelyard.web.lean import ErrorShape
from modelyard.web.shapes import BASE_PATH


class NotReady(Unavailable):
    """The model exists and cannot answer yet; clients poll on a 503."""

    code, title = "model_not_ready", "The model is not ready"


_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "INVALID_STATE",
    410: "RESOURCE_DOES_NOT_EXIST",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SAGEMAKER_KINDS = {"model_error": "ModelError", "model_not_ready": "ModelNotReadyException"}
_MLFLOW_PATH = re.compile(
    rf"{BASE_PATH}/(models/[^/]+/(invocations|ping|version)|endpoints/[^/]+/invocations)"
)


def error_shape(path: str) -> ErrorShape | None:
    """The shape of this path's errors; None: RFC 9457."""
    if path.startswith((f"{BASE_PATH}/v1/", f"{BASE_PATH}/v2/")):
        return _kserve
    return _mlflow if _MLFLOW_PATH.fullmatch(path) else None


def _kserve(problem: Problem, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    if isinstance(problem, NotReady):
        return {"name": problem.extra["name"], "ready": False, "error": problem.detail}, {}
    return {"error": problem.detail}, {}


def _mlflow(problem: Problem, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    code = _MLFLOW_CODES.get(problem.status, "BAD_REQUEST" if problem.status < 500 else "INTERNAL_ERROR")
    headers = {}
    if path.startswith(f"{BASE_PATH}/endpoints/"):  # from this boto3 makes its exception
        headers["x-amzn-errortype"] = _sagemaker_kind(problem)
    return {"error_code": code, "message": problem.detail}, headers


def _sagemaker_kind(problem: Problem) -> str:
    if problem.code in _SAGEMAKER_KINDS:
        return _SAGEMAKER_KINDS[problem.code]
    if problem.status in (401, 403):
        return "AccessDeniedException"
    if problem.status in (429, 503, 504):
        return "ServiceUnavailable"
    return "ValidationError" if problem.status < 500 else "InternalFailure"
