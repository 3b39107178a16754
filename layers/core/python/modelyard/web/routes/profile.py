"""The caller's own account and sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from modelyard.accounts.outcomes import Denied, granted
from modelyard.accounts.throttle import LOGIN
from modelyard.web.auth_schemas import (
    Closed,
    Me,
    MeChange,
    PasswordChange,
    Proof,
    SessionList,
    SessionShown,
)
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.routes.audit import AuditPage, AuditQuery, answer
from modelyard.web.routing import Router

router = Router(tags=["users"], max_body_size=16 * 1024)


@router.get("/users/me")
async def me(caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep) -> Me:
    """Who I am."""
    return Me.model_validate(services.accounts(session, origin).get(caller.user_id))


@router.patch("/users/me")
async def change_me(body: MeChange, caller: AccountCaller, services: ServicesDep, origin: OriginDep) -> Me:
    """Changes name or email. A new email takes the current password."""
    if body.current_password is not None:
        services.throttle.check(LOGIN, ip=origin.ip, account=caller.user_id)
    with services.database.transaction() as session:
        outcome = services.accounts(session, origin, caller).change(
            caller.user_id, name=body.name, email=body.email, current_password=body.current_password
        )
    user = granted(outcome)
    services.throttle.forgive(LOGIN, account=caller.user_id)
    return Me.model_validate(user)


@router.post("/users/me/password", status_code=204)
async def change_password(
    body: PasswordChange, caller: AccountCaller, services: ServicesDep, origin: OriginDep
) -> Response:
    """Changes the password and ends all other sessions."""
    services.throttle.check(LOGIN, ip=origin.ip, account=caller.user_id)
    with services.database.transaction() as session:
        outcome = services.accounts(session, origin, caller).change_password(
            caller.user_id, current=body.current_password, new=body.new_password
        )
        ended = []
        if not isinstance(outcome, Denied):
            others = services.sessions(session, origin, caller)
            ended = others.end_all(caller.user_id, reason="password_changed", but=caller.credential_id)
    granted(outcome)
    services.revocations.publish(caller.user_id, ended)
    services.throttle.forgive(LOGIN, account=caller.user_id)
    return Response(status_code=204)


@router.delete("/users/me")
async def delete_me(body: Proof, caller: AccountCaller, services: ServicesDep, origin: OriginDep) -> Closed:
    """Deletes my account: closed now, gone for good after 30 days. Until then `POST /auth/restore` takes it
    back.
    """
    services.throttle.check(LOGIN, ip=origin.ip, account=caller.user_id)
    with services.database.transaction() as session:
        outcome = services.accounts(session, origin, caller).delete(
            caller.user_id, password=body.current_password
        )
        ended = []
        if not isinstance(outcome, Denied):
            ended = services.sessions(session, origin, caller).end_all(
                caller.user_id, reason="account_deleted"
            )
    closed = Closed(purged_after=granted(outcome))
    services.revocations.block(caller.user_id)
    services.revocations.publish(caller.user_id, ended)
    return closed


@router.get("/users/me/sessions")
async def sessions(
    caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> SessionList:
    """My sessions, newest first: those that live, and those that ended within 30 days."""
    rows = services.sessions(session, origin).listed(caller.user_id)
    return SessionList(items=[SessionShown.of(row, current=caller.credential_id) for row in rows])


@router.delete("/users/me/sessions/{session_id}", status_code=204)
async def end_session(
    session_id: str,
    caller: AccountCaller,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Response:
    """Ends one of my sessions at once."""
    ended = services.sessions(session, origin, caller).end(caller.user_id, session_id)
    after.append(lambda: services.revocations.publish(caller.user_id, ended))
    return Response(status_code=204)


@router.get("/users/me/audit")
async def my_audit(
    request: Request,
    response: Response,
    caller: AccountCaller,
    services: ServicesDep,
    session: SessionDep,
    wanted: Annotated[AuditQuery, Query()],
) -> AuditPage:
    """What was done to my account, newest first."""
    return answer(request, response, services, session, wanted, user_id=caller.user_id)
