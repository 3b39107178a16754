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

from modelyard.accounts.limits import PER_MINUTE, WINDOW_LUA, LocalWindows, Policy, Rate, seconds
from modelyard.accounts.scripts import Script, ScriptRunner
from modelyard.accounts.tokens import TokenRefused, Tokens
from modelyard.kit.errors import TooManyRequests, Unauthorized
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
_USER_SCOPES = frozenset({PREDICT, READ_MODELS, WRITE_MODELS, JOBS, ACCOUNT})
_ROLE_SCOPES = {"user": _USER_SCOPES, "admin": _USER_SCOPES | {ADMIN}}

# KEYS: window, revoked, blocked, quota, then the caller's lookups. ARGV: quota, window in microseconds.
# Returns status (0 go on, 1 revoked, 2 limited), quota, used, microseconds until reset, then the values.
_ADMIT = Script(
    WINDOW_LUA
    + """
local found = redis.call('MGET', unpack(KEYS, 2))
if found[1] or found[2] then return {1, 0, 0, 0} end
local quota = found[3] and tonumber(found[3]) or tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local fits, used, reset = window_of(KEYS[1], quota, window, now)
if not fits then return {2, quota, used, reset} end
count_in(KEYS[1], window, now)
local answer = {0, quota, used + 1, reset}
for i = 4, #found do answer[i + 1] = found[i] end
return answer
"""
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `credential_id` is the session (kind `token`) or the API key (kind `key`)."""

    user_id: str
    role: str
    scopes: frozenset[str]
    credential_id: str
    kind: Literal["token", "key"] = "token"


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted request. `values` answer the lookups in their order, `None` where Redis has nothing or
    is away.
    """

    caller: Caller
    rate: Rate
    values: tuple[bytes | None, ...] = ()
    cache_up: bool = True


class Admitter:
    """Admits requests. One instance per environment."""

    def __init__(
        self,
        tokens: Tokens,
        redis: RedisCommands,
        *,
        policy: Policy = PER_MINUTE,
        local: LocalWindows | None = None,
    ) -> None:
        self._tokens = tokens
        self._scripts = ScriptRunner(redis)
        self._policy = policy
        self._local = local or LocalWindows()

    def admit(
        self,
        headers: Mapping[str, str],
        *,
        lookups: Callable[[Caller], Sequence[str]] | None = None,
    ) -> Admission:
        """Admits the request with these headers (names in lower case).

        `lookups` names Redis keys to read in the same trip; each must carry the caller's hash tag
        `{user_id}`. Raises `Unauthorized` (no or no good credential) or `TooManyRequests`.
        """
        caller = self.identify(headers)
        names = tuple(lookups(caller)) if lookups is not None else ()
        answer = self._ask(caller, names)
        if answer is None:
            rate = self._local.take(caller.user_id, self._policy)
            admission = Admission(caller, rate, (None,) * len(names), cache_up=False)
        else:
            status, quota, used, reset = (int(part) for part in answer[:4])
            if status == 1:
                raise TokenRefused("This session has ended. Log in again.")
            policy = Policy(self._policy.name, quota, self._policy.window)
            rate = Rate(policy, status == 0, max(0, quota - used), seconds(reset))
            admission = Admission(caller, rate, tuple(answer[4:]))
        if not admission.rate.allowed:
            raise limited(admission.rate)
        return admission

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller that the credential names; asks nobody."""
        authorization = headers.get("authorization", "")
        if not authorization:
            raise Unauthorized("Send an access token: Authorization: Bearer <access_token>.")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("The Authorization header must read: Bearer <access_token>.")
        claims = self._tokens.verify(token.strip())
        scopes = _ROLE_SCOPES.get(claims.role, frozenset())
        return Caller(claims.user_id, claims.role, scopes, claims.session_id)

    def _ask(self, caller: Caller, lookups: Sequence[str]) -> list[Any] | None:
        tag = f"{{{caller.user_id}}}"
        keys = (
            f"{tag}:rate:{self._policy.name}",
            f"{tag}:revoked:{caller.credential_id}",
            f"{tag}:blocked",
            f"{tag}:quota:{self._policy.name}",
            *lookups,
        )
        return self._scripts.run(_ADMIT, keys, (self._policy.quota, self._policy.window_us))


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
