"""Calls to `predict_native`, which runs original estimators, and its failures in words for the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from modelyard.kit.awslite import AwsError
from modelyard.kit.errors import ModelError, Unavailable
from modelyard.serving.errors import PredictionTimeout, TooManyRows
from modelyard.serving.runtime import Invoke

InvokeBytes = Callable[[bytes, str, float], bytes]
"""(payload, tenant, seconds) → answer; raises `AwsError`."""

_LARGEST_PAYLOAD = 6_000_000  # Lambda takes 6 MB, in and out


def native_invoke(call: InvokeBytes) -> Invoke:
    """An `Invoke` for `NativeRuntime` over the raw call."""

    def invoke(payload: dict[str, Any], tenant: str, seconds: float) -> dict[str, Any]:
        data = orjson.dumps(payload)
        if len(data) > _LARGEST_PAYLOAD:
            raise TooManyRows("The rows are too many for one request. Send fewer, or a batch job.")
        try:
            answer: dict[str, Any] = orjson.loads(call(data, tenant, seconds))
        except AwsError as error:
            raise _problem(error) from error
        except orjson.JSONDecodeError as error:  # halves of surrogate pairs, which only Python writes
            raise ModelError("The model's answer on this input cannot be written as JSON.") from error
        return answer

    return invoke


def _problem(error: AwsError) -> Exception:
    if error.code == "TimeoutError":
        return PredictionTimeout("The model did not answer in time. Send fewer rows, or a batch job.")
    if error.code.endswith("ResponseSizeTooLarge"):
        return TooManyRows("The answer is too large for one request. Send fewer rows, or a batch job.")
    if error.code.startswith("FunctionError"):
        return ModelError("The model's sandbox died on this input. Send fewer rows at a time.")
    return Unavailable("The model's sandbox does not answer right now. Try again shortly.")
