"""Predicts with the original estimator, in a confined child per version. No permission, one tenant per
environment.
"""

from __future__ import annotations

import json
import time
from typing import Any

from modelyard.intake.budget import PARENT_BYTES, function_limits, function_memory
from modelyard.intake.logline import log
from modelyard.intake.native import Workers

MOST_ANSWER_BYTES = 5_500_000  # Lambda itself ends at 6 MB
_KEEP_BYTES = 2 << 30  # where no function's memory says better

limits = function_limits()
workers = Workers(limits, keep_bytes=(function_memory() or _KEEP_BYTES + PARENT_BYTES) - PARENT_BYTES)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event, context, workers)


def answer(event: dict[str, Any], context: Any, workers: Workers) -> dict[str, Any]:
    start = time.perf_counter()
    result = workers.predict(event)
    if "outputs" in result and len(json.dumps(result)) > MOST_ANSWER_BYTES:
        result = {"error": {"kind": "too_large", "detail": "the answer is larger than one call can carry"}}
    error = result.get("error") or {}
    log(
        "ERROR" if error else "INFO",
        "native_prediction",
        version_id=event.get("version_id"),
        request_id=getattr(context, "aws_request_id", None),
        rows=len(event["columns"][0]) if event.get("columns") else 0,
        explained="explanations" in result,
        milliseconds=round((time.perf_counter() - start) * 1000, 1),
        error=error.get("kind"),
        detail=error.get("detail"),
    )
    return result
