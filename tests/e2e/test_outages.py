"""Redis or PostgreSQL away: what must go on goes on, the rest says so, and everything recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.e2e.conftest import Cloud, Served
from tests.support.account import Account, expect
from tests.support.estimators import dumped, forest

RECOVERS_WITHIN = 30.0  # seconds


def _row(number: float) -> dict[str, list[list[float]]]:
    """A row that no other test asks for: its answer is in no cache."""
    return {"inputs": [[number, 3.0, 4.5, 1.5]]}


def _recovers(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    deadline = time.monotonic() + RECOVERS_WITHIN
    while (answer := ask()).status_code != status and time.monotonic() < deadline:
        time.sleep(1)
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture(scope="module")
def iris_model(account: Callable[[], Account]) -> Served:
    """A model whose owner has asked for nothing yet: no limit may end these tests."""
    owner = account()
    created = owner.upload("outages", dumped(forest()))
    return Served(owner, created["model_id"], owner.ready(created), forest())


@pytest.fixture
def redis_down(cloud: Cloud, iris_model: Served) -> Iterator[None]:
    expect(iris_model.owner.predict(iris_model.model_id, _row(0.1)), 200)
    cloud.redis.stop()
    yield
    cloud.redis.start()


@pytest.fixture
def postgres_down(cloud: Cloud, iris_model: Served) -> Iterator[None]:
    expect(iris_model.owner.predict(iris_model.model_id, _row(0.2)), 200)
    cloud.postgres.stop()
    yield
    cloud.postgres.start()


@pytest.mark.usefixtures("redis_down")
def test_without_redis_predictions_answer_uncached(iris_model: Served):
    first = iris_model.owner.predict(iris_model.model_id, _row(7.01))
    second = iris_model.owner.predict(iris_model.model_id, _row(7.01))

    for answer in (first, second):
        assert (
            expect(answer, 200)["predictions"] == iris_model.estimator.predict(_row(7.01)["inputs"]).tolist()
        )
        assert answer.headers["x-cache"] != "HIT"


@pytest.mark.usefixtures("redis_down")
def test_without_redis_other_routes_answer_and_health_says_degraded(iris_model: Served, api: httpx.Client):
    assert expect(iris_model.owner.api.get("/models"), 200)["items"]
    assert expect(api.get("/health/ready"), 200)["status"] == "degraded"


def test_with_redis_back_answers_are_cached_again(cloud: Cloud, iris_model: Served, api: httpx.Client):
    cloud.redis.stop()
    cloud.redis.start()

    _recovers(lambda: api.get("/health/ready"), 200)
    deadline = time.monotonic() + RECOVERS_WITHIN
    while iris_model.owner.predict(iris_model.model_id, _row(7.02)).headers["x-cache"] != "HIT":
        assert time.monotonic() < deadline, "the cache did not come back"
        time.sleep(1)
    assert expect(api.get("/health/ready"), 200)["status"] == "ready"


@pytest.mark.usefixtures("postgres_down")
def test_without_postgres_warm_predictions_answer(iris_model: Served):
    body = expect(iris_model.owner.predict(iris_model.model_id, _row(7.03)), 200)

    assert body["predictions"] == iris_model.estimator.predict(_row(7.03)["inputs"]).tolist()


@pytest.mark.usefixtures("postgres_down")
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/models"), ("GET", "/users/me"), ("GET", "/jobs"), ("POST", "/models/upload")],
)
def test_without_postgres_other_routes_say_so_in_the_standard_shape(
    iris_model: Served, method: str, path: str
):
    body = {"name": "m", "filename": "m.joblib", "size": 10} if method == "POST" else None

    answer = iris_model.owner.api.request(method, path, json=body)

    problem = expect(answer, 503)
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert problem["request_id"]
    assert "psycopg" not in answer.text


@pytest.mark.usefixtures("postgres_down")
def test_without_postgres_health_is_alive_and_not_ready(api: httpx.Client):
    assert expect(api.get("/health"), 200)["status"] == "ok"
    assert api.get("/health/ready").status_code == 503


def test_with_postgres_back_everything_recovers_by_itself(
    cloud: Cloud, iris_model: Served, api: httpx.Client, account: Callable[[], Account]
):
    cloud.postgres.stop()
    assert api.get("/health/ready").status_code == 503
    cloud.postgres.start()

    _recovers(lambda: api.get("/health/ready"), 200)
    assert expect(_recovers(lambda: iris_model.owner.api.get("/models"), 200), 200)["items"]
    assert account().user_id


def test_records_are_written_again_after_an_outage(cloud: Cloud, iris_model: Served):
    """The recorder found its database gone above; it must not need a restart to find it again."""
    answer = iris_model.owner.predict(iris_model.model_id, _row(7.04))
    prediction = expect(answer, 200)["prediction_id"]

    deadline = time.monotonic() + RECOVERS_WITHIN
    while (count := cloud.rows("select count(*) from predictions where id = %s", prediction)[0][0]) != 1:
        assert time.monotonic() < deadline, f"{count} rows"
        time.sleep(0.5)


def test_predictions_during_an_outage_are_recorded_after_it(cloud: Cloud, iris_model: Served):
    cloud.postgres.stop()
    answers = [iris_model.owner.predict(iris_model.model_id, _row(8 + number)) for number in range(5)]
    cloud.postgres.start()

    asked = [expect(answer, 200)["prediction_id"] for answer in answers]
    deadline = time.monotonic() + RECOVERS_WITHIN
    statement = "select count(*) from predictions where id = any(%s)"
    while (count := cloud.rows(statement, asked)[0][0]) != len(asked):
        assert time.monotonic() < deadline, f"{count} of {len(asked)} rows"
        time.sleep(0.5)
