"""What a worker does with one message: find the rows of a file, predict a chunk, put the results together.

A chunk is three steps: read (short transaction), predict and store under a key that only depends on the
chunk, mark (short transaction). Whatever repeats, a duplicate or a worker that died, writes the same bytes
again and finds the mark already there. A transaction around the prediction would hold a connection for
minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modelyard.batch import store as keys
from modelyard.batch.errors import JobFailure
from modelyard.batch.layout import InputLayout
from modelyard.batch.limits import Limits
from modelyard.batch.parsing import parse_chunk
from modelyard.batch.predicting import BatchPredictor
from modelyard.batch.repository import QUEUE, UNFINISHED, JobRepository
from modelyard.batch.results import ChunkResult, render
from modelyard.batch.splitting import Piece, split
from modelyard.batch.store import CONTENT_TYPES, FileChanged, FileMissing, JobStore
from modelyard.batch.target import FindRoute
from modelyard.db import outbox
from modelyard.db.engine import Database
from modelyard.db.outbox import Dispatcher
from modelyard.db.tables import Job, JobChunk
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import FieldError, Problem, Unavailable
from modelyard.kit.ids import is_id, new_id
from modelyard.serving.models import LoadedModel
from modelyard.serving.route import VersionRoute
from modelyard.serving.runtime import Runtime
from modelyard.telemetry.log import logger
from modelyard.telemetry.records import PredictionRecord, write_line

ATTEMPTS = 3  # of a message whose failure is not an outage; then the job fails with the reason
_RESERVE = 15.0  # seconds kept for storing and marking

LoadModel = Callable[[VersionRoute, str], LoadedModel]
"""(version, user id) → the model, loaded if need be."""

OriginalOf = Callable[[LoadedModel, str], Runtime]
"""(model, user id) → the estimator that the model was made from, in the sandbox."""


class BadMessage(ValueError):
    """A message that nobody who knows the contract wrote."""


@dataclass(frozen=True, slots=True)
class Work:
    """One message: a file to `split`, a `chunk` to predict, or results to put together (`finish`)."""

    job_id: str
    step: str
    chunk: int = 0

    @classmethod
    def parse(cls, message: Any) -> Work:
        if not isinstance(message, Mapping) or not is_id(str(message.get("job_id")), "job"):
            raise BadMessage("expected an object with a job_id")
        job_id = str(message["job_id"])
        for step in ("split", "finish"):
            if message.get(step) is True:
                return cls(job_id, step)
        chunk = message.get("chunk")
        if not isinstance(chunk, int) or isinstance(chunk, bool) or not 0 <= chunk < 2**31:
            raise BadMessage('expected "chunk", "split" or "finish"')
        return cls(job_id, "chunk", chunk)


class Worker:
    """Handles messages one at a time. What it raises means: deliver the message again."""

    def __init__(
        self,
        *,
        database: Database,
        store: JobStore,
        find_route: FindRoute,
        load_model: LoadModel,
        original: OriginalOf,
        dispatcher: Dispatcher,
        limits: Limits = Limits(),
        clock: Clock = utc_now,
        write: Callable[[str], object] = write_line,
    ) -> None:
        self._database = database
        self._store = store
        self._find_route = find_route
        self._load_model = load_model
        self._original = original
        self._dispatcher = dispatcher
        self._limits = limits
        self._clock = clock
        self._write = write

    def handle(self, message: Any, *, attempt: int, seconds: float) -> None:
        """Does what `message` asks for within `seconds`; `attempt` counts its deliveries from 1.

        Outages (`Unavailable`) are always raised, for they pass; all else fails the job at the last attempt.
        """
        work = Work.parse(message)
        try:
            self._do(work, time.monotonic() + seconds - _RESERVE)
        except JobFailure as failure:
            self._fail(work.job_id, failure.reason)
        except Unavailable:
            raise
        except Exception as error:
            if attempt < ATTEMPTS:
                raise
            logger.exception("job failed", job_id=work.job_id, step=work.step, chunk=work.chunk)
            self._fail(work.job_id, _reason(error))

    def _do(self, work: Work, deadline: float) -> None:
        if work.step == "split":
            self._split(work.job_id)
        elif work.step == "finish" or self._predict(work.job_id, work.chunk, deadline):
            self._finish(work.job_id)

    # --- splitting

    def _split(self, job_id: str) -> None:
        with self._database.transaction() as session:
            job = JobRepository(session).job(job_id)
        if job is None or job.status not in UNFINISHED or job.total_chunks:
            return
        pieces = self._pieces(job)
        with self._database.transaction() as session:
            jobs = JobRepository(session)
            locked = jobs.job(job_id, lock=True)
            if locked is None or locked.status not in UNFINISHED or locked.total_chunks:
                return
            jobs.add_chunks([_chunk_row(locked, number, piece) for number, piece in enumerate(pieces)])
            locked.total_chunks = len(pieces)
            locked.total_rows = pieces[-1].first_row + pieces[-1].rows
            locked.status, locked.started_at = "running", locked.started_at or self._clock()
            payloads = [{"job_id": job_id, "chunk": number} for number in range(len(pieces))]
            messages = outbox.put(session, QUEUE, payloads)
        try:
            self._dispatcher.send(messages)
        except Exception:
            logger.exception("chunks left to the sweep", job_id=job_id)  # the rows are there

    def _pieces(self, job: Job) -> list[Piece]:
        layout = InputLayout.from_json(job.options["layout"])
        runtime = _runtime(job, self._version(job))
        pieces = []
        with _input_expected():
            for piece in split(
                self._store.stream(job.input_key, etag=job.options["etag"]),
                first_byte=layout.first_byte,
                delimiter=layout.delimiter if layout.format == "csv" else None,
                most_rows=self._limits.rows_per_chunk(runtime),
                most_bytes=self._limits.chunk_bytes,
                row_bytes=self._limits.row_bytes,
            ):
                pieces.append(piece)
                if piece.first_row + piece.rows > self._limits.rows:
                    raise JobFailure("too_many_rows", f"A job takes at most {self._limits.rows} rows.")
        if not pieces:
            raise JobFailure("empty_input", "The input file holds no rows.")
        return pieces

    def _version(self, job: Job) -> VersionRoute:
        route = self._find_route(job.user_id, job.model_id)
        version = route.versions.get(job.options["version"]) if route is not None else None
        if version is None or version.version_id != job.version_id:
            raise JobFailure("model_gone", "The model version of this job has been deleted.")
        return version

    # --- predicting

    def _predict(self, job_id: str, number: int, deadline: float) -> bool:
        """Predicts one chunk; whether the job is now ready to be finished."""
        started = time.perf_counter()
        with self._database.transaction() as session:
            jobs = JobRepository(session)
            job, chunk = jobs.job(job_id), jobs.chunk(job_id, number)
            if job is None or chunk is None or job.status not in UNFINISHED:
                return False
            if chunk.status == "done":
                return not jobs.open_chunks(job_id)
        version = self._version(job)
        result = self._result(job, chunk, version, deadline)
        key = keys.chunk_key(job.user_id, job_id, number)
        self._store.put(key, result.dump())
        marked, last = self._mark(job_id, number, key, failed=len(result.errors), rows=result.rows)
        if marked:
            self._record(job, started, rows=result.rows, runtime=_runtime(job, version))
        return last

    def _result(self, job: Job, chunk: JobChunk, version: VersionRoute, deadline: float) -> ChunkResult:
        model = self._load_model(version, job.user_id)
        layout = InputLayout.from_json(job.options["layout"])
        with _input_expected():
            data = self._store.get(
                job.input_key, etag=job.options.get("etag"), first=chunk.first_byte, end=chunk.end_byte
            )
        batch, errors, rows = parse_chunk(data, layout, model.decoder)
        if rows != chunk.rows:
            raise _replaced()
        native = _runtime(job, version) == "native"
        runtime = self._original(model, job.user_id) if native else model.runtime
        predictor = BatchPredictor(runtime, list(job.options["names"]), deadline, native=native)
        values, broken = predictor.predict(batch)
        return ChunkResult.of(chunk.first_row, rows, values, errors | _renumbered(broken, errors, rows))

    def _mark(self, job_id: str, number: int, key: str, *, failed: int, rows: int) -> tuple[bool, bool]:
        """Whether this worker's result counts, and whether it was the last chunk."""
        with self._database.transaction() as session:
            jobs = JobRepository(session)
            job = jobs.job(job_id, lock=True)  # one after the other: exactly one of them sees no chunk left
            if job is None or job.status not in UNFINISHED:
                return False, False
            now = self._clock()
            marked = jobs.mark_done(job_id, number, result_key=key, failed_rows=failed, now=now)
            if marked:
                job.done_rows += rows
                job.failed_rows += failed
                job.status, job.started_at = "running", job.started_at or now
            return marked, not jobs.open_chunks(job_id)

    # --- finishing

    def _finish(self, job_id: str) -> None:
        """Puts the results together. Whoever does it twice writes the same file."""
        with self._database.transaction() as session:
            jobs = JobRepository(session)
            job, chunks = jobs.job(job_id), jobs.chunks(job_id)
        if job is None or job.status not in UNFINISHED or any(chunk.status != "done" for chunk in chunks):
            return
        kind = job.options["format"]
        signature = self._load_model(self._version(job), job.user_id).signature
        pieces = render(self._results(chunks), kind, job.options["names"], signature)
        self._store.write(keys.results_key(job.user_id, job_id, kind), pieces, CONTENT_TYPES[kind])
        with self._database.transaction() as session:
            locked = JobRepository(session).job(job_id, lock=True)
            if locked is not None and locked.status in UNFINISHED:
                now = self._clock()
                locked.status, locked.finished_at = "succeeded", now
                locked.expires_at = now + self._limits.retention
                logger.info("job succeeded", job_id=job_id, rows=locked.done_rows, failed=locked.failed_rows)

    def _results(self, chunks: Sequence[JobChunk]) -> Iterator[ChunkResult]:
        for chunk in chunks:
            assert chunk.result_key is not None
            yield ChunkResult.load(self._store.get(chunk.result_key))

    def _fail(self, job_id: str, reason: dict[str, Any]) -> None:
        with self._database.transaction() as session:
            job = JobRepository(session).job(job_id, lock=True)
            if job is None or job.status not in UNFINISHED:
                return
            job.status, job.reason, job.finished_at = "failed", reason, self._clock()
        self._record(job, time.perf_counter(), status=500, error=reason["code"])
        logger.warning("job failed", job_id=job_id, reason=reason["code"])

    def _record(
        self,
        job: Job,
        started: float,
        *,
        status: int = 200,
        rows: int = 0,
        runtime: str | None = None,
        error: str | None = None,
    ) -> None:
        record = PredictionRecord(
            prediction_id=new_id("prd"),
            user_id=job.user_id,
            model_id=job.model_id,
            version_id=job.version_id,
            model_version=f"v{job.options['version']}",
            status_code=status,
            duration_ms=(time.perf_counter() - started) * 1000,
            at=time.time(),
            rows=rows,
            runtime=runtime,
            error=error,
            request_id=job.id,
            endpoint="/predict/batch/{model_id}",
            service="run_batch",
        )
        self._write(record.line())


@contextmanager
def _input_expected() -> Iterator[None]:
    """An input file that is not there, or another one, ends its job."""
    try:
        yield
    except FileChanged as error:
        raise _replaced() from error
    except FileMissing as error:
        raise JobFailure("input_missing", "The input file of this job is no longer there.") from error


def _replaced() -> JobFailure:
    return JobFailure("input_changed", "The input file was replaced after the job was created.")


def _chunk_row(job: Job, number: int, piece: Piece) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "chunk": number,
        "user_id": job.user_id,
        "first_row": piece.first_row,
        "rows": piece.rows,
        "first_byte": piece.first_byte,
        "end_byte": piece.end_byte,
    }


def _runtime(job: Job, version: VersionRoute) -> str:
    """What answers the job; jobs of an earlier release do not say."""
    return str(job.options.get("runtime", version.runtime))


def _renumbered(
    broken: dict[int, FieldError], errors: dict[int, FieldError], rows: int
) -> dict[int, FieldError]:
    """Errors by place among the good rows → errors by place in the chunk."""
    if not broken:
        return {}
    places = [row for row in range(rows) if row not in errors]
    return {places[index]: error for index, error in broken.items()}


def _reason(error: Exception) -> dict[str, Any]:
    if isinstance(error, Problem):
        return {"code": error.code, "detail": error.detail}
    return {"code": "internal_error", "detail": "The platform failed on this job; its operators see why."}
