"""The hot path with the registry's own route book: PostgreSQL is asked once where Redis knows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.db.engine import Database
from modelyard.db.tables import Model, ModelVersion
from modelyard.kit.resp import Connection
from modelyard.registry.routes import RouteBook

from tests.integration.serving.conftest import TRAINED, Platform
from tests.support.composition import make_user
from tests.support.http import ApiGateway
from tests.support.serving import Registered, ServingComposition, register
from tools.local.services import Redis

ROW = [0.5, -1.25, 3, 0]


class CountingBook(RouteBook):
    loads = 0

    def load(self, user_id: str, model_id: str) -> Any:
        self.loads += 1
        return super().load(user_id, model_id)


def store(database: Database, registered: Registered) -> None:
    """The rows that registration would have left."""
    route = registered.route
    with database.transaction() as session:
        session.add(
            Model(id=route.model_id, user_id=route.user_id, name="m", default_version=1, last_version=1)
        )
        session.flush()
        for version in route.versions.values():
            session.add(
                ModelVersion(
                    id=version.version_id,
                    model_id=route.model_id,
                    user_id=route.user_id,
                    number=version.number,
                    status="ready",
                    filename="model.joblib",
                    upload_key=f"uploads/{version.version_id}",
                    artifact_key=version.artifact_key,
                    artifact_format=version.artifact_format,
                    artifact_size=version.artifact_size,
                    artifact_sha256=version.artifact_sha256,
                    onnx_key=version.onnx_key,
                    onnx_sha256=version.onnx_sha256,
                    runtime=version.runtime,
                )
            )


def test_the_route_is_read_once_and_left_in_redis(
    database: Database, redis_server: Redis, redis_client: Any, tmp_path: Path
) -> None:
    connection = Connection(redis_server.secret)
    book = CountingBook(database, connection)
    composition = ServingComposition(redis_server.secret, tmp_path / "a", database=database, routes=book)
    user = make_user(composition)
    registered = register(composition.objects, user.id, TRAINED["logistic"]())
    store(database, registered)

    answer = ApiGateway(Platform(composition).handler, headers=user.headers).post(
        registered.path, json={"inputs": [ROW]}
    )
    assert answer.status == 200, answer.text
    assert answer.json()["predictions"] == registered.trained.estimator.predict([ROW]).tolist()
    composition.redis.ping()

    # another environment, after this one's memory is gone
    other = composition.cold()
    answer = ApiGateway(Platform(other).handler, headers=user.headers).post(
        registered.path, json={"inputs": [ROW]}
    )
    assert (answer.status, answer.headers["x-cache"]) == (200, "HIT")
    assert book.loads == 1

    # somebody else's model
    stranger = make_user(composition)
    gateway = ApiGateway(Platform(composition).handler, headers=stranger.headers)
    assert gateway.post(registered.path, json={"inputs": [ROW]}).status == 404
    composition.redis.close()
    other.redis.close()
    connection.close()
