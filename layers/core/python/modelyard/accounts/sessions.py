"""Sessions: a login and the family of refresh tokens that descends from it, of which only the newest is
good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session as Unit

from modelyard.accounts.errors import AccountSuspended, WrongCredentials
from modelyard.accounts.events import emit
from modelyard.accounts.passwords import Passwords
from modelyard.accounts.repository import SessionRepository, UserRepository
from modelyard.accounts.tokens import ACCESS_SECONDS, REFRESH_SECONDS, Kind, Tokens
from modelyard.db.tables import Session, User
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.hashing import sha256_hex
from modelyard.kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login or a refresh gives. Lifetimes in seconds."""

    user_id: str
    session_id: str
    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_SECONDS
    refresh_expires_in: int = REFRESH_SECONDS


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session is used from, as its owner sees it in the list."""

    ip: str
    user_agent: str


class Sessions:
    """The sessions service within one unit of work."""

    def __init__(self, unit: Unit, *, passwords: Passwords, tokens: Tokens, clock: Clock = utc_now) -> None:
        self._users = UserRepository(unit)
        self._sessions = SessionRepository(unit)
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    def login(self, *, email: str, password: str, device: Device) -> Grant:
        """Begins a session; raises `WrongCredentials` (whichever of the two was wrong) or
        `AccountSuspended`.
        """
        user = self._users.by_email(email)
        hashed = user.password_hash if user is not None and user.status != "deleted" else None
        if not self._passwords.matches(password, hashed) or user is None:
            raise WrongCredentials("Email or password is wrong.")
        if user.status == "suspended":
            raise AccountSuspended("An administrator has suspended this account.")
        if self._passwords.is_weak(user.password_hash):
            user.password_hash = self._passwords.hash(password)
        return self._begin(user, device)

    def _begin(self, user: User, device: Device) -> Grant:
        now = self._clock()
        grant = self._grant(user, new_id("ses"))
        self._sessions.add(
            Session(
                id=grant.session_id,
                user_id=user.id,
                refresh_hash=sha256_hex(grant.refresh_token.encode()),
                ip=device.ip[:64],
                user_agent=_printable(device.user_agent),
                last_used_at=now,
                expires_at=now + timedelta(seconds=REFRESH_SECONDS),
            )
        )
        emit("session.began", user_id=user.id, session_id=grant.session_id)
        return grant

    def _grant(self, user: User, session_id: str) -> Grant:
        def sign(kind: Kind) -> str:
            return self._tokens.sign(
                kind=kind, user_id=user.id, session_id=session_id, role=user.role, token_id=new_id("tok")
            )

        return Grant(user.id, session_id, sign("access"), sign("refresh"))


def _printable(text: str) -> str:
    """A User-Agent as a list can show it: no control characters, not endless."""
    return "".join(character for character in text[:200] if character.isprintable())
