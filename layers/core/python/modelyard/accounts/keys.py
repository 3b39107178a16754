"""API keys as admission knows them: how a key is written, and what is remembered about it.

`mdk_<id of the key>_<id of the user>_<secret>`: the ids say where to look, so that one script can check the
key, the revocation and the limit; `mdk_<id of the key>` is the part that may be shown. On the hot path of
`predict`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from modelyard.kit.errors import Unauthorized

PREFIX = "mdk"
RECORD_SECONDS = 300  # how long Redis keeps what PostgreSQL said about a key
_TEXT = re.compile(r"mdk_([0-9a-z]{26})_([0-9a-z]{26})_([A-Za-z0-9_-]{43})")


class KeyRefused(Unauthorized):
    """The key is unknown, wrong, revoked or expired: which of these, only its owner sees in the list."""

    code, title = "invalid_api_key", "The API key is not valid"


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key as it came with a request; nothing about it is proven."""

    key_id: str
    user_id: str
    secret_hash: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What PostgreSQL knows about a good key."""

    key_id: str
    user_id: str
    secret_hash: str
    role: str
    scopes: frozenset[str]
    models: frozenset[str] | None = None  # None: all
    expires_at: float | None = None  # seconds since the epoch
    quota: int | None = None

    def line(self) -> bytes:
        """The record as Redis keeps it: the digest first, where the script compares it."""
        facts = {
            "role": self.role,
            "scopes": sorted(self.scopes),
            "models": None if self.models is None else sorted(self.models),
            "exp": self.expires_at,
            "quota": self.quota,
        }
        return (self.secret_hash + json.dumps(facts, separators=(",", ":"))).encode()

    @classmethod
    def read(cls, line: bytes, presented: PresentedKey) -> KeyRecord:
        facts = json.loads(line[64:])
        return cls(
            key_id=presented.key_id,
            user_id=presented.user_id,
            secret_hash=line[:64].decode(),
            role=facts["role"],
            scopes=frozenset(facts["scopes"]),
            models=None if facts["models"] is None else frozenset(facts["models"]),
            expires_at=facts["exp"],
            quota=facts["quota"],
        )


Load = Callable[[str, str], KeyRecord | None]
"""(user, key) → the record of a key that is neither revoked nor of somebody who is not active."""


def parse(text: str) -> PresentedKey:
    """Raises `KeyRefused` where this cannot be a key of ours."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise KeyRefused("This is not an API key that this service made.")
    return PresentedKey(f"key_{match[1]}", f"usr_{match[2]}", digest(match[3]))


def compose(key_id: str, user_id: str, secret: str) -> str:
    """The text that its owner is shown once."""
    return f"{shown(key_id)}_{user_id.removeprefix('usr_')}_{secret}"


def shown(key_id: str) -> str:
    """The beginning of a key, by which its owner tells it from others."""
    return f"{PREFIX}_{key_id.removeprefix('key_')}"


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def record_key(user_id: str, key_id: str) -> str:
    return f"{{{user_id}}}:key:{key_id}"
