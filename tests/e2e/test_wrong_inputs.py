"""Wrong requests of every kind against deployed models, compiled ones and originals in their sandbox.

`tests/integration/serving/test_wrong_inputs.py` sends all of them to a handler alone; here they pass the
gateway, and what gets through meets real estimators. Every 25th by default, beginning elsewhere for each
model; `MODELYARD_E2E_WRONG=all` sends all (about five minutes).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Cloud
from tests.support.account import Account, expect
from tests.support.estimators import dumped, flat_model, flats, forest, iris, people, pipeline
from tests.support.wire_forms import Case, Subject
from tests.support.wrong_inputs import complaints, extreme_cases, predictions_of, reordered_cases, wrong_cases

THREADS = 4
EVERY = 25  # of the cases that are sent by default
RECORDS_WITHIN = 60.0  # seconds until a prediction's record stands in the database
# Not balanced: where a text says nothing, the last bit would decide, which no compiled form can promise.
TEXTS = ["good words", "fine words", "bad deeds", "poor deeds"] * 5 + ["good deeds"] * 3
FEELINGS = ["up", "up", "down", "down"] * 5 + ["up"] * 3


@cache
def texts() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, FEELINGS)


@cache
def hashed_texts() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(HashingVectorizer(n_features=64), LogisticRegression()).fit(TEXTS, FEELINGS)


@cache
def tuned_forest() -> Any:
    """No converter knows the threshold's search, so this stays an original."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import TunedThresholdClassifierCV

    x, y = iris()
    model = TunedThresholdClassifierCV(RandomForestClassifier(20, random_state=3), cv=3)
    return model.fit(x[50:], y[50:])


@cache
def tuned_pipeline() -> Any:
    from sklearn.model_selection import TunedThresholdClassifierCV

    frame = people()
    return TunedThresholdClassifierCV(pipeline(), cv=3).fit(frame, pipeline().predict(frame))


IRIS_KINDS = {f"x{index}": "number" for index in range(4)}
FLAT_KINDS = {"size": "number", "rooms": "number", "city": "string"}
PEOPLE_KINDS = {"age": "number", "income": "number", "city": "string", "plan": "string"}


@dataclass(frozen=True)
class Kind:
    """A model, what it takes and two rows of it."""

    estimator: Callable[[], Any]
    runtime: str
    kinds: dict[str, str]
    rows: list[list[Any]]
    named: bool = False


def _rows(frame: Any) -> list[list[Any]]:
    whole = frame.dropna().head(2)
    return [list(row) for row in zip(*(whole[name].tolist() for name in whole), strict=True)]


KINDS: dict[str, Kind] = {
    "matrix": Kind(forest, "onnx", IRIS_KINDS, iris()[0][[0, 120]].tolist()),
    "frame": Kind(flat_model, "onnx", FLAT_KINDS, _rows(flats()), named=True),
    "text": Kind(texts, "onnx", {"text": "string"}, [["good words"], ["bad deeds"]]),
    "original-matrix": Kind(tuned_forest, "native", IRIS_KINDS, iris()[0][[60, 120]].tolist()),
    "original-frame": Kind(tuned_pipeline, "native", PEOPLE_KINDS, _rows(people()), named=True),
    "original-text": Kind(hashed_texts, "native", {"text": "string"}, [["good words"], ["bad deeds"]]),
}


@dataclass(frozen=True)
class Asked:
    """A deployed model and who may ask it."""

    owner: Account
    subject: Subject
    kind: Kind


@pytest.fixture(scope="module")
def owner(administrator: Account, account: Callable[[], Account]) -> Account:
    """Nobody whom a limit stops."""
    owner = account()
    quota = {"requests_per_minute": 1_000_000}
    expect(administrator.api.patch(f"/users/{owner.user_id}", json=quota), 200)
    return owner


@pytest.fixture(scope="module")
def created(owner: Account) -> dict[str, dict[str, Any]]:
    return {name: owner.upload(name, dumped(kind.estimator())) for name, kind in KINDS.items()}


@pytest.fixture(params=KINDS)
def asked(request: pytest.FixtureRequest, owner: Account, created: dict[str, dict[str, Any]]) -> Asked:
    name, kind = request.param, KINDS[request.param]
    version = owner.ready(created[name])
    assert version["runtime"] == kind.runtime, version
    columns = version["signature"]["columns"]
    assert [column["name"] for column in columns] == list(kind.kinds)
    nullable = frozenset(column["name"] for column in columns if column["nullable"])
    subject = Subject(name, created[name]["model_id"], kind.kinds, kind.rows, kind.named, nullable)
    return Asked(owner, subject, kind)


def _send(asked: Asked, case: Case) -> httpx.Response:
    return asked.owner.api.post(case.path, content=case.body, headers=case.headers)


def _check(asked: Asked, cases: list[Case]) -> None:
    if os.environ.get("MODELYARD_E2E_WRONG") != "all":
        cases = cases[list(KINDS).index(asked.subject.name) :: EVERY]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda case: _send(asked, case), cases)
    complained = [
        complaint
        for case, answer in zip(cases, answers, strict=True)
        for complaint in complaints(case, answer.status_code, answer.headers["content-type"], answer.text)
    ]
    assert not complained, f"{len(complained)} of {len(cases)}\n" + "\n".join(complained[:60])


def test_wrong_requests_are_refused_in_words(asked: Asked) -> None:
    _check(asked, wrong_cases(asked.subject))


def test_odd_values_are_no_fault_of_the_platform(asked: Asked) -> None:
    _check(asked, extreme_cases(asked.subject))


def test_columns_in_another_order_are_right(asked: Asked) -> None:
    import pandas as pd

    kind, subject = asked.kind, asked.subject
    rows: Any = pd.DataFrame(kind.rows, columns=subject.names) if kind.named else kind.rows
    if list(kind.kinds) == ["text"]:
        rows = [row[0] for row in kind.rows]
    expected = kind.estimator().predict(rows).tolist()
    numbers = isinstance(expected[0], float)
    for case in reordered_cases(subject):
        answer = _send(asked, case)
        assert answer.status_code == 200, (case.label, answer.text)
        found = predictions_of(case, answer.json())
        assert found == (pytest.approx(expected, rel=1e-6) if numbers else expected), case.label


@pytest.mark.parametrize(
    "path",
    ["/predict/{id}", "/v2/models/matrix/infer", "/v1/models/matrix:predict", "/models/matrix/invocations"],
)
def test_a_body_larger_than_any_request(
    owner: Account, created: dict[str, dict[str, Any]], path: str
) -> None:
    owner.ready(created["matrix"])
    body = b'{"inputs": [' + b"[1.5, 2.5, 3.5, 4.5]," * 600_000 + b"]}"

    answer = owner.api.post(
        path.format(id=created["matrix"]["model_id"]),
        content=body,
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 413
    told = answer.json()
    assert "larger" in told["detail"]
    assert told["error"] == told["message"] == told["detail"]  # where other servers' clients look


def test_no_record_blames_the_platform(
    cloud: Cloud, owner: Account, created: dict[str, dict[str, Any]]
) -> None:
    """Comes last: the records of all requests above."""
    answer = owner.predict(created["matrix"]["model_id"], {"inputs": KINDS["matrix"].rows})
    last = expect(answer, 200)["prediction_id"]
    deadline = time.monotonic() + RECORDS_WITHIN
    while not cloud.rows("select 1 from predictions where id = %s", last):
        assert time.monotonic() < deadline, "the last prediction left no record"
        time.sleep(0.5)

    found = cloud.rows(
        "select endpoint, error, count(*) from predictions"
        " where user_id = %s and status_code >= 500 group by 1, 2",
        owner.user_id,
    )
    refused = cloud.rows(
        "select count(*) from predictions where user_id = %s and status_code = 422", owner.user_id
    )

    assert found == []
    assert refused[0][0] > 0
