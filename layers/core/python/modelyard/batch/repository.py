"""Every statement on jobs and chunks. A user's question is bound to the user, a worker's to one job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, func, insert, or_, select, update
from sqlalchemy.orm import Session

from modelyard.db.tables import Job, JobChunk
from modelyard.kit.ids import is_id

QUEUE = "batch"  # the outbox's word for the queue of jobs and chunks

UNFINISHED = ("queued", "running")


class JobRepository:
    """Jobs within one unit of work."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- for their owner

    def find(self, user_id: str, job_id: str, *, lock: bool = False) -> Job | None:
        """None for a missing and for a foreign job alike."""
        if not is_id(job_id, "job"):
            return None
        statement = select(Job).where(Job.id == job_id, Job.user_id == user_id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return self._session.scalar(statement)

    def page(
        self, user_id: str, *, after: str | None, limit: int, status: str | None, model_id: str | None
    ) -> Sequence[Job]:
        """Newest first; `after` is the id of the last job that was shown."""
        statement = select(Job).where(Job.user_id == user_id).order_by(Job.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(Job.id < after)
        if status is not None:
            statement = statement.where(Job.status == status)
        if model_id is not None:
            statement = statement.where(Job.model_id == model_id)
        return self._session.scalars(statement).all()

    def unfinished(self, user_id: str) -> int:
        statement = select(func.count()).where(Job.user_id == user_id, Job.status.in_(UNFINISHED))
        return self._session.scalar(statement.select_from(Job)) or 0

    def chunks_between(self, job_id: str, first_row: int, end_row: int) -> Sequence[JobChunk]:
        """The chunks that hold rows `first_row` to `end_row` (exclusive), in order."""
        statement = select(JobChunk).where(
            JobChunk.job_id == job_id,
            JobChunk.first_row < end_row,
            JobChunk.first_row + JobChunk.rows > first_row,
        )
        return self._session.scalars(statement.order_by(JobChunk.chunk)).all()

    # --- for workers

    def add(self, job: Job) -> None:
        self._session.add(job)
        self._session.flush()

    def add_chunks(self, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self._session.execute(insert(JobChunk), rows)

    def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        statement = select(Job).where(Job.id == job_id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return self._session.scalar(statement)

    def chunk(self, job_id: str, chunk: int) -> JobChunk | None:
        return self._session.get(JobChunk, (job_id, chunk), populate_existing=True)

    def chunks(self, job_id: str) -> Sequence[JobChunk]:
        statement = select(JobChunk).where(JobChunk.job_id == job_id).order_by(JobChunk.chunk)
        return self._session.scalars(statement).all()

    def open_chunks(self, job_id: str) -> Sequence[int]:
        statement = select(JobChunk.chunk).where(JobChunk.job_id == job_id, JobChunk.status != "done")
        return self._session.scalars(statement.order_by(JobChunk.chunk)).all()

    def mark_done(self, job_id: str, chunk: int, *, result_key: str, failed_rows: int, now: datetime) -> bool:
        """Marks the chunk; False where somebody else has. The first one to mark it is the one that counts."""
        statement = (
            update(JobChunk)
            .where(JobChunk.job_id == job_id, JobChunk.chunk == chunk, JobChunk.status != "done")
            .values(status="done", result_key=result_key, failed_rows=failed_rows, finished_at=now)
        )
        done = self._session.execute(statement)
        assert isinstance(done, CursorResult)
        return done.rowcount == 1

    # --- for the sweep

    def stuck(self, *, before: datetime, limit: int) -> Sequence[Job]:
        """Unfinished jobs of which nothing has been heard since `before`; locked, oldest first."""
        latest = (
            select(func.max(JobChunk.finished_at))
            .where(JobChunk.job_id == Job.id)
            .correlate(Job)
            .scalar_subquery()
        )
        statement = (
            select(Job)
            .where(Job.status.in_(UNFINISHED), Job.created_at < before)
            .where(or_(Job.started_at.is_(None), Job.started_at < before))
            .where(or_(latest.is_(None), latest < before))
            .order_by(Job.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return self._session.scalars(statement).all()

    def expired(self, now: datetime, *, limit: int) -> Sequence[Job]:
        statement = select(Job).where(Job.expires_at < now, Job.status.not_in(UNFINISHED))
        statement = statement.order_by(Job.expires_at).limit(limit).with_for_update(skip_locked=True)
        return self._session.scalars(statement).all()

    def others_read(self, job: Job) -> bool:
        """Whether another job has the same input file."""
        statement = select(Job.id).where(
            Job.user_id == job.user_id, Job.input_key == job.input_key, Job.id != job.id
        )
        return self._session.scalar(statement.limit(1)) is not None

    def delete(self, job: Job) -> None:
        self._session.delete(job)
