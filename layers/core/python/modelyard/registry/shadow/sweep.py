"""The end of what shadows answered; apart from their reports, because `roll_up` has no pydantic."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select

from modelyard.db.engine import Database
from modelyard.db.tables import ShadowPrediction
from modelyard.kit.clock import Clock, utc_now

KEPT = timedelta(days=30)
_AT_ONCE = 5_000  # rows in one statement


class ShadowSweep:
    """Ends what shadows answered long ago. Safe to run at any time."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def run(self, *, statements: int = 20) -> dict[str, int]:
        """Deletes up to `statements` times some thousand rows; the next run goes on."""
        over, removed = self._clock() - KEPT, 0
        for _ in range(statements):
            old = select(ShadowPrediction.prediction_id).where(ShadowPrediction.at < over).limit(_AT_ONCE)
            statement = delete(ShadowPrediction).where(ShadowPrediction.prediction_id.in_(old))
            with self._database.transaction() as session:
                gone = session.scalars(statement.returning(ShadowPrediction.prediction_id)).all()
            removed += len(gone)
            if len(gone) < _AT_ONCE:
                break
        return {"removed": removed}
