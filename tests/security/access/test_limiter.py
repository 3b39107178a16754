"""10,000 requests from 20 clients against one user's limit: exactly the allowed number pass each window."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from modelyard.accounts.limits import PER_MINUTE
from modelyard.kit.ids import new_id

from tests.support.clients import Order, work
from tests.support.serving import token_for
from tools.local.services import Redis

PROCESSES, THREADS = 4, 5
Round = Callable[[int], Counter[str]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def user_id() -> str:
    return new_id("usr")


@pytest.fixture
def fire(pool: ProcessPoolExecutor, composition: Any, redis_server: Redis, user_id: str) -> Round:
    """Sends so many requests from 20 clients at once."""
    authorization = token_for(composition, user_id)["Authorization"]

    def run(requests: int) -> Counter[str]:
        each, rest = divmod(requests, PROCESSES * THREADS)
        assert rest == 0
        order = Order(dict(redis_server.secret()), authorization, THREADS, each)
        return sum(pool.map(work, [order] * PROCESSES), Counter[str]())

    return run


def test_exactly_the_allowed_number_passes_in_each_window(fire: Round, redis_client: Any, user_id: str):
    """Three windows. Time is not waited for: what the window remembers is made a minute older, all of it or
    its oldest part, and the script's own clock does the rest.
    """
    window, quota = f"{{{user_id}}}:rate:{PER_MINUTE.name}", PER_MINUTE.quota

    def older(count: int) -> None:
        times = [int(time) for time in redis_client.lrange(window, 0, -1)]  # newest first
        assert len(times) == quota
        kept = times[: quota - count]
        redis_client.delete(window)
        redis_client.rpush(window, *kept, *(time - PER_MINUTE.window_us for time in times[quota - count :]))

    first = fire(3400)
    older(quota)
    second = fire(3300)
    older(37)
    third = fire(3300)

    assert [part["passed"] for part in (first, second, third)] == [quota, quota, 37]
    total = first + second + third
    assert total["passed"] + total["refused"] == 10_000
    assert total["without redis"] == 0
    clients = 3 * PROCESSES * THREADS
    assert total["trips"] <= 10_000 + clients, "one trip each; a client may have to send the script once"


def test_two_users_at_once_do_not_take_from_each_other(
    pool: ProcessPoolExecutor, composition: Any, redis_server: Redis, redis_client: Any
):
    orders = [
        Order(
            dict(redis_server.secret()), token_for(composition, new_id("usr"))["Authorization"], THREADS, 40
        )
        for _ in range(PROCESSES)
    ]
    assert [part["passed"] for part in pool.map(work, orders)] == [PER_MINUTE.quota] * PROCESSES
