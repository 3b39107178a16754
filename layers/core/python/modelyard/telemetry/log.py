"""The structured logger of every function but the hot path: one JSON object a line, no secret in any.

    from modelyard.telemetry.log import logger
    logger.info("version ready", model_id=…, version=…)

`predict` writes prediction records instead (`modelyard.telemetry.records`) and does not import this module.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from modelyard.telemetry.metrics import directive, embedded

HIDDEN = "[redacted]"
_SECRET_KEY = re.compile(
    r"(?i)(password|passwd|secret(?!_?(name|arn|id)\b)|token(?!_type\b)|authorization|cookie|api[-_]?key|credential(?!_?id\b)"
    r"|private[-_]?key|x-amz-security|x-csrf)"
)
# What a secret looks like where no key names it: inside an exception's text, a URL or a header dump.
_SECRET_TEXT = re.compile(
    r"(?i)(?P<keep>\b(?:bearer|basic)\s+|[?&](?:x-amz-(?:signature|credential|security-token)|signature|token)="
    r"|\b(?:password|secret|token)\s*[=:]\s*['\"]?|://[^\s/:@]+:)[^\s'\"&,;@]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
_MOST_TEXT = 16_384
_REQUEST_METRICS = directive([("response_time_ms", "Milliseconds"), ("failures", "Count")])


def redact(value: Any, *, depth: int = 8) -> Any:
    """A copy of `value` whose secrets are replaced, by the name of their key or by what they look like."""
    if isinstance(value, str):
        return _hide(value[:_MOST_TEXT])
    if depth == 0:
        return "[nested too deeply]"
    if isinstance(value, dict):
        return {
            str(key): HIDDEN
            if item is not None and _SECRET_KEY.search(str(key))
            else redact(item, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth - 1) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if value is None or isinstance(value, bool | int | float):
        return value
    return _hide(str(value)[:_MOST_TEXT])


def _member(key: str, item: Any, depth: int) -> Any:
    return HIDDEN if item is not None and _SECRET_KEY.search(key) else redact(item, depth=depth)


def _hide(text: str) -> str:
    return _SECRET_TEXT.sub(lambda match: (match.group("keep") or "") + HIDDEN, text)


class _Formatter(LambdaPowertoolsFormatter):
    """Times in UTC with milliseconds; secrets replaced; the exception's text once, in `exception`."""

    def __init__(self) -> None:
        super().__init__(utc=True, use_rfc3339=True, serialize_stacktrace=False)

    def serialize(self, log: Any) -> str:
        declared = log.pop("_aws", None)
        line = redact(log)
        if isinstance(line.get("timestamp"), str):
            line["timestamp"] = line["timestamp"].replace("+00:00", "Z")
        if declared is not None:
            line["_aws"] = declared
        try:
            return orjson.dumps(line).decode()
        except (TypeError, orjson.JSONEncodeError):  # lone surrogates, integers beyond 64 bits
            return str(super().serialize(line)).encode("ascii", "backslashreplace").decode()


class _Stdout:
    """Whatever `sys.stdout` is now: Lambda and pytest both replace it after import."""

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def _make() -> Logger:
    stdout: Any = _Stdout()
    return Logger(
        service=os.environ.get("MODELYARD_SERVICE")
        or os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        or "modelyard",
        stream=stdout,
        logger_formatter=_Formatter(),
    )


logger = _make()


def request_done(
    *,
    endpoint: str,
    method: str,
    status_code: int,
    response_time_ms: float,
    request_id: str,
    user_id: str | None = None,
    model_id: str | None = None,
    model_version: str | None = None,
    **more: Any,
) -> None:
    """The one line of a finished request, with its metrics. `endpoint` is the route's template."""
    write = logger.error if status_code >= 500 else logger.info
    write(
        "request",
        user_id=user_id,
        endpoint=endpoint,
        method=method,
        status_code=status_code,
        response_time_ms=round(response_time_ms, 3),
        model_id=model_id,
        model_version=model_version,
        request_id=request_id,
        failures=1 if status_code >= 500 else 0,
        _aws=embedded(_REQUEST_METRICS),
        **more,
    )
