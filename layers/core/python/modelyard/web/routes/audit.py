"""Pages of the audit trail, for users (their own) and administrators (everybody's)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from modelyard.accounts.audit import AuditFilter
from modelyard.composition import Composition
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.web.fields import Moment, Shown
from modelyard.web.urls import base_url


class AuditQuery(BaseModel):
    """What to show of the trail."""

    model_config = ConfigDict(extra="forbid")
    action: str | None = Field(
        None, max_length=64, pattern=r"^[a-z_.]+$", description="Such as session.login"
    )
    result: Literal["done", "refused"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = Field(None, max_length=1024, description="The next_cursor of the page before")


class AuditQueryForAll(AuditQuery):
    user_id: str | None = Field(None, max_length=30, pattern=r"^usr_[0-9a-z]+$")


class AuditShown(Shown):
    id: str
    at: datetime
    user_id: str | None = Field(description="The account that it is about")
    actor_id: str | None = Field(description="Who did it")
    credential_id: str | None = Field(description="With which session or key")
    action: str
    target: str
    result: Literal["done", "refused"]
    ip: str
    request_id: str
    details: dict[str, Any]


class AuditPage(Shown):
    items: list[AuditShown]
    next_cursor: str | None


def answer(
    request: Request,
    response: Response,
    services: Composition,
    session: Session,
    wanted: AuditQuery,
    *,
    user_id: str | None,
) -> AuditPage:
    """The page, with its `Link` header; `user_id` limits it to one account."""
    given = wanted.model_dump(exclude={"limit", "cursor"}) | {"user_id": user_id}
    page = services.audit_trail(session).page(AuditFilter(**given), limit=wanted.limit, cursor=wanted.cursor)
    path = request.url.path.removeprefix("/api")
    if link := page.link(f"{base_url(request, services)}{path}", wanted.model_dump(mode="json")):
        response.headers["Link"] = link
    return AuditPage(
        items=[AuditShown.model_validate(row) for row in page.items], next_cursor=page.next_cursor
    )
