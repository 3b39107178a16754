"""What a listing shows and in which order: filters, and sort orders whose position a cursor can carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, tuple_

from modelyard.db.tables import Model, ModelVersion

ModelSort = Literal["-created", "created", "-updated", "updated", "name", "-name"]
VersionSort = Literal["-number", "number"]


@dataclass(frozen=True, slots=True)
class ModelSearch:
    """`text` is looked for in names and descriptions, any case; every one of `tags` must be there."""

    text: str | None = None
    tags: tuple[str, ...] = ()
    ready: bool | None = None
    deleted: bool = False
    sort: ModelSort = "-created"

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.text is not None:
            like = f"%{_literal(self.text)}%"
            found.append(Model.name.ilike(like, escape="\\") | Model.description.ilike(like, escape="\\"))
        if self.tags:
            found.append(Model.tags.contains(list(self.tags)))
        if self.ready is not None:
            found.append(
                Model.default_version.is_not(None) if self.ready else Model.default_version.is_(None)
            )
        return found

    @property
    def _column(self) -> Any:
        by = {"created": Model.id, "updated": Model.updated_at, "name": Model.name}  # ids sort by their time
        return by[self.sort.lstrip("-")]

    def order(self) -> list[Any]:
        columns = [self._column, Model.id]
        return [column.desc() if self.sort.startswith("-") else column.asc() for column in columns]

    def after(self, position: Sequence[str | int]) -> ColumnElement[bool]:
        """What comes behind the item at `position`."""
        value, model_id = position
        last = datetime.fromisoformat(str(value)) if self.sort.endswith("updated") else value
        here = tuple_(self._column, Model.id)
        there = tuple_(last, model_id)
        return here < there if self.sort.startswith("-") else here > there

    def position(self, model: Model) -> list[str | int]:
        value = getattr(model, self._column.key)
        return [value.isoformat() if isinstance(value, datetime) else value, model.id]


@dataclass(frozen=True, slots=True)
class VersionSearch:
    status: str | None = None
    stage: str | None = None
    tags: tuple[str, ...] = ()
    deleted: bool = False
    sort: VersionSort = "-number"

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.status is not None:
            found.append(ModelVersion.status == self.status)
        if self.stage is not None:
            found.append(ModelVersion.stage == self.stage)
        if self.tags:
            found.append(ModelVersion.tags.contains(list(self.tags)))
        return found

    def order(self) -> Any:
        return ModelVersion.number.desc() if self.sort == "-number" else ModelVersion.number.asc()

    def after(self, number: int) -> ColumnElement[bool]:
        return ModelVersion.number < number if self.sort == "-number" else ModelVersion.number > number


def _literal(text: str) -> str:
    """LIKE's own characters stand for themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
