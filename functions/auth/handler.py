"""Registration and sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Response
from modelyard.accounts.outcomes import Denied
from modelyard.accounts.sessions import Grant
from modelyard.accounts.throttle import LOGIN, REGISTER
from modelyard.composition import Composition
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.auth_schemas import (
    Credentials,
    Logout,
    PasswordGrant,
    Refresh,
    Registered,
    Registration,
    TokenPair,
)
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.routing import PUBLIC, Router

router = Router(tags=["auth"], max_body_size=16 * 1024)


def granted(outcome: Grant | Denied, services: Composition) -> TokenPair:
    """The tokens, or the problem: raised only now that what it changed is committed."""
    if isinstance(outcome, Denied):
        if outcome.revoke is not None:
            services.revocations.publish(outcome.revoke.user_id, [outcome.revoke.id])
        raise outcome.problem
    return TokenPair.model_validate(outcome)


@router.post("/auth/register", status_code=201, dependencies=[PUBLIC])
async def register(
    body: Registration, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> Registered:
    """Registers a user. The answer is the same whether or not the address has an account already."""
    services.throttle.check(REGISTER, ip=origin.ip, account=body.email)
    services.accounts(session, origin).register(email=body.email, password=body.password, name=body.name)
    return Registered(email=body.email, name=body.name)


@router.post("/auth/login", dependencies=[PUBLIC])
async def login(body: Credentials, services: ServicesDep, origin: OriginDep) -> TokenPair:
    """Begins a session: an access token for 30 minutes and a refresh token for 7 days."""
    services.throttle.check(LOGIN, ip=origin.ip, account=body.email)
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).login(email=body.email, password=body.password)
    pair = granted(outcome, services)
    services.throttle.forgive(LOGIN, account=body.email)
    return pair


@router.post("/auth/token", dependencies=[PUBLIC])
async def token(
    form: Annotated[PasswordGrant, Form()], services: ServicesDep, origin: OriginDep
) -> TokenPair:
    """The OAuth2 password form: what Authorize in the documentation sends."""
    credentials = Credentials(email=form.username, password=form.password)
    return await login(credentials, services, origin)


@router.post("/auth/restore", dependencies=[PUBLIC])
async def restore(body: Credentials, services: ServicesDep, origin: OriginDep) -> TokenPair:
    """Takes back the deletion of an account, within 30 days, and logs in."""
    services.throttle.check(LOGIN, ip=origin.ip, account=body.email)
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).restore(email=body.email, password=body.password)
    pair = granted(outcome, services)
    services.revocations.unblock(outcome.user_id)
    return pair


@router.post("/auth/refresh", dependencies=[PUBLIC])
async def refresh(body: Refresh, services: ServicesDep, origin: OriginDep) -> TokenPair:
    """New tokens for a refresh token, which is good once: used again, it ends its session."""
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).refresh(body.refresh_token)
    return granted(outcome, services)


@router.post("/auth/logout", status_code=204)
async def logout(
    caller: AccountCaller,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
    origin: OriginDep,
    body: Logout | None = None,
) -> Response:
    """Ends this session, or all sessions, at once: access tokens are refused from now on."""
    sessions = services.sessions(session, origin, caller)
    if body is not None and body.everywhere:
        ended = sessions.end_all(caller.user_id, reason="logout_everywhere")
    else:
        ended = sessions.end(caller.user_id, caller.credential_id, reason="logout")
    after.append(lambda: services.revocations.publish(caller.user_id, ended))
    return Response(status_code=204)


handler = lambda_handler(create_app(router))
