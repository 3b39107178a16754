"""What the sweep does for accounts."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest
from modelyard.accounts.revocation import Revocations
from modelyard.accounts.sweep import AccessSweep, Swept
from modelyard.db.tables import ApiKey, AuditEntry, IdempotentRequest, Model, Prediction, Session, User
from modelyard.kit.clock import utc_now
from modelyard.kit.ids import new_id
from moto import mock_aws
from moto.moto_api._internal import moto_api_backend
from sqlalchemy import select, update

from tests.support.composition import make_user

NOW = utc_now()


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3", aws_access_key_id="test", aws_secret_access_key="test")
        moto_api_backend.reset()  # another package's fake AWS may still be around, and is the same one
        client.create_bucket(Bucket="data")
        yield client


@pytest.fixture
def sweep(database, redis_client, s3):
    return AccessSweep(database, Revocations(redis_client), s3, "data")


def keys(s3):
    return [item["Key"] for item in s3.list_objects_v2(Bucket="data").get("Contents", [])]


def leave(database, user_id, *, days):
    with database.transaction() as session:
        values = {"status": "deleted", "deleted_at": NOW - timedelta(days=days)}
        session.execute(update(User).where(User.id == user_id).values(**values))


def test_there_may_be_nothing_to_do(sweep):
    assert sweep.run() == Swept(0, 0, 0, 0)


def test_an_account_whose_time_is_over_goes_with_all_it_has(sweep, composition, database, s3, user, stranger):
    for owner in (user.id, stranger.id):
        for number in range(3):
            s3.put_object(Bucket="data", Key=f"models/{owner}/m/v{number}/model.joblib", Body=b"x")
        s3.put_object(Bucket="data", Key=f"uploads/{owner}/m/f", Body=b"x")
        s3.put_object(Bucket="data", Key=f"jobs/{owner}/j/results.json", Body=b"x")
        with database.transaction() as session:
            session.add(Model(id=new_id("mdl"), user_id=owner, name="m"))
            session.add(ApiKey(id=new_id("key"), user_id=owner, name="k", secret_hash="x", scopes=["jobs"]))
            session.add(
                Prediction(
                    id=new_id("prd"), at=NOW, user_id=owner, model_id="m", status_code=200, duration_ms=1.0
                )
            )
    leave(database, user.id, days=31)
    leave(database, stranger.id, days=29)
    assert sweep.run().accounts == 1
    assert all(stranger.id in key for key in keys(s3))
    assert len(keys(s3)) == 5
    with database.transaction() as session:
        for table in (Model, ApiKey, Prediction):
            owners = set(session.execute(select(table.user_id)).scalars())
            assert user.id not in owners
            assert stranger.id in owners
        assert session.get(User, user.id) is None
        trail = session.execute(select(AuditEntry.action).where(AuditEntry.user_id == user.id)).scalars()
        assert list(trail) == ["user.purge"]


def test_storage_that_is_away_leaves_the_row_for_the_next_run(database, redis_client, user, s3):
    class Away:
        def get_paginator(self, _name):
            raise ConnectionError

    leave(database, user.id, days=31)
    with pytest.raises(ConnectionError):
        AccessSweep(database, Revocations(redis_client), Away(), "data").run()
    with database.transaction() as session:
        assert session.get(User, user.id).status == "deleted"


def test_what_nobody_needs_any_more_goes(sweep, composition, database, user):
    ages = {"old": 91, "recent": 89}
    with database.transaction() as session:
        for name, days in ages.items():
            ended = NOW - timedelta(days=days)
            session.add(
                Session(
                    id=new_id("ses"), user_id=user.id, refresh_hash=name, expires_at=ended, revoked_at=ended
                )
            )
        for name, hours in (("old", -1), ("new", 1)):
            session.add(
                IdempotentRequest(
                    user_id=user.id,
                    route="r",
                    key_hash=name,
                    payload_hash="x",
                    expires_at=NOW + timedelta(hours=hours),
                )
            )
    swept = sweep.run()
    assert (swept.sessions, swept.idempotent_requests) == (1, 1)
    with database.transaction() as session:
        assert list(session.execute(select(Session.refresh_hash)).scalars()) == ["recent"]


def test_only_some_accounts_at_a_time(sweep, composition, database):
    for _ in range(7):
        leave(database, make_user(composition).id, days=40)
    assert [sweep.run().accounts for _ in range(3)] == [5, 2, 0]
