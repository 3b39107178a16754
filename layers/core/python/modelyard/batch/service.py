"""What the owner of jobs can do: submit, upload an input, list, look, read results, cancel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from modelyard.batch import store as keys
from modelyard.batch.errors import (
    InputNotFound,
    InputRefused,
    InputTooLarge,
    JobFinished,
    JobNotFound,
    ResultsGone,
    ResultsNotReady,
    TooManyJobs,
)
from modelyard.batch.inline import as_lines, rows_of
from modelyard.batch.layout import SAMPLE_BYTES, InputLayout, inspect
from modelyard.batch.limits import Limits
from modelyard.batch.repository import QUEUE, UNFINISHED, JobRepository
from modelyard.batch.results import ChunkResult, item_keys
from modelyard.batch.store import CONTENT_TYPES, FileMissing, JobStore, StoredObject
from modelyard.batch.target import FindTarget, Target, Wished, asked_outputs, runtime_of
from modelyard.db import outbox
from modelyard.db.tables import Job
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import FieldError
from modelyard.kit.ids import is_id, new_id
from modelyard.kit.paging import Cursors, Page, page_of


@dataclass(frozen=True, slots=True)
class FileReference:
    """An input that was uploaded: the id that `offer_upload` gave, or a key under the user's own prefix."""

    upload: str | None = None
    key: str | None = None
    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None


@dataclass(frozen=True, slots=True)
class OutputChoice:
    format: str | None = None  # default: the input's
    outputs: Sequence[str] | None = None  # default: the model's first


@dataclass(frozen=True, slots=True)
class Submitted:
    """`messages` are outbox rows to send once the transaction is committed."""

    job: Job
    messages: list[str]


@dataclass(frozen=True, slots=True)
class UploadOffer:
    upload_id: str
    key: str
    form: dict[str, Any]
    largest: int
    expires_in: int


class JobService:
    """Jobs of one unit of work. Never commits."""

    def __init__(
        self,
        session: Session,
        *,
        store: JobStore,
        find_target: FindTarget,
        cursors: Cursors,
        limits: Limits = Limits(),
        clock: Clock = utc_now,
    ) -> None:
        self._session = session
        self._jobs = JobRepository(session)
        self._store = store
        self._find_target = find_target
        self._cursors = cursors
        self._limits = limits
        self._clock = clock

    # --- submitting

    def submit(
        self,
        user_id: str,
        model_id: str,
        rows: dict[str, Any],
        reference: FileReference | None,
        *,
        wished: Wished = Wished(),
        output: OutputChoice = OutputChoice(),
    ) -> Submitted:
        """A job for the rows in the body or for an uploaded file, whichever was sent."""
        if reference is None:
            return self.submit_rows(user_id, model_id, rows, wished=wished, output=output)
        if rows:
            detail = "expected either rows in the body or the reference of a file, got both"
            raise InputRefused(f"{detail.capitalize()}.", errors=[FieldError("/input", detail)])
        return self.submit_file(user_id, model_id, reference, wished=wished, output=output)

    def submit_rows(
        self, user_id: str, model_id: str, body: dict[str, Any], *, wished: Wished, output: OutputChoice
    ) -> Submitted:
        """A job for rows in the body, in one of the forms of the wire."""
        target = self._target(user_id, model_id, wished)
        rows = rows_of(body, target.signature, most=self._limits.inline_rows)
        job = self._job(user_id, target, output, InputLayout("jsonl"))
        per_chunk = self._limits.rows_per_chunk(job.options["runtime"])
        data, offsets = as_lines(rows, per_chunk)
        job.input_key = keys.input_key(user_id, job.id)
        job.total_rows, job.total_chunks = len(rows), len(offsets) - 1
        self._jobs.add(job)
        self._jobs.add_chunks(
            [
                {
                    "job_id": job.id,
                    "chunk": chunk,
                    "user_id": user_id,
                    "first_row": chunk * per_chunk,
                    "rows": min(per_chunk, len(rows) - chunk * per_chunk),
                    "first_byte": offsets[chunk],
                    "end_byte": offsets[chunk + 1],
                }
                for chunk in range(job.total_chunks)
            ]
        )
        # Last, because it cannot be rolled back; an orphan is deleted with everything under jobs/ in time.
        self._store.put(job.input_key, data, CONTENT_TYPES["jsonl"])
        payloads = [{"job_id": job.id, "chunk": chunk} for chunk in range(job.total_chunks)]
        return Submitted(job, outbox.put(self._session, QUEUE, payloads))

    def submit_file(
        self,
        user_id: str,
        model_id: str,
        reference: FileReference,
        *,
        wished: Wished,
        output: OutputChoice,
    ) -> Submitted:
        """A job for an uploaded file; a worker finds its rows before others predict them."""
        target = self._target(user_id, model_id, wished)
        found = self._uploaded(user_id, reference)
        try:
            sample = self._store.get(found.key, etag=found.etag, end=min(found.size, SAMPLE_BYTES))
        except FileMissing:  # since we looked
            raise _no_such_input() from None
        layout = inspect(
            sample,
            target.signature,
            name=found.key.rpartition("/")[2],
            wished=reference.format,
            delimiter=reference.delimiter,
            header=reference.header,
        )
        if layout.first_byte >= found.size:
            raise InputRefused("The file holds no rows.", errors=[FieldError("/input", "expected rows")])
        job = self._job(user_id, target, output, layout)
        job.options = job.options | {"etag": found.etag, "size": found.size}
        job.input_key = found.key
        self._jobs.add(job)
        return Submitted(job, outbox.put(self._session, QUEUE, [{"job_id": job.id, "split": True}]))

    def offer_upload(self, user_id: str) -> UploadOffer:
        """A presigned POST for an input file; `upload_id` refers to it when the job is created."""
        upload_id = new_id("inp")
        key = keys.upload_key(user_id, upload_id)
        seconds = self._limits.upload_seconds
        form = self._store.upload_form(key, largest=self._limits.file_bytes, seconds=seconds)
        return UploadOffer(upload_id, key, form, self._limits.file_bytes, seconds)

    def _target(self, user_id: str, model_id: str, wished: Wished) -> Target:
        target = self._find_target(user_id, model_id, wished)
        if self._jobs.unfinished(user_id) >= self._limits.active_jobs:
            raise TooManyJobs(
                f"{self._limits.active_jobs} of your jobs have not ended yet. Wait for one, or cancel it.",
                headers={"Retry-After": "30"},
            )
        return target

    def _job(self, user_id: str, target: Target, output: OutputChoice, layout: InputLayout) -> Job:
        now = self._clock()
        outputs = asked_outputs(target.signature, output.outputs)
        options = {
            "layout": layout.to_json(),
            "names": item_keys(outputs, target.signature),
            "runtime": runtime_of(target.signature, outputs),
            "format": output.format or layout.format,
            "version": target.version.number,
        }
        return Job(
            id=new_id("job"),
            user_id=user_id,
            model_id=target.model_id,
            version_id=target.version.version_id,
            status="queued",
            options=options,
            total_rows=0,
            done_rows=0,
            failed_rows=0,
            total_chunks=0,
            created_at=now,
            expires_at=now + self._limits.retention,
        )

    def _uploaded(self, user_id: str, reference: FileReference) -> StoredObject:
        prefix = keys.upload_prefix(user_id)
        if reference.upload is not None and is_id(reference.upload, "inp"):
            key: str | None = keys.upload_key(user_id, reference.upload)
        else:
            key = reference.key
        foreign = key is None or not key.startswith(prefix) or len(key.encode()) > 1024 or "\0" in key
        found = None if foreign or key is None else self._store.head(key)
        if found is None:
            raise _no_such_input()
        if found.size > self._limits.file_bytes:
            raise InputTooLarge(f"An input file may have {self._limits.file_bytes // 1024 // 1024} MiB.")
        return found

    # --- looking

    def get(self, user_id: str, job_id: str) -> Job:
        """Raises `JobNotFound` for a missing and for a foreign job alike."""
        job = self._jobs.find(user_id, job_id)
        if job is None:
            raise _no_such_job()
        return job

    def page(
        self,
        user_id: str,
        *,
        cursor: str | None,
        limit: int,
        status: str | None = None,
        model_id: str | None = None,
    ) -> Page[Job]:
        """Newest first."""
        scope = f"jobs:{user_id}:{status or ''}:{model_id or ''}"
        position = self._cursors.decode(scope, cursor)
        after = str(position[0]) if position else None
        rows = self._jobs.page(user_id, after=after, limit=limit + 1, status=status, model_id=model_id)
        return page_of(rows, limit, cursors=self._cursors, scope=scope, position=lambda job: [job.id])

    def results(self, job: Job, *, cursor: str | None, limit: int) -> Page[dict[str, Any]]:
        """A page of results in the order of the input; `ResultsNotReady` while there are none."""
        _expect_results(job)
        scope = f"results:{job.user_id}:{job.id}"
        position = self._cursors.decode(scope, cursor)
        first = int(position[0]) + 1 if position else 0
        items = list(self.rows(job, first, first + limit + 1))
        return page_of(items, limit, cursors=self._cursors, scope=scope, position=lambda item: [item["row"]])

    def outcome(self, job: Job) -> tuple[tuple[str, int] | None, list[dict[str, Any]] | None]:
        """The download link of a job that succeeded, and its results where they are few."""
        if job.status != "succeeded":
            return None, None
        few = job.total_rows <= self._limits.embedded_rows
        return self.download_url(job), list(self.rows(job, 0, job.total_rows)) if few else None

    def rows(self, job: Job, first: int, end: int) -> Iterator[dict[str, Any]]:
        """Results of the rows `first` to `end` (exclusive) of a job that succeeded."""
        for chunk in self._jobs.chunks_between(job.id, first, end):
            if chunk.result_key is not None:
                try:
                    result = ChunkResult.load(self._store.get(chunk.result_key))
                except FileMissing:
                    raise ResultsGone("The results of this job have expired.") from None
                names = job.options["names"]
                yield from result.items(names, max(0, first - chunk.first_row), end - chunk.first_row)

    def download_url(self, job: Job) -> tuple[str, int]:
        """A link to the whole result file, and the seconds for which it works."""
        _expect_results(job)
        kind = job.options["format"]
        key = keys.results_key(job.user_id, job.id, kind)
        seconds = self._limits.download_seconds
        return self._store.download_url(key, filename=f"{job.id}.{kind}", seconds=seconds), seconds

    # --- changing

    def cancel(self, user_id: str, job_id: str) -> Job:
        """Ends the job now; chunks being predicted come to nothing. Cancelling twice is fine."""
        job = self._jobs.find(user_id, job_id, lock=True)
        if job is None:
            raise _no_such_job()
        if job.status == "cancelled":
            return job
        if job.status not in UNFINISHED:
            raise JobFinished(f"The job has {job.status} already and cannot be cancelled.")
        job.status = "cancelled"
        job.finished_at = self._clock()
        return job


def _no_such_job() -> JobNotFound:
    return JobNotFound("There is no such job. GET /api/jobs lists yours.")


def _no_such_input() -> InputNotFound:
    return InputNotFound(
        "Nothing was uploaded under this reference. POST /api/jobs/inputs gives a place to upload to; "
        "upload the file first."
    )


def _expect_results(job: Job) -> None:
    if job.status in UNFINISHED:
        detail = "The job has not ended yet. GET /api/jobs/{job_id} shows its progress."
        raise ResultsNotReady(detail, headers={"Retry-After": "2"})
    if job.status != "succeeded":
        raise ResultsGone(f"The job was {job.status}; it has no results.")
