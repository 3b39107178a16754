"""Log lines of the local cloud arrive as CloudWatch Logs delivers them: gathered, in order, none lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from modelyard.telemetry.ingest import unpack

from tools.local.log_deliveries import MOST_LINES, Subscriber
from tools.local.services import wait_until

GROUP = "/aws/lambda/modelyard-local-predict"


class Function:
    """Takes events; fails so many times first, and can be held up."""

    def __init__(self, failures: int = 0, *, raises: bool = False) -> None:
        self.failures = failures
        self.raises = raises
        self.deliveries: list[list[str]] = []
        self.at_once = self.most_at_once = 0
        self.free = threading.Event()
        self.free.set()

    def __call__(self, event: dict[str, Any]) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.free.wait(10)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            if self.raises:
                raise ConnectionError("no worker")
            return False
        delivery = unpack(event)
        assert delivery.group == GROUP
        self.deliveries.append(delivery.lines)
        return True

    @property
    def lines(self) -> list[str]:
        return [line for lines in self.deliveries for line in lines]


def subscribed(function: Function, pauses: tuple[float, ...] = (0.01, 0.01)) -> Subscriber:
    subscriber = Subscriber(GROUP, "records", "000000000000", function, pauses)
    subscriber.start()
    return subscriber


def until(condition: Callable[[], bool]) -> None:
    wait_until(condition, seconds=5, what="The delivery")


def line(number: int) -> dict[str, Any]:
    return {"timestamp": 1_700_000_000_000 + number, "message": f"line {number}"}


def lines(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


def test_lines_that_arrive_while_the_function_is_busy_are_one_delivery():
    function = Function()
    function.free.clear()
    subscriber = subscribed(function)
    subscriber.put([line(0)])
    until(lambda: function.at_once == 1)
    for number in range(1, 500):
        subscriber.put([line(number)])
    function.free.set()

    until(lambda: len(function.lines) == 500)
    assert function.lines == lines(500)
    assert [len(each) for each in function.deliveries] == [1, 499]
    assert function.most_at_once == 1


def test_a_delivery_has_no_more_lines_than_are_allowed():
    function = Function()
    subscribed(function).put([line(number) for number in range(MOST_LINES + 1)])

    until(lambda: len(function.lines) == MOST_LINES + 1)
    assert [len(each) for each in function.deliveries] == [MOST_LINES, 1]
    assert function.lines == lines(MOST_LINES + 1)


@pytest.mark.parametrize("raises", [False, True], ids=["refused", "raised"])
def test_what_a_function_did_not_take_is_delivered_again_before_what_came_later(raises: bool):
    function = Function(failures=2, raises=raises)
    subscriber = subscribed(function)
    subscriber.put([line(0)])
    until(lambda: function.failures == 0)
    subscriber.put([line(1)])

    until(lambda: len(function.lines) == 2)
    assert function.lines == lines(2)


def test_what_is_given_up_is_said_and_does_not_stop_what_comes_later(caplog: pytest.LogCaptureFixture):
    function = Function(failures=3)
    subscriber = subscribed(function)
    with caplog.at_level(logging.ERROR, "log_deliveries"):
        subscriber.put([line(0), line(1)])
        until(lambda: function.failures == 0)
        until(lambda: bool(caplog.records))
        subscriber.put([line(2)])
        until(lambda: len(function.lines) == 1)

    assert function.lines == ["line 2"]
    assert [record.message for record in caplog.records] == [
        f"2 lines of {GROUP} were not delivered to records"
    ]
