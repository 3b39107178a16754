"""What this process knows about API keys. Redis confirms it with every request, in the round trip of
admission; PostgreSQL is asked where neither knows. On the hot path of `predict`.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from modelyard.accounts.keys import RECORD_SECONDS, KeyRecord, KeyRefused, Load, PresentedKey, record_key
from modelyard.kit.errors import Unavailable
from modelyard.kit.redis import RedisCommands

TRUSTED_SECONDS = 60.0  # without Redis, before PostgreSQL is asked again
STALE_SECONDS = 900.0  # without both
_STALE_RECORD_SECONDS = 30
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """A proven key: its secret fits the record, whose text as Redis keeps it is `line`."""

    record: KeyRecord
    line: bytes
    at: float


class KeyRing:
    def __init__(
        self,
        load: Load,
        redis: RedisCommands,
        *,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._load = load
        self._redis = redis
        self._now = now
        self._clock = clock
        self._known: OrderedDict[str, Known] = OrderedDict()

    def remembered(self, presented: PresentedKey) -> Known | None:
        """What this process knows of the key; raises `KeyRefused` where it has expired. Redis must
        confirm it.
        """
        known = self._known.get(presented.key_id)
        if known is None or not _fits(known.record, presented):
            return None
        self._check_expiry(known.record)
        return known

    def learn(self, presented: PresentedKey, line: bytes) -> Known:
        """The key by the record that Redis has, or else by PostgreSQL's; raises `KeyRefused`."""
        if line:
            return self._keep(presented, KeyRecord.read(line, presented), line)
        known = self.remembered(presented)
        try:
            fresh = self._fetch(presented)
        except Unavailable:
            if known is None or self._age(known) > STALE_SECONDS:
                raise
            self._publish(known, _STALE_RECORD_SECONDS)
            return known
        self._publish(fresh, RECORD_SECONDS)
        return fresh

    def offline(self, presented: PresentedKey) -> Known:
        """The key while Redis is away: what was seen a moment ago, else PostgreSQL's word, else what was
        seen.
        """
        known = self.remembered(presented)
        if known is not None and self._age(known) <= TRUSTED_SECONDS:
            return known
        try:
            return self._fetch(presented)
        except Unavailable:
            if known is None or self._age(known) > STALE_SECONDS:
                raise
            return known

    def _fetch(self, presented: PresentedKey) -> Known:
        record = self._load(presented.user_id, presented.key_id)
        if record is None:
            self._known.pop(presented.key_id, None)
            raise refused()
        return self._keep(presented, record, record.line())

    def _keep(self, presented: PresentedKey, record: KeyRecord, line: bytes) -> Known:
        if not _fits(record, presented):
            raise refused()
        self._check_expiry(record)
        known = Known(record, line, self._now())
        self._known[presented.key_id] = known
        self._known.move_to_end(presented.key_id)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return known

    def _publish(self, known: Known, seconds: int) -> None:
        name = record_key(known.record.user_id, known.record.key_id)
        try:
            self._redis.set(name, known.line, ex=seconds)
        except Exception:  # whatever the client raises: the next request asks PostgreSQL again
            return

    def _check_expiry(self, record: KeyRecord) -> None:
        if record.expires_at is not None and record.expires_at <= self._clock():
            raise refused()

    def _age(self, known: Known) -> float:
        return self._now() - known.at


def _fits(record: KeyRecord, presented: PresentedKey) -> bool:
    same_user = record.user_id == presented.user_id
    return hmac.compare_digest(record.secret_hash, presented.secret_hash) and same_user


def refused() -> KeyRefused:
    return KeyRefused("This API key is unknown, expired or revoked.")
