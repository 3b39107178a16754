"""Users and the whole audit trail, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.accounts.administration import UserFilter
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.web.dependencies import AdminCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.fields import Email, Payload, Shown
from modelyard.web.routes.audit import AuditPage, AuditQueryForAll, answer
from modelyard.web.routing import Router
from modelyard.web.urls import base_url

router = Router(tags=["administration"], max_body_size=16 * 1024)
Role = Literal["user", "admin"]


class UserShown(Shown):
    id: str
    email: str
    name: str
    role: Role
    status: Literal["active", "suspended", "deleted"]
    requests_per_minute: int | None = Field(description="This user's own limit; null: everybody's")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class UserPage(Shown):
    items: list[UserShown]
    next_cursor: str | None


class UserQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")
    status: Literal["active", "suspended", "deleted"] | None = None
    role: Role | None = None
    email: Email | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=1024)


class UserChange(Payload):
    role: Role | None = None
    status: Literal["active", "suspended"] | None = None
    requests_per_minute: int | None = Field(
        None, ge=1, le=1_000_000, strict=True, description="null: everybody's limit"
    )

    @model_validator(mode="after")
    def _says_something(self) -> UserChange:
        if not self.model_fields_set:
            raise ValueError("Name at least one of role, status, requests_per_minute.")
        if any(getattr(self, name) is None for name in self.model_fields_set & {"role", "status"}):
            raise ValueError("role and status cannot be null.")
        return self


@router.get("/users")
async def list_users(
    request: Request,
    response: Response,
    caller: AdminCaller,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    wanted: Annotated[UserQuery, Query()],
) -> UserPage:
    """All users, newest first."""
    chosen = wanted.model_dump(exclude={"limit", "cursor"})
    admin = services.administration(session, origin, caller)
    page = admin.page(UserFilter(**chosen), limit=wanted.limit, cursor=wanted.cursor)
    if link := page.link(f"{base_url(request, services)}/users", {"limit": wanted.limit} | chosen):
        response.headers["Link"] = link
    return UserPage(items=[UserShown.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/users/{user_id}")
async def get_user(
    user_id: str, caller: AdminCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> UserShown:
    """One user."""
    return UserShown.model_validate(services.administration(session, origin, caller).get(user_id))


@router.patch("/users/{user_id}")
async def change_user(
    user_id: str,
    body: UserChange,
    caller: AdminCaller,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> UserShown:
    """Gives a role or a limit, suspends, or lets back in. It holds from the user's next request on."""
    changes = body.model_dump(include=body.model_fields_set)
    user, follows = services.administration(session, origin, caller).change(user_id, changes)
    after.append(lambda: services.revocations.follow(follows))
    return UserShown.model_validate(user)


@router.get("/audit")
async def audit(
    request: Request,
    response: Response,
    caller: AdminCaller,
    services: ServicesDep,
    session: SessionDep,
    wanted: Annotated[AuditQueryForAll, Query()],
) -> AuditPage:
    """The audit trail of all accounts, newest first."""
    return answer(request, response, services, session, wanted, user_id=wanted.user_id)
