"""Whether what the service depends on answers: asked all at once, each with its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal

from modelyard.kit.errors import Unavailable
from modelyard.telemetry.log import logger

DEADLINE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. Without an essential one nothing works; without another, less does."""

    name: str
    ask: Callable[[], object]
    essential: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    status: Literal["up", "down"]
    milliseconds: float


class NotReady(Unavailable):
    code, title = "not_ready", "A dependency does not answer"


class Readiness:
    def __init__(self, *checks: Check, deadline: float = DEADLINE_SECONDS) -> None:
        self._checks = checks
        self._deadline = deadline

    def ask(self) -> tuple[Literal["ready", "degraded"], Mapping[str, Finding]]:
        """Asks every dependency; raises `NotReady` where an essential one is down. Never waits longer than
        the deadline, even where a client ignores its own timeout.
        """
        pool = ThreadPoolExecutor(max_workers=len(self._checks), thread_name_prefix="readiness")
        started = {check.name: pool.submit(_timed, check) for check in self._checks}
        wait(started.values(), timeout=self._deadline)
        pool.shutdown(wait=False, cancel_futures=True)
        found = {name: self._finding(future) for name, future in started.items()}
        down = [check for check in self._checks if found[check.name].status == "down"]
        if any(check.essential for check in down):
            names = ", ".join(check.name for check in down)
            shown = {
                name: {"status": each.status, "milliseconds": each.milliseconds}
                for name, each in found.items()
            }
            raise NotReady(f"Does not answer: {names}.", checks=shown)
        return ("degraded" if down else "ready"), found

    def _finding(self, future: Future[Finding]) -> Finding:
        if not future.done():
            return Finding("down", round(self._deadline * 1000, 1))
        return future.result()


def _timed(check: Check) -> Finding:
    started = time.perf_counter()
    status: Literal["up", "down"] = "up"
    try:
        check.ask()
    except Exception as error:  # whatever a client raises: it is down, and the log says why
        logger.warning("dependency down", dependency=check.name, reason=type(error).__name__)
        status = "down"
    return Finding(status, round((time.perf_counter() - started) * 1000, 1))
