"""Versions change under load: no request fails, and no version answers that was not routed at that moment,
plus the stated time (docs/API_DESIGN.md).

Two models at once: a compiled one before twenty clients, and an original in its sandbox before three. The
answer itself tells which version made it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from typing import Any

import httpx
import pytest

from tests.support.account import Account, expect
from tests.support.estimators import dumped, iris

SEEN_WITHIN = 5.0  # seconds that a change may take to be seen
SHORT, LONG = 1.5, 6.5  # seconds between changes: before and after everybody must have seen the last
STEP = 1000.0  # between the answers of two versions
CLIENTS, CLIENTS_OF_ORIGINAL = 20, 3
PATIENCE = 60.0  # seconds for one answer
WARM_WITHIN = 150.0  # seconds: each client's first request starts an environment, on cores that all share


def linear(number: int) -> Any:
    from sklearn.linear_model import LinearRegression

    x, _ = iris()
    return LinearRegression().fit(x, STEP * number + x.sum(axis=1))


def spline(number: int) -> Any:
    """The same without a compiled form."""
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    x, _ = iris()
    model = make_pipeline(SplineTransformer(n_knots=3), LinearRegression())
    return model.fit(x, STEP * number + x.sum(axis=1))


@dataclass(frozen=True)
class Answer:
    """One answered request; times are monotonic."""

    client: int
    began: float
    ended: float
    status: int
    version: str = ""  # as the header says
    body: str = ""  # as the body says
    value: float = 0.0
    expected: float = 0.0  # of version 0
    text: str = ""

    @property
    def by_value(self) -> str:
        """The version that the answer itself tells."""
        number = round((self.value - self.expected) / STEP)
        off = abs(self.value - self.expected - number * STEP)
        return f"v{number}" if off < 0.5 else f"none: {self.value}"


@dataclass
class Routed:
    """Versions that may answer, from the sending of the change to the answer of the next one."""

    versions: frozenset[str]
    since: float
    until: float = float("inf")


@dataclass
class Model:
    """A model of three versions under change and under load."""

    owner: Account
    model_id: str
    clients: int
    settings: list[Routed] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/models/{self.model_id}"

    def change(self, versions: Iterable[str], send: Callable[[], httpx.Response]) -> None:
        """Makes a change after which `versions` are routed."""
        began = time.monotonic()
        answer = send()
        assert answer.status_code in (200, 204), answer.text
        if self.settings:
            self.settings[-1].until = time.monotonic()
        self.settings.append(Routed(frozenset(versions), began))

    def promote(self, version: str) -> None:
        body = {"version": version, "reason": "Under load"}
        self.change([version], lambda: self.owner.api.put(f"{self.path}/aliases/champion", json=body))

    def roll_back(self, to: str) -> None:
        self.change([to], lambda: self.owner.api.post(f"{self.path}/aliases/champion/rollback"))
        page = expect(self.owner.api.get(f"{self.path}/aliases/champion"), 200)
        assert page["version"] == to

    def split(self, **weights: int) -> None:
        body = {"weights": weights}
        self.change(weights, lambda: self.owner.api.put(f"{self.path}/traffic", json=body))

    def unite(self, champion: str) -> None:
        etag = self.owner.api.get(f"{self.path}/traffic").headers["etag"]
        self.change(
            [champion], lambda: self.owner.api.delete(f"{self.path}/traffic", headers={"If-Match": etag})
        )

    def archive(self, version: str) -> None:
        path = f"{self.path}/versions/{version}"
        etag = self.owner.api.get(path).headers["etag"]
        answer = self.owner.api.patch(path, json={"stage": "archived"}, headers={"If-Match": etag})
        assert expect(answer, 200)["stage"] == "archived"

    def ask(self, number: int, stop: Event) -> None:
        """One client, without pause. Every second one sends its own routing key."""
        rows = iris()[0].tolist()
        headers = {"Authorization": self.owner.api.headers["Authorization"]}
        if number % 2:
            headers["X-Routing-Key"] = f"client {number}"
        with httpx.Client(
            base_url=self.owner.api.base_url, headers=headers, timeout=PATIENCE, trust_env=False
        ) as api:
            for turn in count(number):
                if stop.is_set():
                    return
                try:
                    self.answers.append(self._one(api, number, rows[turn % len(rows)]))
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))

    def _one(self, api: httpx.Client, number: int, row: list[float]) -> Answer:
        began = time.monotonic()
        answer = api.post(f"/predict/{self.model_id}", json={"inputs": [row]})
        ended = time.monotonic()
        if answer.status_code != 200:
            return Answer(number, began, ended, answer.status_code, text=answer.text)
        body = answer.json()
        version, value = answer.headers["x-model-version"], body["predictions"][0]
        return Answer(number, began, ended, 200, version, body["model_version"], value, sum(row))

    def late(self, answer: Answer) -> float:
        """Seconds between the last moment that the version was routed and the beginning of the request; 0
        while it was, infinite where it was not yet.
        """
        return min(
            (
                max(0.0, answer.began - routed.until)
                for routed in self.settings
                if answer.version in routed.versions and routed.since <= answer.ended
            ),
            default=float("inf"),
        )

    def check(self) -> None:
        """Everything that must be true of the answers; says what happened."""
        assert self.failures == []
        refused = [answer for answer in self.answers if answer.status != 200]
        assert not refused, f"{len(refused)} of {len(self.answers)}: {refused[:3]}"
        torn = [a for a in self.answers if not a.version == a.body == a.by_value]
        assert torn == []
        late = [answer for answer in self.answers if self.late(answer) > SEEN_WITHIN]
        assert not late, f"{len(late)} of {len(self.answers)}: {late[:3]}, {self.settings}"
        assert Counter(answer.version for answer in self.answers).keys() == {"v1", "v2", "v3"}
        assert {answer.client for answer in self.answers} == set(range(self.clients))

    def told(self) -> str:
        seen = max(map(self.late, self.answers), default=0.0)
        return f"{len(self.answers)} answers, a change was seen after at most {seen:.2f} s"


@pytest.fixture(scope="module")
def owner(administrator: Account, account: Callable[[], Account]) -> Account:
    """Nobody whom a limit stops."""
    owner = account()
    quota = {"requests_per_minute": 1_000_000}
    expect(administrator.api.patch(f"/users/{owner.user_id}", json=quota), 200)
    return owner


def _registered(owner: Account, name: str, make: Callable[[int], Any], runtime: str, clients: int) -> Model:
    created = [owner.upload(name, dumped(make(number))) for number in (1, 2, 3)]
    for one in created:
        assert owner.ready(one)["runtime"] == runtime
    model = Model(owner, created[0]["model_id"], clients)
    for version in ("v1", "v2", "v3"):  # each is loaded once, which takes a sandbox seconds
        expect(owner.predict(model.model_id, {"inputs": iris()[0][:1].tolist()}, version=version), 200)
    return model


def test_versions_change_under_load_without_a_failed_request(owner: Account) -> None:
    compiled = _registered(owner, "compiled", linear, "onnx", CLIENTS)
    original = _registered(owner, "original", spline, "native", CLIENTS_OF_ORIGINAL)
    for model in (compiled, original):
        model.promote("v1")
    stop = Event()

    with ThreadPoolExecutor(CLIENTS + CLIENTS_OF_ORIGINAL) as pool:
        running = [
            pool.submit(model.ask, number, stop)
            for model in (compiled, original)
            for number in range(model.clients)
        ]
        try:
            _until_all_have_answers(compiled, original)
            _change(compiled, original)
        finally:
            stop.set()
        for client in running:
            client.result(timeout=PATIENCE)

    print(f"\ncompiled: {compiled.told()}; original: {original.told()}")
    compiled.check()
    original.check()
    assert len(compiled.answers) > 20 * CLIENTS


def _until_all_have_answers(*models: Model) -> None:
    end = time.monotonic() + WARM_WITHIN
    for model in models:
        while len({answer.client for answer in list(model.answers)}) < model.clients:
            assert time.monotonic() < end, f"{len(model.answers)} answers, {model.failures}"
            time.sleep(0.2)


def _change(compiled: Model, original: Model) -> None:
    """Seven promotions, a split and its end, a rollback and two versions archived."""

    def both(act: Callable[[Model], None], pause: float) -> None:
        for model in (compiled, original):
            act(model)
        time.sleep(pause)

    time.sleep(SHORT)
    both(lambda model: model.promote("v2"), LONG)
    both(lambda model: model.promote("v3"), SHORT)
    both(lambda model: model.promote("v1"), LONG)
    both(lambda model: model.split(v1=60, v2=40), LONG)
    both(lambda model: model.unite("v1"), SHORT)
    both(lambda model: model.promote("v3"), SHORT)
    both(lambda model: model.promote("v2"), SHORT)
    both(lambda model: model.roll_back("v3"), SHORT)
    both(lambda model: model.promote("v2"), 0)
    both(lambda model: model.archive("v3"), LONG)  # at once, while some still use it
    both(lambda model: model.promote("v1"), 0)
    both(lambda model: model.archive("v2"), SHORT)
