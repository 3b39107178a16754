"""What was recorded of a model's versions while its requests were split."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from modelyard.db.tables import Prediction
from modelyard.registry.guard import Observed
from modelyard.registry.names import version_number

REFUSALS = ("invalid_input", "invalid_parameter")
"""Requests that do not fit the version that was asked: its columns, its outputs."""

FAULTS = ("model_error", "prediction_timeout", "model_unavailable", "internal_error")
"""Problems that speak against the version that was asked. Outages (storage, sandbox, database) do not."""

MOST_RECORDS = 50_000
"""So many of the newest are looked at; what a model with much traffic did a moment ago is what counts."""


class Observations:
    """Reads the records of `user_id`'s models."""

    def __init__(self, session: Session, user_id: str) -> None:
        self._session = session
        self._user_id = user_id

    def by_version(self, model_id: str, since: datetime) -> dict[int, Observed]:
        """Version number → what was recorded of it since then, of requests that left the choice to the route.

        Requests whose outcome has nothing to do with the version are not counted.
        """
        newest = (
            select(
                Prediction.model_version,
                Prediction.status_code,
                Prediction.error,
                Prediction.duration_ms,
                (Prediction.cached | Prediction.cold).label("untimed"),
            )
            .where(
                Prediction.user_id == self._user_id,
                Prediction.model_id == model_id,
                Prediction.at >= since,
                Prediction.routed,
            )
            .order_by(Prediction.at.desc())
            .limit(MOST_RECORDS)
            .subquery()
        )
        succeeded = newest.c.status_code < 400
        failed = and_(newest.c.status_code >= 500, newest.c.error.in_(FAULTS))
        refused = and_(newest.c.status_code < 500, newest.c.error.in_(REFUSALS))
        timed = and_(succeeded, ~newest.c.untimed)
        duration = case((timed, newest.c.duration_ms))  # null, which quantiles pass over, for the others
        statement = (
            select(
                newest.c.model_version,
                func.count().filter(or_(succeeded, failed)),
                func.count().filter(failed),
                func.count().filter(refused),
                func.count().filter(timed),
                func.percentile_cont(0.5).within_group(duration),
                func.percentile_cont(0.95).within_group(duration),
            )
            .where(or_(succeeded, failed, refused))
            .group_by(newest.c.model_version)
        )
        found = {}
        for label, *numbers in self._session.execute(statement):
            number = version_number(label or "")
            if number is not None:  # lines of a log say what they like
                found[number] = Observed(number, *numbers)
        return found
