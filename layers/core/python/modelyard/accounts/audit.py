"""The audit trail: who did what to what, from where, and what came of it.

Entries are written in the transaction of what they tell about. PostgreSQL lets the application add and read
them and nothing else; docs/DATABASE_SCHEMA.md says how long they stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from modelyard.accounts.admission import Caller
from modelyard.db.tables import AuditEntry
from modelyard.kit.ids import new_id
from modelyard.kit.paging import Cursors, Page, page_of


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: the address that the gateway saw, and what the client calls itself."""

    ip: str = ""
    user_agent: str = ""
    request_id: str = ""


class Audit:
    """Writes entries within one unit of work."""

    def __init__(self, unit: Unit, origin: Origin, actor: Caller | None = None) -> None:
        self._unit = unit
        self._origin = origin
        self._actor = actor

    def record(
        self,
        action: str,
        *,
        user_id: str | None,
        target: str = "",
        result: Literal["done", "refused"] = "done",
        by_platform: bool = False,
        **details: Any,
    ) -> None:
        """Adds an entry about the account `user_id`. `details` never hold a secret or an address.

        Without an actor the account itself did it, unless the platform did.
        """
        actor = self._actor
        itself = None if by_platform else user_id
        entry = AuditEntry(
            id=new_id("aud"),
            user_id=user_id,
            actor_id=actor.user_id if actor is not None else itself,
            credential_id=actor.credential_id if actor is not None else None,
            action=action,
            target=target[:128],
            result=result,
            ip=self._origin.ip[:64],
            request_id=self._origin.request_id[:128],
            details=details,
        )
        self._unit.add(entry)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to show; `None` is everything. Times are aware."""

    user_id: str | None = None
    action: str | None = None
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditTrail:
    """Reads the trail, newest first."""

    def __init__(self, unit: Unit, cursors: Cursors) -> None:
        self._unit = unit
        self._cursors = cursors

    def page(self, wanted: AuditFilter, *, limit: int, cursor: str | None) -> Page[AuditEntry]:
        scope = f"audit:{wanted}"
        statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
        if wanted.user_id is not None:
            statement = statement.where(AuditEntry.user_id == wanted.user_id)
        if wanted.action is not None:
            statement = statement.where(AuditEntry.action == wanted.action)
        if wanted.result is not None:
            statement = statement.where(AuditEntry.result == wanted.result)
        if wanted.since is not None:
            statement = statement.where(AuditEntry.at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(AuditEntry.at < wanted.until)
        position = self._cursors.decode(scope, cursor)
        if position is not None:
            statement = statement.where(AuditEntry.id < str(position[0]))
        rows = list(self._unit.execute(statement).scalars())
        return page_of(rows, limit, cursors=self._cursors, scope=scope, position=lambda row: [row.id])
