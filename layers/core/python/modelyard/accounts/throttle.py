"""Stricter limits where nobody is known yet: login and registration, per address and per account."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.accounts.admission import limited
from modelyard.accounts.limits import WINDOW_LUA, LocalWindows, Policy, Rate, seconds
from modelyard.accounts.scripts import Script, ScriptRunner
from modelyard.kit.redis import RedisCommands

# KEYS: windows. ARGV: quota and window in microseconds of each. A request counts in every window or in none.
# Returns the number of the window that refuses (0: none) and the microseconds until it would not.
_THROTTLE = Script(
    WINDOW_LUA
    + """
for i = 1, #KEYS do
  local fits, used, reset = window_of(KEYS[i], tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]), now)
  if not fits then return {i, reset} end
end
for i = 1, #KEYS do count_in(KEYS[i], tonumber(ARGV[2 * i]), now) end
return {0, 0}
"""
)
_FORGET = Script("return {redis.call('DEL', unpack(KEYS))}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Per client address and per account: so many attempts. A successful login gives the account's back."""

    per_address: Policy
    per_account: Policy


LOGIN = Rule(Policy("login-address", 60, 60), Policy("login-account", 10, 300))
REGISTER = Rule(Policy("register-address", 60, 60), Policy("register-account", 10, 3600))


class Throttle:
    """Counts attempts in Redis, or in this process while Redis is away."""

    def __init__(self, redis: RedisCommands, *, local: LocalWindows | None = None) -> None:
        self._scripts = ScriptRunner(redis)
        self._local = local or LocalWindows()

    def check(self, rule: Rule, *, ip: str, account: str) -> None:
        """Counts one attempt; raises `TooManyRequests` where either limit is reached."""
        policies = (rule.per_address, rule.per_account)
        keys = [_key(rule.per_address, network(ip)), _key(rule.per_account, account)]
        arguments = [number for policy in policies for number in (policy.quota, policy.window_us)]
        answer = self._scripts.run(_THROTTLE, keys, arguments)
        if answer is None:
            self._check_locally(policies, keys)
        elif int(answer[0]):
            refuse(policies[int(answer[0]) - 1], seconds(int(answer[1])))

    def forgive(self, rule: Rule, *, account: str) -> None:
        """After a success: the account's failed attempts are forgotten, so its owner is never locked out
        by use.
        """
        key = _key(rule.per_account, account)
        self._local.forget(key)
        self._scripts.run(_FORGET, [key], ())

    def _check_locally(self, policies: Sequence[Policy], keys: Sequence[str]) -> None:
        for policy, key in zip(policies, keys, strict=True):
            rate = self._local.take(key, policy)
            if not rate.allowed:
                refuse(policy, rate.reset)


def refuse(policy: Policy, reset: int) -> None:
    wait = max(1, reset)
    raise limited(
        Rate(policy, False, 0, wait),
        f"Too many attempts. Try again in {wait} seconds.",
    )


def network(ip: str) -> str:
    """One customer's addresses: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _key(policy: Policy, subject: str) -> str:
    """All in one hash slot, for one script touches two; a digest, because an address is nobody else's
    business.
    """
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{{throttle}}:{policy.name}:{digest}"
