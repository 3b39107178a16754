"""Every statement on models and versions, each bound to one user: the registry's tenant filter stands here.

Nothing else in the code selects from these two tables (a test holds that). Work across tenants, the sweep,
finds ids in `registry.sweep` and acts through a repository of the row's own user.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from modelyard.db.tables import Model, ModelVersion, User
from modelyard.kit.errors import NotFound
from modelyard.kit.ids import is_id, new_id


class ModelRepository:
    """The models and versions of `user_id` within one unit of work; what belongs to others does not exist."""

    def __init__(self, session: Session, user_id: str) -> None:
        self._session = session
        self.user_id = user_id

    def _models(self) -> Select[Model]:
        return select(Model).where(Model.user_id == self.user_id, Model.deleted_at.is_(None))

    def _versions(self) -> Select[ModelVersion]:
        return select(ModelVersion).where(ModelVersion.user_id == self.user_id)

    # Reading

    def owner_is_active(self) -> bool:
        statement = select(User.id).where(User.id == self.user_id, User.status == "active")
        return self._session.scalar(statement) is not None

    def model(self, model_id: str) -> Model:
        """Raises `NotFound` for a missing, deleted or foreign id alike."""
        found = self.find_model(model_id)
        if found is None:
            raise NotFound("There is no such model. GET /models lists yours.")
        return found

    def find_model(self, model_id: str, *, lock: bool = False) -> Model | None:
        if not is_id(model_id, "mdl"):
            return None  # also keeps NUL bytes and the like away from PostgreSQL
        return self._session.scalar(_locked(self._models().where(Model.id == model_id), lock))

    def own_ids(self, model_ids: Iterable[str]) -> set[str]:
        """Those of `model_ids` that are the user's."""
        wanted = {model_id for model_id in model_ids if is_id(model_id, "mdl")}
        return {model.id for model in self._session.scalars(self._models().where(Model.id.in_(wanted)))}

    def models(self, *, after: str | None, limit: int) -> Sequence[Model]:
        """Newest first; `after` is the id of the last model that was shown."""
        statement = self._models().order_by(Model.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(Model.id < after)
        return self._session.scalars(statement).all()

    def version(self, model_id: str, number: int) -> ModelVersion:
        """Raises `NotFound`, also where the model is missing, deleted or foreign."""
        self.model(model_id)
        statement = self._versions().where(ModelVersion.model_id == model_id, ModelVersion.number == number)
        found = self._session.scalar(statement)
        if found is None:
            raise NotFound("This model has no such version. GET /models/{model_id}/versions lists them.")
        return found

    def versions(self, model_id: str, *, before: int | None, limit: int) -> Sequence[ModelVersion]:
        """Newest first; `before` is the number of the last version that was shown."""
        statement = self._versions().where(ModelVersion.model_id == model_id)
        if before is not None:
            statement = statement.where(ModelVersion.number < before)
        return self._session.scalars(statement.order_by(ModelVersion.number.desc()).limit(limit)).all()

    def latest_versions(self, model_ids: Sequence[str]) -> dict[str, ModelVersion]:
        """Model id → its newest version, whatever its status."""
        statement = (
            self._versions()
            .where(ModelVersion.model_id.in_(model_ids))
            .ext(distinct_on(ModelVersion.model_id))
            .order_by(ModelVersion.model_id, ModelVersion.number.desc())
        )
        return {version.model_id: version for version in self._session.scalars(statement)}

    def ready_versions(self, model_id: str) -> Sequence[ModelVersion]:
        statement = self._versions().where(ModelVersion.model_id == model_id, ModelVersion.status == "ready")
        return self._session.scalars(statement.order_by(ModelVersion.number)).all()

    # Registration

    def model_named(self, name: str, *, description: str = "") -> Model:
        """The user's model of that name, made where there is none, and locked until the unit of work ends.

        The lock is what numbers versions without gaps or doubles when uploads come at once.
        """
        statement = (
            insert(Model)
            .values(id=new_id("mdl"), user_id=self.user_id, name=name, description=description)
            .on_conflict_do_nothing(
                index_elements=[Model.user_id, Model.name], index_where=Model.deleted_at.is_(None)
            )
        )
        self._session.execute(statement)
        model = self._session.scalar(_locked(self._models().where(Model.name == name), lock=True))
        assert model is not None
        return model

    def add_version(self, model: Model, version_id: str, **values: Any) -> ModelVersion:
        """The model's next version; `model` must be locked (`model_named`)."""
        assert model.user_id == self.user_id
        model.last_version += 1
        version = ModelVersion(
            id=version_id, model_id=model.id, user_id=self.user_id, number=model.last_version, **values
        )
        self._session.add(version)
        self._session.flush()
        return version

    def find_version(self, version_id: str, *, lock: bool = False) -> ModelVersion | None:
        if not is_id(version_id, "ver"):
            return None
        return self._session.scalar(_locked(self._versions().where(ModelVersion.id == version_id), lock))

    def version_of_upload(self, key: str, s3_version: str) -> ModelVersion | None:
        """The version that this object version became; locked."""
        statement = self._versions().where(
            ModelVersion.upload_key == key, ModelVersion.upload_s3_version == s3_version
        )
        return self._session.scalar(_locked(statement, lock=True))

    def touch(self, model: Model, now: datetime) -> None:
        """The model changed for those who look at it, although none of its own columns need have."""
        model.updated_at = now


S = TypeVar("S", bound=Select[Any])


def _locked(statement: S, lock: bool) -> S:
    # Without populate_existing a row read before the lock would keep its old values in this session.
    return statement.with_for_update().execution_options(populate_existing=True) if lock else statement
