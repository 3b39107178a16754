"""The emulator, its log deliveries made as CloudWatch Logs makes them; run in `.cloud`, from a file.

As it comes, the emulator delivers what each invocation logged at once, in an invocation of its own, and once.
Under load that feeds itself: deliveries that overlap start processes, which slow down the others, so that
more overlap; and what a busy database refused is lost. CloudWatch Logs gathers lines before it delivers
them, and Lambda delivers again what failed. So does this.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

GATHERED = 0.1  # seconds that lines wait for others; CloudWatch Logs takes longer
MOST_LINES = 1000  # of a delivery
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds between two attempts; Lambda goes on for hours

_log = logging.getLogger("log_deliveries")

Line = dict[str, Any]
"""`timestamp` in milliseconds and `message`."""

Invoke = Callable[[dict[str, Any]], bool]
"""Hands an event to a function; whether the function took it."""


@dataclass
class Subscriber:
    """The lines of one log group on their way to one function: in order, one delivery at a time."""

    group: str
    name: str
    owner: str
    invoke: Invoke
    pauses: Sequence[float] = PAUSES
    _lines: list[Line] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        threading.Thread(target=self._deliver_for_ever, daemon=True, name=f"logs of {self.group}").start()

    def put(self, lines: Sequence[Line]) -> None:
        with self._news:
            self._lines += lines
            self._news.notify()

    def _deliver_for_ever(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._lines)
            time.sleep(GATHERED)
            with self._news:
                lines, self._lines = self._lines[:MOST_LINES], self._lines[MOST_LINES:]
            self._deliver(lines)

    def _deliver(self, lines: list[Line]) -> None:
        event = {"awslogs": {"data": self._packed(lines)}}
        for pause in (*self.pauses, None):
            try:
                if self.invoke(event):
                    return
            except Exception:
                _log.exception("a delivery of %s failed", self.group)
            if pause is not None:
                time.sleep(pause)
        _log.error("%d lines of %s were not delivered to %s", len(lines), self.group, self.name)

    def _packed(self, lines: list[Line]) -> str:
        content = {
            "messageType": "DATA_MESSAGE",
            "owner": self.owner,
            "logGroup": self.group,
            "logStream": "gathered",
            "subscriptionFilters": [self.name],
            "logEvents": [{"id": uuid.uuid4().hex} | line for line in lines],
        }
        return base64.b64encode(gzip.compress(json.dumps(content).encode(), compresslevel=1)).decode()


def main() -> None:
    from ministack.app import main as run
    from ministack.services import cloudwatch_logs, lambda_svc

    subscribers: dict[tuple[str, str, str], Subscriber] = {}
    functions: dict[str, dict[str, Any]] = {}  # by ARN, as they are now: a deployment may make another
    lock = threading.Lock()

    def subscriber(group: str, name: str, function: dict[str, Any]) -> Subscriber:
        arn = function["config"]["FunctionArn"]

        def invoke(event: dict[str, Any]) -> bool:
            answer = lambda_svc._execute_function_with_config_scope(functions[arn], event)
            return not answer.get("error")

        key = (group, name, arn)
        with lock:
            functions[arn] = function
            if key not in subscribers:
                subscribers[key] = Subscriber(group, name, cloudwatch_logs.get_account_id(), invoke)
                subscribers[key].start()
        return subscribers[key]

    def deliver(group: str, _stream: str, lines: Sequence[Line]) -> None:
        filters = (cloudwatch_logs._log_groups.get(group) or {}).get("subscriptionFilters") or {}
        for name, each in filters.items():
            function_name = each["destinationArn"].split(":function:")[-1].split(":")[0]
            function = lambda_svc._functions.get(function_name)
            if function is None or group == f"/aws/lambda/{function_name}":
                continue  # its own lines would never end
            pattern = each.get("filterPattern", "")
            matching = [
                {"timestamp": line["timestamp"], "message": line["message"]}
                for line in lines
                if cloudwatch_logs._subscription_pattern_matches(pattern, line["message"])
            ]
            if matching:
                subscriber(group, name, function).put(matching)

    assert callable(cloudwatch_logs._fanout_to_subscription_filters), "another emulator than was pinned"
    cloudwatch_logs._fanout_to_subscription_filters = deliver
    run()


if __name__ == "__main__":
    main()
