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

from modelyard.db.tables import Model, ModelAlias, ModelVersion, Promotion, User
from modelyard.kit.errors import NotFound
from modelyard.kit.ids import is_id, new_id
from modelyard.registry.search import ModelSearch, VersionSearch


class ModelRepository:
    """The models and versions of `user_id` within one unit of work; what belongs to others does not exist."""

    def __init__(self, session: Session, user_id: str) -> None:
        self._session = session
        self.user_id = user_id

    def _models(self, *, deleted: bool = False) -> Select[Model]:
        gone = Model.deleted_at.is_not(None) if deleted else Model.deleted_at.is_(None)
        return select(Model).where(Model.user_id == self.user_id, gone)

    def _versions(self, *, deleted: bool | None = False) -> Select[ModelVersion]:
        """`deleted=None`: whether deleted or not."""
        statement = select(ModelVersion).where(ModelVersion.user_id == self.user_id)
        if deleted is None:
            return statement
        gone = ModelVersion.deleted_at
        return statement.where(gone.is_not(None) if deleted else gone.is_(None))

    def _promotions(self, model_id: str) -> Select[Promotion]:
        return select(Promotion).where(Promotion.user_id == self.user_id, Promotion.model_id == model_id)

    def _aliases(self, model_id: str) -> Select[ModelAlias]:
        return select(ModelAlias).where(ModelAlias.user_id == self.user_id, ModelAlias.model_id == model_id)

    # Reading

    def owner_is_active(self) -> bool:
        statement = select(User.id).where(User.id == self.user_id, User.status == "active")
        return self._session.scalar(statement) is not None

    def model(self, model_id: str, *, lock: bool = False, deleted: bool = False) -> Model:
        """Raises `NotFound` for a missing or foreign id alike, and for one that is deleted or is not."""
        found = self.find_model(model_id, lock=lock, deleted=deleted)
        if found is None:
            which = (
                "deleted model of this id. GET /models?deleted=true" if deleted else "such model. GET /models"
            )
            raise NotFound(f"There is no {which} lists yours.")
        return found

    def find_model(self, model_id: str, *, lock: bool = False, deleted: bool = False) -> Model | None:
        if not is_id(model_id, "mdl"):
            return None  # also keeps NUL bytes and the like away from PostgreSQL
        return self._session.scalar(_locked(self._models(deleted=deleted).where(Model.id == model_id), lock))

    def has_model_named(self, name: str) -> bool:
        return self._session.scalar(self._models().where(Model.name == name)) is not None

    def find_model_named(self, name: str) -> Model | None:
        return self._session.scalar(self._models().where(Model.name == name))

    def own_ids(self, model_ids: Iterable[str]) -> set[str]:
        """Those of `model_ids` that are the user's."""
        wanted = {model_id for model_id in model_ids if is_id(model_id, "mdl")}
        return {model.id for model in self._session.scalars(self._models().where(Model.id.in_(wanted)))}

    def models(
        self, search: ModelSearch = ModelSearch(), *, after: Sequence[str | int] | None = None, limit: int
    ) -> Sequence[Model]:
        """`after` is the position of the last model that was shown."""
        statement = self._models(deleted=search.deleted).where(*search.conditions())
        if after is not None:
            statement = statement.where(search.after(after))
        return self._session.scalars(statement.order_by(*search.order()).limit(limit)).all()

    def version(
        self, model_id: str, number: int, *, lock: bool = False, deleted: bool = False
    ) -> ModelVersion:
        """Raises `NotFound`, also where the model is missing, deleted or foreign."""
        self.model(model_id)
        statement = self._versions(deleted=deleted).where(
            ModelVersion.model_id == model_id, ModelVersion.number == number
        )
        found = self._session.scalar(_locked(statement, lock))
        if found is None:
            which, query = ("such deleted", "?deleted=true") if deleted else ("such", "")
            raise NotFound(
                f"This model has no {which} version. GET /models/{{model_id}}/versions{query} lists them."
            )
        return found

    def versions(
        self, model_id: str, search: VersionSearch = VersionSearch(), *, after: int | None = None, limit: int
    ) -> Sequence[ModelVersion]:
        """`after` is the number of the last version that was shown."""
        statement = self._versions(deleted=search.deleted).where(
            ModelVersion.model_id == model_id, *search.conditions()
        )
        if after is not None:
            statement = statement.where(search.after(after))
        return self._session.scalars(statement.order_by(search.order()).limit(limit)).all()

    def all_versions(self, model_id: str) -> Sequence[ModelVersion]:
        """Deleted ones too."""
        statement = self._versions(deleted=None).where(ModelVersion.model_id == model_id)
        return self._session.scalars(statement.order_by(ModelVersion.number)).all()

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

    def version_states(self, model_ids: Sequence[str]) -> dict[str, dict[int, bool]]:
        """Model id → number → whether that version answers; without what makes rows large."""
        statement = (
            self._versions()
            .where(ModelVersion.model_id.in_(model_ids))
            .order_by(ModelVersion.number)
            .with_only_columns(
                ModelVersion.model_id, ModelVersion.number, ModelVersion.status, ModelVersion.stage
            )
        )
        found: dict[str, dict[int, bool]] = {}
        for model_id, number, status, stage in self._session.execute(statement):
            found.setdefault(model_id, {})[number] = status == "ready" and stage != "archived"
        return found

    def aliases(self, model_id: str) -> Sequence[ModelAlias]:
        """By name; `champion` is the model's default version and none of these."""
        return self._session.scalars(self._aliases(model_id).order_by(ModelAlias.alias)).all()

    def alias(self, model_id: str, alias: str) -> ModelAlias | None:
        return self._session.scalar(self._aliases(model_id).where(ModelAlias.alias == alias))

    # Promotion: the model must be locked

    def put_alias(self, model: Model, alias: str, number: int, now: datetime) -> None:
        found = self.alias(model.id, alias)
        if found is None:
            self._session.add(
                ModelAlias(
                    model_id=model.id,
                    alias=alias,
                    user_id=self.user_id,
                    number=number,
                    created_at=now,
                    updated_at=now,
                )
            )
        else:
            found.number, found.updated_at = number, now
        self._session.flush()

    def record(self, promotion: Promotion) -> None:
        assert promotion.user_id == self.user_id
        self._session.add(promotion)
        self._session.flush()

    def promotions(
        self,
        model_id: str,
        *,
        alias: str | None = None,
        without: Sequence[str] = (),
        before: int | None = None,
        limit: int,
    ) -> Sequence[Promotion]:
        """Newest first; `without` names actions."""
        statement = self._promotions(model_id)
        if alias is not None:
            statement = statement.where(Promotion.alias == alias)
        if without:
            statement = statement.where(Promotion.action.not_in(without))
        if before is not None:
            statement = statement.where(Promotion.seq < before)
        return self._session.scalars(statement.order_by(Promotion.seq.desc()).limit(limit)).all()

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
        """The version that this object version became, deleted or not; locked."""
        statement = self._versions(deleted=None).where(
            ModelVersion.upload_key == key, ModelVersion.upload_s3_version == s3_version
        )
        return self._session.scalar(_locked(statement, lock=True))

    # The end

    def deleted_version(self, version_id: str) -> ModelVersion | None:
        """Locked."""
        statement = self._versions(deleted=True).where(ModelVersion.id == version_id)
        return self._session.scalar(_locked(statement, lock=True))

    def erase(self, row: Model | ModelVersion | ModelAlias) -> None:
        """Removes the row, and with it whatever hangs on it."""
        assert row.user_id == self.user_id
        self._session.delete(row)
        self._session.flush()

    def touch(self, model: Model, now: datetime) -> None:
        """The model changed for those who look at it, although none of its own columns need have."""
        model.updated_at = now


S = TypeVar("S", bound=Select[Any])


def _locked(statement: S, lock: bool) -> S:
    # Without populate_existing a row read before the lock would keep its old values in this session.
    return statement.with_for_update().execution_options(populate_existing=True) if lock else statement
