"""The list of credentials that must be refused at once, in Redis, where admission looks.

A session's access tokens live for 30 minutes at most, so an entry need not outlive them. PostgreSQL knows
who was revoked; entries are written after the commit, and again by the sweep, so that a Redis that was away
or has been emptied learns of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy.orm import Session as Unit

from modelyard.accounts.keys import record_key
from modelyard.accounts.repository import SessionRepository
from modelyard.accounts.tokens import ACCESS_SECONDS
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.redis import RedisCommands
from modelyard.telemetry.log import logger

KEEP_SECONDS = ACCESS_SECONDS + 60


class Revocations:
    def __init__(self, redis: RedisCommands, *, clock: Clock = utc_now) -> None:
        self._redis = redis
        self._clock = clock

    def publish(self, user_id: str, credential_ids: Iterable[str]) -> bool:
        """Makes admission refuse these from now on; `False` where Redis is away and the sweep has to do
        it.
        """
        try:
            for credential_id in credential_ids:
                self._redis.set(key(user_id, credential_id), b"1", ex=KEEP_SECONDS)
        except Exception:  # whatever the client raises when Redis is away
            logger.warning("revocation postponed", user_id=user_id)
            return False
        return True

    def forget_keys(self, user_id: str, key_ids: Iterable[str], *, revoked: bool) -> None:
        """After keys changed: the next request reads them from PostgreSQL; revoked ones are refused
        before that.
        """
        names = list(key_ids)
        if revoked:
            self.publish(user_id, names)
        try:
            if names:
                self._redis.delete(*(record_key(user_id, name) for name in names))
        except Exception:  # Redis is away: what it holds is gone or expires within minutes
            logger.warning("key change postponed", user_id=user_id)

    def republish(self, unit: Unit) -> int:
        """Tells Redis again about everything revoked while its tokens could still be alive; for the sweep."""
        since = self._clock() - timedelta(seconds=KEEP_SECONDS)
        ended = SessionRepository(unit).ended_since(since)
        for user_id, session_id in ended:
            if not self.publish(user_id, [session_id]):
                break
        return len(ended)


def key(user_id: str, credential_id: str) -> str:
    return f"{{{user_id}}}:revoked:{credential_id}"
