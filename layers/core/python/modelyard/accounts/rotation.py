"""Rotating the keys that sign tokens, without logging anybody out.

The secret holds the current key, the one before it and, ahead of time, the one after it: every environment
knows the next key long before the first token is signed with it, and the previous one until the last of its
tokens has ended.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from modelyard.accounts.tokens import REFRESH_SECONDS

# A key that was replaced must verify for as long as its refresh tokens live, and a day for good measure.
SHORTEST_PERIOD = timedelta(seconds=REFRESH_SECONDS) + timedelta(days=1)
_KID = re.compile(r"k(\d{14})-[0-9a-f]{6}")


def rotated(secret: Mapping[str, str], *, now: datetime, emergency: bool = False) -> dict[str, str] | None:
    """The secret's next value, or `None` where it is too early: a run that is repeated changes nothing.

    `emergency`: every key is thrown away. All tokens end, and everybody has to log in again.
    """
    fresh = f"k{now.astimezone(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
    if emergency:
        return {"current": fresh, fresh: _key()}
    current = secret["current"]
    waiting = [kid for kid in secret if kid != "current" and _made(kid) > _made(current)]
    if not waiting:
        return {**secret, fresh: _key()}
    following = min(waiting, key=_made)
    if now - _made(following) < SHORTEST_PERIOD:
        return None
    return {"current": following, following: secret[following], current: secret[current], fresh: _key()}


def _made(kid: str) -> datetime:
    """When a key was made; the deployment's first one has no time in its name and is the oldest."""
    match = _KID.fullmatch(kid)
    if match is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _key() -> str:
    return secrets.token_urlsafe(48)
