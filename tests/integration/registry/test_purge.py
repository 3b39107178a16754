"""The end of what was deleted, and routes that Redis missed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from modelyard.db.tables import Job, Prediction
from modelyard.kit.ids import new_id
from modelyard.registry.artifacts import ArtifactStore
from modelyard.registry.lifecycle import Lifecycle
from modelyard.registry.notifications import Arrival
from modelyard.registry.purge import RegistrySweep
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.serving.route import route_key
from sqlalchemy import func, select, text

from tests.fakes.redis import RedisDown

BUCKET = "modelyard-test-data"


@pytest.fixture
def make_sweep(database, store, redis_client, clock):
    def make(**others):
        usual = {
            "database": database,
            "store": store,
            "routes": RouteBook(database, redis_client),
            "clock": clock,
        }
        return RegistrySweep(**(usual | others))

    return make


@pytest.fixture
def drop(cloud, registration, user):
    """Registers a version by dropping a file; every one under the same key."""

    def drop(name="churn", owner=None):
        key = f"uploads/{(owner or user).id}/{name}/m.joblib"
        registration.register(Arrival(key, cloud.put(key, b"a model")))

    return drop


@pytest.fixture
def with_job(database, cloud, user):
    """A job against a version, with a file of its own; returns its key."""

    def add(version):
        job_id = new_id("job")
        key = f"jobs/{user.id}/{job_id}/input.csv"
        with database.transaction() as session:
            session.add(
                Job(
                    id=job_id,
                    user_id=user.id,
                    model_id=version.model_id,
                    version_id=version.id,
                    input_key=key,
                    expires_at=version.created_at + timedelta(days=7),
                )
            )
        cloud.put(key, b"x0,x1\n")
        return key

    return add


def delete(database, user, clock, model_id, number=None):
    with database.transaction() as session:
        repository = ModelRepository(session, user.id)
        model, lifecycle = repository.model(model_id, lock=True), Lifecycle(repository, clock=clock)
        if number is None:
            lifecycle.delete_model(model)
        else:
            lifecycle.delete_version(model, repository.version(model_id, number, lock=True))


def test_nothing_goes_before_its_time(make_sweep, drop, database, user, clock, rows, cloud):
    drop()
    before = cloud.keys()
    delete(database, user, clock, rows.models()[0].id)
    clock.turn(days=29, hours=23)
    report = make_sweep().run()
    assert (report.models, report.versions, report.errors) == (0, 0, 0)
    assert cloud.keys() == before
    assert len(rows.models()) == 1


def test_a_model_ends_with_everything_that_hangs_on_it(
    make_sweep, drop, with_job, database, user, stranger, clock, rows, cloud
):
    drop()
    drop()
    drop("other")
    drop(owner=stranger)
    gone, *_ = [version for version in rows.versions() if version.user_id == user.id]
    job_key = with_job(gone)
    with database.transaction() as session:
        session.add(
            Prediction(
                id=new_id("prd"),
                at=gone.created_at,
                user_id=user.id,
                model_id=gone.model_id,
                status_code=200,
                duration_ms=1.0,
            )
        )
    delete(database, user, clock, gone.model_id)
    clock.turn(days=31)
    report = make_sweep().run()
    assert (report.models, report.versions, report.errors) == (1, 0, 0)
    left = cloud.keys()
    assert job_key not in left
    assert not any(gone.model_id in key for key in left)
    assert f"uploads/{user.id}/churn/m.joblib" not in left
    assert f"uploads/{user.id}/other/m.joblib" in left
    assert f"uploads/{stranger.id}/churn/m.joblib" in left
    assert {model.name for model in rows.models() if model.user_id == user.id} == {"other"}
    assert len(rows.versions()) == 2
    with database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0
        assert session.scalar(select(func.count()).select_from(Prediction)) == 0
    assert make_sweep().run().models == 0


def test_the_records_of_a_busy_model_end_with_it_and_no_others(make_sweep, drop, database, user, clock, rows):
    """More than one statement takes, over several days."""
    drop()
    drop("other")
    busy, other = rows.models()
    many = text(
        "insert into predictions (id, at, user_id, model_id, status_code, duration_ms)"
        " select 'prd_' || n || :own, now() + (n % 3) * interval '1 day', :user_id, :model_id, 200, 1"
        " from generate_series(1, :count) n"
    )
    with database.transaction() as session:
        for model, count in ((busy, 16_001), (other, 3)):
            own = {"own": model.id[-8:], "user_id": user.id, "model_id": model.id, "count": count}
            session.execute(many, own)
    delete(database, user, clock, busy.id)
    clock.turn(days=31)
    hurried = make_sweep(record_seconds=0).run()
    assert (hurried.models, hurried.errors) == (0, 0)
    assert {model.name for model in rows.models()} == {"churn", "other"}, "gone before its records"
    with database.transaction() as session:
        left = session.scalar(select(func.count()).where(Prediction.model_id == busy.id))
    assert 0 < left < 16_001
    report = make_sweep().run()
    assert (report.models, report.errors) == (1, 0)
    with database.transaction() as session:
        assert session.scalars(select(Prediction.model_id)).all() == [other.id] * 3


def test_a_version_ends_alone(make_sweep, drop, with_job, database, user, clock, rows, cloud):
    for _ in range(3):
        drop()
    first, second, third = rows.versions()
    kept, lost = with_job(third), with_job(second)
    with database.transaction() as session:
        session.add_all(
            Prediction(
                id=new_id("prd"),
                at=version.created_at,
                user_id=user.id,
                model_id=version.model_id,
                version_id=version.id,
                status_code=200,
                duration_ms=1.0,
            )
            for version in (first, second)
        )
    delete(database, user, clock, first.model_id, 2)
    clock.turn(days=31)
    report = make_sweep().run()
    assert (report.models, report.versions, report.errors) == (0, 1, 0)
    assert [version.number for version in rows.versions()] == [1, 3]
    with database.transaction() as session:
        assert session.scalars(select(Prediction.version_id)).all() == [first.id]
    left = cloud.keys()
    assert kept in left
    assert lost not in left
    assert not any("/v2/" in key for key in left)
    assert any("/v1/" in key for key in left)
    # the file of the third version lies under the same key and stays
    assert f"uploads/{user.id}/churn/m.joblib" in left
    found = cloud.s3.list_object_versions(Bucket=BUCKET, Prefix="uploads/")["Versions"]
    assert {item["VersionId"] for item in found} == {first.upload_s3_version, third.upload_s3_version}


def test_without_s3_the_rows_stay_for_the_next_run(make_sweep, drop, database, user, clock, rows, cloud):
    class Away:
        def __getattr__(self, name):
            raise EndpointConnectionError(endpoint_url="https://s3")

    drop()
    drop("other")
    for model in rows.models():
        delete(database, user, clock, model.id)
    clock.turn(days=31)
    report = make_sweep(store=ArtifactStore(Away(), BUCKET)).run()
    assert (report.models, report.errors) == (0, 2)
    assert len(rows.models()) == 2
    assert make_sweep().run().models == 2
    assert rows.models() == []
    assert cloud.keys() == set()


def test_a_run_is_bounded(make_sweep, drop, database, user, clock, rows):
    for name in ("a1", "b1", "c1"):
        drop(name)
    for model in rows.models():
        delete(database, user, clock, model.id)
    clock.turn(days=31)
    assert [make_sweep().run(limit=2).models for _ in range(3)] == [2, 1, 0]


def test_a_route_that_redis_missed_is_published_again(make_sweep, drop, rows, redis_client, user, clock):
    drop()
    model = rows.models()[0].id
    redis_client.flushall()
    assert make_sweep().run().routes == 1
    assert redis_client.exists(route_key(user.id, model))
    redis_client.flushall()
    clock.turn(minutes=16)
    assert make_sweep().run().routes == 0
    assert not redis_client.exists(route_key(user.id, model))


def test_redis_away_is_counted_and_stops_nothing(make_sweep, drop, database, user, clock, rows):
    drop()
    drop("other")
    delete(database, user, clock, next(model.id for model in rows.models() if model.name == "other"))
    clock.turn(days=31)
    with database.transaction() as session:
        repository = ModelRepository(session, user.id)
        model = next(model for model in repository.models(limit=9) if model.name == "churn")
        repository.touch(model, clock())
    report = make_sweep(routes=RouteBook(database, RedisDown())).run()
    assert (report.models, report.routes, report.errors) == (1, 0, 1)
