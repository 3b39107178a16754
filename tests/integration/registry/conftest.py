"""S3 and SQS in process, a bucket with versions, and registrations whose inspector is a fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from modelyard.db.tables import Model, ModelVersion
from modelyard.intake.verdict import Limits
from modelyard.kit.clock import utc_now
from modelyard.registry.artifacts import ArtifactStore
from modelyard.registry.notifications import Arrival
from modelyard.registry.registration import Registration
from modelyard.registry.routes import RouteBook
from modelyard.registry.sweep import UploadSweep
from modelyard.serving.route import route_key
from modelyard.serving.routing import RouteTable
from modelyard.web.app import create_app, lambda_handler
from moto import mock_aws
from moto.moto_api._internal import moto_api_backend
from sqlalchemy import select

from functions.models.handler import router
from tests.fakes.inspector import FakeInspector
from tests.support.http import ApiGateway

BUCKET = "modelyard-test-data"
REGION = "eu-central-1"


@dataclass
class Cloud:
    """What a test reaches of AWS."""

    s3: Any
    sqs: Any
    queue_url: str

    def put(self, key: str, content: bytes) -> str:
        """Stores a file and returns the id of its object version."""
        return str(self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)["VersionId"])

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def keys(self, prefix: str = "") -> set[str]:
        return {
            found["Key"]
            for found in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        }

    def messages(self) -> list[str]:
        """The bodies that wait in the register queue; they are taken out."""
        bodies = []
        asked = {"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10}
        while received := self.sqs.receive_message(**asked).get("Messages"):
            for message in received:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


@pytest.fixture(scope="package")
def aws() -> Iterator[tuple[Any, Any]]:
    """Clients of S3 and SQS, made once: making them is slow, emptying the fake AWS is not."""
    given = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws():
            yield boto3.client("s3"), boto3.client("sqs")


@pytest.fixture
def cloud(aws: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("MODELYARD_BUCKET", BUCKET)
    moto_api_backend.reset()
    s3, sqs = aws
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return Cloud(s3, sqs, sqs.create_queue(QueueName="register")["QueueUrl"])


@dataclass
class Clock:
    """A clock that a test turns."""

    now: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Gate:
    """Stands for the gate that compiled models meet; `refuse` makes it raise."""

    seen: list[tuple[bytes, str]] = field(default_factory=list)
    refuse: Exception | None = None

    def __call__(self, path: Any, limits: Limits, *, source: str) -> None:
        self.seen.append((path.read_bytes(), source))
        if self.refuse is not None:
            raise self.refuse


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def store(cloud: Cloud) -> ArtifactStore:
    return ArtifactStore(cloud.s3, BUCKET)


@pytest.fixture
def inspector(cloud: Cloud) -> FakeInspector:
    return FakeInspector(cloud.s3, BUCKET)


@pytest.fixture
def make_registration(database, redis_client, store, inspector, gate, clock) -> Callable[..., Registration]:
    """A worker; what is named replaces its usual collaborator."""

    def make(**others: Any) -> Registration:
        usual = {
            "database": database,
            "store": store,
            "inspector": inspector,
            "routes": RouteBook(database, redis_client),
            "check_onnx": gate,
            "limits": Limits(),
            "clock": clock,
        }
        return Registration(**(usual | others))

    return make


@pytest.fixture
def registration(make_registration) -> Registration:
    return make_registration()


@pytest.fixture
def sweep(database, store, cloud, clock) -> UploadSweep:
    return UploadSweep(
        database=database, store=store, sqs=cloud.sqs, queue_url=cloud.queue_url, bucket=BUCKET, clock=clock
    )


@pytest.fixture
def services(composition, cloud, store, registration, sweep):
    """The composition of the handlers, over this test's cloud."""
    composition.s3 = cloud.s3
    composition.sqs = cloud.sqs
    composition.artifacts = store
    composition.registration = registration
    composition.upload_sweep = sweep
    return composition


@dataclass
class Rows:
    """Looks at the tables past the repository."""

    database: Any

    def versions(self) -> list[ModelVersion]:
        with self.database.transaction() as session:
            return list(session.scalars(select(ModelVersion).order_by(ModelVersion.number)))

    def version(self, version_id: str) -> ModelVersion:
        (found,) = (version for version in self.versions() if version.id == version_id)
        return found

    def models(self) -> list[Model]:
        with self.database.transaction() as session:
            return list(session.scalars(select(Model).order_by(Model.id)))


@pytest.fixture
def rows(database) -> Rows:
    return Rows(database)


@pytest.fixture
def gateway(services):
    return ApiGateway(lambda_handler(create_app(router, services)))


@pytest.fixture
def mine(gateway, user):
    return gateway.with_headers(user.headers)


@pytest.fixture
def theirs(gateway, stranger):
    return gateway.with_headers(stranger.headers)


@pytest.fixture
def make(mine, cloud, registration):
    """Announces versions of a model and registers them; returns the model's id."""

    def make(name="churn", versions=1, *, arrive=True, **announced):
        for _ in range(versions):
            given = {"name": name, "filename": "m.joblib", "size": 7} | announced
            answer = mine.post("/models/upload", json=given).json()
            key = answer["upload"]["fields"]["key"]
            if arrive:
                registration.register(Arrival(key, cloud.put(key, b"a model")))
        return answer["model_id"]

    return make


@pytest.fixture
def route_of(redis_client, user):
    """The route as predictions see it."""

    def seen(model_id):
        table = RouteTable(lambda *_: None, lambda _: None)
        raw = redis_client.get(route_key(user.id, model_id))
        return table.learn(user.id, model_id, raw, cache_up=True)

    return seen
