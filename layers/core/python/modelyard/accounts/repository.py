"""Every statement on users and sessions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Unit

from modelyard.db.tables import Session, User


class UserRepository:
    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def by_id(self, user_id: str) -> User | None:
        return self._unit.get(User, user_id)

    def by_email(self, email: str) -> User | None:
        return self._unit.execute(select(User).where(User.email == email)).scalar_one_or_none()

    def add_if_new(self, user: User) -> bool:
        """Whether the row was added; an address that is taken changes nothing. One statement, so that of two
        registrations at once one wins.
        """
        values = {
            "id": user.id,
            "email": user.email,
            "password_hash": user.password_hash,
            "name": user.name,
        }
        statement = insert(User).values(values).on_conflict_do_nothing(index_elements=["email"])
        return self._unit.execute(statement.returning(User.id)).first() is not None


class SessionRepository:
    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, session: Session) -> None:
        self._unit.add(session)
        self._unit.flush()

    def lock(self, session_id: str, user_id: str) -> Session | None:
        """The session, locked: of two refreshes with one token, the second sees what the first did."""
        statement = select(Session).where(Session.id == session_id, Session.user_id == user_id)
        return self._unit.execute(statement.with_for_update()).scalar_one_or_none()

    def recent(self, user_id: str, since: datetime) -> list[Session]:
        """Sessions that are live or ended after `since`, newest first; at most 200."""
        ended = func.coalesce(Session.revoked_at, Session.expires_at)
        statement = select(Session).where(Session.user_id == user_id, ended > since)
        return list(self._unit.execute(statement.order_by(Session.id.desc()).limit(200)).scalars())

    def ended_since(self, since: datetime) -> list[tuple[str, str]]:
        """(user, session) of everything revoked after `since`: what Redis must know about."""
        statement = select(Session.user_id, Session.id).where(Session.revoked_at > since)
        return [(user_id, session_id) for user_id, session_id in self._unit.execute(statement)]

    def end_all(self, user_id: str, now: datetime, reason: str, *, but: str | None = None) -> list[str]:
        """Ends all live sessions (but one) and returns their ids."""
        statement = (
            update(Session)
            .where(Session.user_id == user_id, Session.revoked_at.is_(None), Session.expires_at > now)
            .values(revoked_at=now, revoked_reason=reason)
            .returning(Session.id)
        )
        if but is not None:
            statement = statement.where(Session.id != but)
        return list(self._unit.execute(statement).scalars())
