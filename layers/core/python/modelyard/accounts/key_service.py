"""API keys of a user: made, listed, rotated, revoked; and read for admission."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session as Unit

from modelyard.accounts.admission import ADMIN, Caller
from modelyard.accounts.audit import Audit
from modelyard.accounts.errors import KeyNotFound, TooManyKeys
from modelyard.accounts.keys import KeyRecord, compose, digest
from modelyard.db.engine import Database
from modelyard.db.tables import ApiKey, User
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import FieldError, Forbidden, Invalid
from modelyard.kit.ids import is_id, new_id
from modelyard.registry.repository import ModelRepository

MOST_KEYS = 25
MOST_MODELS = 100


@dataclass(frozen=True, slots=True)
class NewKey:
    """A row with the text of its key, which nobody can show again."""

    row: ApiKey
    text: str


class ApiKeys:
    """The keys of one user within one unit of work."""

    def __init__(self, unit: Unit, caller: Caller, audit: Audit, *, clock: Clock = utc_now) -> None:
        self._unit = unit
        self._caller = caller
        self._audit = audit
        self._clock = clock

    def create(
        self,
        *,
        name: str,
        scopes: Sequence[str],
        model_ids: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> NewKey:
        """A new key. It may do no more than its owner, and with `model_ids` only with those models."""
        now = self._clock()
        if ADMIN in scopes and self._caller.role != "admin":
            raise Forbidden("Only an administrator can make a key with the scope admin.")
        if expires_at is not None and expires_at <= now:
            raise Invalid(
                "The key would have expired already.",
                errors=[FieldError("/expires_at", "Expected a time to come.")],
            )
        self._check_models(model_ids)
        self._check_number(now)
        secret = secrets.token_urlsafe(32)
        row = ApiKey(
            id=new_id("key"),
            user_id=self._caller.user_id,
            name=name,
            secret_hash=digest(secret),
            scopes=sorted(set(scopes)),
            model_ids=sorted(set(model_ids)) if model_ids is not None else None,
            expires_at=expires_at,
            created_at=now,
        )
        self._unit.add(row)
        self._unit.flush()
        self._audit.record("api_key.create", user_id=row.user_id, target=row.id, scopes=row.scopes)
        return NewKey(row, compose(row.id, row.user_id, secret))

    def listed(self) -> list[ApiKey]:
        """Newest first; keys that were revoked are not shown any more."""
        statement = select(ApiKey).where(ApiKey.user_id == self._caller.user_id, ApiKey.revoked_at.is_(None))
        return list(self._unit.execute(statement.order_by(ApiKey.id.desc()).limit(MOST_KEYS * 4)).scalars())

    def rotate(self, key_id: str) -> NewKey:
        """A new secret for a key; the old one is refused once this is committed and told to admission."""
        row = self._locked(key_id)
        secret = secrets.token_urlsafe(32)
        row.secret_hash = digest(secret)
        self._audit.record("api_key.rotate", user_id=row.user_id, target=row.id)
        return NewKey(row, compose(row.id, row.user_id, secret))

    def revoke(self, key_id: str) -> None:
        row = self._locked(key_id)
        row.revoked_at = self._clock()
        self._audit.record("api_key.revoke", user_id=row.user_id, target=row.id)

    def _locked(self, key_id: str) -> ApiKey:
        if not is_id(key_id, "key"):
            raise KeyNotFound("You have no such API key.")
        statement = select(ApiKey).where(
            ApiKey.id == key_id, ApiKey.user_id == self._caller.user_id, ApiKey.revoked_at.is_(None)
        )
        row = self._unit.execute(statement.with_for_update()).scalar_one_or_none()
        if row is None:
            raise KeyNotFound("You have no such API key.")
        return row

    def _check_models(self, model_ids: Sequence[str] | None) -> None:
        if model_ids is None:
            return
        mine = ModelRepository(self._unit, self._caller.user_id).own_ids(model_ids)
        errors = [
            FieldError(f"/model_ids/{place}", "You have no such model.")
            for place, model_id in enumerate(model_ids)
            if model_id not in mine
        ]
        if errors:
            raise Invalid("A key can be limited to your own models only.", errors=errors)

    def _check_number(self, now: datetime) -> None:
        # The user's row is the lock: of two requests at once, the second counts what the first has made.
        self._unit.execute(select(User.id).where(User.id == self._caller.user_id).with_for_update())
        statement = select(func.count()).where(
            ApiKey.user_id == self._caller.user_id,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
        if self._unit.execute(statement).scalar_one() >= MOST_KEYS:
            raise TooManyKeys(f"A user can have {MOST_KEYS} API keys; revoke one that is no longer needed.")


def load_record(database: Database, user_id: str, key_id: str) -> KeyRecord | None:
    """What admission must know about a key that may be used, and notes that it is used: whoever asks has it
    at hand for minutes, so `last_used_at` is that exact and no more.
    """
    statement = (
        select(ApiKey, User)
        .join(User, User.id == ApiKey.user_id)
        .where(
            ApiKey.id == key_id,
            ApiKey.user_id == user_id,
            ApiKey.revoked_at.is_(None),
            User.status == "active",
        )
    )
    with database.transaction() as unit:
        found = unit.execute(statement).first()
        if found is None:
            return None
        key, user = found
        unit.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))
        return KeyRecord(
            key_id=key.id,
            user_id=user.id,
            secret_hash=key.secret_hash,
            role=user.role,
            scopes=frozenset(key.scopes),
            models=None if key.model_ids is None else frozenset(key.model_ids),
            expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
            quota=user.requests_per_minute,
        )
