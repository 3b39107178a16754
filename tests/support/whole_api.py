"""All functions that answer HTTP in one process, behind a gateway that finds the one of a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from modelyard.accounts.audit import Origin
from modelyard.accounts.sessions import Grant
from modelyard.db.engine import Database
from modelyard.db.tables import User
from modelyard.web.app import create_app, lambda_handler
from moto import mock_aws
from moto.moto_api._internal import moto_api_backend
from sqlalchemy import Engine, update

from functions.predict.handler import make_handler
from infra.catalogue import all_routes
from tests.support.batch import BUCKET, REGION, BatchCloud, register
from tests.support.composition import LocalComposition, SomeUser, make_user
from tests.support.http import Answer, ApiGateway, LambdaContext, event, read
from tests.support.serving import ServingComposition, logistic
from tools.local.services import Redis
from tools.openapi import routers

PASSWORD = "correct horse battery"


class WholeApi:
    """`gateway` answers any path as the deployed REST API would; the services are real but for AWS."""

    def __init__(self, composition: LocalComposition, serving: ServingComposition, cloud: BatchCloud) -> None:
        self.composition = composition
        self.cloud = cloud
        self._handlers = {
            name: lambda_handler(create_app(router, composition))
            for name, router in routers().items()
            if name != "predict"
        }
        self._handlers["predict"] = make_handler(serving)
        self._routes = [
            (route.method, re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path)), function.name)
            for route, function in all_routes().items()
        ]
        self.gateway = ApiGateway(self.handle)

    def handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        return self._handlers[self._function(event["httpMethod"], event["path"])](event, context)

    def _function(self, method: str, path: str) -> str:
        """A literal path comes before a template, as in API Gateway; unknown ones go to `docs`, whose app
        says that there is nothing."""
        fits = [(way, name) for way, pattern, name in self._routes if pattern.fullmatch(path)]
        exact = [name for way, name in fits if way == method]
        return (exact or [name for _, name in fits] or ["docs"])[0]

    def request(
        self, method: str, url: str, *, body: bytes | None, headers: dict[str, str], ip: str
    ) -> Answer:
        return read(self.handle(event(method, url, body=body, headers=headers, ip=ip), LambdaContext()))

    def user(self, *, role: str = "user", quota: int | None = 1_000_000) -> SomeUser:
        """A user with a password and a session, whom no limit stops."""
        user = make_user(self.composition, role=role)
        hashed = self.composition.passwords.hash(PASSWORD)
        with self.composition.database.transaction() as unit:
            changes = {"password_hash": hashed, "requests_per_minute": quota}
            unit.execute(update(User).where(User.id == user.id).values(**changes))
        if quota is not None:
            self.composition.redis.set(f"{{{user.id}}}:quota:permin", quota)
        with self.composition.database.transaction() as unit:
            grant = self.composition.sessions(unit, Origin()).login(email=user.email, password=PASSWORD)
        assert isinstance(grant, Grant)
        return SomeUser(user.id, user.email, grant.session_id, grant.access_token)

    def model(self, user: SomeUser) -> str:
        """The id of a model of this user that answers predictions."""
        return register(self.cloud, self.composition, user.id, logistic())


class _Bucket:
    """The moto bucket as serving reads it."""

    def __init__(self, cloud: BatchCloud) -> None:
        self._cloud = cloud

    def get(self, key: str) -> Iterator[bytes]:
        return self._cloud.fetch(key)

    def presigned_get(self, key: str) -> str:
        return f"https://bucket.example.com/{key}"


@contextmanager
def whole_api(engine: Engine, redis_server: Redis, folder: Path) -> Iterator[WholeApi]:
    """Everything that it writes to PostgreSQL is rolled back."""
    import redis

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("MODELYARD_BUCKET", BUCKET)
        stack.enter_context(mock_aws())
        moto_api_backend.reset()  # another package's fake AWS may still be around, and is the same one
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        url = sqs.create_queue(QueueName="batch")["QueueUrl"]
        patch.setenv("MODELYARD_BATCH_QUEUE_URL", url)
        cloud = BatchCloud(s3, sqs, url)
        connection = stack.enter_context(engine.connect())
        stack.callback(connection.begin().rollback)
        client = stack.enter_context(
            redis.Redis(host="127.0.0.1", port=redis_server.port, password=redis_server.password)
        )
        client.flushall()
        composition = LocalComposition(database=Database(connection), redis=client, s3=s3, sqs=sqs)
        serving = ServingComposition(
            redis_server.secret,
            folder / "models",
            objects=_Bucket(cloud),
            routes=composition.routes,
            database=composition.database,
        )
        stack.callback(serving.redis.close)
        yield WholeApi(composition, serving, cloud)
