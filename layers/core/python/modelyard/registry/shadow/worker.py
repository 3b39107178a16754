"""Asks shadows what others were asked before them, and writes down how the answers compare.

Nothing of it may disturb anybody: a shadow that fails is a line in the report, a message is never worth a
second delivery (the next request, or the sweep, sends another), and one worker at a time serves a model, so
that a slow shadow does not take the workers of batch jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard.batch.worker import BadMessage, LoadModel
from modelyard.db.engine import Database
from modelyard.kit.errors import NotFound, Problem
from modelyard.kit.ids import is_id
from modelyard.registry.repository import ModelRepository
from modelyard.registry.shadow.calls import Lists, ShadowCalls
from modelyard.registry.shadow.comparison import Comparison, Side, compare
from modelyard.registry.shadow.inputs import batch_for
from modelyard.registry.shadow.repository import ShadowRepository
from modelyard.registry.shadow.settings import Shadow
from modelyard.serving import answers
from modelyard.serving.mirror import KEEP_SECONDS, Mirrored, mirror_key, read
from modelyard.serving.models import LoadedModel
from modelyard.serving.route import Route
from modelyard.serving.runtime import LONGEST_PREDICTION
from modelyard.serving.signature import Signature
from modelyard.telemetry.log import logger

MOST_SECONDS = 60.0  # on one message; what waits then gets another
LARGEST_ANSWER = 8 << 10  # bytes of JSON; larger answers are not kept
_SLACK = 5.0  # seconds to reach the sandbox, beyond a prediction's own time
_RESERVE = 20.0  # of the function's time, for the last prediction and its row
_LOCK_SECONDS = 90  # longer than a message is worked on
_AT_ONCE = 20  # requests between two writes

FindRoute = Callable[[str, str], Route | None]
"""(user id, model id) → the route as PostgreSQL has it."""


def lock_key(user_id: str, model_id: str) -> str:
    """Present while a worker asks the model's shadow."""
    return f"{{{user_id}}}:shadow-worker:{model_id}"


@dataclass(frozen=True, slots=True)
class Order:
    """One message: ask the shadow of this model."""

    user_id: str
    model_id: str

    @classmethod
    def parse(cls, message: Any) -> Order:
        """Raises `BadMessage`."""
        if not isinstance(message, Mapping):
            raise BadMessage("expected an object with user_id and model_id")
        user_id, model_id = str(message.get("user_id")), str(message.get("model_id"))
        if not is_id(user_id, "usr") or not is_id(model_id, "mdl"):
            raise BadMessage("expected a user_id and a model_id")
        return cls(user_id, model_id)


@dataclass(slots=True)
class _Trial:
    """A shadow at work: who it is, and what those are that answered. `model` is a problem where it cannot be
    loaded: then every request fails with that.
    """

    order: Order
    shadow: Shadow
    model: LoadedModel | Problem
    answered: dict[int, Signature | None]  # by version number; None: that version is gone


class ShadowWorker:
    """Handles messages one at a time."""

    def __init__(
        self,
        *,
        database: Database,
        redis: Lists,
        find_route: FindRoute,
        load_model: LoadModel,
        calls: ShadowCalls,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._redis = redis
        self._find_route = find_route
        self._load_model = load_model
        self._calls = calls
        self._now = now

    def handle(self, message: Any, *, seconds: float) -> None:
        """Asks a shadow what waits for it, within `seconds`. Raises `BadMessage` and nothing else."""
        order = Order.parse(message)
        try:
            self._work(order, self._now() + min(seconds - _RESERVE, MOST_SECONDS))
        except Exception:
            logger.exception("shadow not asked", user_id=order.user_id, model_id=order.model_id)

    def _work(self, order: Order, end: float) -> None:
        waiting, lock = mirror_key(order.user_id, order.model_id), lock_key(order.user_id, order.model_id)
        while self._redis.llen(waiting):
            if not self._redis.set(lock, b"1", ex=_LOCK_SECONDS, nx=True):
                return  # whoever holds it looks once more after letting go
            try:
                done = self._drain(order, waiting, end)
            finally:
                self._redis.delete(lock)
            if not done:
                self._calls.call(order.user_id, order.model_id)
                return

    def _drain(self, order: Order, waiting: str, end: float) -> bool:
        """Whether nothing waits any more."""
        trial = self._trial(order)
        if trial is None:
            self._redis.delete(waiting)  # the shadow ended: its inputs are nobody's business any more
            return True
        while entries := self._redis.lpop(waiting, _AT_ONCE):
            rows = []
            for place, entry in enumerate(entries):
                if self._now() > end:
                    self._redis.lpush(waiting, *reversed(entries[place:]))
                    self._redis.expire(waiting, KEEP_SECONDS)  # the list may have ended in between
                    break
                rows.append(self._row(trial, entry))
            self._write(order, [row for row in rows if row is not None])
            if len(rows) < len(entries):
                return False
        return True

    def _trial(self, order: Order) -> _Trial | None:
        """None where the model is gone, or has no shadow any more that could answer."""
        with self._database.transaction() as session:
            model = ModelRepository(session, order.user_id).find_model(order.model_id)
            shadow = None if model is None else Shadow.of(model)
        route = None if shadow is None else self._find_route(order.user_id, order.model_id)
        version = None if route is None or shadow is None else route.versions.get(shadow.number)
        if shadow is None or version is None:
            return None
        try:
            loaded: LoadedModel | Problem = self._load_model(version, order.user_id)
        except Problem as problem:
            loaded = problem
        return _Trial(order, shadow, loaded, {})

    def _signature(self, trial: _Trial, number: int) -> Signature | None:
        """Of a version that answered."""
        if number not in trial.answered:
            with self._database.transaction() as session:
                try:
                    version = ModelRepository(session, trial.order.user_id).version(
                        trial.order.model_id, number
                    )
                    signature = Signature.from_json(version.signature) if version.signature else None
                except NotFound:
                    signature = None
            trial.answered[number] = signature
        return trial.answered[number]

    def _row(self, trial: _Trial, entry: bytes) -> dict[str, Any] | None:
        """The row of one request; None for what cannot be read or compared: its version is gone, or was the
        shadow itself.
        """
        mirrored = read(entry)
        signature = None if mirrored is None else self._signature(trial, mirrored.number)
        if mirrored is None or signature is None or mirrored.number == trial.shadow.number:
            return None
        row: dict[str, Any] = {
            "prediction_id": mirrored.prediction_id,
            "at": datetime.fromtimestamp(mirrored.at, UTC),
            "model_id": trial.order.model_id,
            "number": mirrored.number,
            "shadow_number": trial.shadow.number,
            "rows": mirrored.rows,
            "answered_ms": mirrored.milliseconds,
        }
        begun = self._now()
        try:
            core, took = self._ask(trial, mirrored, signature)
            found = self._compared(trial, mirrored, signature, core)
        except Problem as problem:
            return row | _failed(problem.code, self._now() - begun)
        except Exception:
            logger.exception("shadow failed", model_id=trial.order.model_id, version=trial.shadow.number)
            return row | _failed("internal_error", self._now() - begun)
        kept = found.differing > 0
        return row | {
            "differing": found.differing,
            "measured": found.measured,
            "largest": found.largest,
            "total": found.total,
            "pairs": _storable(found.pairs) or None,
            "error": None,
            "shadow_ms": took * 1000,
            "answer": _storable(mirrored.answer) if kept else None,
            "shadow_answer": _storable(core) if kept else None,
        }

    def _ask(self, trial: _Trial, mirrored: Mirrored, answered: Signature) -> tuple[dict[str, Any], float]:
        """What the shadow answers, in the form of `mirrored.answer`, and the seconds that the model took;
        raises what a caller would meet.
        """
        if isinstance(trial.model, Problem):
            raise trial.model
        model = trial.model
        batch = batch_for(model.decoder, mirrored, answered)
        prepared = model.runtime.prepare(batch)
        begun = time.monotonic()
        deadline = begun + LONGEST_PREDICTION + _SLACK
        outputs = model.runtime.run(prepared, batch.rows, mirrored.outputs, deadline)
        took = time.monotonic() - begun
        return orjson.loads(answers.render(model.signature, outputs)), took

    def _compared(
        self, trial: _Trial, mirrored: Mirrored, answered: Signature, core: dict[str, Any]
    ) -> Comparison:
        assert isinstance(trial.model, LoadedModel)
        ours, theirs = Side(answered, mirrored.answer), Side(trial.model.signature, core)
        return compare(ours, theirs, mirrored.outputs, mirrored.rows, tolerance=trial.shadow.tolerance)

    def _write(self, order: Order, rows: Sequence[dict[str, Any]]) -> None:
        with self._database.transaction() as session:
            ShadowRepository(session, order.user_id).add(rows)


def _failed(code: str, seconds: float) -> dict[str, Any]:
    nothing = dict.fromkeys(("largest", "total", "pairs", "answer", "shadow_answer"))
    return nothing | {"differing": 0, "measured": 0, "error": code, "shadow_ms": seconds * 1000}


def _storable(value: Any) -> Any:
    """The value where PostgreSQL's JSON can hold it and it is not too large, else None."""
    text = orjson.dumps(value)
    return None if len(text) > LARGEST_ANSWER or b"\\u0000" in text else value
