"""The Redis commands that the domains use, as an interface.

`redis.Redis` satisfies it; so does `kit.resp.Connection`, which the hot path uses because it imports in a
fraction of the time. Both raise `CacheDown` through `guarded` where Redis is away.
"""

from __future__ import annotations

from typing import Any, Protocol


class CacheDown(Exception):
    """Redis did not answer in time. Callers go on without it."""


class RedisCommands(Protocol):
    def get(self, name: str) -> bytes | None: ...
    def set(self, name: str, value: bytes | str, ex: int | None = None) -> Any: ...
    def delete(self, *names: str) -> int: ...
    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any: ...
    def ping(self) -> Any: ...
