"""Cached answers of versions that must not be given any more.

Their keys cover the version, so promotion needs none of this: it is for what was archived or deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from modelyard.serving.route import answer_key
from modelyard.telemetry.log import logger

MOST_SECONDS = 5.0
_AT_ONCE = 1000


class Scanning(Protocol):
    """What of `redis.Redis` this needs."""

    def scan_iter(self, match: str, count: int) -> Iterator[bytes]: ...
    def unlink(self, *names: bytes) -> Any: ...


def forget_answers(
    redis: Scanning,
    user_id: str,
    version_ids: Collection[str],
    *,
    now: Callable[[], float] = time.monotonic,
) -> int:
    """Removes what is cached for these versions of the user; how many answers that were.

    Looks through the keys in small steps that block nobody, for a few seconds at most: what is left then
    expires within the hour and cannot be asked for, because no route leads to its version.
    """
    prefix = answer_key(user_id, "")
    pattern = prefix + (f"{next(iter(version_ids))}:*" if len(version_ids) == 1 else "*")
    wanted = set(version_ids)
    end = now() + MOST_SECONDS
    found: list[bytes] = []
    removed = 0
    for key in redis.scan_iter(match=pattern, count=_AT_ONCE):
        if key.decode().removeprefix(prefix).partition(":")[0] in wanted:
            found.append(key)
        if len(found) >= _AT_ONCE:
            removed += int(redis.unlink(*found))
            found = []
        if now() > end:
            logger.warning("cached answers left to expire", user_id=user_id)
            break
    return removed + (int(redis.unlink(*found)) if found else 0)
