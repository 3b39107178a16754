"""The prediction record: the log line of a request and the row in `predictions` are the same thing.

Writing one costs the caller a JSON dump and a print; CloudWatch Logs carries it to `record_predictions`.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from modelyard.telemetry.metrics import directive, embedded

MARKER = "prediction_record"
"""The `message` of every record, and the one term that the subscription filter looks for."""

_METRICS = [
    ("response_time_ms", "Milliseconds"),
    ("rows", "Count"),
    ("failures", "Count"),
    ("cache_hits", "Count"),
]
_DECLARED: Any = orjson.Fragment(orjson.dumps(directive(_METRICS)))  # dumped once, not per record
_INT32 = 2**31 - 1


class NotARecord(ValueError):
    """A log line that is no prediction record, or one that PostgreSQL could not hold."""


@dataclass(slots=True)  # frozen would cost the hot path three times as much to make
class PredictionRecord:
    """One prediction request.

    `at` is seconds since the epoch, `duration_ms` the time in the function, `service` the function's name.
    `error` is a problem code (`model_error`, …), never a message; no field holds an input value. `cold`: the
    model was loaded for this request. `routed`: it asked for neither version nor alias, so the route
    decided, and for no explanation.
    """

    prediction_id: str
    user_id: str
    model_id: str
    version_id: str | None
    model_version: str | None
    status_code: int
    duration_ms: float
    at: float
    rows: int = 0
    cached: bool = False
    runtime: str | None = None
    error: str | None = None
    request_id: str = ""
    endpoint: str = ""
    method: str = "POST"
    service: str = "predict"
    cold: bool = False
    routed: bool = False

    def line(self) -> str:
        """One JSON object on one line: the record of the request and its metrics."""
        failed = self.status_code >= 500
        return orjson.dumps(
            {
                "message": MARKER,
                "timestamp": rfc3339(self.at),
                "level": "ERROR" if failed else "INFO",
                "service": self.service,
                "user_id": self.user_id,
                "endpoint": self.endpoint,
                "method": self.method,
                "status_code": self.status_code,
                "response_time_ms": round(self.duration_ms, 3),
                "model_id": self.model_id,
                "model_version": self.model_version,
                "version_id": self.version_id,
                "request_id": self.request_id,
                "prediction_id": self.prediction_id,
                "rows": self.rows,
                "cached": self.cached,
                "runtime": self.runtime,
                "cold": self.cold,
                "routed": self.routed,
                "error": self.error,
                "failures": 1 if failed else 0,
                "cache_hits": 1 if self.cached else 0,
                "_aws": embedded(_DECLARED, epoch_ms=int(self.at * 1000)),
            }
        ).decode()


def rfc3339(epoch: float) -> str:
    """`2026-11-25T09:30:00.123Z`; formatted by hand because this runs once per prediction."""
    seconds, milliseconds = divmod(int(epoch * 1000), 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _second(epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch))


def write_line(line: str) -> None:
    """Prints `line` as one log event, and hands it over at once: the environment may freeze afterwards."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parse(line: str | bytes) -> PredictionRecord:
    """Reads what `line()` wrote. Raises `NotARecord` for everything else, and never anything else.

    Texts are cut to what the columns hold and lose NUL characters, which PostgreSQL refuses: one odd request
    id must not keep a whole delivery from being stored.
    """
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotARecord("not JSON") from error
    if not isinstance(data, dict) or data.get("message") != MARKER:
        raise NotARecord("no prediction record")
    return PredictionRecord(
        prediction_id=_identifier(data, "prediction_id"),
        user_id=_identifier(data, "user_id"),
        model_id=_identifier(data, "model_id"),
        version_id=_text(data, "version_id", 30),
        model_version=_text(data, "model_version", 16),
        status_code=_integer(data, "status_code", low=100, high=599),
        duration_ms=_number(data, "response_time_ms"),
        at=_moment(data),
        rows=_integer(data, "rows", low=0, high=_INT32),
        cached=data.get("cached") is True,
        runtime=_text(data, "runtime", 16),
        error=_text(data, "error", 64),
        request_id=_text(data, "request_id", 128) or "",
        endpoint=_text(data, "endpoint", 256) or "",
        method=_text(data, "method", 16) or "",
        service=_text(data, "service", 64) or "",
        cold=data.get("cold") is True,
        routed=data.get("routed") is True,
    )


def _identifier(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 30 or "\0" in value:
        raise NotARecord(f"{key} is missing or no id")
    return value


def _text(data: dict[str, Any], key: str, most: int) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise NotARecord(f"{key} is no text")
    return value.replace("\0", "")[:most]


def _integer(data: dict[str, Any], key: str, *, low: int, high: int) -> int:
    value = data.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise NotARecord(f"{key} is no integer from {low} to {high}")
    return value


def _number(data: dict[str, Any], key: str) -> float:
    value = data.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise NotARecord(f"{key} is no duration")
    return float(value)


def _moment(data: dict[str, Any]) -> float:
    value = data.get("timestamp")
    if not isinstance(value, str):
        raise NotARecord("timestamp is missing")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise NotARecord("timestamp is no RFC 3339 time") from error
    if moment.tzinfo is None or not 2020 <= moment.year <= 2200:
        raise NotARecord("timestamp has no offset or is out of range")
    return moment.timestamp()
