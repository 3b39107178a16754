"""The caller's own account, sessions and API keys."""

from __future__ import annotations

from fastapi import Response
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.auth_schemas import (
    KeyCreated,
    KeyList,
    KeyShown,
    KeyWanted,
    Me,
    SessionList,
    SessionShown,
)
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.routing import Router

router = Router(tags=["users"], max_body_size=16 * 1024)


@router.get("/users/me")
async def me(caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep) -> Me:
    """Who I am."""
    return Me.model_validate(services.accounts(session, origin).get(caller.user_id))


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


@router.post("/api-keys", status_code=201, tags=["api keys"])
async def create_key(
    body: KeyWanted, caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> KeyCreated:
    """Makes an API key. The key is in this answer and never again."""
    return KeyCreated.made(services.api_keys(session, origin, caller).create(**dict(body)))


@router.get("/api-keys", tags=["api keys"])
async def list_keys(
    caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> KeyList:
    """My API keys, newest first."""
    return KeyList(items=[KeyShown.of(row) for row in services.api_keys(session, origin, caller).listed()])


@router.post("/api-keys/{key_id}/rotate", tags=["api keys"])
async def rotate_key(
    key_id: str,
    caller: AccountCaller,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> KeyCreated:
    """A new secret for the same key. The old one is refused at once."""
    new = services.api_keys(session, origin, caller).rotate(key_id)
    after.append(lambda: services.revocations.forget_keys(caller.user_id, [key_id], revoked=False))
    return KeyCreated.made(new)


@router.delete("/api-keys/{key_id}", status_code=204, tags=["api keys"])
async def revoke_key(
    key_id: str,
    caller: AccountCaller,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Response:
    """Revokes a key, at once and everywhere."""
    services.api_keys(session, origin, caller).revoke(key_id)
    after.append(lambda: services.revocations.forget_keys(caller.user_id, [key_id], revoked=True))
    return Response(status_code=204)


handler = lambda_handler(create_app(router))
