"""The caller's own account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import AccountCaller, ServicesDep, SessionDep
from modelyard.web.fields import Shown
from modelyard.web.routing import Router

router = Router(tags=["users"], max_body_size=16 * 1024)


class Me(Shown):
    id: str
    email: str
    name: str
    role: Literal["user", "admin"]
    created_at: datetime
    updated_at: datetime


@router.get("/users/me")
async def me(caller: AccountCaller, services: ServicesDep, session: SessionDep) -> Me:
    """Who I am."""
    return Me.model_validate(services.accounts(session).get(caller.user_id))


handler = lambda_handler(create_app(router))
