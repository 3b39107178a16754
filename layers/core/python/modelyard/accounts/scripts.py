"""Lua scripts on Redis, for callers that can go on without Redis."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from modelyard.kit.redis import RedisCommands

PAUSE_SECONDS = 1.0


class Script:
    """A script's text and the name by which Redis remembers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class ScriptRunner:
    """Runs scripts in one round trip each. An outage must not cost a timeout per request, so after a failure
    Redis is left alone for a second.
    """

    def __init__(self, redis: RedisCommands, *, now: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._now = now
        self._away_until = 0.0

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[object]) -> list[Any] | None:
        """The script's answer, or `None` while Redis is away."""
        if self._now() < self._away_until:
            return None
        try:
            return list(self._evaluate(script, keys, arguments))
        except (
            Exception
        ):  # whatever the client raises when Redis is away; a request must not fail for its cache
            self._away_until = self._now() + PAUSE_SECONDS
            return None

    def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        try:
            return self._redis.evalsha(script.sha, len(keys), *keys, *arguments)
        except Exception as error:  # each client has its own class for this
            if type(error).__name__ != "NoScriptError" and "NOSCRIPT" not in str(error):
                raise
            return self._redis.eval(script.text, len(keys), *keys, *arguments)
