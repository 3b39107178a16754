"""API keys of the caller."""

from __future__ import annotations

from fastapi import Response

from modelyard.web.auth_schemas import KeyCreated, KeyList, KeyShown, KeyWanted
from modelyard.web.dependencies import AccountCaller, AfterCommitDep, OriginDep, ServicesDep, SessionDep
from modelyard.web.routing import IDEMPOTENT_SECRET, Router

router = Router(tags=["api keys"], max_body_size=16 * 1024)


@router.post("/api-keys", status_code=201, dependencies=[IDEMPOTENT_SECRET])
async def create_key(
    body: KeyWanted, caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> KeyCreated:
    """Makes an API key. The key is in this answer and never again."""
    return KeyCreated.made(services.api_keys(session, origin, caller).create(**dict(body)))


@router.get("/api-keys")
async def list_keys(
    caller: AccountCaller, services: ServicesDep, session: SessionDep, origin: OriginDep
) -> KeyList:
    """My API keys, newest first."""
    return KeyList(items=[KeyShown.of(row) for row in services.api_keys(session, origin, caller).listed()])


@router.post("/api-keys/{key_id}/rotate")
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


@router.delete("/api-keys/{key_id}", status_code=204)
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
