"""The measurements. Functions take turns with an empty one, so that a busy or slow machine is so for all."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.runtime_api import Function
from tests.benchmarks.scenario import Scenario
from tests.benchmarks.served import Served
from tests.support.serving import Trained, boosting, forest, logistic

BLOCK = 25  # events of one function before the next one's turn

MODELS: dict[str, Callable[[], Trained]] = {
    "LogisticRegression": lambda: logistic(width=10),
    "RandomForest(100)": lambda: forest(100, width=10),
    "HistGradientBoosting": lambda: boosting(width=10),
}


@dataclass(frozen=True)
class Quantiles:
    """Of seconds, in microseconds."""

    p10: float
    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Quantiles:
        cuts = statistics.quantiles([item * 1e6 for item in seconds], n=100)
        return cls(cuts[9], cuts[49], cuts[98])


@dataclass
class Warm:
    """One model's numbers, in microseconds; the memory in MB."""

    model: str
    empty: Quantiles
    uncached: Quantiles
    cached: Quantiles
    plain: Quantiles
    served: Quantiles
    sklearn: Quantiles
    memory: float
    plain_memory: float
    predictions_equal: bool

    @property
    def above_empty(self) -> float:
        return self.uncached.p50 - self.empty.p50

    @property
    def cached_above_empty(self) -> float:
        return self.cached.p50 - self.empty.p50

    @property
    def speedup(self) -> float:
        """Whole against whole: how much longer the plain endpoint takes as a function."""
        return self.plain.p50 / self.uncached.p50

    @property
    def served_speedup(self) -> float:
        """The same, against the plain endpoint as a server that is asked directly."""
        return self.served.p50 / self.uncached.p50


@dataclass
class Cold:
    """Seconds from the start of the interpreter."""

    initialised: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.answered)


def rows(count: int, width: int = 10, seed: int = 11) -> list[list[float]]:
    rng = random.Random(seed)
    return [[round(rng.gauss(0, 1), 6) for _ in range(width)] for _ in range(count)]


def warm(scenario: Scenario, name: str, trained: Trained, *, calls: int) -> Warm:
    """One row a request, every request another row (uncached), then the same rows again (cached)."""
    registered = scenario.add(trained)
    sent = rows(calls + BLOCK)
    events = [scenario.event(registered, [row]) for row in sent]
    with (
        scenario.empty() as empty,
        scenario.predict() as ours,
        scenario.plain(trained) as plain,
        scenario.served(trained) as served,
    ):
        for event in events:
            served.prepare(event)
        for function in (empty, ours, plain, served):
            _call(function, events[calls:])
        answers: list[Any] = []
        blocks: list[dict[str, list[float]]] = []
        for start in range(0, calls, BLOCK):
            block = events[start : start + BLOCK]
            took = {"empty": _call(empty, block)[0]}
            took["uncached"], found = _call(ours, block)
            took["cached"] = _call(ours, block)[0]
            took["plain"] = _call(plain, block)[0]
            took["served"] = _call(served, block)[0]
            answers += [answer["body"] for answer in found]
            blocks.append(took)
        memory, plain_memory = ours.memory_mb(), plain.memory_mb()
    return Warm(
        model=name,
        **_quiet(blocks),
        sklearn=Quantiles.of(_in_process(trained, sent[: min(calls, 300)])),
        memory=memory,
        plain_memory=plain_memory,
        predictions_equal=_equal(trained, sent[:calls], answers),
    )


def cold(make: Callable[[], Function], event: bytes, *, times: int) -> Cold:
    """Interpreter start to first answer; the first start, which may write `.pyc` files, does not count."""
    found = Cold()
    for number in range(times + 1):
        with make() as function:
            answer, _ = function.call(event)
            answered = time.perf_counter() - function.started
            if answer["statusCode"] != 200:
                raise RuntimeError(f"the first answer failed: {answer}")
            if number:
                found.answered.append(answered)
                found.initialised.append(function.initialised - function.started)
    return found


def _quiet(blocks: list[dict[str, list[float]]]) -> dict[str, Quantiles]:
    """Quantiles over the quieter half of the blocks; what is quiet, the empty function alone decides."""
    ranked = sorted(blocks, key=lambda block: statistics.median(block["empty"]))
    kept = ranked[: max(1, len(ranked) // 2)]
    return {kind: Quantiles.of([took for block in kept for took in block[kind]]) for kind in kept[0]}


def _call(function: Function | Served, events: list[bytes]) -> tuple[list[float], list[dict[str, Any]]]:
    results = [function.call(event) for event in events]
    for answer, _ in results:
        if answer["statusCode"] != 200:
            raise RuntimeError(f"a call failed: {answer}")
    return [took for _, took in results], [answer for answer, _ in results]


def _in_process(trained: Trained, sample: list[list[float]]) -> list[float]:
    took = []
    for row in sample:
        begun = time.perf_counter()
        trained.estimator.predict([row])
        took.append(time.perf_counter() - begun)
    return took


def _equal(trained: Trained, sent: list[list[float]], bodies: list[str]) -> bool:
    expected = trained.estimator.predict(sent).tolist()
    return [json.loads(body)["predictions"][0] for body in bodies] == expected
