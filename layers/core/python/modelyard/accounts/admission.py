"""Admission: who calls, whether the credential still holds, whether the limit allows it. One Redis round
trip.

The script also answers any plain `GET`s that the caller needs anyway (the hot path asks for route and
answer), so a warm request costs no second trip. When Redis is away, tokens are still verified and a limiter
in this process takes over; revocations are seen again as soon as Redis is back, at the latest when the
access token ends.

On the hot path of `predict`: imports nothing but the standard library and `kit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelyard.accounts.cookies import BrowserCookies
from modelyard.accounts.keyring import KeyRing, Known, refused
from modelyard.accounts.keys import KeyRefused, PresentedKey, parse, record_key
from modelyard.accounts.limits import PER_MINUTE, WINDOW_LUA, LocalWindows, Policy, Rate, seconds
from modelyard.accounts.scripts import Script, ScriptRunner
from modelyard.accounts.tokens import Claims, TokenRefused, Tokens
from modelyard.kit.errors import Forbidden, TooManyRequests, Unauthorized
from modelyard.kit.redis import RedisCommands

PREDICT = "predict"
READ_MODELS = "models:read"
WRITE_MODELS = "models:write"
JOBS = "jobs"
ADMIN = "admin"
ACCOUNT = "account"  # the caller's own profile, sessions and keys: sessions have it, API keys never do

SCOPES = {
    PREDICT: "Ask models for predictions",
    READ_MODELS: "See models and versions",
    WRITE_MODELS: "Upload and change models",
    JOBS: "Submit and read batch jobs",
    ACCOUNT: "Manage the own account",
    ADMIN: "Manage users",
}
KEY_SCOPES = (PREDICT, READ_MODELS, WRITE_MODELS, JOBS, ADMIN)
_USER_SCOPES = frozenset({PREDICT, READ_MODELS, WRITE_MODELS, JOBS, ACCOUNT})
ROLE_SCOPES = {"user": _USER_SCOPES, "admin": _USER_SCOPES | {ADMIN}}
INSUFFICIENT = {"WWW-Authenticate": 'Bearer realm="modelyard", error="insufficient_scope"'}
_REVOKED, _CHANGED = 1, 3
_NEVER = b"?"  # no record reads like this

# KEYS: window, revoked, blocked, quota, record of the API key, then the caller's lookups. ARGV: quota,
# window in microseconds, the key's record as this process knows it ('' for a token: there is none). Returns
# status, quota, used, microseconds until reset, then the values of the lookups. Status: 0 go on, 1 revoked,
# 2 limited; 3: the record is another one, which comes second (nothing is counted then).
_ADMIT = Script(
    WINDOW_LUA
    + """
local found = redis.call('MGET', unpack(KEYS, 2))
if found[1] or found[2] then return {1, 0, 0, 0} end
if ARGV[3] ~= '' and found[4] ~= ARGV[3] then return {3, found[4] or ''} end
local quota = found[3] and tonumber(found[3]) or tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local fits, used, reset = window_of(KEYS[1], quota, window, now)
if not fits then return {2, quota, used, reset} end
count_in(KEYS[1], window, now)
local answer = {0, quota, used + 1, reset}
for i = 5, #found do answer[i] = found[i] end
return answer
"""
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `credential_id` is the session (kind `token`) or the API key (kind `key`), which may be good
    for some models only.
    """

    user_id: str
    role: str
    scopes: frozenset[str]
    credential_id: str
    kind: Literal["token", "key"] = "token"
    models: frozenset[str] | None = None  # None: all of the user's
    quota: int | None = None  # requests a minute, where it is not everybody's

    def check_model(self, model_id: str) -> None:
        """Raises `Forbidden` where this credential is for other models."""
        if self.models is not None and model_id not in self.models:
            raise Forbidden("This API key is limited to other models.", headers=INSUFFICIENT)


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted request. `values` answer the lookups in their order, `None` where Redis has nothing or
    is away.
    """

    caller: Caller
    rate: Rate
    values: tuple[bytes | None, ...] = ()
    cache_up: bool = True


Lookups = Callable[[Caller], Sequence[str]]
"""Redis keys that the caller's request needs anyway."""


class Admitter:
    """Admits requests. One instance per environment."""

    def __init__(
        self,
        tokens: Tokens,
        redis: RedisCommands,
        *,
        keys: KeyRing | None = None,
        cookies: BrowserCookies | None = None,
        policy: Policy = PER_MINUTE,
        local: LocalWindows | None = None,
    ) -> None:
        self._tokens = tokens
        self._scripts = ScriptRunner(redis)
        self._keys = keys
        self._cookies = cookies
        self._policy = policy
        self._local = local or LocalWindows()

    def admit(
        self, headers: Mapping[str, str], *, lookups: Lookups | None = None, safe: bool = False
    ) -> Admission:
        """Admits the request with these headers (names in lower case). `safe`: it changes nothing (GET), so a
        cookie alone is enough.

        `lookups` names Redis keys to read in the same trip; each must carry the caller's hash tag
        `{user_id}`. Raises `Unauthorized` (no or no good credential) or `TooManyRequests`.
        """
        key = headers.get("x-api-key")
        if key and headers.get("authorization"):
            raise Unauthorized("Send one credential: either Authorization or X-API-Key.")
        if key:
            return self._admit_key(parse(key), lookups)
        caller = self.identify(headers, safe=safe)
        names = tuple(lookups(caller)) if lookups is not None else ()
        return self._judge(caller, names, self._ask(caller, names))

    def identify(self, headers: Mapping[str, str], *, safe: bool = False) -> Caller:
        """The caller that the access token names, in its header or in a cookie; asks nobody."""
        authorization = headers.get("authorization", "")
        if not authorization:
            token = self._cookies.access(headers) if self._cookies is not None else None
            if token is not None and self._cookies is not None:
                claims = self._tokens.verify(token)
                if not safe:
                    self._cookies.check_write(headers, self._tokens.csrf(claims))
                return _of_token(claims)
            raise Unauthorized("Send an access token (Authorization: Bearer …) or an API key (X-API-Key: …).")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("The Authorization header must read: Bearer <access_token>.")
        return _of_token(self._tokens.verify(token.strip()))

    def _admit_key(self, presented: PresentedKey, lookups: Lookups | None) -> Admission:
        """One trip for a key that this process knows; a new or changed one is learnt first."""
        if self._keys is None:
            raise KeyRefused("API keys are not accepted here.")
        known = self._keys.remembered(presented)
        for _ in range(3):
            caller = _of_key(presented, known)
            names = tuple(lookups(caller)) if known is not None and lookups is not None else ()
            answer = self._ask(caller, names, line=_NEVER if known is None else known.line)
            if answer is None:
                known = self._keys.offline(presented)
                break
            if int(answer[0]) != _CHANGED:
                return self._judge(caller, names, answer)
            known = self._keys.learn(presented, answer[1])
        # Redis is away, or forgets at once what it is told: what was learnt has to do.
        caller = _of_key(presented, known)
        names = tuple(lookups(caller)) if lookups is not None else ()
        return self._judge(caller, names, self._ask(caller, names))

    def _judge(self, caller: Caller, names: Sequence[str], answer: Sequence[Any] | None) -> Admission:
        """The script's answer as an admission; `None`: Redis is away."""
        if answer is None:
            policy = self._policy_of(caller)
            rate = self._local.take(caller.credential_id if caller.kind == "key" else caller.user_id, policy)
            admission = Admission(caller, rate, (None,) * len(names), cache_up=False)
        else:
            status, quota, used, reset = (int(part) for part in answer[:4])
            if status == _REVOKED:
                raise (
                    refused()
                    if caller.kind == "key"
                    else TokenRefused("This session has ended. Log in again.")
                )
            policy = Policy(self._policy.name, quota, self._policy.window)
            rate = Rate(policy, status == 0, max(0, quota - used), seconds(reset))
            admission = Admission(caller, rate, tuple(answer[4:]))
        if not admission.rate.allowed:
            raise limited(admission.rate)
        return admission

    def _policy_of(self, caller: Caller) -> Policy:
        if caller.quota is None:
            return self._policy
        return Policy(self._policy.name, caller.quota, self._policy.window)

    def _ask(self, caller: Caller, lookups: Sequence[str], *, line: bytes = b"") -> list[Any] | None:
        tag = f"{{{caller.user_id}}}"
        window = f"{tag}:rate:{self._policy.name}"
        names = (
            f"{window}:{caller.credential_id}" if caller.kind == "key" else window,
            f"{tag}:revoked:{caller.credential_id}",
            f"{tag}:blocked",
            f"{tag}:quota:{self._policy.name}",
            record_key(caller.user_id, caller.credential_id),
            *lookups,
        )
        policy = self._policy_of(caller)
        return self._scripts.run(_ADMIT, names, (policy.quota, policy.window_us, line))


def _of_token(claims: Claims) -> Caller:
    scopes = ROLE_SCOPES.get(claims.role, frozenset())
    return Caller(claims.user_id, claims.role, scopes, claims.session_id, quota=claims.quota)


def _of_key(presented: PresentedKey, known: Known | None) -> Caller:
    """The caller of a proven key, or, before it is proven, somebody who may do nothing."""
    if known is None:
        return Caller(presented.user_id, "", frozenset(), presented.key_id, "key")
    record = known.record
    allowed = ROLE_SCOPES.get(record.role, frozenset()) - {ACCOUNT}
    return Caller(
        record.user_id,
        record.role,
        record.scopes & allowed,
        record.key_id,
        "key",
        record.models,
        record.quota,
    )


def limited(rate: Rate, detail: str = "") -> TooManyRequests:
    """The 429 for an exhausted policy."""
    policy = rate.policy
    wait = max(1, rate.reset)
    violated: dict[str, Any] = {"violated-policies": [policy.name]}
    return TooManyRequests(
        detail
        or f"More than {policy.quota} requests in {policy.window} seconds. Try again in {wait} seconds.",
        headers=rate.headers() | {"Retry-After": str(wait)},
        **violated,
    )
