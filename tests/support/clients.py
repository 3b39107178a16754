"""Clients of the limiter in processes of their own, each with several threads, an admitter and a connection
for each.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from modelyard.accounts.admission import Admitter
from modelyard.accounts.tokens import SigningKeys, Tokens
from modelyard.kit.errors import TooManyRequests
from modelyard.kit.resp import Connection

from tests.support.composition import SIGNING_KEYS


@dataclass(frozen=True)
class Order:
    """What one process does."""

    redis: dict[str, Any]
    authorization: str
    threads: int
    requests: int  # of each thread


class Counted(Connection):
    """Counts what goes over the socket: one command, one trip."""

    trips = 0

    def _send_and_read(self, data: bytes, replies: int) -> list[Any]:
        self.trips += 1
        return super()._send_and_read(data, replies)


def work(order: Order) -> Counter[str]:
    """How many requests passed and were refused, and what they cost."""
    with ThreadPoolExecutor(order.threads) as pool:
        parts = list(pool.map(_client, [order] * order.threads))
    return sum(parts, Counter[str]())


def _client(order: Order) -> Counter[str]:
    tokens = Tokens(SigningKeys(lambda _age: SIGNING_KEYS))
    connection = Counted(lambda: order.redis)
    admitter = Admitter(tokens, connection)
    headers = {"authorization": order.authorization}
    connection.ping()  # whoever connects says who they are first
    connection.trips = 0
    seen: Counter[str] = Counter()
    for _ in range(order.requests):
        try:
            admission = admitter.admit(headers, lookups=lambda caller: [f"{{{caller.user_id}}}:route:m"])
            seen["passed"] += 1
            seen["without redis"] += not admission.cache_up
        except TooManyRequests:
            seen["refused"] += 1
    seen["trips"] = connection.trips
    connection.close()
    return seen
