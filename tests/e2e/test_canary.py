"""A canary on the deployed cloud: it gets its part, stays while it is healthy, and is withdrawn by itself
where it fails or is slow, within the time that docs/API_DESIGN.md states.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import httpx
import numpy as np
import pytest

from tests.e2e.conftest import Cloud
from tests.support.account import Account, expect
from tests.support.estimators import dumped, iris

CALLS, KEYED, CUSTOMERS = 5000, 120, 30
ENOUGH = 20  # requests, of the usual guard
AT_ONCE = 6  # more would start an environment each, which is what takes time here
CHI_SQUARE = 10.83  # one degree of freedom, one in a thousand
WITHDRAWN_WITHIN = 30.0  # seconds after enough requests; CloudWatch Logs is slower than this cloud
SEEN_WITHIN = 5.0  # by requests: a promise about time, which nothing but time can try
EDGE = 1000.0  # of what the models without a compiled form were trained on
HEALTHY, BREAKS, SLOW = "v2", "v3", "v4"


def spline(extrapolation: str) -> Any:
    """A model without a compiled form: its original answers, in the sandbox, in tens of milliseconds. With
    `error` it raises on what lies beyond its training.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    x, y = iris()
    wide = np.vstack([x, np.full((1, 4), -EDGE), np.full((1, 4), EDGE)])
    transformer = SplineTransformer(n_knots=3, extrapolation=extrapolation)
    return make_pipeline(transformer, LogisticRegression(max_iter=1000)).fit(wide, [*y, y[0], y[-1]])


@dataclass(frozen=True)
class Model:
    """A model with four versions and its owner; v1 is the champion."""

    owner: Account
    model_id: str

    def split(self, weights: dict[str, int], **more: Any) -> None:
        body = {"weights": weights, "reason": "A canary"} | more
        expect(self.owner.api.put(f"/models/{self.model_id}/traffic", json=body), 200)

    def traffic(self) -> dict[str, Any]:
        return expect(self.owner.api.get(f"/models/{self.model_id}/traffic"), 200)

    def newest(self) -> dict[str, Any]:
        """The newest entry of the history."""
        page = expect(self.owner.api.get(f"/models/{self.model_id}/promotions", params={"limit": 1}), 200)
        entry: dict[str, Any] = page["items"][0]
        return entry

    def ask(self, row: list[float], key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"X-Routing-Key": key}
        return self.owner.api.post(f"/predict/{self.model_id}", json={"inputs": [row]}, headers=headers)

    def until_withdrawn(self, canary: str, rows: Iterator[list[float]]) -> tuple[set[tuple[str, int]], float]:
        """Sends requests until the canary has no part any more: which versions answered with which status,
        and the seconds between the answer that made the canary's requests enough and its withdrawal.
        """
        found: set[tuple[str, int]] = set()
        answered: list[float] = []  # when, of the canary
        end = time.monotonic() + 120

        def ask(row: list[float]) -> None:
            answer = self.ask(row)
            found.add((answer.headers["x-model-version"], answer.status_code))
            if answer.headers["x-model-version"] == canary:
                answered.append(time.time())

        with ThreadPoolExecutor(AT_ONCE) as pool:
            while canary in self.traffic()["weights"]:
                assert time.monotonic() < end, f"{self.traffic()}, {len(answered)} requests of {canary}"
                if len(answered) < 2 * ENOUGH:
                    list(pool.map(ask, [next(rows) for _ in range(AT_ONCE)]))
        at = datetime.fromisoformat(self.newest()["at"])
        return found, at.timestamp() - sorted(answered)[ENOUGH - 1]


@pytest.fixture(scope="module")
def model(account: Callable[[], Account], administrator: Account) -> Model:
    from sklearn.linear_model import LogisticRegression

    owner = account()
    quota = {"requests_per_minute": 100_000}
    expect(administrator.api.patch(f"/users/{owner.user_id}", json=quota), 200)
    champion = LogisticRegression(max_iter=1000).fit(*iris())
    healthy = LogisticRegression(max_iter=1000, C=0.1).fit(*iris())
    estimators = [champion, healthy, spline("error"), spline("constant")]
    for number, estimator in enumerate(estimators, 1):
        created = owner.upload("iris-canary", dumped(estimator))
        version = owner.ready(created)
        assert version["runtime"] == ("onnx" if number <= 2 else "native")
    return Model(owner, created["model_id"])


def known(number: int) -> list[float]:
    """A row within what every version was trained on; no two are equal."""
    return [5.0 + number * 1e-6, 3.0, 1.5, 0.3]


@pytest.mark.timeout(900)  # a minute where nothing else runs
def test_a_canary_at_10_percent_gets_10_percent(model: Model):
    model.split(
        {"v1": 90, HEALTHY: 10}, guard=None
    )  # nothing could be withdrawn here; guards have their tests
    keys = [f"customer {number % CUSTOMERS}" for number in range(KEYED)]
    started = time.monotonic()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda number: model.ask(known(number % 500)), range(CALLS)))
        keyed = list(pool.map(lambda key: model.ask(known(0), key), keys))

    print(f"{CALLS + KEYED} calls in {time.monotonic() - started:.1f} s")
    assert {answer.status_code for answer in answers + keyed} == {200}
    found = Counter(answer.headers["x-model-version"] for answer in answers)
    assert found.keys() == {"v1", HEALTHY}
    expected = CALLS * 0.1
    difference = (found[HEALTHY] - expected) ** 2
    surprise = difference / expected + difference / (CALLS - expected)
    print(f"of {CALLS} calls {found[HEALTHY]} went to the canary: chi square {surprise:.2f}")
    assert surprise < CHI_SQUARE
    assert all(answer.json()["model_version"] == answer.headers["x-model-version"] for answer in answers)
    went = {(key, answer.headers["x-model-version"]) for key, answer in zip(keys, keyed, strict=True)}
    assert {version for _, version in went} == {"v1", HEALTHY}
    assert len(went) == CUSTOMERS, "a customer met two versions"

    found += Counter(answer.headers["x-model-version"] for answer in keyed)
    shown = model.owner.poll(
        f"/models/{model.model_id}/traffic",
        lambda body: sum(each["requests"] for each in body["observed"]) >= CALLS + KEYED,
        seconds=60,
    )
    assert {each["version"]: each["requests"] for each in shown["observed"]} == found  # each call once
    assert [each["failures"] for each in shown["observed"]] == [0, 0]


def test_a_failing_canary_is_withdrawn_by_itself_a_healthy_one_stays_and_the_history_says_why(model: Model):
    model.split({"v1": 40, HEALTHY: 10, BREAKS: 50})
    time.sleep(SEEN_WITHIN)

    beyond = ([2 * EDGE + number, 3.0, 1.5, 0.3] for number in count())
    found, seconds = model.until_withdrawn(BREAKS, beyond)

    print(f"withdrawn {seconds:.2f} s after enough requests had failed")
    assert seconds < WITHDRAWN_WITHIN
    assert {("v1", 200), (BREAKS, 500)} <= found <= {("v1", 200), (HEALTHY, 200), (BREAKS, 500)}
    entry = model.newest()
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("withdrawn", BREAKS, "v1")
    assert (entry["actor_id"], entry["weights"]) == (None, {"v1": 90, HEALTHY: 10})
    assert model.traffic()["weights"] == {"v1": 90, HEALTHY: 10}
    said = re.fullmatch(
        r"v3 was withdrawn: (\d+) of (\d+) requests failed \(100 %\); allowed are 5 %\. "
        r"The champion v1: 0 of \d+\.",
        entry["reason"],
    )
    assert said is not None, entry["reason"]
    assert int(said[1]) == int(said[2]) >= ENOUGH
    audit = expect(model.owner.api.get("/users/me/audit", params={"action": "canary.withdraw"}), 200)
    assert [item["target"] for item in audit["items"]] == [model.model_id]

    time.sleep(SEEN_WITHIN)
    after = [model.ask(next(beyond)) for _ in range(20)]
    assert {answer.status_code for answer in after} == {200}
    assert BREAKS not in {answer.headers["x-model-version"] for answer in after}


def test_the_sweep_withdraws_what_no_delivery_did(cloud: Cloud, model: Model):
    """Records that are there without a delivery: as if each judgement at their arrival had failed."""
    model.split({"v1": 50, BREAKS: 50})
    written = cloud.rows(
        "insert into predictions (id, at, user_id, model_id, model_version, status_code, error, duration_ms,"
        " routed) select 'prd_' || left(md5(random()::text), 26), now(), %s, %s, %s, 500, 'model_error',"
        " 5, true"
        " from generate_series(1, %s) returning id",
        *(model.owner.user_id, model.model_id, BREAKS, ENOUGH),
    )
    assert len(written) == ENOUGH
    assert model.traffic()["weights"] == {"v1": 50, BREAKS: 50}

    cloud.client("lambda").invoke(FunctionName="modelyard-local-roll_up", Payload=b"{}")

    entry = model.newest()
    assert (entry["action"], entry["from_version"], entry["weights"]) == ("withdrawn", BREAKS, None)
    assert f"{ENOUGH} of {ENOUGH} requests failed" in entry["reason"]
    time.sleep(SEEN_WITHIN)
    after = [model.ask(known(2000 + number)) for number in range(20)]
    assert {answer.headers["x-model-version"] for answer in after} == {"v1"}


def test_a_slow_canary_is_withdrawn_by_itself(model: Model):
    model.split({"v1": 50, SLOW: 50})
    time.sleep(SEEN_WITHIN)

    found, seconds = model.until_withdrawn(SLOW, (known(1000 + number) for number in count()))

    entry = model.newest()
    print(f"withdrawn {seconds:.2f} s after enough answers: {entry['reason']}")
    assert seconds < WITHDRAWN_WITHIN
    assert found == {("v1", 200), (SLOW, 200)}
    assert (entry["action"], entry["from_version"], entry["weights"]) == ("withdrawn", SLOW, None)
    said = (
        r"v4 was withdrawn: half of its answers took [\d.]+ ms or more \(of \d+\); "
        r"the champion v1's [\d.]+ ms \(of \d+\)\. Allowed is 3 times as long\."
    )
    assert re.fullmatch(said, entry["reason"]), entry["reason"]
