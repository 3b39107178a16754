"""What owners may change about models and versions, and what deleting them answers."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from modelyard.kit.clock import written_out
from modelyard.registry.retention import purge_at
from modelyard.registry.schemas import Description, Moment, Stage
from modelyard.serving.route import ANSWER_SECONDS

MOST_TAGS = 20
LARGEST_METADATA = 16 * 1024  # bytes, as JSON
LONGEST_CARD = 64 * 1024
LONGEST_ANSWER_SECONDS = 24 * 3600

Tag = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9 ._:/=@+-]*[A-Za-z0-9._:/=@+-])?$",
        examples=["team:growth"],
    ),
]


def _without_doubles(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL's JSON holds neither NUL characters nor infinities."""
    pending: list[Any] = [metadata]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend([*value.keys(), *value.values()])
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, str) and "\0" in value:
            raise ValueError("expected text without NUL characters")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError("expected numbers that a double can hold")
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > LARGEST_METADATA:
        raise ValueError(f"expected at most {LARGEST_METADATA} bytes as JSON")
    return metadata


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_without_doubles)]
Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]
Card = Annotated[str, Field(max_length=LONGEST_CARD, description="Markdown"), AfterValidator(_text)]


Reason = Annotated[str, Field(max_length=1000, description="Kept in the history"), AfterValidator(_text)]


class _Change(BaseModel):
    """Fields that are left out stay as they are; what is given replaces what was."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        names = sorted(type(self).model_fields)
        if not self.model_fields_set:
            raise ValueError(f"expected at least one of {', '.join(names)}")
        for name in self.model_fields_set - {"sunset_at"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out, or send an empty one")
        return self

    def changes(self) -> dict[str, Any]:
        """By the names of the columns."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        if "metadata" in said:
            said["facts"] = said.pop("metadata")
        return said


class CacheChange(BaseModel):
    """How answers are cached; what is left out is as the platform does it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool = True
    ttl_seconds: Annotated[int, Field(ge=1, le=LONGEST_ANSWER_SECONDS)] = ANSWER_SECONDS

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if not self.enabled and "ttl_seconds" in self.model_fields_set:
            raise ValueError("expected no ttl_seconds where the cache is off")
        return self


class ModelChange(_Change):
    description: Description | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    card: Card | None = None
    cache: CacheChange | None = None

    def changes(self) -> dict[str, Any]:
        said = super().changes()
        if self.cache is not None:
            del said["cache"]
            said["answer_seconds"] = self.cache.ttl_seconds if self.cache.enabled else 0
        return said


class VersionChange(_Change):
    stage: Stage | None = None
    sunset_at: Annotated[
        Annotated[AwareDatetime, BeforeValidator(written_out)] | None,
        Field(description="With the stage deprecated: when the version is meant to end"),
    ] = None
    description: Description | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None


class Deletion(BaseModel):
    """It answers no more; until `purge_at` a POST to `restore_url` brings it back."""

    model_id: str
    version: str | None
    deleted_at: Moment
    purge_at: Moment
    restore_url: str

    @classmethod
    def of(cls, model_id: str, deleted_at: datetime, *, base_url: str, number: int | None = None) -> Deletion:
        version = None if number is None else f"v{number}"
        place = f"{base_url}/models/{model_id}" + (f"/versions/{version}" if version else "")
        return cls(
            model_id=model_id,
            version=version,
            deleted_at=deleted_at,
            purge_at=purge_at(deleted_at),
            restore_url=f"{place}/restore",
        )
