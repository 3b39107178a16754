"""Models on trial: their requests are split, or a shadow answers beside the version that is asked.

They are looked at when records of theirs arrive, so watching costs nothing while nothing happens; the sweep
looks at all of them once more, for what was missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func, or_, select, tuple_

from modelyard.db.engine import Database
from modelyard.db.tables import Model
from modelyard.telemetry.log import logger

LOOK_SECONDS = 20.0  # after a delivery, whose function lives for 60
SWEEP_SECONDS = 60.0  # within `roll_up`, which lives for 240
_AT_ONCE = 500  # models in one statement


@dataclass(frozen=True, slots=True)
class Trial:
    """A model on trial: whether a guard watches its split, and whether it has a shadow."""

    user_id: str
    model_id: str
    guarded: bool
    shadowed: bool


Step = Callable[[Trial], object]
"""What is done for a model on trial. Steps must be safe to repeat and to run twice at once."""


@dataclass(slots=True)
class TrialReport:
    """How many models were looked at, how many steps failed, how many models no time was left for."""

    models: int = 0
    errors: int = 0
    left: int = 0


class Trials:
    """Finds models on trial and takes every step for each; no step stops another."""

    def __init__(
        self, database: Database, steps: Sequence[Step], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._steps = steps
        self._now = now

    def look(self, models: Collection[tuple[str, str]]) -> TrialReport:
        """Takes the steps for those of `models`, (user id, model id) each, that are on trial.

        Never raises: whoever stored records has done so whatever becomes of this.
        """
        report = TrialReport()
        try:
            remaining = iter(models)
            found: list[Trial] = []
            while some := list(islice(remaining, _AT_ONCE)):
                found += self._find(some)
            self._take(found, report, LOOK_SECONDS)
        except Exception:
            logger.exception("models on trial were not looked at")
            report.errors += 1
        return report

    def sweep(self) -> TrialReport:
        """The same for every model on trial. Raises `Unavailable` where PostgreSQL is away."""
        report = TrialReport()
        self._take(self._find(None), report, SWEEP_SECONDS)
        return report

    def _find(self, among: Collection[tuple[str, str]] | None) -> list[Trial]:
        # Exactly the condition of the partial index, which holds only models on trial and so stays small.
        statement = select(
            Model.user_id,
            Model.id,
            Model.traffic.is_not(None) & Model.guard.is_not(None),
            Model.shadow.is_not(None),
        ).where(or_(Model.traffic.is_not(None), Model.shadow.is_not(None)), Model.deleted_at.is_(None))
        if among is not None:
            statement = statement.where(tuple_(Model.user_id, Model.id).in_(among))
        # By chance: should time not do for all, it is not the same ones that are left each time.
        with self._database.transaction() as session:
            return [Trial(*row) for row in session.execute(statement.order_by(func.random()))]

    def _take(self, trials: Iterable[Trial], report: TrialReport, seconds: float) -> None:
        end = self._now() + seconds
        for trial in trials:
            if self._now() > end:
                report.left += 1
                continue
            report.models += 1
            for step in self._steps:
                try:
                    step(trial)
                except Exception:
                    logger.exception("step of a trial failed", user_id=trial.user_id, model_id=trial.model_id)
                    report.errors += 1
        if report.left:
            logger.warning("no time for all models on trial", left=report.left)
