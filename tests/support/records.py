"""Prediction records as CloudWatch Logs delivers them."""

from __future__ import annotations

import base64
import gzip
import json
import time
from dataclasses import replace
from typing import Any

from modelyard.kit.ids import new_id
from modelyard.telemetry.records import PredictionRecord


def some_record(**changes: Any) -> PredictionRecord:
    """A good prediction of just now."""
    record = PredictionRecord(
        prediction_id=new_id("prd"),
        user_id=new_id("usr"),
        model_id=new_id("mdl"),
        version_id=new_id("ver"),
        model_version="v1",
        status_code=200,
        duration_ms=1.5,
        at=time.time(),
        rows=3,
        runtime="onnx",
    )
    return replace(record, **changes)


def delivery(*lines: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """The event of a subscription that carries these log lines."""
    content = {
        "messageType": kind,
        "owner": "000000000000",
        "logGroup": "/aws/lambda/predict",
        "logStream": "s",
        "subscriptionFilters": ["records"],
        "logEvents": [{"id": str(n), "timestamp": 1, "message": line} for n, line in enumerate(lines)],
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(content).encode())).decode()}}
