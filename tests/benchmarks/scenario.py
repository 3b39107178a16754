"""What a benchmark runs against: Redis and AWS on loopback, a user with models, events of the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from modelyard.accounts.tokens import SigningKeys, Tokens
from modelyard.kit.ids import new_id
from modelyard.kit.resp import Connection
from modelyard.serving.route import route_key

from tests.benchmarks.runtime_api import ROOT, Function
from tests.benchmarks.served import Served
from tests.fakes.objects import FakeObjects
from tests.support.aws import AwsStub
from tests.support.composition import SIGNING_KEYS
from tests.support.http import event
from tests.support.serving import Registered, Trained, register
from tools.local.services import Redis

BUCKET = "benchmark"
HANDLERS = Path(__file__).parent / "handlers"


@dataclass
class Scenario:
    """A place to run functions in."""

    aws: AwsStub
    redis: Redis
    folder: Path
    user_id: str
    token: str

    def add(self, trained: Trained) -> Registered:
        """Registers a model of the user: files in S3, route in Redis."""
        objects = FakeObjects()
        registered = register(objects, self.user_id, trained)
        self.aws.objects |= {f"{BUCKET}/{key}": data for key, data in objects.data.items()}
        connection = Connection(self.redis.secret)
        connection.set(
            route_key(self.user_id, registered.id), json.dumps(registered.route.to_json()), ex=86_400
        )
        connection.set(f"{{{self.user_id}}}:quota:permin", "1000000000")
        connection.close()
        return registered

    def predict(self, **environment: str) -> Function:
        """Our function, as deployed."""
        return Function(
            "handler.handler",
            path=ROOT / "functions/predict",
            environment=self.aws.environment(
                MODELYARD_BUCKET=BUCKET,
                MODELYARD_REDIS_SECRET="redis",
                MODELYARD_SIGNING_KEYS_SECRET="signing-keys",
                MODELYARD_DATABASE_SECRET="database",
                MODELYARD_NATIVE_FUNCTION="native",
                TMPDIR=str(self.folder / new_id("tmp")),
                **environment,
            ),
        )

    def plain(self, trained: Trained) -> Function:
        """FastAPI and joblib."""
        path = self.folder / f"{new_id('plain')}.joblib"
        joblib.dump(trained.estimator, path)
        return Function("plain.handler", path=HANDLERS, environment={"BENCHMARK_MODEL": str(path)})

    def served(self, trained: Trained) -> Served:
        """The same app, as a server of its own that is asked without a Runtime API."""
        path = self.folder / f"{new_id('plain')}.joblib"
        joblib.dump(trained.estimator, path)
        return Served(path, folder=HANDLERS)

    def empty(self) -> Function:
        return Function("empty.handler", path=HANDLERS)

    def event(self, registered: Registered, rows: list[list[Any]]) -> bytes:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "*/*",
            "User-Agent": "benchmark/1.0",
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Port": "443",
        }
        body = json.dumps({"inputs": rows})
        return json.dumps(event("POST", registered.path, body=body, headers=headers)).encode()


@contextmanager
def scenario(folder: Path) -> Iterator[Scenario]:
    """Starts Redis and AWS; everything ends with the block."""
    user_id = new_id("usr")
    tokens = Tokens(SigningKeys(lambda age: SIGNING_KEYS))
    token = tokens.sign(
        kind="access", user_id=user_id, session_id=new_id("ses"), role="user", token_id=new_id("tok")
    )
    with Redis(folder / "redis") as redis, AwsStub() as aws:
        aws.secrets = {"redis": redis.secret(), "signing-keys": SIGNING_KEYS}
        yield Scenario(aws, redis, folder, user_id, token)
