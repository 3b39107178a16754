"""Shadows as the wire shows them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from modelyard.db import tables
from modelyard.registry.changes import Reason
from modelyard.registry.schemas import Moment
from modelyard.registry.shadow.repository import ShadowReport
from modelyard.registry.shadow.settings import DEFAULT_TOLERANCE, Shadow

Version = Annotated[str, Field(min_length=1, max_length=16, examples=["v3"])]


class ShadowWanted(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: Version
    percent: Annotated[int, Field(ge=1, le=100, strict=True, description="Of the requests")] = 100
    tolerance: Annotated[
        float,
        Field(
            ge=0, le=1, strict=True, description="Numbers a and b agree within tolerance · max(1, |a|, |b|)"
        ),
    ] = DEFAULT_TOLERANCE
    reason: Reason = ""


class ShadowSetting(BaseModel):
    """`version` null: this model has no shadow."""

    version: str | None = None
    percent: int | None = None
    tolerance: float | None = None
    since: Moment | None = None

    @classmethod
    def of(cls, model: tables.Model) -> Self:
        shadow = Shadow.of(model)
        if shadow is None:
            return cls()
        return cls(
            version=f"v{shadow.number}",
            percent=shadow.percent,
            tolerance=shadow.tolerance,
            since=shadow.began,
        )


class Failure(BaseModel):
    code: Annotated[str, Field(examples=["model_error"])]
    requests: int


class Pair(BaseModel):
    """So many rows got the label `answered`, and would have got `shadow`."""

    answered: Any
    shadow: Any
    rows: int


class Difference(BaseModel):
    """Between the numbers of one row: the largest of them, over all rows."""

    mean: float
    largest: float


class Medians(BaseModel):
    """Of the time that the models themselves took, in milliseconds."""

    answered: float | None
    shadow: float | None


class Report(BaseModel):
    """How a shadow's answers compare with those that were given. `requests` and `rows` were compared; `rate`
    is the part of the rows that differ. `pending` requests wait for the shadow; null where that is not known.
    """

    version: str
    since: Annotated[Moment | None, Field(description="Of the first request that counts, or the setting")]
    requests: int
    rows: int
    agreeing: int
    differing: int
    rate: float | None
    failed_requests: int
    failures: list[Failure]
    pending: int | None
    pairs: Annotated[list[Pair], Field(description="Labels that differ, the most frequent first")]
    difference: Annotated[Difference | None, Field(description="null: no numbers were compared")]
    milliseconds: Medians

    @classmethod
    def of(cls, number: int, found: ShadowReport, *, since: Any, pending: int | None) -> Self:
        difference = None
        if found.mean is not None and found.largest is not None:
            difference = Difference(mean=found.mean, largest=found.largest)
        return cls(
            version=f"v{number}",
            since=since if since is not None and found.complete else found.first_at,
            requests=found.requests,
            rows=found.rows,
            agreeing=found.rows - found.differing,
            differing=found.differing,
            rate=found.differing / found.rows if found.rows else None,
            failed_requests=sum(count for _, count in found.failures),
            failures=[Failure(code=code, requests=count) for code, count in found.failures],
            pending=pending,
            pairs=[Pair(answered=ours, shadow=theirs, rows=rows) for ours, theirs, rows in found.pairs],
            difference=difference,
            milliseconds=Medians(answered=found.answered_ms, shadow=found.shadow_ms),
        )


class ShadowShown(ShadowSetting):
    """The setting, and the report of the present shadow or of the version that was asked for."""

    report: Report | None


class Compared(BaseModel):
    """One request that the shadow saw. `error` is a problem code where the shadow failed. Answers are kept
    where they differ and are not too large; inputs never are.
    """

    prediction_id: str
    at: Moment
    version: Annotated[str, Field(description="That answered")]
    shadow_version: str
    rows: int
    differing: int
    largest_difference: float | None
    error: str | None
    answered_milliseconds: float | None
    shadow_milliseconds: float
    answer: dict[str, Any] | None
    shadow_answer: dict[str, Any] | None

    @classmethod
    def of(cls, row: tables.ShadowPrediction) -> Self:
        return cls(
            prediction_id=row.prediction_id,
            at=row.at,
            version=f"v{row.number}",
            shadow_version=f"v{row.shadow_number}",
            rows=row.rows,
            differing=row.differing,
            largest_difference=row.largest,
            error=row.error,
            answered_milliseconds=row.answered_ms,
            shadow_milliseconds=row.shadow_ms,
            answer=row.answer,
            shadow_answer=row.shadow_answer,
        )


class ComparedPage(BaseModel):
    items: list[Compared]
    next_cursor: str | None
