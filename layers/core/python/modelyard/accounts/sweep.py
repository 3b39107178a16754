"""The housekeeping of accounts: what Redis may have missed, what nobody needs any more, and accounts whose
time to come back is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select

from modelyard.accounts.audit import Audit, Origin
from modelyard.accounts.events import emit
from modelyard.accounts.retention import GRACE, KEEP_ENDED_SESSIONS
from modelyard.accounts.revocation import Revocations
from modelyard.db.engine import Database
from modelyard.db.tables import IdempotentRequest, Session, User
from modelyard.kit.clock import Clock, utc_now
from modelyard.telemetry.forgetting import forget_predictions

MOST_ACCOUNTS = 5  # per run: files of one may be many
PREFIXES = ("uploads", "models", "jobs")


@dataclass(frozen=True, slots=True)
class Swept:
    revocations: int
    idempotent_requests: int
    sessions: int
    accounts: int


class AccessSweep:
    def __init__(
        self, database: Database, revocations: Revocations, s3: Any, bucket: str, *, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._s3 = s3
        self._bucket = bucket
        self._clock = clock

    def run(self) -> Swept:
        """Every step is safe to repeat, and to be cut off anywhere."""
        now = self._clock()
        with self._database.transaction() as unit:
            told = self._revocations.republish(unit)
        requests = self._delete(delete(IdempotentRequest).where(IdempotentRequest.expires_at < now))
        ended = func.coalesce(Session.revoked_at, Session.expires_at)
        sessions = self._delete(delete(Session).where(ended < now - KEEP_ENDED_SESSIONS))
        accounts = 0
        for user_id in self._due():
            accounts += self._purge(user_id)
        return Swept(told, requests, sessions, accounts)

    def _delete(self, statement: Any) -> int:
        with self._database.transaction() as unit:
            return cast("CursorResult[Any]", unit.execute(statement)).rowcount

    def _due(self) -> list[str]:
        statement = select(User.id).where(User.status == "deleted", User.deleted_at < self._clock() - GRACE)
        with self._database.transaction() as unit:
            return list(unit.execute(statement.order_by(User.deleted_at).limit(MOST_ACCOUNTS)).scalars())

    def _purge(self, user_id: str) -> bool:
        """Files first: should this end in between, the row that names them is still there for the next
        run. Whether the account is gone.
        """
        for prefix in PREFIXES:
            for keys in self._pages(f"{prefix}/{user_id}/"):
                objects = [{"Key": key} for key in keys]
                self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        if not forget_predictions(self._database, user_id):
            return False
        with self._database.transaction() as unit:
            # Restored in the meantime: then it is no longer ours to end.
            locked = select(User).where(User.id == user_id, User.status == "deleted").with_for_update()
            user = unit.execute(locked).scalar_one_or_none()
            if user is None:
                return False
            Audit(unit, Origin()).record("user.purge", user_id=user_id, target=user_id)
            unit.delete(user)  # models, versions, jobs, sessions and keys go with it
        emit("user.purged", user_id=user_id)
        return True

    def _pages(self, prefix: str) -> Iterator[list[str]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            if keys := [item["Key"] for item in page.get("Contents", [])]:
                yield keys
