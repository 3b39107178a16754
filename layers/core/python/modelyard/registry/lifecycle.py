"""The life of models and versions after registration: what is said of them, stages, deletion and return.

Every method works on rows that the caller's unit of work has locked, model before version. What requests see
of it follows after the commit: publish the model's route, and forget the answers of what was retired.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modelyard.db.tables import Model, ModelVersion
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import Conflict, FieldError, Invalid, NotFound
from modelyard.registry.repository import ModelRepository
from modelyard.registry.retention import purge_at


class VersionInUse(Conflict):
    """Requests go to this version; they must be sent elsewhere first."""

    code, title = "version_in_use", "The version is in use"


class VersionNotReady(Conflict):
    code, title = "version_not_ready", "The version is not ready"


class NameTaken(Conflict):
    code, title = "name_taken", "The name is taken"


class Lifecycle:
    def __init__(self, repository: ModelRepository, *, clock: Clock = utc_now) -> None:
        self._repository = repository
        self._clock = clock

    # Models

    def change_model(self, model: Model, changes: Mapping[str, Any]) -> None:
        """`changes`: any of description, tags, facts (the metadata), card and answer_seconds; each replaces
        what was.
        """
        for name, value in changes.items():
            setattr(model, name, value)
        self._repository.touch(model, self._clock())

    def delete_model(self, model: Model) -> None:
        """Its name is free at once; whatever it is made of stays until its purge."""
        now = self._clock()
        model.deleted_at = now
        self._repository.touch(model, now)

    def restore_model(self, model_id: str) -> Model:
        """Raises `NotFound` where it is not deleted or its time is over, `NameTaken` where a newer one has
        its name.
        """
        now = self._clock()
        model = self._repository.model(model_id, lock=True, deleted=True)
        _check_time(model.deleted_at, now)
        if self._repository.has_model_named(model.name):
            raise NameTaken("Another model has this name by now. Delete that one first.")
        model.deleted_at = None
        self._repository.touch(model, now)
        return model

    # Versions

    def change_version(self, model: Model, version: ModelVersion, changes: Mapping[str, Any]) -> None:
        """`changes`: any of stage, sunset_at, description, tags and facts. Raises `Invalid` for an end that
        cannot be, `VersionNotReady` and `VersionInUse` for a stage that cannot be now.
        """
        now = self._clock()
        said = dict(changes)
        stage = said.pop("stage", version.stage)
        kept = version.sunset_at if stage == version.stage == "deprecated" else None
        sunset = said.pop("sunset_at", kept)
        self._check_sunset(stage, sunset, version, now)
        if stage != version.stage:
            self._move(model, version, stage, now)
        version.sunset_at = sunset
        for name, value in said.items():
            setattr(version, name, value)
        self._repository.touch(model, now)

    def _check_sunset(
        self, stage: str, sunset: datetime | None, version: ModelVersion, now: datetime
    ) -> None:
        if sunset is None:
            return
        if stage != "deprecated":
            detail = "expected only for the stage deprecated"
        elif sunset <= now and sunset != version.sunset_at:
            detail = "expected a time to come"
        else:
            return
        raise Invalid("The end of the version cannot be that.", errors=[FieldError("/sunset_at", detail)])

    def _move(self, model: Model, version: ModelVersion, stage: str, now: datetime) -> None:
        if version.status != "ready":
            raise VersionNotReady("Only versions that are ready have a stage; delete this one instead.")
        if stage == "archived":
            self._check_unused(model, version)
        version.stage = stage
        version.deprecated_at = now if stage == "deprecated" else None

    def delete_version(self, model: Model, version: ModelVersion) -> None:
        """Raises `VersionInUse`. A registration under way ends without a result."""
        self._check_unused(model, version)
        now = self._clock()
        version.deleted_at = now
        self._repository.touch(model, now)

    def restore_version(self, model: Model, number: int) -> ModelVersion:
        """Raises `NotFound` where it is not deleted or its time is over."""
        now = self._clock()
        version = self._repository.version(model.id, number, lock=True, deleted=True)
        _check_time(version.deleted_at, now)
        version.deleted_at = None
        self._repository.touch(model, now)
        return version

    def _check_unused(self, model: Model, version: ModelVersion) -> None:
        if model.default_version == version.number:
            raise VersionInUse(
                "This is the version that answers the model's predictions. Promote another one first, or "
                "delete the whole model."
            )
        if str(version.number) in (model.traffic or {}):
            raise VersionInUse("A part of the requests goes to this version. End the split first.")
        if model.shadow is not None and model.shadow["number"] == version.number:
            raise VersionInUse("This version is the model's shadow. End that first, or choose another one.")
        if any(row.number == version.number for row in self._repository.aliases(model.id)):
            raise VersionInUse(
                "An alias points to this version. Point it to another one first, or delete it."
            )


def _check_time(deleted_at: datetime | None, now: datetime) -> None:
    if deleted_at is None or now >= purge_at(deleted_at):
        raise NotFound("It was deleted too long ago to come back.")
