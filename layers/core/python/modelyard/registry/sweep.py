"""Uploads that got stuck: found on a schedule, across all users, and delivered again or given up.

| stuck | for | then |
| --- | --- | --- |
| `pending`, its file is there | 15 minutes | the event was lost: delivered once more |
| `pending`, no file | 24 hours | failed: it never arrived |
| `inspecting`, nobody at work | 1 hour since the last try | delivered again |
| `inspecting` | 24 hours since the upload was announced | failed: could not be inspected |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select

from modelyard.db.engine import Database
from modelyard.db.tables import ModelVersion
from modelyard.kit.clock import Clock, utc_now
from modelyard.registry.artifacts import ArtifactStore, ObjectMissing
from modelyard.registry.claims import Claims, Rejected
from modelyard.registry.notifications import Arrival, notification
from modelyard.telemetry.log import logger

EVENT_LOST = timedelta(minutes=15)
LAST_TRY = timedelta(hours=1)  # longer than a queue hides a message: its own redelivery comes first
GIVE_UP = timedelta(hours=24)
NEVER_ARRIVED = Rejected(
    "upload_never_arrived", "The file never arrived. Announce the upload again and send it."
)
NOT_INSPECTED = Rejected(
    "inspection_unfinished",
    "The file could not be inspected within 24 hours; the fault is the platform's. Upload it again.",
)


@dataclass(frozen=True, slots=True)
class _Stuck:
    user_id: str
    version_id: str
    key: str
    s3_version: str | None
    created_at: datetime


@dataclass(slots=True)
class SweepReport:
    """How many versions were delivered again, given up, or could not be looked at this time."""

    redelivered: int = 0
    failed: int = 0
    errors: int = 0


class UploadSweep:
    """Safe to run at any time, also twice at once: deliveries are idempotent, failing looks again."""

    def __init__(
        self,
        *,
        database: Database,
        store: ArtifactStore,
        sqs: Any,
        queue_url: str,
        bucket: str,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._store = store
        self._sqs = sqs
        self._queue_url = queue_url
        self._bucket = bucket
        self._clock = clock
        self._claims = Claims(database, clock=clock)

    def run(self, *, limit: int = 200) -> SweepReport:
        """Looks at up to `limit` stuck versions of each kind, oldest first; none stops another."""
        report = SweepReport()
        now = self._clock()
        pending = (
            ModelVersion.status == "pending",
            ModelVersion.created_at < now - EVENT_LOST,
            # A version whose event was repeated is in the queue's hands until it is given up.
            ModelVersion.upload_s3_version.is_(None) | (ModelVersion.created_at < now - GIVE_UP),
        )
        inspecting = (
            ModelVersion.status == "inspecting",
            ModelVersion.inspecting_at < now - LAST_TRY,
        )
        for look, conditions in ((self._pending, pending), (self._inspecting, inspecting)):
            for stuck in self._find(conditions, limit):
                try:
                    look(stuck, now, report)
                except Exception:
                    logger.exception("stuck upload not handled", version_id=stuck.version_id)
                    report.errors += 1
        return report

    def _find(self, conditions: Sequence[ColumnElement[bool]], limit: int) -> list[_Stuck]:
        columns = (
            ModelVersion.user_id,
            ModelVersion.id,
            ModelVersion.upload_key,
            ModelVersion.upload_s3_version,
            ModelVersion.created_at,
        )
        statement = select(*columns).where(*conditions).order_by(ModelVersion.created_at).limit(limit)
        with self._database.transaction() as session:
            return [_Stuck(*row) for row in session.execute(statement)]

    def _pending(self, stuck: _Stuck, now: datetime, report: SweepReport) -> None:
        over = stuck.created_at < now - GIVE_UP
        if stuck.s3_version is not None:
            self._fail(stuck, NOT_INSPECTED, report)
            return
        try:
            found = self._store.head(stuck.key)
        except ObjectMissing:
            if over:
                self._fail(stuck, NEVER_ARRIVED, report)
            return
        self._deliver(Arrival(stuck.key, found.version), report)
        self._claims.note_arrival(stuck.user_id, stuck.version_id, found.version)

    def _inspecting(self, stuck: _Stuck, now: datetime, report: SweepReport) -> None:
        if stuck.created_at < now - GIVE_UP or stuck.s3_version is None:
            self._fail(stuck, NOT_INSPECTED, report)
        else:
            self._deliver(Arrival(stuck.key, stuck.s3_version), report)

    def _deliver(self, arrival: Arrival, report: SweepReport) -> None:
        body = notification(arrival, bucket=self._bucket)
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body)
        report.redelivered += 1

    def _fail(self, stuck: _Stuck, rejected: Rejected, report: SweepReport) -> None:
        if self._claims.give_up(stuck.user_id, stuck.version_id, rejected, idle=LAST_TRY):
            report.failed += 1
