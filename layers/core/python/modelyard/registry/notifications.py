"""S3's event notifications as they come out of SQS, and the same shape written by the sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus


class NotANotification(ValueError):
    """The message is nothing that S3 or the sweep would write."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One object version created below `uploads/`; `s3_version` is "null" in an unversioned bucket."""

    key: str
    s3_version: str


def arrivals(body: str, *, bucket: str) -> list[Arrival]:
    """The arrivals in one SQS message; none in `s3:TestEvent`, other kinds of events, other buckets."""
    try:
        message = json.loads(body)
        if message.get("Event") == "s3:TestEvent":
            return []
        return [
            _arrival(record["s3"]["object"])
            for record in message["Records"]
            if str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:")
            and record["s3"]["bucket"]["name"] == bucket
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotANotification("expected an S3 event notification with Records") from error


def _arrival(described: dict[str, Any]) -> Arrival:
    return Arrival(unquote_plus(str(described["key"])), str(described.get("versionId") or "null"))


def notification(arrival: Arrival, *, bucket: str) -> str:
    """What S3 would have said; the sweep says it again for an event that was lost."""
    described = {"key": quote(arrival.key, safe="/"), "versionId": arrival.s3_version}
    record = {
        "eventVersion": "2.1",
        "eventSource": "modelyard:sweep",
        "eventName": "ObjectCreated:Sweep",
        "s3": {"bucket": {"name": bucket}, "object": described},
    }
    return json.dumps({"Records": [record]})
