"""Sessions: a login and the family of refresh tokens that descends from it, of which only the newest is
good.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session as Unit

from modelyard.accounts.audit import Audit, Origin
from modelyard.accounts.errors import (
    AccountDeleted,
    AccountSuspended,
    SessionEnded,
    SessionNotFound,
    WrongCredentials,
)
from modelyard.accounts.events import emit
from modelyard.accounts.outcomes import Denied
from modelyard.accounts.passwords import Passwords
from modelyard.accounts.repository import SessionRepository, UserRepository
from modelyard.accounts.retention import GRACE
from modelyard.accounts.tokens import ACCESS_SECONDS, REFRESH_SECONDS, Kind, Tokens
from modelyard.db.tables import Session, User
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.hashing import sha256_hex
from modelyard.kit.ids import is_id, new_id

LONGEST_LIFE = timedelta(days=90)  # refreshing prolongs a session up to here; then it takes a login


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh gives. Lifetimes in seconds."""

    user_id: str
    session_id: str
    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_SECONDS
    refresh_expires_in: int = REFRESH_SECONDS


class Sessions:
    """The sessions service within one unit of work."""

    def __init__(
        self,
        unit: Unit,
        audit: Audit,
        *,
        origin: Origin,
        passwords: Passwords,
        tokens: Tokens,
        clock: Clock = utc_now,
    ) -> None:
        self._audit = audit
        self._origin = origin
        self._users = UserRepository(unit)
        self._sessions = SessionRepository(unit)
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    def login(self, *, email: str, password: str) -> Grant | Denied:
        """Begins a session; denied where either was wrong (the answer does not say which) or the account is
        suspended.
        """
        user = self._users.by_email(email)
        if not self._passwords.matches(password, user.password_hash if user else None) or user is None:
            self._refused("session.login", user, reason="wrong_credentials")
            return Denied(WrongCredentials("Email or password is wrong."))
        if user.status == "suspended":
            self._refused("session.login", user, reason="suspended")
            return Denied(AccountSuspended("An administrator has suspended this account."))
        if user.status == "deleted":
            self._refused("session.login", user, reason="deleted")
            return Denied(AccountDeleted("This account was deleted. POST /api/auth/restore takes it back."))
        if self._passwords.is_weak(user.password_hash):
            user.password_hash = self._passwords.hash(password)
        return self._begin(user)

    def restore(self, *, email: str, password: str) -> Grant | Denied:
        """Takes back the deletion of an account within its grace period, and logs in."""
        user = self._users.by_email(email)
        over = self._clock() - GRACE  # from then on its files may be gone
        deleted = user is not None and user.status == "deleted" and (user.deleted_at or over) > over
        if (
            not self._passwords.matches(password, user.password_hash if user and deleted else None)
            or user is None
        ):
            return Denied(WrongCredentials("There is no deleted account with this email and password."))
        user.status, user.deleted_at = "active", None
        self._audit.record("user.restore", user_id=user.id, target=user.id)
        emit("user.restored", user_id=user.id)
        return self._begin(user)

    def refresh(self, token: str) -> Grant | Denied:
        """Exchanges a refresh token for new tokens; it is good once, and used again it ends its session.
        Raises `TokenRefused` for what is no refresh token of ours.
        """
        claims = self._tokens.verify(token, kind="refresh")
        now = self._clock()
        session = self._sessions.lock(claims.session_id, claims.user_id)
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            return Denied(SessionEnded("This session has ended. Log in again."))
        if not hmac.compare_digest(session.refresh_hash, _digest(token)):
            return self._replayed(session, now)
        user = self._users.by_id(claims.user_id)
        if user is None or user.status != "active":
            return Denied(AccountSuspended("This account is not active."))
        grant = self._grant(user, session.id)
        session.refresh_hash = _digest(grant.refresh_token)
        session.last_used_at = now
        session.ip, session.user_agent = self._origin.ip[:64], _printable(self._origin.user_agent)
        session.expires_at = min(now + timedelta(seconds=REFRESH_SECONDS), session.created_at + LONGEST_LIFE)
        return grant

    def _replayed(self, session: Session, now: datetime) -> Denied:
        """A refresh token came back after it was used: somebody else has it, and nobody knows who is who."""
        session.revoked_at, session.revoked_reason = now, "refresh_replayed"
        self._audit.record(
            "session.refresh", user_id=session.user_id, target=session.id, result="refused", reason="replayed"
        )
        emit("session.refresh_replayed", user_id=session.user_id, session_id=session.id)
        problem = SessionEnded(
            "This refresh token was used before, so its session has been ended. Log in again; "
            "if you did not use it twice, change your password."
        )
        return Denied(problem, revoke=session)

    def _refused(self, action: str, user: User | None, *, reason: str) -> None:
        self._audit.record(action, user_id=user.id if user else None, result="refused", reason=reason)

    def listed(self, user_id: str) -> list[Session]:
        """The user's sessions, newest first: those that can be used and those that ended within 30 days."""
        return self._sessions.recent(user_id, self._clock() - timedelta(days=30))

    def end(self, user_id: str, session_id: str, *, reason: str = "ended_by_user") -> list[str]:
        """Ends one session; returns the ids whose access tokens must be revoked. Raises `SessionNotFound`."""
        session = self._sessions.lock(session_id, user_id) if is_id(session_id, "ses") else None
        if session is None:
            raise SessionNotFound("You have no such session.")
        if session.revoked_at is None:
            session.revoked_at, session.revoked_reason = self._clock(), reason
            self._audit.record("session.end", user_id=user_id, target=session_id, reason=reason)
        return [session_id]

    def end_all(self, user_id: str, *, reason: str, but: str | None = None) -> list[str]:
        """Ends all sessions (but one); returns the ids whose access tokens must be revoked."""
        ended = self._sessions.end_all(user_id, self._clock(), reason, but=but)
        if ended:
            self._audit.record("session.end_all", user_id=user_id, sessions=len(ended), reason=reason)
        return ended

    def _begin(self, user: User) -> Grant:
        now = self._clock()
        grant = self._grant(user, new_id("ses"))
        self._sessions.add(
            Session(
                id=grant.session_id,
                user_id=user.id,
                refresh_hash=_digest(grant.refresh_token),
                ip=self._origin.ip[:64],
                user_agent=_printable(self._origin.user_agent),
                created_at=now,
                last_used_at=now,
                expires_at=now + timedelta(seconds=REFRESH_SECONDS),
            )
        )
        self._audit.record("session.login", user_id=user.id, target=grant.session_id)
        return grant

    def _grant(self, user: User, session_id: str) -> Grant:
        def sign(kind: Kind) -> str:
            return self._tokens.sign(
                kind=kind,
                user_id=user.id,
                session_id=session_id,
                role=user.role,
                token_id=new_id("tok"),
                quota=user.requests_per_minute,
            )

        return Grant(user.id, session_id, sign("access"), sign("refresh"))


def _digest(token: str) -> str:
    return sha256_hex(token.encode())


def _printable(text: str) -> str:
    """A User-Agent as a list can show it: no control characters, not endless."""
    return "".join(character for character in text[:200] if character.isprintable())
