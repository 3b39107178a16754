"""Accounts: registering, and what a user is."""

from __future__ import annotations

from sqlalchemy.orm import Session as Unit

from modelyard.accounts.audit import Audit
from modelyard.accounts.errors import UserNotFound
from modelyard.accounts.events import emit
from modelyard.accounts.passwords import Passwords
from modelyard.accounts.repository import UserRepository
from modelyard.db.tables import User
from modelyard.kit.ids import new_id


class Accounts:
    """The accounts service within one unit of work."""

    def __init__(self, unit: Unit, audit: Audit, *, passwords: Passwords) -> None:
        self._audit = audit
        self._users = UserRepository(unit)
        self._passwords = passwords

    def register(self, *, email: str, password: str, name: str) -> None:
        """Adds a user. An address that is already registered keeps its account and its password, and the
        caller cannot tell: not from the answer, not from the time it takes. Its owner is told by the event.
        """
        user = User(id=new_id("usr"), email=email, password_hash=self._passwords.hash(password), name=name)
        if self._users.add_if_new(user):
            self._audit.record("user.register", user_id=user.id, target=user.id)
            emit("user.registered", user_id=user.id)
            return
        known = self._users.by_email(email)
        if known is not None:
            self._audit.record("user.register", user_id=known.id, target=known.id, result="refused")
            emit("user.registered_again", user_id=known.id)

    def get(self, user_id: str) -> User:
        user = self._users.by_id(user_id)
        if user is None or user.status == "deleted":
            raise UserNotFound
        return user
