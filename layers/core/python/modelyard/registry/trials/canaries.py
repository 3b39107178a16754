"""Canaries that are withdrawn by themselves: what the records say, under the lock of the model's row.

A canary is a version that gets a part of a split model's requests and is not the champion. It is judged
whenever records of its model arrive, over the last 15 minutes since the split began; where it had too few
requests in them, over the last hour, six hours or day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from modelyard.db.engine import Database
from modelyard.db.tables import Model
from modelyard.kit.clock import Clock, utc_now
from modelyard.registry.guard import Guard, Observed, judge
from modelyard.registry.promotion import By, Promotions
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.registry.trials.observations import Observations
from modelyard.registry.trials.watch import Trial
from modelyard.telemetry.log import logger
from modelyard.telemetry.metrics import directive, embedded

WINDOWS = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
_METRICS = directive([("canaries_withdrawn", "Count")])


@dataclass(frozen=True, slots=True)
class Withdrawal:
    user_id: str
    model_id: str
    number: int
    reason: str


Note = Callable[[Session, Withdrawal], object]
"""Puts a withdrawal into the audit trail, in its own transaction."""


class Canaries:
    """A step of `Trials`. Safe to take at any time, also twice at once."""

    def __init__(self, database: Database, routes: RouteBook, *, note: Note, clock: Clock = utc_now) -> None:
        self._database = database
        self._routes = routes
        self._note = note
        self._clock = clock

    def look(self, trial: Trial) -> list[Withdrawal]:
        """Withdraws the model's canaries that fail, and publishes its route; what was withdrawn."""
        if not trial.guarded or not self._suspects(trial):
            return []
        withdrawn = self._withdraw(trial)
        for each in withdrawn:
            logger.warning(
                "canary withdrawn",
                user_id=each.user_id,
                model_id=each.model_id,
                model_version=f"v{each.number}",
                reason=each.reason,
                canaries_withdrawn=1,
                _aws=embedded(_METRICS),
            )
        if withdrawn:
            self._routes.publish(trial.user_id, trial.model_id)
        return withdrawn

    def _suspects(self, trial: Trial) -> bool:
        """Whether there is anything to withdraw; most often there is not, and nobody's lock is waited for."""
        with self._database.transaction() as session:
            model = ModelRepository(session, trial.user_id).find_model(trial.model_id)
            return model is not None and any(self._verdicts(session, model))

    def _withdraw(self, trial: Trial) -> list[Withdrawal]:
        """Judged again under the lock: the split may have changed, or another delivery been quicker."""
        with self._database.transaction() as session:
            repository = ModelRepository(session, trial.user_id)
            model = repository.find_model(trial.model_id, lock=True)
            if model is None:
                return []
            withdrawn = list(self._verdicts(session, model))
            for each in withdrawn:
                by = By(None, reason=each.reason)
                Promotions(repository, clock=self._clock).withdraw(model, each.number, by)
                self._note(session, each)
            return withdrawn

    def _verdicts(self, session: Session, model: Model) -> Iterator[Withdrawal]:
        if model.traffic is None or model.guard is None or model.split_at is None:
            return
        guard = Guard.from_json(model.guard)
        champion = model.default_version
        assert champion is not None  # only models with a ready version can be split
        canaries = {int(number) for number in model.traffic} - {champion}
        for since in _since(model.split_at, self._clock()):
            found = Observations(session, model.user_id).by_version(model.id, since)
            for number in sorted(canaries):
                canary = found.get(number, Observed(number))
                if canary.asked < guard.min_requests:
                    continue
                canaries.discard(number)
                reason = judge(guard, canary, found.get(champion, Observed(champion)))
                if reason is not None:
                    yield Withdrawal(model.user_id, model.id, number, reason)
            if not canaries:
                return


def _since(split_at: datetime, now: datetime) -> Iterator[datetime]:
    """The beginnings of the windows, the shortest one first, none before the split."""
    for window in WINDOWS:
        if now - window <= split_at:
            yield split_at
            return
        yield now - window
