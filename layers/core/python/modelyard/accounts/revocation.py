"""The list of credentials that must be refused at once, in Redis, where admission looks.

A session's access tokens live for 30 minutes at most, so an entry need not outlive them. PostgreSQL knows
who was revoked; entries are written after the commit, and again by the sweep, so that a Redis that was away
or has been emptied learns of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from sqlalchemy.orm import Session as Unit

from modelyard.accounts.administration import Consequences
from modelyard.accounts.keys import record_key
from modelyard.accounts.limits import PER_MINUTE
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

    def block(self, user_id: str) -> None:
        """Refuses everything of this user, whatever the credential, until `unblock`; for as long as a token
        could live. PostgreSQL keeps keys and refreshing out beyond that.
        """
        self._tell(user_id, lambda: self._redis.set(f"{{{user_id}}}:blocked", b"1", ex=KEEP_SECONDS))

    def unblock(self, user_id: str) -> None:
        self._tell(user_id, lambda: self._redis.delete(f"{{{user_id}}}:blocked"))

    def set_quota(self, user_id: str, quota: int | None) -> None:
        """This user's own limit from the next request on; tokens that are made from now on carry it."""
        name = f"{{{user_id}}}:quota:{PER_MINUTE.name}"
        # Back to the default is told as well: tokens in use may carry the limit that was.
        value = str(PER_MINUTE.quota if quota is None else quota)
        self._tell(user_id, lambda: self._redis.set(name, value, ex=KEEP_SECONDS))

    def follow(self, change: Consequences) -> None:
        """Tells admission what an administrator changed."""
        if change.blocked:
            self.block(change.user_id)
        elif change.blocked is False:
            self.unblock(change.user_id)
        if change.quota_changed:
            self.set_quota(change.user_id, change.quota)
        self.publish(change.user_id, change.sessions)
        self.forget_keys(change.user_id, change.keys, revoked=False)

    def _tell(self, user_id: str, command: Callable[[], object]) -> None:
        try:
            command()
        except Exception:  # whatever the client raises when Redis is away
            logger.warning("news for admission postponed", user_id=user_id)

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
