"""Queue messages that must not be lost: written in the transaction that needs them, sent after its commit.

A sender that dies between commit and send leaves the row unsent, and the sweep sends it; one that dies
between send and mark sends twice. Consumers are idempotent, so at least once is what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import CursorResult, delete, insert, select, update
from sqlalchemy.orm import Session

from modelyard.db.engine import Database
from modelyard.db.tables import Outbox
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.ids import new_id

_PER_CALL = 10  # what SendMessageBatch takes
SENT_ROWS_STAY = timedelta(days=3)


def put(session: Session, queue: str, payloads: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes one message per payload for the logical `queue` ("batch", "register"); returns the rows' ids."""
    if not payloads:
        return []
    rows = [{"id": new_id("obx"), "queue": queue, "payload": dict(payload)} for payload in payloads]
    session.execute(insert(Outbox), rows)
    return [str(row["id"]) for row in rows]


class Dispatcher:
    """Sends outbox rows. `queues` gives the URL of a logical queue, when first needed."""

    def __init__(
        self, database: Database, sqs: Callable[[], Any], queues: Callable[[str], str], clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._sqs = sqs
        self._queues = queues
        self._clock = clock

    def send(self, ids: Sequence[str]) -> int:
        """Sends these rows; returns how many are on their way. Raises where SQS is away."""
        return sum(self._send_some(ids[at : at + _PER_CALL]) for at in range(0, len(ids), _PER_CALL))

    def sweep(self, *, older_than: timedelta = timedelta(seconds=60), limit: int = 1000) -> int:
        """Sends what has been unsent for `older_than`, and forgets what was sent days ago."""
        now = self._clock()
        with self._database.transaction() as session:
            ids = session.scalars(
                select(Outbox.id)
                .where(Outbox.sent_at.is_(None), Outbox.created_at < now - older_than)
                .order_by(Outbox.created_at)
                .limit(limit)
            ).all()
            session.execute(delete(Outbox).where(Outbox.sent_at < now - SENT_ROWS_STAY))
        return self.send(ids)

    def _send_some(self, ids: Sequence[str]) -> int:
        with self._database.transaction() as session:
            rows = session.scalars(
                select(Outbox)
                .where(Outbox.id.in_(ids), Outbox.sent_at.is_(None))
                .with_for_update(skip_locked=True)  # whoever holds the row is sending it
            ).all()
            sent = [
                identifier
                for queue in sorted({row.queue for row in rows})
                for identifier in self._send_batch(queue, [row for row in rows if row.queue == queue])
            ]
            if not sent:
                return 0
            done = session.execute(update(Outbox).where(Outbox.id.in_(sent)).values(sent_at=self._clock()))
            assert isinstance(done, CursorResult)
            return int(done.rowcount)

    def _send_batch(self, queue: str, rows: Sequence[Outbox]) -> list[str]:
        """The ids of the rows that SQS took."""
        entries = [{"Id": row.id, "MessageBody": orjson.dumps(row.payload).decode()} for row in rows]
        answer = self._sqs().send_message_batch(QueueUrl=self._queues(queue), Entries=entries)
        return [entry["Id"] for entry in answer.get("Successful", ())]
