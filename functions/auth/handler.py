"""Registration and login."""

from __future__ import annotations

from typing import Literal

from modelyard.accounts.throttle import LOGIN, REGISTER
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import DeviceDep, ServicesDep, SessionDep
from modelyard.web.fields import DisplayName, Email, GivenPassword, NewPassword, Payload, Shown
from modelyard.web.routing import PUBLIC, Router
from pydantic import Field

router = Router(tags=["auth"], max_body_size=16 * 1024)


class Registration(Payload):
    email: Email
    password: NewPassword
    name: DisplayName


class Registered(Shown):
    email: str
    name: str
    detail: str = "You can log in now. If this address had an account before, that account is unchanged."


class Credentials(Payload):
    email: Email
    password: GivenPassword


class TokenPair(Shown):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token ends")


@router.post("/auth/register", status_code=201, dependencies=[PUBLIC])
async def register(
    body: Registration, services: ServicesDep, session: SessionDep, device: DeviceDep
) -> Registered:
    """Registers a user. The answer is the same whether or not the address has an account already."""
    services.throttle.check(REGISTER, ip=device.ip, account=body.email)
    services.accounts(session).register(email=body.email, password=body.password, name=body.name)
    return Registered(email=body.email, name=body.name)


@router.post("/auth/login", dependencies=[PUBLIC])
async def login(
    body: Credentials, services: ServicesDep, session: SessionDep, device: DeviceDep
) -> TokenPair:
    """Begins a session: an access token for 30 minutes and a refresh token for 7 days."""
    services.throttle.check(LOGIN, ip=device.ip, account=body.email)
    grant = services.sessions(session).login(email=body.email, password=body.password, device=device)
    services.throttle.forgive(LOGIN, account=body.email)
    return TokenPair.model_validate(grant)


handler = lambda_handler(create_app(router))
