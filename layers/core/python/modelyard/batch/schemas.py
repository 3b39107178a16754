"""Jobs as the wire shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from modelyard.batch.service import FileReference, OutputChoice, UploadOffer
from modelyard.db import tables
from modelyard.kit.clock import isoformat

Moment = Annotated[datetime, PlainSerializer(isoformat, return_type=str)]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ResultFormat = Literal["csv", "jsonl", "json"]


class InputReference(BaseModel):
    """An uploaded file: what `POST /jobs/inputs` gave, by `upload` or by `key`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    upload: Annotated[str | None, Field(max_length=64, examples=["inp_01k9…"])] = None
    key: Annotated[str | None, Field(max_length=1024)] = None
    format: Annotated[
        Literal["csv", "tsv", "jsonl", "ndjson"] | None,
        Field(description="Default: told by the file's name, else by its content"),
    ] = None
    delimiter: Annotated[Literal[",", ";", "\t", "|"] | None, Field(description="Of a CSV file")] = None
    header: Annotated[bool | None, Field(description="Whether a CSV file begins with column names")] = None

    def reference(self) -> FileReference:
        return FileReference(self.upload, self.key, self.format, self.delimiter, self.header)


class Output(BaseModel):
    """What the results hold and how the result file is written."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Annotated[ResultFormat | None, Field(description="Default: csv for CSV, else jsonl")] = None
    outputs: Annotated[
        list[Annotated[str, Field(max_length=64)]] | None,
        Field(
            max_length=8, description="Default: the model's first", examples=[["predict", "predict_proba"]]
        ),
    ] = None

    def choice(self) -> OutputChoice:
        return OutputChoice(self.format, self.outputs)


class JobRequest(BaseModel):
    """Rows in one of the forms of a prediction, or the reference of an uploaded file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3]]}]},
    )

    inputs: Annotated[list[Any] | dict[str, Any] | None, Field(description="Rows, or values by column")] = (
        None
    )
    records: Annotated[list[Any] | None, Field(description="Objects by column name")] = None
    dataframe_split: Annotated[dict[str, Any] | None, Field(description="{columns, data}, as pandas")] = None
    input: InputReference | None = None
    output: Output = Output()

    def rows(self) -> dict[str, Any]:
        """The forms that were sent."""
        return {
            name: getattr(self, name) for name in self.model_fields_set if name not in ("input", "output")
        }


class Reason(BaseModel):
    """Why a job failed: a stable word for programs, a sentence for its owner."""

    code: Annotated[str, Field(examples=["model_error"])]
    detail: str


class RowError(BaseModel):
    pointer: Annotated[str, Field(description="JSON pointer within the row; empty: the row as a whole")]
    detail: str


class ResultItem(BaseModel):
    """One row's result. Further asked outputs stand beside it under their own names."""

    model_config = ConfigDict(extra="allow")

    row: Annotated[int, Field(description="Counted from 0 in the order of the input")]
    prediction: Any = None
    probabilities: Any = None
    error: RowError | None = None


class ResultPage(BaseModel):
    items: list[ResultItem]
    next_cursor: str | None


class Results(BaseModel):
    """Where the results of a job are. `items` is null where they are too many to come along."""

    url: Annotated[str, Field(description="Results by page, as JSON")]
    download_url: Annotated[str, Field(description="The whole result file; the link lives for minutes")]
    download_expires_in: int
    format: ResultFormat
    items: list[ResultItem] | None


class JobSummary(BaseModel):
    """A job without its results."""

    job_id: str
    status: JobStatus
    reason: Reason | None
    model_id: str
    model_version: Annotated[str, Field(examples=["v1"])]
    progress: Annotated[float, Field(ge=0, le=1, description="Rows that are done, out of all")]
    total_rows: Annotated[int | None, Field(description="null until the rows of a file are counted")]
    done_rows: Annotated[int, Field(description="Predicted or failed")]
    failed_rows: int
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    expires_at: Annotated[Moment, Field(description="When the job and its files are deleted")]
    status_url: str
    results_url: str

    @classmethod
    def facts(cls, job: tables.Job, base_url: str) -> dict[str, Any]:
        counted = job.total_rows or None
        url = f"{base_url}/jobs/{job.id}"
        return {
            "job_id": job.id,
            "status": job.status,
            "reason": job.reason,
            "model_id": job.model_id,
            "model_version": f"v{job.options['version']}",
            "progress": 1.0 if job.status == "succeeded" else round(job.done_rows / (counted or 1), 4),
            "total_rows": counted,
            "done_rows": job.done_rows,
            "failed_rows": job.failed_rows,
            "created_at": job.created_at,
            "started_at": job.started_at,
            "finished_at": job.finished_at,
            "expires_at": job.expires_at,
            "status_url": url,
            "results_url": f"{url}/results",
        }

    @classmethod
    def of(cls, job: tables.Job, *, base_url: str) -> JobSummary:
        return cls.model_validate(cls.facts(job, base_url))


class Job(JobSummary):
    """A job; `results` once it has succeeded."""

    results: Results | None = None

    @classmethod
    def with_results(
        cls,
        job: tables.Job,
        link: tuple[str, int] | None,
        items: list[dict[str, Any]] | None,
        *,
        base_url: str,
    ) -> Job:
        facts = cls.facts(job, base_url) | {"results": None}
        if link is not None:
            facts["results"] = {
                "url": facts["results_url"],
                "download_url": link[0],
                "download_expires_in": link[1],
                "format": job.options["format"],
                "items": items,
            }
        return cls.model_validate(facts)


class JobPage(BaseModel):
    items: list[JobSummary]
    next_cursor: str | None


class InputUpload(BaseModel):
    """Send `fields` and then the file, as `file`, to `url` by POST as multipart/form-data."""

    upload: Annotated[str, Field(description='Refers to the file: {"input": {"upload": …}}')]
    key: str
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_in: Annotated[int, Field(description="Seconds")]

    @classmethod
    def of(cls, offer: UploadOffer) -> InputUpload:
        return cls(
            upload=offer.upload_id,
            key=offer.key,
            url=offer.form["url"],
            fields=offer.form["fields"],
            max_bytes=offer.largest,
            expires_in=offer.expires_in,
        )
