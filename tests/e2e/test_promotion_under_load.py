"""Versions change under load: no request fails, and no version answers that was not routed at that moment,
plus the stated time (docs/API_DESIGN.md).

A compiled model before twenty clients, and an original in its sandbox before three. The answer itself tells
which version made it. What counts begins when every client has had an answer: on two
cores that all share, twenty environments that start at once may take longer than the gateway waits.
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
WARM_WITHIN = 200.0  # seconds: each client's first request starts an environment, on cores that all share


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
    failures: list[tuple[float, str]] = field(default_factory=list)  # with their beginnings

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
                began = time.monotonic()
                try:
                    self.answers.append(self._one(api, number, rows[turn % len(rows)]))
                except httpx.HTTPError as error:
                    self.failures.append((began, repr(error)))

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

    def answered(self) -> set[int]:
        """The clients that have had an answer."""
        return {answer.client for answer in list(self.answers) if answer.status == 200}

    def forget_before(self, moment: float) -> None:
        self.answers = [answer for answer in self.answers if answer.began >= moment]
        self.failures = [failure for failure in self.failures if failure[0] >= moment]

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
        assert self.answered() == set(range(self.clients))

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


def _under_load(model: Model, change: Callable[[Model], None]) -> None:
    """Has the model's clients ask it while `change` is at work, and checks what they were answered."""
    model.promote("v1")
    stop = Event()
    with ThreadPoolExecutor(model.clients) as pool:
        running = [pool.submit(model.ask, number, stop) for number in range(model.clients)]
        try:
            _until_all_have_answers(model)
            warm = time.monotonic()
            change(model)
        finally:
            stop.set()
        for client in running:
            client.result(timeout=2 * PATIENCE)
    model.forget_before(warm)
    print(f"\n{model.told()}")
    model.check()


def test_versions_change_before_twenty_clients_without_a_failed_request(owner: Account) -> None:
    """Six promotions, a split and its end, a rollback, and a version archived as soon as it is not routed."""

    def change(model: Model) -> None:
        time.sleep(SHORT)
        model.promote("v2")
        time.sleep(LONG)
        model.promote("v3")
        time.sleep(SHORT)
        model.promote("v1")
        time.sleep(LONG)
        model.split(v1=60, v2=40)
        time.sleep(LONG)
        model.unite("v1")
        time.sleep(SHORT)
        model.promote("v3")
        time.sleep(SHORT)
        model.promote("v2")
        time.sleep(SHORT)
        model.roll_back("v3")
        time.sleep(SHORT)
        model.promote("v2")
        model.archive("v3")  # at once, while some still use it
        time.sleep(LONG)

    model = _registered(owner, "compiled", linear, "onnx", CLIENTS)
    _under_load(model, change)
    assert len(model.answers) > 20 * CLIENTS


def test_versions_of_an_original_change_without_a_failed_request(owner: Account) -> None:
    """Its sandbox must load a version that was promoted, which takes seconds, and nobody is refused."""

    def change(model: Model) -> None:
        model.promote("v2")
        time.sleep(LONG)
        model.promote("v3")
        time.sleep(LONG)
        model.promote("v1")
        model.archive("v3")
        time.sleep(LONG)

    _under_load(_registered(owner, "original", spline, "native", CLIENTS_OF_ORIGINAL), change)


def _until_all_have_answers(model: Model) -> None:
    end = time.monotonic() + WARM_WITHIN
    while len(model.answered()) < model.clients:
        assert time.monotonic() < end, f"{len(model.answers)} answers, {model.failures[-3:]}"
        time.sleep(0.2)
