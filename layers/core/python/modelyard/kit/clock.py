"""The one place that reads the time, so that tests can hold it still."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]

_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def isoformat(moment: datetime) -> str:
    """RFC 3339 with a trailing Z and milliseconds, as the wire shows times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written_out(value: object) -> object:
    """`value`, if it is a time in text, for whoever parses it; raises `ValueError` otherwise.

    pydantic would read a number, or the text of one, as seconds since 1970, and a date as its midnight.
    """
    if not isinstance(value, str) or not _WRITTEN.match(value):
        raise ValueError("Expected a time with its offset, such as 2026-01-31T12:00:00Z.")
    return value
