"""Registration and sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response
from modelyard.accounts.throttle import LOGIN, REGISTER
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.auth_schemas import (
    CookieSession,
    Login,
    Logout,
    PasswordGrant,
    Refresh,
    Registered,
    Registration,
    TokenPair,
)
from modelyard.web.browser import SessionAnswers, refreshing, without_cookies
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.routing import PUBLIC, Router

router = Router(tags=["auth"], max_body_size=16 * 1024)


@router.post("/auth/register", status_code=201, dependencies=[PUBLIC])
async def register(
    body: Registration, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> Registered:
    """Registers a user. The answer is the same whether or not the address has an account already."""
    services.throttle.check(REGISTER, ip=origin.ip, account=body.email)
    services.accounts(session, origin).register(email=body.email, password=body.password, name=body.name)
    return Registered(email=body.email, name=body.name)


@router.post("/auth/login", dependencies=[PUBLIC])
async def login(
    body: Login, request: Request, response: Response, services: ServicesDep, origin: OriginDep
) -> TokenPair | CookieSession:
    """Begins a session: an access token for 30 minutes and a refresh token for 7 days."""
    answers = SessionAnswers(services, request, response, cookies=body.cookies)
    services.throttle.check(LOGIN, ip=origin.ip, account=body.email)
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).login(email=body.email, password=body.password)
    answer = answers.of(outcome)
    services.throttle.forgive(LOGIN, account=body.email)
    return answer


@router.post("/auth/token", dependencies=[PUBLIC])
async def token(
    form: Annotated[PasswordGrant, Form()],
    request: Request,
    response: Response,
    services: ServicesDep,
    origin: OriginDep,
) -> TokenPair:
    """The OAuth2 password form: what Authorize in the documentation sends."""
    credentials = Login(email=form.username, password=form.password)
    pair = await login(credentials, request, response, services, origin)
    assert isinstance(pair, TokenPair)
    return pair


@router.post("/auth/restore", dependencies=[PUBLIC])
async def restore(
    body: Login, request: Request, response: Response, services: ServicesDep, origin: OriginDep
) -> TokenPair | CookieSession:
    """Takes back the deletion of an account, within 30 days, and logs in."""
    answers = SessionAnswers(services, request, response, cookies=body.cookies)
    services.throttle.check(LOGIN, ip=origin.ip, account=body.email)
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).restore(email=body.email, password=body.password)
    answer = answers.of(outcome)
    services.throttle.forgive(LOGIN, account=body.email)
    services.revocations.unblock(answers.user_id)
    return answer


@router.post("/auth/refresh", dependencies=[PUBLIC])
async def refresh(
    request: Request,
    response: Response,
    services: ServicesDep,
    origin: OriginDep,
    body: Refresh | None = None,
) -> TokenPair | CookieSession:
    """New tokens for a refresh token, which is good once: used again, it ends its session."""
    answers, given = refreshing(services, request, response, body.refresh_token if body else None)
    with services.database.transaction() as session:
        outcome = services.sessions(session, origin).refresh(given)
    return answers.of(outcome)


@router.post("/auth/logout", status_code=204)
async def logout(
    request: Request,
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
    return without_cookies(services, request)


handler = lambda_handler(create_app(router))
