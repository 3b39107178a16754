"""What a shadow answered, looked at: its report, and the single requests behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from modelyard.db.tables import Model, ShadowPrediction
from modelyard.kit.errors import FieldError, Invalid
from modelyard.kit.paging import Cursors, Page, page_of
from modelyard.registry.names import version_number
from modelyard.registry.shadow.repository import ShadowRepository
from modelyard.registry.shadow.schemas import Report
from modelyard.registry.shadow.settings import Shadow
from modelyard.serving.mirror import mirror_key
from modelyard.telemetry.log import logger


class _Lengths(Protocol):
    def llen(self, name: str) -> int: ...


class ShadowReports:
    """Works within one unit of work. `redis` knows how many requests wait; its absence is no error."""

    def __init__(self, repository: ShadowRepository, redis: Callable[[], _Lengths], cursors: Cursors) -> None:
        self._repository = repository
        self._redis = redis
        self._cursors = cursors

    def report(self, model: Model, version: str | None) -> Report | None:
        """Of the present shadow since it was set, or of another version: all that is kept of it. None without
        either. Raises `Invalid` for what cannot be a version.
        """
        shadow, number = Shadow.of(model), self._number(model, version)
        if number is None:
            return None
        present = shadow is not None and shadow.number == number
        since = shadow.began if shadow is not None and present else None
        found = self._repository.report(model.id, number, since=since)
        return Report.of(number, found, since=since, pending=self._pending(model) if present else 0)

    def page(
        self, model: Model, version: str | None, *, differing: bool | None, limit: int, cursor: str | None
    ) -> Page[ShadowPrediction]:
        """The requests of the present shadow, or of another version, newest first."""
        number = self._number(model, version)
        scope = f"shadow/{self._repository.user_id}/{model.id}/{number}/{differing}"
        position = self._cursors.decode(scope, cursor)
        if number is None:
            return Page([])
        before = str(position[0]) if position else None
        rows = self._repository.page(model.id, number, differing=differing, before=before, limit=limit + 1)
        return page_of(
            rows, limit, cursors=self._cursors, scope=scope, position=lambda row: [row.prediction_id]
        )

    def _number(self, model: Model, version: str | None) -> int | None:
        if version is None:
            shadow = Shadow.of(model)
            return None if shadow is None else shadow.number
        number = version_number(version)
        if number is None:
            detail = "expected a version such as v2"
            raise Invalid("There is no such version.", errors=[FieldError("query:version", detail)])
        return number

    def _pending(self, model: Model) -> int | None:
        try:
            return int(self._redis().llen(mirror_key(model.user_id, model.id)))
        except Exception:
            logger.warning("requests that wait for a shadow cannot be counted", model_id=model.id)
            return None
