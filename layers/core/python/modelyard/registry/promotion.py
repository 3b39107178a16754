"""Aliases: which version answers to a name, moved explicitly, with a history that is only added to.

`champion` is the version that answers where a request names none; the first ready version becomes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelyard.db.tables import Model, Promotion
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import Conflict, FieldError, Invalid, NotFound
from modelyard.kit.paging import Cursors, Page, page_of
from modelyard.registry.guard import Guard
from modelyard.registry.lifecycle import VersionNotReady
from modelyard.registry.names import version_number
from modelyard.registry.repository import ModelRepository
from modelyard.serving.errors import AliasNotFound
from modelyard.serving.route import CHAMPION

ALIAS_RULE = (
    "1 to 64 characters: lower-case letters, digits, hyphens and underscores, beginning with a letter, not a "
    "version's name (v1) and not 'latest'"
)
MOST_ALIASES = 50
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_NO_MOVES = ("split", "joined", "withdrawn", "shadowed", "unshadowed")  # of an alias; told by the history too
_LOOK_BACK = 500  # so many moves of one alias can be rolled back


class NothingToRollBack(Conflict):
    code, title = "nothing_to_roll_back", "There is nothing to roll back to"


class ChampionStays(Conflict):
    code, title = "champion_stays", "The champion cannot be removed"


class TooManyAliases(Conflict):
    code, title = "too_many_aliases", "Too many aliases"


@dataclass(frozen=True, slots=True)
class By:
    """Who moves an alias, with which credential, and why in their words; no actor: the platform itself."""

    actor_id: str | None
    credential_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    number: int
    updated_at: datetime | None  # None: by registration, before there was a history


class Promotions:
    """Works within one unit of work; whatever moves something takes a model whose row is locked."""

    def __init__(self, repository: ModelRepository, *, clock: Clock = utc_now) -> None:
        self._repository = repository
        self._clock = clock

    # Looking

    def all(self, model: Model) -> list[Alias]:
        """The champion first, the others by name."""
        own = [Alias(row.alias, row.number, row.updated_at) for row in self._repository.aliases(model.id)]
        champion = self._champion(model)
        return own if champion is None else [champion, *own]

    def find(self, model: Model, name: str) -> Alias | None:
        if name == CHAMPION:
            return self._champion(model)
        if not _ALIAS.fullmatch(name):
            return None  # also keeps NUL bytes away from PostgreSQL
        row = self._repository.alias(model.id, name)
        return None if row is None else Alias(name, row.number, row.updated_at)

    def get(self, model: Model, name: str) -> Alias:
        """Raises `AliasNotFound`."""
        found = self.find(model, name)
        if found is None:
            raise AliasNotFound("This model has no such alias. GET /models/{model_id}/aliases lists them.")
        return found

    def history(
        self, model: Model, cursors: Cursors, *, alias: str | None, limit: int, cursor: str | None
    ) -> Page[Promotion]:
        """Newest first."""
        scope = f"promotions/{self._repository.user_id}/{model.id}/{alias}"
        position = cursors.decode(scope, cursor)
        before = int(position[0]) if position else None
        rows = self._repository.promotions(model.id, alias=alias, before=before, limit=limit + 1)
        return page_of(rows, limit, cursors=cursors, scope=scope, position=lambda row: [row.seq])

    # Moving

    def promote(self, model: Model, name: str, version: str, by: By) -> Alias:
        """Points the alias to `v3`, making it where it is new. To where it points already: changes nothing.

        Raises `Invalid` for names and versions that cannot be, `VersionNotReady`.
        """
        if not _ALIAS.fullmatch(name) or version_number(name) is not None or name == "latest":
            raise Invalid("An alias cannot be called that.", errors=[FieldError("path:alias", ALIAS_RULE)])
        number = self.servable(model, version)
        before = self.find(model, name)
        if before is not None and before.number == number:
            return before
        if before is None and len(self._repository.aliases(model.id)) >= MOST_ALIASES:
            raise TooManyAliases(f"A model has at most {MOST_ALIASES} aliases. Delete one first.")
        return self._move(model, name, before.number if before else None, number, "promoted", by)

    def roll_back(self, model: Model, name: str, by: By) -> Alias:
        """Points the alias to where it pointed before its last promotion; again: one further back.

        Versions that cannot answer any more are passed over. Raises `AliasNotFound` or `NothingToRollBack`.
        """
        current = self.get(model, name)
        moves = self._repository.promotions(model.id, alias=name, without=_NO_MOVES, limit=_LOOK_BACK)
        for number in reversed(earlier(list(reversed(moves)), current.number)):
            if number != current.number and self._answers(model, number):
                return self._move(model, name, current.number, number, "rolled_back", by)
        raise NothingToRollBack("No version that this alias pointed to before can still answer.")

    def remove(self, model: Model, name: str, by: By) -> None:
        """Raises `AliasNotFound`, and `ChampionStays` for the champion."""
        current = self.get(model, name)
        if name == CHAMPION:
            raise ChampionStays("Every model has a champion. Promote another version, or delete the model.")
        row = self._repository.alias(model.id, name)
        assert row is not None
        self._repository.erase(row)
        self._record(model, name, current.number, None, "removed", by, self._clock())

    # Splitting

    def split(self, model: Model, weights: Mapping[str, int], guard: Guard | None, by: By) -> None:
        """Divides the requests that ask for no version: `{"v1": 90, "v2": 10}`, percent, 100 in all.

        `guard` says when canaries are withdrawn. With both as they are already it changes nothing.
        Raises `Invalid` and `VersionNotReady`.
        """
        traffic = {
            str(self.servable(model, version, _weight(version))): share for version, share in weights.items()
        }
        if len(traffic) != len(weights) or sum(traffic.values()) != 100:
            detail = "expected each version once, and 100 percent in all"
            raise Invalid("Requests cannot be split like this.", errors=[FieldError("/weights", detail)])
        kept = None if guard is None else guard.to_json()
        if (traffic, kept) != (model.traffic, model.guard):
            now = self._clock()
            model.traffic, model.guard, model.split_at = traffic, kept, now
            self._record(model, CHAMPION, None, None, "split", by, now, traffic)
            if model.shadow is not None and str(model.shadow["number"]) in traffic:
                self.end_shadow(model, by)  # who answers callers is no shadow any more

    def join(self, model: Model, by: By) -> None:
        """Sends all requests to the champion again."""
        if model.traffic is not None:
            _unite(model)
            self._record(model, CHAMPION, None, None, "joined", by, self._clock())

    def withdraw(self, model: Model, number: int, by: By) -> None:
        """Gives the version's part of the requests to the champion; others keep theirs."""
        champion = model.default_version
        assert champion is not None
        assert model.traffic is not None
        left = dict(model.traffic)
        left[str(champion)] = left.get(str(champion), 0) + left.pop(str(number))
        model.traffic = left
        if len(left) == 1:
            _unite(model)
        self._record(model, CHAMPION, number, champion, "withdrawn", by, self._clock(), model.traffic)

    # Shadows: see `registry.shadow.settings`

    def record_shadow(self, model: Model, before: int | None, number: int, by: By) -> None:
        self._record(model, CHAMPION, before, number, "shadowed", by, self._clock())

    def end_shadow(self, model: Model, by: By) -> None:
        """Leaves the model without a shadow, if it has one."""
        if model.shadow is not None:
            number, model.shadow = model.shadow["number"], None
            self._record(model, CHAMPION, number, None, "unshadowed", by, self._clock())

    def servable(self, model: Model, version: str, place: str = "/version") -> int:
        """The number of a version that may get requests; raises `Invalid` or `VersionNotReady`."""
        number = version_number(version)
        detail = "expected a version of this model, such as v2"
        wrong = Invalid("There is no such version.", errors=[FieldError(place, detail)])
        if number is None:
            raise wrong
        try:
            found = self._repository.version(model.id, number, lock=True)
        except NotFound:
            raise wrong from None
        if found.status != "ready" or found.stage == "archived":
            state = "archived" if found.stage == "archived" else found.status
            raise VersionNotReady(f"v{number} is {state}: only what is ready and not archived gets requests.")
        return number

    # Within

    def _champion(self, model: Model) -> Alias | None:
        if model.default_version is None:
            return None
        # Splits and shadows are no moves: they leave the alias, and so its ETag, as it was.
        last = self._repository.promotions(model.id, alias=CHAMPION, without=_NO_MOVES, limit=1)
        return Alias(CHAMPION, model.default_version, last[0].at if last else None)

    def _answers(self, model: Model, number: int) -> bool:
        try:
            found = self._repository.version(model.id, number, lock=True)
        except NotFound:
            return False
        return found.status == "ready" and found.stage != "archived"

    def _move(self, model: Model, name: str, before: int | None, number: int, action: str, by: By) -> Alias:
        now = self._clock()
        if name == CHAMPION:
            model.default_version = number
            _unite(model)  # promotion is the end of a split: all requests go to the champion
        else:
            self._repository.put_alias(model, name, number, now)
        self._record(model, name, before, number, action, by, now)
        if name == CHAMPION and model.shadow is not None and model.shadow["number"] == number:
            self.end_shadow(model, by)
        return Alias(name, number, now)

    def _record(
        self,
        model: Model,
        name: str,
        before: int | None,
        number: int | None,
        action: str,
        by: By,
        now: datetime,
        traffic: dict[str, int] | None = None,
    ) -> None:
        self._repository.touch(model, now)
        self._repository.record(
            Promotion(
                model_id=model.id,
                user_id=model.user_id,
                at=now,
                actor_id=by.actor_id,
                credential_id=by.credential_id,
                action=action,
                alias=name,
                from_number=before,
                to_number=number,
                reason=by.reason,
                traffic=traffic,
            )
        )


def _weight(version: str) -> str:
    """The JSON pointer of a version's weight; what is no version's name is not repeated."""
    return "/weights" if version_number(version) is None else f"/weights/{version}"


def _unite(model: Model) -> None:
    model.traffic = model.guard = model.split_at = None


def earlier(moves: Sequence[Promotion], current: int) -> list[int]:
    """The versions below the current one on the stack that promotions push to and rollbacks pop from;
    `moves` is oldest first.
    """
    stack: list[int] = []
    for move in moves:
        if move.action in _NO_MOVES:
            continue
        if move.from_number is not None and stack[-1:] != [move.from_number]:
            stack.append(move.from_number)
        if move.to_number is None:
            stack.clear()
        elif move.action == "rolled_back":
            stack.pop()
            while stack and stack[-1] != move.to_number:
                stack.pop()
            stack = stack or [move.to_number]
        else:
            stack.append(move.to_number)
    return stack[:-1] if stack and stack[-1] == current else stack
