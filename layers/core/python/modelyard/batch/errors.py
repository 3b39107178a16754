"""What a caller of the batch routes may be told, and how a worker says that a job cannot go on."""

from __future__ import annotations

from typing import Any

from modelyard.kit.errors import (
    Conflict,
    Invalid,
    NotFound,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)


class JobNotFound(NotFound):
    code, title = "job_not_found", "No such job"


class InputNotFound(NotFound):
    """Nothing was uploaded under that reference, or it belongs to somebody else."""

    code, title = "input_not_found", "No such input file"


class InputRefused(Invalid):
    code, title = "invalid_input", "The input does not fit"


class UnsupportedInput(UnsupportedMediaType):
    code, title = "unsupported_input", "Unsupported input format"


class InputTooLarge(TooLarge):
    code, title = "input_too_large", "The input is too large"


class JobFinished(Conflict):
    code, title = "job_finished", "The job has ended"


class ResultsNotReady(Conflict):
    code, title = "results_not_ready", "The job has no results yet"


class ResultsGone(NotFound):
    code, title = "results_gone", "The job has no results"


class TooManyJobs(TooManyRequests):
    code, title = "too_many_jobs", "Too many jobs at once"
    type_uri = "/api/problems/too_many_jobs"


class JobFailure(Exception):
    """The job cannot succeed, however often it is tried; its owner reads `reason`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.reason: dict[str, Any] = {"code": code, "detail": detail}
