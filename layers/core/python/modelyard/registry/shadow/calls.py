"""Has somebody ask the shadows: one message for a model whose requests wait, however many they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import orjson

from modelyard.registry.trials.watch import Trial
from modelyard.serving.mirror import mirror_key

PAUSE_SECONDS = 3
"""Between two calls for one model, and how long the message waits: what comes meanwhile goes with it."""

QUEUE = "batch"


class Lists(Protocol):
    """What of `redis.Redis` shadows need."""

    def set(self, name: str, value: bytes, *, ex: int, nx: bool) -> Any: ...
    def delete(self, *names: str) -> Any: ...
    def llen(self, name: str) -> Any: ...
    def lpop(self, name: str, count: int) -> Any: ...
    def lpush(self, name: str, *values: bytes) -> Any: ...
    def expire(self, name: str, time: int) -> Any: ...


def call_key(user_id: str, model_id: str) -> str:
    """Present while a message for the model is under way."""
    return f"{{{user_id}}}:shadow-called:{model_id}"


class ShadowCalls:
    """A step of `registry.trials.watch.Trials`. Where Redis or SQS is away, what they raise rises."""

    def __init__(self, redis: Lists, sqs: Callable[[], Any], queue_url: Callable[[str], str]) -> None:
        self._redis = redis
        self._sqs = sqs
        self._queue_url = queue_url

    def __call__(self, trial: Trial) -> None:
        if trial.shadowed:
            self.call(trial.user_id, trial.model_id)

    def call(self, user_id: str, model_id: str) -> bool:
        """Whether a message was sent; it is not where nothing waits, or one is under way."""
        if not self._redis.llen(mirror_key(user_id, model_id)):
            return False
        if not self._redis.set(call_key(user_id, model_id), b"1", ex=PAUSE_SECONDS, nx=True):
            return False
        message = {"shadow": {"user_id": user_id, "model_id": model_id}}
        self._sqs().send_message(
            QueueUrl=self._queue_url(QUEUE),
            MessageBody=orjson.dumps(message).decode(),
            DelaySeconds=PAUSE_SECONDS,
        )
        return True
