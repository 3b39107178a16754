"""What administrators see and do: users, their role, their standing and their limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Unit

from modelyard.accounts.admission import Caller
from modelyard.accounts.audit import Audit
from modelyard.accounts.errors import UserNotFound
from modelyard.accounts.events import emit
from modelyard.accounts.repository import SessionRepository
from modelyard.db.tables import ApiKey, User
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import Conflict
from modelyard.kit.ids import is_id
from modelyard.kit.paging import Cursors, Page, page_of


class NotOneself(Conflict):
    code, title = "not_oneself", "Another administrator has to do this"


class AdminExists(Conflict):
    code, title = "admin_exists", "There is an administrator already"


@dataclass(slots=True)
class Consequences:
    """What admission must be told once a change is committed."""

    user_id: str
    sessions: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    blocked: bool | None = None  # None: as before
    quota_changed: bool = False
    quota: int | None = None


@dataclass(frozen=True, slots=True)
class UserFilter:
    status: str | None = None
    role: str | None = None
    email: str | None = None


class Administration:
    def __init__(
        self, unit: Unit, caller: Caller, audit: Audit, cursors: Cursors, *, clock: Clock = utc_now
    ) -> None:
        self._unit = unit
        self._caller = caller
        self._audit = audit
        self._cursors = cursors
        self._clock = clock

    def page(self, wanted: UserFilter, *, limit: int, cursor: str | None) -> Page[User]:
        """Users, newest first."""
        scope = f"users:{wanted}"
        statement = select(User).order_by(User.id.desc()).limit(limit + 1)
        for column, value in (
            (User.status, wanted.status),
            (User.role, wanted.role),
            (User.email, wanted.email),
        ):
            if value is not None:
                statement = statement.where(column == value)
        position = self._cursors.decode(scope, cursor)
        if position is not None:
            statement = statement.where(User.id < str(position[0]))
        rows = list(self._unit.execute(statement).scalars())
        return page_of(rows, limit, cursors=self._cursors, scope=scope, position=lambda row: [row.id])

    def get(self, user_id: str, *, lock: bool = False) -> User:
        if not is_id(user_id, "usr"):
            raise UserNotFound("There is no such user.")
        statement = select(User).where(User.id == user_id)
        user = self._unit.execute(statement.with_for_update() if lock else statement).scalar_one_or_none()
        if user is None:
            raise UserNotFound("There is no such user.")
        return user

    def change(self, user_id: str, changes: dict[str, object]) -> tuple[User, Consequences]:
        """`changes` holds any of role, status (active, suspended) and requests_per_minute (None: the
        default).

        Tokens carry role and limit, so a new role ends the user's sessions; a suspension does so too.
        """
        user = self.get(user_id, lock=True)
        follows = Consequences(user.id)
        before = {name: getattr(user, name) for name in changes}
        changed = {name: value for name, value in changes.items() if value != before[name]}
        if user.id == self._caller.user_id and changed.keys() & {"role", "status"}:
            raise NotOneself("Ask another administrator to change your own role or standing.")
        if "status" in changed:
            if user.status == "deleted":
                raise Conflict("This account is being deleted; only its owner can restore it.")
            user.status = str(changed["status"])
            follows.blocked = user.status == "suspended"
        if "role" in changed:
            user.role = str(changed["role"])
        if "requests_per_minute" in changed:
            quota = changed["requests_per_minute"]
            assert quota is None or isinstance(quota, int)
            user.requests_per_minute, follows.quota_changed, follows.quota = quota, True, quota
        if changed:
            self._carry_out(user, changed, follows)
            self._audit.record(
                "admin.change_user",
                user_id=user.id,
                target=user.id,
                changes={name: {"before": before[name], "after": value} for name, value in changed.items()},
            )
            emit("user.changed_by_admin", user_id=user.id, fields=sorted(changed))
        self._unit.flush()
        return user, follows

    def _carry_out(self, user: User, changed: Iterable[str], follows: Consequences) -> None:
        if "role" in changed or follows.blocked:
            reason = "suspended" if follows.blocked else "role_changed"
            follows.sessions = SessionRepository(self._unit).end_all(user.id, self._clock(), reason)
        statement = select(ApiKey.id).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None))
        follows.keys = list(self._unit.execute(statement).scalars())


def make_first_admin(unit: Unit, audit: Audit, email: str) -> Consequences:
    """Makes a registered user the first administrator; raises `AdminExists` where there is one already, who
    can make others. Whoever may invoke `make_admin` may do this, and nobody over HTTP.
    """
    # One at a time: two who ask at once must not both find that there is no administrator.
    unit.execute(select(func.pg_advisory_xact_lock(0x61646D696E)))
    if unit.execute(select(User.id).where(User.role == "admin", User.status == "active").limit(1)).first():
        raise AdminExists(
            "There is an administrator already, who can give the role to others: PATCH /api/users/{id}."
        )
    user = unit.execute(select(User).where(User.email == email, User.status == "active")).scalar_one_or_none()
    if user is None:
        raise UserNotFound("No active user has this address. Register first.")
    user.role = "admin"
    ended = SessionRepository(unit).end_all(user.id, utc_now(), "role_changed")
    audit.record("admin.first", user_id=user.id, target=user.id, sessions_ended=len(ended))
    emit("user.made_first_admin", user_id=user.id)
    return Consequences(user.id, sessions=ended)
