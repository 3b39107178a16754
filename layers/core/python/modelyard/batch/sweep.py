"""Jobs that nobody works on any more, and jobs whose time is over.

| found | then |
| --- | --- |
| unfinished, nothing heard for 20 minutes | its open messages are sent again, every 20 minutes |
| unfinished after 24 hours | failed: `not_finished` |
| past `expires_at` | files and rows are deleted |
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelyard.batch import store as keys
from modelyard.batch.repository import QUEUE, JobRepository
from modelyard.batch.store import JobStore
from modelyard.db import outbox
from modelyard.db.engine import Database
from modelyard.db.outbox import Dispatcher
from modelyard.db.tables import Job
from modelyard.kit.clock import Clock, utc_now

SILENCE = timedelta(minutes=20)
GIVE_UP = timedelta(hours=24)
SHOWN = timedelta(days=7)  # how long a job that was given up can still be seen


@dataclass(slots=True)
class JobSweepReport:
    """How many jobs were sent again, given up and deleted."""

    resent: int = 0
    failed: int = 0
    expired: int = 0


class JobSweep:
    """Safe to run at any time, also twice at once: rows that another run holds are passed over."""

    def __init__(
        self, *, database: Database, store: JobStore, dispatcher: Dispatcher, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock

    def run(self, *, limit: int = 100) -> JobSweepReport:
        report = JobSweepReport()
        self._wake(report, limit)
        self._expire(report, limit)
        return report

    def _wake(self, report: JobSweepReport, limit: int) -> None:
        now = self._clock()
        messages: list[str] = []
        with self._database.transaction() as session:
            jobs = JobRepository(session)
            for job in jobs.stuck(before=now - SILENCE, limit=limit):
                if job.created_at < now - GIVE_UP:
                    _give_up(job, now)
                    report.failed += 1
                elif not _sent_lately(job, now):
                    job.options = job.options | {"resent_at": now.isoformat()}
                    messages += outbox.put(session, QUEUE, _open_work(job, jobs))
                    report.resent += 1
        self._dispatcher.send(messages)

    def _expire(self, report: JobSweepReport, limit: int) -> None:
        """One job at a time, files first: a failure leaves the row that says what is left to do."""
        for _ in range(limit):
            with self._database.transaction() as session:
                jobs = JobRepository(session)
                expired = jobs.expired(self._clock(), limit=1)
                if not expired:
                    return
                job = expired[0]
                self._store.delete_prefix(keys.job_prefix(job.user_id, job.id))
                uploaded = job.input_key.startswith(keys.upload_prefix(job.user_id))
                if uploaded and not jobs.others_read(job):
                    self._store.delete(job.input_key)
                jobs.delete(job)
                report.expired += 1


def _open_work(job: Job, jobs: JobRepository) -> list[dict[str, Any]]:
    if not job.total_chunks:
        return [{"job_id": job.id, "split": True}]
    chunks = jobs.open_chunks(job.id)
    return [{"job_id": job.id, "chunk": chunk} for chunk in chunks] or [{"job_id": job.id, "finish": True}]


def _sent_lately(job: Job, now: datetime) -> bool:
    sent = job.options.get("resent_at")
    return sent is not None and datetime.fromisoformat(sent) > now - SILENCE


def _give_up(job: Job, now: datetime) -> None:
    hours = GIVE_UP // timedelta(hours=1)
    job.status, job.finished_at = "failed", now
    job.expires_at = now + SHOWN
    job.reason = {
        "code": "not_finished",
        "detail": f"The job did not end within {hours} hours; the fault is the platform's. Submit it again.",
    }
