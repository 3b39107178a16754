"""CloudWatch metrics as Embedded Metric Format: part of a log line, no API call, no import that costs time.

Each distinct set of dimension values is a metric that is billed by the month, so `service` (the function) is
the only dimension; ids of models and users stay properties of the line, where Logs Insights finds them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

NAMESPACE = "Modelyard"
Metric = tuple[str, str]
"""Name of the root member that holds the number, and its CloudWatch unit."""

_DIMENSIONS = [["service"]]


def directive(metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """The constant part of an EMF line: which members of it are metrics. Make it once per kind of line."""
    definitions = [{"Name": name, "Unit": unit} for name, unit in metrics]
    return [{"Namespace": NAMESPACE, "Dimensions": _DIMENSIONS, "Metrics": definitions}]


def embedded(declared: list[dict[str, Any]], *, epoch_ms: int | None = None) -> dict[str, Any]:
    """The value of `_aws` that turns an object with a `service` and the declared members into metrics."""
    return {
        "Timestamp": int(time.time() * 1000) if epoch_ms is None else epoch_ms,
        "CloudWatchMetrics": declared,
    }
