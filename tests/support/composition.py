"""Services over the tests' own PostgreSQL and Redis, and users to call them with."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.composition import Composition
from modelyard.kit.ids import new_id

if TYPE_CHECKING:
    from modelyard.db.engine import Database

SIGNING_KEYS = {
    "current": "k1",
    "k1": "one-signing-key-that-is-only-for-tests",
    "k0": "an-older-key-that-is-only-for-tests-0",
}
_count = itertools.count(1)


class LocalComposition(Composition):
    """A composition whose collaborators are given: `LocalComposition(database=…, redis=…, s3=…)`.

    Any attribute of `Composition` may be given; the rest is built as in production.
    """

    def __init__(self, **collaborators: Any) -> None:
        from modelyard.accounts.passwords import Passwords

        self.__dict__.update({"passwords": Passwords(rounds=4)} | collaborators)
        self.keys: dict[str, Any] = dict(SIGNING_KEYS)

    def signing_keys(self, max_age: float = 300.0) -> dict[str, Any]:
        return self.keys


@dataclass(frozen=True)
class SomeUser:
    """A user in the database with a good access token."""

    id: str
    email: str
    session_id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def make_user(composition: Composition, *, role: str = "user", email: str | None = None) -> SomeUser:
    """A user whose row is there, without the cost of a password."""
    from modelyard.db.tables import User

    user_id, session_id = new_id("usr"), new_id("ses")
    address = email or f"user{next(_count)}-{secrets.token_hex(4)}@example.com"
    database: Database = composition.database
    with database.transaction() as session:
        session.add(User(id=user_id, email=address, password_hash="!", name="Some User", role=role))
    token = composition.tokens.sign(
        kind="access", user_id=user_id, session_id=session_id, role=role, token_id=new_id("tok")
    )
    return SomeUser(user_id, address, session_id, token)
