"""Signed tokens (JWT, HS256). Verifying is on the hot path and imports only the standard library; signing is
PyJWT's.

A token is accepted only if its header says exactly HS256 and names a known `kid`: the algorithm is ours,
never the token's choice. `tests/unit/accounts/test_tokens.py` holds the verifier against PyJWT's.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelyard.kit.errors import Unauthorized, Unavailable

ISSUER = AUDIENCE = "modelyard"
ACCESS_SECONDS = 30 * 60
REFRESH_SECONDS = 7 * 24 * 3600
LEEWAY_SECONDS = 5  # between the clocks of two environments; for `nbf` only
LONGEST_TOKEN = 2048
SHORTEST_KEY = 32

Kind = Literal["access", "refresh"]
KeySource = Callable[[float], Mapping[str, Any]]
"""Returns the secret with the signing keys, at most so many seconds old."""

# an unknown `kid` may be newer than our copy of the secret; asking more often would be an attack on it
_FRESH = 10.0
_KEPT = 300.0
_MOST_SEEN = 1_000
_PART = re.compile(r"[A-Za-z0-9_-]+")


class TokenRefused(Unauthorized):
    """The token is not good. The caller learns which kind of reason, as RFC 6750 has it."""

    code, title = "invalid_token", "The token is not valid"

    def __init__(self, detail: str, **extra: Any) -> None:
        challenge = 'Bearer realm="modelyard", error="invalid_token"'
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, **extra)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Times are seconds since the epoch."""

    user_id: str
    session_id: str
    role: str
    kind: Kind
    token_id: str
    issued_at: int
    expires_at: int
    quota: int | None = None  # requests a minute, where an administrator set it
    key_id: str = ""  # the key that signed it


class SigningKeys:
    """The keys of the secret `{"current": kid, kid: key, …}`: every one verifies, `current` signs."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def find(self, kid: str) -> bytes | None:
        for age in (_KEPT, _FRESH):
            key = self._source(age).get(kid)
            if kid != "current" and isinstance(key, str) and len(key) >= SHORTEST_KEY:
                return key.encode()
        return None

    def current(self) -> tuple[str, bytes]:
        secret = self._source(_KEPT)
        kid = str(secret.get("current", ""))
        key = secret.get(kid)
        if not isinstance(key, str) or len(key) < SHORTEST_KEY or kid == "current":
            raise Unavailable("The service cannot sign tokens: its signing keys are not set up.")
        return kid, key.encode()


class Tokens:
    """Signs and verifies. One instance per environment."""

    def __init__(self, keys: SigningKeys, *, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        # Good tokens seen lately: a signature is computed once, key and times are asked again at every use.
        self._seen: dict[str, tuple[str, bytes, dict[str, Any]]] = {}

    def sign(
        self, *, kind: Kind, user_id: str, session_id: str, role: str, token_id: str, quota: int | None = None
    ) -> str:
        """A new token that is good from now on for 30 minutes (access) or 7 days (refresh)."""
        import jwt

        kid, key = self._keys.current()
        now = int(self._now())
        lifetime = ACCESS_SECONDS if kind == "access" else REFRESH_SECONDS
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "typ": kind,
            "role": role,
            "jti": token_id,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }
        if quota is not None:
            claims["quota"] = quota
        return jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid})

    def verify(self, token: str, *, kind: Kind = "access") -> Claims:
        """The claims of a good token of this kind; raises `TokenRefused` for every other."""
        seen = self._seen.get(token)
        if seen is not None and self._keys.find(seen[0]) == seen[1]:
            return self._claims(seen[2], kind, seen[0])
        kid, key, found = self._checked(token)
        claims = self._claims(found, kind, kid)
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[token] = kid, key, found
        return claims

    def _checked(self, token: str) -> tuple[str, bytes, dict[str, Any]]:
        """Key id, key and claims of a token whose signature is right."""
        head, body, signature = _split(token)
        header = _json_part(head)
        kid = header.get("kid")
        if header.get("alg") != "HS256" or header.get("typ", "JWT") != "JWT" or "crit" in header:
            raise TokenRefused("The token is not signed the way this service signs.")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused(
                "The token is signed with a key that this service does not know. Log in again."
            )
        expected = hmac.digest(key, f"{head}.{body}".encode(), "sha256")
        if not hmac.compare_digest(expected, _bytes_part(signature)):
            raise TokenRefused("The token's signature does not match.")
        return str(kid), key, _json_part(body)

    def csrf(self, claims: Claims) -> str:
        """The token that writes of this session carry beside its cookie; it changes where the key does."""
        key = self._keys.find(claims.key_id)
        if key is None:
            raise TokenRefused("The session's key is not known any more. Log in again.")
        # A key of its own, so that no signature can ever be mistaken for it.
        own = hmac.digest(key, b"modelyard/csrf", "sha256")
        return hmac.digest(own, claims.session_id.encode(), "sha256").hex()

    def _claims(self, claims: dict[str, Any], kind: Kind, key_id: str) -> Claims:
        now = self._now()
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise TokenRefused("The token was made for another service.")
        if claims.get("typ") != kind:
            raise TokenRefused(
                f"This is not an {kind} token." if kind == "access" else f"This is not a {kind} token."
            )
        try:
            good = Claims(
                user_id=_text(claims["sub"]),
                session_id=_text(claims["sid"]),
                role=_text(claims["role"]),
                kind=kind,
                token_id=_text(claims["jti"]),
                issued_at=_integer(claims["iat"]),
                expires_at=_integer(claims["exp"]),
                quota=_integer(claims["quota"]) if "quota" in claims else None,
                key_id=key_id,
            )
            not_before = _integer(claims["nbf"])
        except (KeyError, TypeError) as error:
            raise TokenRefused("The token lacks a claim.") from error
        if now >= good.expires_at:
            raise TokenRefused("The token has expired. Refresh it or log in again.")
        if now + LEEWAY_SECONDS < not_before:
            raise TokenRefused("The token is not valid yet.")
        return good


def _split(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(token) > LONGEST_TOKEN or len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise TokenRefused("This is not a token that this service made.")
    return parts[0], parts[1], parts[2]


def _bytes_part(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenRefused("This is not a token that this service made.") from error


def _json_part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes_part(part))
    except (ValueError, RecursionError) as error:
        raise TokenRefused("This is not a token that this service made.") from error
    if not isinstance(value, dict):
        raise TokenRefused("This is not a token that this service made.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value
