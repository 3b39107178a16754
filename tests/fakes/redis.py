"""A Redis that is away."""

from __future__ import annotations

from typing import Any, NoReturn


class RedisDown:
    """Every command fails as a refused connection does; `asked` counts the attempts."""

    def __init__(self) -> None:
        self.asked = 0

    def _fail(self, *_arguments: Any, **_options: Any) -> NoReturn:
        self.asked += 1
        raise ConnectionError("connection refused")

    get = set = delete = evalsha = eval = ping = _fail
