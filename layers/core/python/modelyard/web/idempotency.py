"""`Idempotency-Key`: a creating POST that is sent again is answered again, and done once.

The key is claimed in a transaction of its own, so that a second request at the same time sees it. The answer
is written in the transaction of the work itself where the route has one: both are there, or neither is. What
fails gives the key back. Keys belong to a user and a route and are kept for 24 hours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Unit

from modelyard.accounts.retention import KEEP_ANSWERS
from modelyard.db.engine import Database
from modelyard.db.tables import IdempotentRequest as Row
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import Conflict, FieldError, Invalid

HEADER = "idempotency-key"
LEASE = timedelta(seconds=60)  # twice what the gateway waits: whoever holds a key for longer has died
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("content-type", "location", "retry-after", "etag", "link")
_LONGEST_BODY = 256 << 10


class InProgress(Conflict):
    code, title = "request_in_progress", "The same request is being worked on"


class AlreadyDone(Conflict):
    code, title = "request_already_done", "The same request was done before"


class KeyReused(Invalid):
    code, title = "idempotency_key_reused", "The key was used for another request"


@dataclass(frozen=True, slots=True)
class Claim:
    """A key of one user for one route, and the request that it came with."""

    user_id: str
    route: str
    key_hash: str
    payload_hash: str


def claim_of(request: Request, body: bytes, *, user_id: str, route: str) -> Claim | None:
    """The claim that the request's header makes; `None` without one. Raises `Invalid`."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Invalid(
            "Send an Idempotency-Key of 1 to 255 printable characters.",
            errors=[FieldError("header:Idempotency-Key", "Expected 1 to 255 printable ASCII characters.")],
        )
    target = f"{request.url.path}?{request.url.query}\n".encode()
    return Claim(user_id, route[:128], _digest(key.encode()), _digest(target + body))


class Idempotency:
    """Claims and answers. With `secret`, an answer is never kept: it holds what is shown once."""

    def __init__(
        self, database: Database, claim: Claim, *, secret: bool = False, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._claim = claim
        self._secret = secret
        self._clock = clock

    def begin(self) -> Response | None:
        """`None`: go on. Otherwise the answer that was given before. Raises `InProgress` or `KeyReused`."""
        with self._database.transaction() as unit:
            if self._take(unit):
                return None
            row = unit.execute(select(Row).where(*self._mine()).with_for_update()).scalar_one_or_none()
            if row is None:  # given back in between
                raise InProgress("Send the request again.", headers={"Retry-After": "1"})
            if row.payload_hash != self._claim.payload_hash:
                raise KeyReused("Use a new Idempotency-Key for a request that differs.")
            if row.status is not None:
                return self._replay(row)
            if row.started_at > self._clock() - LEASE:
                raise InProgress("The same request is being worked on.", headers={"Retry-After": "2"})
            row.started_at = self._clock()
        return None

    def finish(self, response: Response, unit: Unit | None) -> None:
        """Keeps a good answer: in the work's own transaction `unit`, where there is one."""
        if not 200 <= response.status_code < 300:
            return
        if unit is not None:
            self._keep(response, unit)
            return
        with self._database.transaction() as own:
            self._keep(response, own)

    def give_back(self) -> None:
        """After a failure: the next request with this key is done."""
        with self._database.transaction() as unit:
            unit.execute(delete(Row).where(*self._mine(), Row.status.is_(None)))

    def _take(self, unit: Unit) -> bool:
        now = self._clock()
        unit.execute(delete(Row).where(*self._mine(), Row.expires_at < now))
        values = {
            "user_id": self._claim.user_id,
            "route": self._claim.route,
            "key_hash": self._claim.key_hash,
            "payload_hash": self._claim.payload_hash,
            "started_at": now,
            "expires_at": now + KEEP_ANSWERS,
        }
        taken = insert(Row).values(values).on_conflict_do_nothing().returning(Row.key_hash)
        return unit.execute(taken).first() is not None

    def _keep(self, response: Response, unit: Unit) -> None:
        body = bytes(response.body)
        kept = body.decode() if not self._secret and len(body) <= _LONGEST_BODY else None
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        values = {"status": response.status_code, "headers": headers, "body": kept}
        unit.execute(update(Row).where(*self._mine()).values(**values))

    def _replay(self, row: Row) -> Response:
        if row.body is None:
            raise AlreadyDone(
                "This request was done before, and its answer is not kept. List what there is instead."
            )
        headers: Mapping[str, str] = (row.headers or {}) | {"Idempotent-Replayed": "true"}
        return Response(row.body, status_code=row.status or 200, headers=dict(headers))

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        claim = self._claim
        return (Row.user_id == claim.user_id, Row.route == claim.route, Row.key_hash == claim.key_hash)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
