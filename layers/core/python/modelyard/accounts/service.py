"""Accounts: registering, changing and deleting one's own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from modelyard.accounts.audit import Audit
from modelyard.accounts.errors import EmailTaken, UserNotFound, WrongPassword
from modelyard.accounts.events import emit
from modelyard.accounts.outcomes import Denied
from modelyard.accounts.passwords import Passwords
from modelyard.accounts.repository import UserRepository
from modelyard.accounts.retention import GRACE
from modelyard.db.tables import User
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.ids import new_id


class Accounts:
    """The accounts service within one unit of work."""

    def __init__(self, unit: Unit, audit: Audit, *, passwords: Passwords, clock: Clock = utc_now) -> None:
        self._unit = unit
        self._audit = audit
        self._users = UserRepository(unit)
        self._passwords = passwords
        self._clock = clock

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

    def change(
        self, user_id: str, *, name: str | None, email: str | None, current_password: str | None
    ) -> User | Denied:
        """Changes name and email. A new address takes the current password, and must be verified anew: the
        event is the hook for whoever sends the message.
        """
        user = self.get(user_id)
        if email is not None and email != user.email:
            if not self._proven(user, current_password):
                return self._wrong(user, "user.change_email")
            if not self._take(user, email):
                raise EmailTaken("This address cannot be used for this account. Choose another one.")
            self._audit.record("user.change_email", user_id=user.id, target=user.id)
            emit("user.email_changed", user_id=user.id, verify=True)
        if name is not None and name != user.name:
            user.name = name
            self._audit.record("user.change_name", user_id=user.id, target=user.id)
        self._unit.flush()
        self._unit.refresh(user)  # its updated_at is the database's
        return user

    def change_password(self, user_id: str, *, current: str, new: str) -> User | Denied:
        """The caller ends the user's other sessions."""
        user = self.get(user_id)
        if not self._proven(user, current):
            return self._wrong(user, "user.change_password")
        user.password_hash = self._passwords.hash(new)
        self._audit.record("user.change_password", user_id=user.id, target=user.id)
        emit("user.password_changed", user_id=user.id)
        return user

    def delete(self, user_id: str, *, password: str) -> datetime | Denied:
        """Closes the account now; returns when its models, files, keys and records will be gone for good.
        Until then `restore` takes it back. The caller ends all its sessions.
        """
        user = self.get(user_id)
        if not self._proven(user, password):
            return self._wrong(user, "user.delete")
        user.status, user.deleted_at = "deleted", self._clock()
        self._audit.record("user.delete", user_id=user.id, target=user.id)
        emit("user.deleted", user_id=user.id)
        return user.deleted_at + GRACE

    def _proven(self, user: User, password: str | None) -> bool:
        return password is not None and self._passwords.matches(password, user.password_hash)

    def _wrong(self, user: User, action: str) -> Denied:
        self._audit.record(action, user_id=user.id, target=user.id, result="refused", reason="wrong_password")
        return Denied(WrongPassword("Send your current password as current_password."))

    def _take(self, user: User, email: str) -> bool:
        """Whether the address was free; the unique index decides, also between two who ask at once."""
        try:
            with self._unit.begin_nested():
                user.email, user.email_verified_at = email, None
                self._unit.flush()
        except IntegrityError:
            return False
        return True
