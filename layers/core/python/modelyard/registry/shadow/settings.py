"""A model's shadow: a second version that is asked what the first one answers, and whose answers nobody gets.

This is the setting. What a shadow answered stands in `registry.shadow.repository`, and is made by
`registry.shadow.worker`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from modelyard.db.tables import Model
from modelyard.kit.clock import Clock, utc_now
from modelyard.registry.lifecycle import VersionInUse
from modelyard.registry.promotion import By, Promotions

DEFAULT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Shadow:
    """Which version is asked as well, how many percent of the requests, and what counts as equal (see
    `registry.shadow.comparison.compare`). `since` is ISO 8601, as it stands in `models.shadow`.
    """

    number: int
    percent: int
    tolerance: float
    since: str

    @classmethod
    def of(cls, model: Model) -> Shadow | None:
        """None without one. What a later release writes beside these is left alone."""
        if model.shadow is None:
            return None
        return cls(**{field.name: model.shadow[field.name] for field in fields(cls)})

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.since)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Shadows:
    """Works within one unit of work, on a model whose row is locked."""

    def __init__(self, promotions: Promotions, *, clock: Clock = utc_now) -> None:
        self._promotions = promotions
        self._clock = clock

    def begin(self, model: Model, version: str, *, percent: int, tolerance: float, by: By) -> None:
        """Makes `version` the shadow, in place of another. With the setting that is there: changes nothing.

        Raises `Invalid`, `VersionNotReady`, and `VersionInUse` for a version that callers get answers from.
        """
        number = self._promotions.servable(model, version)
        if number == model.default_version:
            raise VersionInUse("This version is the champion: it answers already. Choose another as shadow.")
        if str(number) in (model.traffic or {}):
            raise VersionInUse("A part of the requests goes to this version already. End the split first.")
        before = Shadow.of(model)
        wanted = (number, percent, tolerance)
        if before is not None and (before.number, before.percent, before.tolerance) == wanted:
            return
        model.shadow = Shadow(*wanted, since=self._clock().isoformat()).to_json()
        self._promotions.record_shadow(model, before.number if before else None, number, by)

    def end(self, model: Model, by: By) -> None:
        """Leaves the model without a shadow; what it answered so far stays."""
        self._promotions.end_shadow(model, by)
