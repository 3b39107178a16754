"""What CloudWatch Logs hands over becomes rows of `predictions`, each record once."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from modelyard.db.engine import Database
from modelyard.db.tables import Prediction
from modelyard.telemetry.records import NotARecord, PredictionRecord, parse

_LARGEST = 64 * 1024 * 1024  # of a delivery, unpacked; CloudWatch sends 1 MB at most, packed
_ROWS = 1000  # in one statement


class BadDelivery(ValueError):
    """An event that CloudWatch Logs did not write; delivering it again would not help."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """`lines` are the log events of a delivery; a control message (a test of the subscription) has none."""

    group: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of the lines of a delivery: rows written, records known already, lines that are no records; and whose
    records they were, (user id, model id) each, new or known.
    """

    stored: int = 0
    known: int = 0
    junk: int = 0
    models: frozenset[tuple[str, str]] = frozenset()


def unpack(event: Any) -> Delivery:
    """Reads the event of a subscription: base64 around gzip around JSON. Raises `BadDelivery`."""
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        data = unpacker.decompress(packed, _LARGEST)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise BadDelivery("the delivery is cut off or too large")
        content = orjson.loads(data)
        if content.get("messageType") != "DATA_MESSAGE":
            return Delivery(str(content.get("logGroup", "")), [])
        lines = [item["message"] for item in content["logEvents"] if isinstance(item["message"], str)]
        return Delivery(str(content["logGroup"]), lines)
    except (KeyError, TypeError, AttributeError, binascii.Error, zlib.error, orjson.JSONDecodeError) as error:
        raise BadDelivery("no delivery of CloudWatch Logs") from error


class RecordWriter:
    """Writes deliveries, each in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, lines: Iterable[str]) -> Counts:
        """Stores the records among `lines`; raises `Unavailable` where PostgreSQL is away."""
        records: list[PredictionRecord] = []
        junk = 0
        for line in lines:
            try:
                records.append(
                    parse(line[max(line.find("{"), 0) :])
                )  # some runtimes put a time before a line
            except NotARecord:
                junk += 1
        stored = 0
        if records:
            with self._database.transaction() as session:
                for first in range(0, len(records), _ROWS):
                    stored += _insert(session, records[first : first + _ROWS])
        models = frozenset((record.user_id, record.model_id) for record in records)
        return Counts(stored, len(records) - stored, junk, models)


def _insert(session: Session, records: Sequence[PredictionRecord]) -> int:
    """How many of `records` were new. `parse` lets nothing pass that the columns cannot hold."""
    statement = insert(Prediction).values([_row(record) for record in records])
    return len(session.scalars(statement.on_conflict_do_nothing().returning(Prediction.id)).all())


def _row(record: PredictionRecord) -> dict[str, Any]:
    return {
        "id": record.prediction_id,
        "at": datetime.fromtimestamp(record.at, UTC),
        "user_id": record.user_id,
        "model_id": record.model_id,
        "version_id": record.version_id,
        "model_version": record.model_version,
        "request_id": record.request_id,
        "endpoint": record.endpoint,
        "status_code": record.status_code,
        "error": record.error,
        "rows": record.rows,
        "cached": record.cached,
        "runtime": record.runtime,
        "duration_ms": record.duration_ms,
        "cold": record.cold,
        "routed": record.routed,
    }
