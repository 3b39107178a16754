"""The route book: what PostgreSQL says, and what Redis is told."""

from __future__ import annotations

import json

import pytest
import redis
from modelyard.db.tables import ModelVersion
from modelyard.kit.clock import utc_now
from modelyard.kit.ids import new_id
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.serving.route import GONE, Route, route_key
from redis.backoff import NoBackoff
from redis.retry import Retry


@pytest.fixture
def book(database, redis_client):
    return RouteBook(database, redis_client)


@pytest.fixture
def model(database, user):
    """v1 ready, v2 failed, v3 pending, v4 ready; v1 is the default."""
    with database.transaction() as session:
        repository = ModelRepository(session, user.id)
        model = repository.model_named("churn")
        for status in ("ready", "failed", "pending", "ready"):
            version_id = new_id("ver")
            repository.add_version(
                model,
                version_id,
                filename="m",
                upload_key=f"uploads/{version_id}",
                status=status,
                artifact_key="models/x/model.joblib",
                artifact_format="joblib",
                artifact_size=7,
                artifact_sha256="0" * 64,
                runtime="native",
            )
        model.default_version = 1
        return model.id


def test_only_ready_versions_stand_in_a_route(book, user, model):
    route = book.load(user.id, model)
    assert (route.model_id, route.user_id, route.name, route.default) == (model, user.id, "churn", 1)
    assert sorted(route.versions) == [1, 4]
    assert route.versions[4].metadata_key == f"models/{user.id}/{model}/v4/metadata.json"
    assert route.versions[4].onnx_key is None


def test_what_is_published_is_what_is_loaded(book, user, model, redis_client):
    assert book.publish(user.id, model) == book.load(user.id, model)
    stored = redis_client.get(route_key(user.id, model))
    assert Route.from_json(json.loads(stored)) == book.load(user.id, model)


def test_forgetting(book, user, model, redis_client):
    book.publish(user.id, model)
    book.forget(user.id, model)
    assert redis_client.get(route_key(user.id, model)) is None


@pytest.mark.parametrize("wrong", ["mdl_x", "", "\0", new_id("mdl")])
def test_no_such_model(book, user, wrong):
    assert book.load(user.id, wrong) is None


def test_no_route_for_strangers(book, stranger, model):
    assert book.load(stranger.id, model) is None


def test_publishing_a_deleted_model_says_that_it_is_gone(book, user, model, redis_client, database):
    book.publish(user.id, model)
    with database.transaction() as session:
        ModelRepository(session, user.id).model(model).deleted_at = utc_now()
    assert book.publish(user.id, model) is None
    assert redis_client.get(route_key(user.id, model)) == GONE
    assert 0 < redis_client.ttl(route_key(user.id, model)) <= 60


def test_redis_away_is_said(database, user, model):
    away = RouteBook(database, redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))
    assert away.load(user.id, model) is not None
    with pytest.raises(redis.ConnectionError):
        away.publish(user.id, model)


def test_a_repository_shows_nobody_elses_rows(database, user, stranger, model):
    with database.transaction() as session:
        version_id = session.query(ModelVersion.id).filter_by(number=1, model_id=model).scalar()
        own, other = ModelRepository(session, user.id), ModelRepository(session, stranger.id)
        assert own.find_model(model) is not None
        assert own.own_ids([model, new_id("mdl"), "\0"]) == {model}
        assert other.own_ids([model]) == set()
        assert own.find_version(version_id) is not None
        assert len(own.versions(model, limit=9)) == 4
        assert other.find_model(model) is None
        assert other.find_model(model, lock=True) is None
        assert other.find_version(version_id) is None
        assert other.find_version(version_id, lock=True) is None
        assert other.version_of_upload(f"uploads/{version_id}", "v") is None
        assert other.models(limit=9) == []
        assert other.versions(model, limit=9) == []
        assert other.latest_versions([model]) == {}
        assert other.ready_versions(model) == []
        assert other.model_named("churn").id != model
