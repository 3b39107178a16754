"""Workers at the same time, each with its own connections: nothing is counted twice, one of them finishes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from modelyard.db.engine import Database, DatabaseSettings, make_engine
from modelyard.db.tables import Job, Outbox, User
from modelyard.registry.routes import RouteBook
from sqlalchemy import delete

from tests.conftest import APP_ROLE
from tests.support.batch import submit
from tests.support.composition import make_user
from tests.support.serving import logistic

WORKERS = 4


@pytest.fixture
def databases(postgres_server):
    """Databases that really commit; what tests leave is deleted with its user."""
    settings = DatabaseSettings.from_secret(postgres_server.secret(**APP_ROLE))
    engines = [make_engine(settings) for _ in range(WORKERS)]
    yield [Database(engine) for engine in engines]
    for engine in engines:
        engine.dispose()


@pytest.fixture
def composition(databases, redis_client):
    from tests.support.composition import LocalComposition

    return LocalComposition(database=databases[0], redis=redis_client)


@pytest.fixture
def user(composition):
    user = make_user(composition)
    yield user
    with composition.database.transaction() as session:
        session.delete(session.get(User, user.id))
        session.execute(delete(Outbox))


def test_duplicates_at_the_same_time_count_once(
    api, user, services, cloud, model_of, databases, redis_client
):
    from modelyard.batch.worker import Worker

    trained = logistic()
    job = submit(api, model_of(user, trained), trained.rows[:45])
    messages = [json.loads(message["body"]) for message in cloud.messages()]
    records: list[str] = []
    workers = [
        Worker(
            database=database,
            store=services.job_store,
            find_route=RouteBook(database, redis_client).load,
            load_model=services.model_cache.get,
            original=services.model_cache.original,
            dispatcher=services.outbox,
            write=records.append,
        )
        for database in databases
    ]

    with ThreadPoolExecutor(WORKERS) as pool:
        # Every worker gets every message, in an order of its own.
        runs = [
            pool.submit(worker.handle, message, attempt=1, seconds=100)
            for turn in range(len(messages))
            for place, worker in enumerate(workers)
            for message in [messages[(turn + place) % len(messages)]]
        ]
        for run in runs:
            run.result(timeout=60)

    with services.database.transaction() as session:
        found = session.get(Job, job)
        assert (found.status, found.done_rows, found.failed_rows) == ("succeeded", 45, 0)
    assert sorted(json.loads(line)["rows"] for line in records) == [5, 10, 10, 10, 10]
    page = api.get(f"/jobs/{job}/results?limit=100").json()["items"]
    assert [item["row"] for item in page] == list(range(45))
