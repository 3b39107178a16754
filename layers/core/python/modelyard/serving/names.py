"""Models by their owner's names, for clients that know no ids.

A name costs nothing while it is known here; Redis answers in the admission's own round trip, PostgreSQL
where Redis has nothing. What is known may be out of date (a model was deleted, another took its name):
whoever finds no model behind the id asks `find` again.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from modelyard.kit.ids import is_id
from modelyard.serving.answers import Cache
from modelyard.serving.errors import ModelNotFound

REMEMBER_SECONDS = 3600

_MOST_NAMES = 1_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")  # anything else is nobody's name, and asks nobody

Find = Callable[[str, str], str | None]
"""The id of (user, name) as PostgreSQL has it; raises `Unavailable`."""
Remember = Callable[[str, str, str], object]
"""Tells Redis that (user, name) is this id."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as lists of the protocols show it; `versions` are those that are there, ready or not."""

    model_id: str
    name: str
    default: int | None
    versions: dict[int, bool] = field(default_factory=dict)


class NameTable:
    """Names as one environment knows them."""

    def __init__(self, find: Find, remember: Remember) -> None:
        self._find = find
        self._remember = remember
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    def known(self, user_id: str, name: str) -> str | None:
        return self._known.get((user_id, name))

    def learn(self, user_id: str, name: str, raw: bytes | None, *, cache_up: bool) -> str:
        """The id as Redis said (`raw`), else PostgreSQL; raises `ModelNotFound` or `Unavailable`."""
        told = "" if raw is None else raw.decode("ascii", "replace")
        if is_id(told, "mdl"):
            self._keep(user_id, name, told)
            return told
        return self.find(user_id, name, cache_up=cache_up)

    def find(self, user_id: str, name: str, *, cache_up: bool) -> str:
        """The id as PostgreSQL has it now; raises `ModelNotFound` or `Unavailable`."""
        found = self._find(user_id, name) if _NAME.fullmatch(name) else None
        if found is None:
            self._known.pop((user_id, name), None)
            raise ModelNotFound("There is no model of this id or name. GET /api/models lists yours.")
        if cache_up:
            self._remember(user_id, name, found)
        self._keep(user_id, name, found)
        return found

    def _keep(self, user_id: str, name: str, model_id: str) -> None:
        self._known[user_id, name] = model_id
        self._known.move_to_end((user_id, name))
        while len(self._known) > _MOST_NAMES:
            self._known.popitem(last=False)


def name_key(user_id: str, name: str) -> str:
    """The Redis key of a name, in the slot of all the user's keys."""
    return f"{{{user_id}}}:name:{name}"


def remember_in(cache: Cache) -> Remember:
    def remember(user_id: str, name: str, model_id: str) -> object:
        return cache.post("SET", name_key(user_id, name), model_id, "EX", REMEMBER_SECONDS)

    return remember
