"""The caller's own account."""

from __future__ import annotations

from fastapi import Response
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.auth_schemas import Me, SessionList, SessionShown
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, ServicesDep, SessionDep
from modelyard.web.routing import Router

router = Router(tags=["users"], max_body_size=16 * 1024)


@router.get("/users/me")
async def me(caller: AccountCaller, services: ServicesDep, session: SessionDep) -> Me:
    """Who I am."""
    return Me.model_validate(services.accounts(session).get(caller.user_id))


@router.get("/users/me/sessions")
async def sessions(caller: AccountCaller, services: ServicesDep, session: SessionDep) -> SessionList:
    """My sessions, newest first: those that live, and those that ended within 30 days."""
    return SessionList(
        items=[
            SessionShown.model_validate(
                {**row.__dict__, "current": row.id == caller.credential_id}, from_attributes=False
            )
            for row in services.sessions(session).listed(caller.user_id)
        ]
    )


@router.delete("/users/me/sessions/{session_id}", status_code=204)
async def end_session(
    session_id: str, caller: AccountCaller, services: ServicesDep, session: SessionDep, after: AfterCommitDep
) -> Response:
    """Ends one of my sessions at once."""
    ended = services.sessions(session).end(caller.user_id, session_id)
    after.append(lambda: services.revocations.publish(caller.user_id, ended))
    return Response(status_code=204)


handler = lambda_handler(create_app(router))
