"""Routes as one environment knows them: in memory for seconds, refreshed from Redis in the admission's trip.

PostgreSQL is asked only where Redis has nothing. Where neither answers, what is in memory stays in use.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from modelyard.serving.answers import Cache
from modelyard.serving.errors import ModelNotFound
from modelyard.serving.route import GONE, Route, route_key

KEEP_SECONDS = 2.0
"""How long a route is used unasked, and so how long a promotion takes to be seen everywhere."""

REMEMBER_SECONDS = 3600

_PAUSE_AFTER_FAILURE = 5.0
_MOST_ROUTES = 1_000

Load = Callable[[str, str], Route | None]
"""Reads (user, model) from PostgreSQL; raises `Unavailable`."""


@dataclass(slots=True)
class _Entry:
    route: Route
    raw: bytes | None
    good_until: float


class RouteTable:
    """The routes in memory of one environment."""

    def __init__(
        self,
        load: Load,
        remember: Callable[[Route], object],
        *,
        now: Callable[[], float] = time.monotonic,
        keep: float = KEEP_SECONDS,
    ) -> None:
        self._load = load
        self._remember = remember
        self._now = now
        self._keep = keep
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def peek(self, user_id: str, model_id: str) -> tuple[Route | None, bool]:
        """What is in memory, and whether it may be used without asking again."""
        entry = self._entries.get((user_id, model_id))
        if entry is None:
            return None, False
        return entry.route, self._now() < entry.good_until

    def learn(self, user_id: str, model_id: str, raw: bytes | None, *, cache_up: bool) -> Route:
        """The route as Redis said (`raw`), else PostgreSQL; raises `ModelNotFound` or `Unavailable`."""
        key = (user_id, model_id)
        entry = self._entries.get(key)
        if raw == GONE:
            self._entries.pop(key, None)
            raise _not_found()
        if raw is not None:
            if entry is None or entry.raw != raw:
                entry = _parsed(raw)
            if entry is not None:
                return self._keep_entry(key, entry, self._keep)
        entry = self._entries.get(key)
        try:
            route = self._load(user_id, model_id)
        except Exception:
            if entry is None:
                raise
            return self._keep_entry(key, entry, _PAUSE_AFTER_FAILURE)
        if route is None:
            self._entries.pop(key, None)
            raise _not_found()
        if cache_up:
            self._remember(route)
        return self._keep_entry(key, _Entry(route, None, 0.0), self._keep)

    def expire(self) -> None:
        """Has every route asked for again at its next use, as after a snapshot was restored."""
        for entry in self._entries.values():
            entry.good_until = 0.0

    def _keep_entry(self, key: tuple[str, str], entry: _Entry, seconds: float) -> Route:
        entry.good_until = self._now() + seconds
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > _MOST_ROUTES:
            self._entries.popitem(last=False)
        return entry.route


def _not_found() -> ModelNotFound:
    return ModelNotFound("There is no model of this id. GET /api/models lists yours.")


def _parsed(raw: bytes) -> _Entry | None:
    """None for what no version of this code wrote: PostgreSQL knows better then."""
    try:
        return _Entry(Route.from_json(orjson.loads(raw)), raw, 0.0)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def remember_in(cache: Cache) -> Callable[[Route], object]:
    """Puts a route that Redis had lost back there, unless somebody published one meanwhile (NX)."""

    def remember(route: Route) -> object:
        key, value = route_key(route.user_id, route.model_id), orjson.dumps(route.to_json())
        return cache.post("SET", key, value, "NX", "EX", REMEMBER_SECONDS)

    return remember
