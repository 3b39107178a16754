"""Sliding-window limits: at most `quota` requests in any window, counted exactly, in Redis or in this
process.

A window is a list of the times of its admitted requests, newest first. Refused requests are not counted, so
a caller who keeps knocking is let in as soon as the window allows.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """`name` stands in the RateLimit headers; `window` is in seconds."""

    name: str
    quota: int
    window: int

    @property
    def window_us(self) -> int:
        return self.window * 1_000_000


PER_MINUTE = Policy("permin", 100, 60)


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left of a policy. `reset` is seconds, rounded up, until the next request becomes free again."""

    policy: Policy
    allowed: bool
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """The two fields of draft-ietf-httpapi-ratelimit-headers."""
        policy = self.policy
        return {
            "RateLimit-Policy": f'"{policy.name}";q={policy.quota};w={policy.window}',
            "RateLimit": f'"{policy.name}";r={self.remaining};t={self.reset}',
        }


def seconds(microseconds: int) -> int:
    """Rounded up, so that nobody who waits that long comes too early."""
    return max(0, math.ceil(microseconds / 1_000_000))


# Used inside the scripts of admission and throttle: prunes the window at `key`, then asks whether one more
# fits. Returns (fits, used, microseconds until one more becomes free). Time is Redis's own: clocks of
# environments differ.
WINDOW_LUA = """
local function window_of(key, quota, window, now)
  local oldest = redis.call('LINDEX', key, -1)
  while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', key)
    oldest = redis.call('LINDEX', key, -1)
  end
  local used = redis.call('LLEN', key)
  if used < quota then
    return true, used, oldest and (tonumber(oldest) + window - now) or window
  end
  local blocking = quota > 0 and redis.call('LINDEX', key, quota - 1)
  return false, used, blocking and (tonumber(blocking) + window - now) or window
end
local function count_in(key, window, now)
  redis.call('LPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, window / 1000)
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
"""


class LocalWindows:
    """The same limit within one process, for when Redis is away. Keeps the most recently seen keys."""

    def __init__(self, *, keys: int = 10_000, now: Callable[[], float] = time.monotonic) -> None:
        self._most = keys
        self._now = now
        self._windows: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str, policy: Policy) -> Rate:
        """Admits and counts one request, or refuses it and counts nothing."""
        now = self._now()
        window = self._windows.setdefault(key, deque())
        self._windows.move_to_end(key)
        while len(self._windows) > self._most:
            self._windows.popitem(last=False)
        while window and window[0] <= now - policy.window:
            window.popleft()
        allowed = len(window) < policy.quota
        if allowed:
            window.append(now)
        blocking = window[-policy.quota] if not allowed and policy.quota else (window[0] if window else now)
        reset = math.ceil(blocking + policy.window - now)
        return Rate(policy, allowed, max(0, policy.quota - len(window)), reset)

    def forget(self, key: str) -> None:
        self._windows.pop(key, None)
