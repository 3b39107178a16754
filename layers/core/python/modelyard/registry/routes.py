"""Where a model's requests go: read from PostgreSQL, published to Redis for the hot path."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy.orm import Session

from modelyard.db.engine import Database
from modelyard.kit.redis import RedisCommands
from modelyard.registry.names import ArtifactKeys
from modelyard.registry.repository import ModelRepository
from modelyard.serving.names import ListedModel
from modelyard.serving.route import ANSWER_SECONDS, GONE, Route, VersionRoute, route_key

KEEP_SECONDS = 3600
"""How long Redis keeps a route, and so the longest that a route can be stale after a lost publication."""

MOST_LISTED = 1_000
"""Models in one list: its protocols have no pages."""

GONE_SECONDS = 60
"""How long a deleted model is said to be gone: longer than a request that read it before may still run."""


class RouteBook:
    """Loads routes, and keeps what Redis says equal to what PostgreSQL says."""

    def __init__(self, database: Database, redis: RedisCommands) -> None:
        self._database = database
        self._redis = redis

    def load(self, user_id: str, model_id: str) -> Route | None:
        """The route as PostgreSQL has it; None for a missing or foreign model; raises `Unavailable`."""
        with self._database.transaction() as session:
            return _load(session, user_id, model_id)

    def find(self, user_id: str, name: str) -> str | None:
        """The id of the user's model of that name; raises `Unavailable`."""
        with self._database.transaction() as session:
            model = ModelRepository(session, user_id).find_model_named(name)
            return None if model is None else model.id

    def listing(self, user_id: str) -> list[ListedModel]:
        """The user's models, newest first, at most `MOST_LISTED`; raises `Unavailable`."""
        with self._database.transaction() as session:
            repository = ModelRepository(session, user_id)
            models = repository.models(limit=MOST_LISTED)
            versions = repository.version_states([model.id for model in models])
            return [ListedModel(m.id, m.name, m.default_version, versions.get(m.id, {})) for m in models]

    def publish(self, user_id: str, model_id: str) -> Route | None:
        """Writes the committed route to Redis, or that the model is gone.

        Call it after the commit that changed the route. Publications of one model wait for each other on its
        row, so an older state never overwrites a newer one. Where Redis is away, its client's error rises.
        """
        with self._database.transaction() as session:
            ModelRepository(session, user_id).find_model(model_id, lock=True)
            route = _load(session, user_id, model_id)
            if route is None:
                self._redis.set(route_key(user_id, model_id), GONE, ex=GONE_SECONDS)
            else:
                self._redis.set(route_key(user_id, model_id), encode(route), ex=KEEP_SECONDS)
            return route

    def forget(self, user_id: str, model_id: str) -> None:
        """Removes the route from Redis; the next request reads it from PostgreSQL."""
        self._redis.delete(route_key(user_id, model_id))


def encode(route: Route) -> str:
    return json.dumps(route.to_json(), separators=(",", ":"))


def _load(session: Session, user_id: str, model_id: str) -> Route | None:
    repository = ModelRepository(session, user_id)
    model = repository.find_model(model_id)
    if model is None:
        return None
    versions: dict[int, VersionRoute] = {}
    archived: list[int] = []
    for version in repository.ready_versions(model_id):
        if version.stage == "archived":
            archived.append(version.number)
            continue
        # `ready` versions have these; the state machine sets them together.
        assert version.artifact_key is not None
        assert version.artifact_format is not None
        assert version.artifact_size is not None
        assert version.artifact_sha256 is not None
        versions[version.number] = VersionRoute(
            version_id=version.id,
            number=version.number,
            runtime="onnx" if version.runtime == "onnx" else "native",
            artifact_key=version.artifact_key,
            artifact_format=version.artifact_format,
            artifact_size=version.artifact_size,
            artifact_sha256=version.artifact_sha256,
            metadata_key=ArtifactKeys(user_id, model_id, version.number).metadata,
            onnx_key=version.onnx_key,
            onnx_sha256=version.onnx_sha256,
            deprecated_at=_epoch(version.deprecated_at),
            sunset_at=_epoch(version.sunset_at),
        )
    aliases = {row.alias: row.number for row in repository.aliases(model_id)}
    return Route(
        model.id,
        user_id,
        model.name,
        model.default_version,
        versions,
        tuple(archived),
        aliases,
        {int(number): share for number, share in (model.traffic or {}).items()},
        shadow=model.shadow["number"] if model.shadow else None,
        shadow_percent=model.shadow["percent"] if model.shadow else 100,
        answer_seconds=ANSWER_SECONDS if model.answer_seconds is None else model.answer_seconds,
    )


def _epoch(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
