"""Every statement on what shadows answered, each bound to one user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, column, func, select, true
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from modelyard.db.tables import ShadowPrediction

MOST_PAIRS = 20
MOST_REQUESTS = 200_000  # in a report: the newest; adding them up takes half a second
MOST_PAIRED = 20_000  # requests whose pairs are added up, the newest again: each has up to 50, in 8 KiB


@dataclass(slots=True)
class ShadowReport:
    """`requests` and `rows` count what could be compared; failures are by problem code, most frequent first.

    `pairs` are (answered, shadow, rows) of labels that differ, in the newest requests with such; `mean` and
    `largest` are differences of numbers; `answered_ms` and `shadow_ms` the medians of the models' own times,
    in milliseconds. Where there are older requests, beyond the most that a report counts, it is not
    `complete`.
    """

    requests: int = 0
    rows: int = 0
    differing: int = 0
    failures: list[tuple[str, int]] = field(default_factory=list)
    pairs: list[tuple[Any, Any, int]] = field(default_factory=list)
    mean: float | None = None
    largest: float | None = None
    answered_ms: float | None = None
    shadow_ms: float | None = None
    first_at: datetime | None = None
    complete: bool = True


class ShadowRepository:
    """What the shadows of `user_id`'s models answered; what belongs to others does not exist."""

    def __init__(
        self,
        session: Session,
        user_id: str,
        *,
        most_requests: int = MOST_REQUESTS,
        most_paired: int = MOST_PAIRED,
    ) -> None:
        self._session = session
        self._most_paired = most_paired
        self.user_id = user_id
        self._most_requests = most_requests

    def add(self, rows: Sequence[dict[str, Any]]) -> int:
        """How many of `rows` were new: a request is compared once, whoever comes twice with it."""
        if not rows:
            return 0
        statement = insert(ShadowPrediction).values([row | {"user_id": self.user_id} for row in rows])
        new = statement.on_conflict_do_nothing().returning(ShadowPrediction.prediction_id)
        return len(self._session.scalars(new).all())

    def report(self, model_id: str, number: int, *, since: datetime | None = None) -> ShadowReport:
        """Of the newest requests that the model's shadow version `number` saw since then."""
        where = self._of(model_id, number)
        if since is not None:
            where.append(ShadowPrediction.at >= since)
        newest_first = select(ShadowPrediction.prediction_id).where(*where)
        newest_first = newest_first.order_by(ShadowPrediction.prediction_id.desc())
        last = self._session.scalar(newest_first.offset(self._most_requests).limit(1))
        if last is not None:
            where.append(ShadowPrediction.prediction_id > last)
        report = self._totals(where)
        report.complete = last is None
        report.failures = self._failures(where)
        report.pairs = self._pairs(where)
        return report

    def page(
        self, model_id: str, number: int, *, differing: bool | None, before: str | None, limit: int
    ) -> Sequence[ShadowPrediction]:
        """Newest first. `differing`: those with rows that differ, or those that were compared without any."""
        where = self._of(model_id, number)
        if differing is not None:
            where.append(ShadowPrediction.differing > 0 if differing else ShadowPrediction.differing == 0)
        if differing is False:
            where.append(ShadowPrediction.error.is_(None))
        if before is not None:
            where.append(ShadowPrediction.prediction_id < before)
        statement = select(ShadowPrediction).where(*where)
        newest_first = statement.order_by(ShadowPrediction.prediction_id.desc())
        return self._session.scalars(newest_first.limit(limit)).all()

    def _of(self, model_id: str, number: int) -> list[ColumnElement[bool]]:
        return [
            ShadowPrediction.user_id == self.user_id,
            ShadowPrediction.model_id == model_id,
            ShadowPrediction.shadow_number == number,
        ]

    def _totals(self, where: Sequence[ColumnElement[bool]]) -> ShadowReport:
        row = ShadowPrediction
        statement = select(
            func.count(),
            func.coalesce(func.sum(row.rows), 0),
            func.coalesce(func.sum(row.differing), 0),
            func.sum(row.total) / func.nullif(func.sum(row.measured), 0),
            func.max(row.largest),
            func.percentile_cont(0.5).within_group(row.answered_ms),
            func.percentile_cont(0.5).within_group(row.shadow_ms),
            func.min(row.at),
        ).where(*where, row.error.is_(None))
        requests, rows, differing, mean, largest, answered, shadow, first = self._session.execute(
            statement
        ).one()
        return ShadowReport(
            requests=requests,
            rows=rows,
            differing=differing,
            mean=mean,
            largest=largest,
            answered_ms=answered,
            shadow_ms=shadow,
            first_at=first,
        )

    def _failures(self, where: Sequence[ColumnElement[bool]]) -> list[tuple[str, int]]:
        code, count = ShadowPrediction.error, func.count()
        statement = select(code, count).where(*where, code.is_not(None)).group_by(code)
        found = self._session.execute(statement.order_by(count.desc(), code))
        return [(name, number) for name, number in found if name is not None]

    def _pairs(self, where: Sequence[ColumnElement[bool]]) -> list[tuple[Any, Any, int]]:
        newest = (
            select(ShadowPrediction.pairs)
            .where(*where, ShadowPrediction.pairs.is_not(None))
            .order_by(ShadowPrediction.prediction_id.desc())
            .limit(self._most_paired)
            .subquery()
        )
        element = func.jsonb_array_elements(newest.c.pairs).table_valued(column("value", JSONB))
        pair = element.c.value
        each = (
            select(pair[0].label("answered"), pair[1].label("shadow"), pair[2].as_integer().label("rows"))
            .select_from(newest)
            .join(element, true())
            .subquery()
        )
        answered, shadow, rows = each.c.answered, each.c.shadow, func.sum(each.c.rows)
        statement = select(answered, shadow, rows).group_by(answered, shadow)
        most_frequent = statement.order_by(rows.desc(), answered, shadow).limit(MOST_PAIRS)
        return [(ours, theirs, int(number)) for ours, theirs, number in self._session.execute(most_frequent)]
