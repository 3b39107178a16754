"""Many workers at once on real PostgreSQL, each with its own connections, as on Lambda; all commits."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from modelyard.db.engine import Database, DatabaseSettings, make_engine
from modelyard.db.tables import Model, ModelVersion, User
from modelyard.intake.verdict import Limits
from modelyard.kit.clock import utc_now
from modelyard.kit.ids import new_id
from modelyard.registry.claims import Outcome
from modelyard.registry.notifications import Arrival
from modelyard.registry.registration import Registration
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.registry.uploads import Announcement, Uploads
from modelyard.serving.route import Route, route_key
from sqlalchemy import delete, select

from tests.conftest import APP_ROLE

WORKERS = 6


@pytest.fixture
def workers(postgres_server) -> Iterator[list[Database]]:
    settings = DatabaseSettings.from_secret(postgres_server.secret(**APP_ROLE))
    engines = [make_engine(settings) for _ in range(WORKERS)]
    yield [Database(engine) for engine in engines]
    for engine in engines:
        engine.dispose()


@pytest.fixture
def somebody(workers) -> Iterator[str]:
    """A user whose rows are really there; gone afterwards, with all that is theirs."""
    user_id = new_id("usr")
    with workers[0].transaction() as session:
        session.add(User(id=user_id, email=f"{user_id}@example.com", password_hash="!", name="Somebody"))
    yield user_id
    with workers[0].transaction() as session:
        session.execute(delete(User).where(User.id == user_id))


def at_once(workers: list[Database], work: Callable[[Database, int], object]) -> list[object]:
    """Runs `work(database, index)` in as many threads as there are workers, started together."""
    barrier = threading.Barrier(len(workers), timeout=20)

    def run(index: int) -> object:
        barrier.wait()
        return work(workers[index], index)

    with ThreadPoolExecutor(len(workers)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, i) for i in range(len(workers))]]


def versions(database: Database, user_id: str) -> list[ModelVersion]:
    with database.transaction() as session:
        statement = select(ModelVersion).where(ModelVersion.user_id == user_id).order_by(ModelVersion.number)
        return list(session.scalars(statement))


def models(database: Database, user_id: str) -> list[Model]:
    with database.transaction() as session:
        return list(session.scalars(select(Model).where(Model.user_id == user_id)))


@pytest.fixture
def worker_of(store, inspector, gate, redis_client) -> Callable[[Database], Registration]:
    def make(database: Database) -> Registration:
        return Registration(
            database=database,
            store=store,
            inspector=inspector,
            routes=RouteBook(database, redis_client),
            check_onnx=gate,
            limits=Limits(),
            clock=utc_now,
        )

    return make


def test_announcements_at_once_are_numbered_without_gap_or_double(workers, somebody, store):
    uploads = Uploads(store, Limits())

    def announce(database, _):
        for _ in range(5):
            with database.transaction() as session:
                uploads.announce(ModelRepository(session, somebody), Announcement("churn", "m.joblib", 7))

    at_once(workers, announce)
    assert len(models(workers[0], somebody)) == 1
    assert [v.number for v in versions(workers[0], somebody)] == list(range(1, 5 * WORKERS + 1))


def test_one_delivery_at_many_workers_is_one_version(workers, somebody, cloud, worker_of, inspector):
    key = f"uploads/{somebody}/churn/m.joblib"
    arrival = Arrival(key, cloud.put(key, b"a model"))
    outcomes = Counter(at_once(workers, lambda database, _: worker_of(database).register(arrival)))
    assert outcomes[Outcome.READY] == 1
    assert outcomes[Outcome.READY] + outcomes[Outcome.BUSY] + outcomes[Outcome.REPEATED] == WORKERS
    (version,) = versions(workers[0], somebody)
    assert version.status == "ready"
    assert len(inspector.asked) == 1


def test_many_files_dropped_at_once_are_as_many_versions(workers, somebody, cloud, worker_of):
    key = f"uploads/{somebody}/churn/m.joblib"
    arrivals = [Arrival(key, cloud.put(key, b"model %d" % index)) for index in range(WORKERS)]
    outcomes = at_once(workers, lambda database, index: worker_of(database).register(arrivals[index]))
    assert outcomes == [Outcome.READY] * WORKERS
    found = versions(workers[0], somebody)
    assert [v.number for v in found] == list(range(1, WORKERS + 1))
    assert {v.upload_s3_version for v in found} == {arrival.s3_version for arrival in arrivals}
    (model,) = models(workers[0], somebody)
    assert model.last_version == WORKERS
    assert model.default_version in range(1, WORKERS + 1)
    assert len({v.artifact_sha256 for v in found}) == WORKERS


def test_the_route_in_redis_ends_equal_to_the_tables(workers, somebody, cloud, worker_of, redis_client):
    """Publications race; the last one must still know every version."""

    def register(database, index):
        key = f"uploads/{somebody}/churn/{index}.joblib"
        return worker_of(database).register(Arrival(key, cloud.put(key, b"x")))

    at_once(workers, register)
    (model,) = models(workers[0], somebody)
    route = Route.from_json(json.loads(redis_client.get(route_key(somebody, model.id))))
    assert sorted(route.versions) == list(range(1, WORKERS + 1))
    assert route.default == model.default_version


def test_a_claim_whose_worker_died_goes_to_exactly_one_of_those_who_wait(
    workers, somebody, cloud, worker_of, inspector
):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    key = f"uploads/{somebody}/churn/m.joblib"
    arrival = Arrival(key, cloud.put(key, b"a model"))
    inspector.answer, accept = die, inspector.answer
    with pytest.raises(Killed):
        worker_of(workers[0]).register(arrival)
    inspector.answer = accept
    with workers[0].transaction() as session:
        version = session.scalars(select(ModelVersion).where(ModelVersion.upload_key == key)).one()
        version.inspecting_at = version.inspecting_at.replace(year=2020)  # long ago
    asked = len(inspector.asked)
    outcomes = Counter(at_once(workers, lambda database, _: worker_of(database).register(arrival)))
    assert outcomes[Outcome.READY] == 1
    assert len(inspector.asked) == asked + 1
    assert [v.status for v in versions(workers[0], somebody)] == ["ready"]
