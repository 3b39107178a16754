"""The batch functions over S3 and SQS in process, real PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from modelyard.batch.limits import Limits
from modelyard.batch.service import JobService
from modelyard.batch.store import JobStore
from modelyard.batch.sweep import JobSweep
from modelyard.batch.worker import Worker
from modelyard.db.outbox import Dispatcher
from modelyard.registry.batch_targets import BatchTargets
from modelyard.web.app import create_app, lambda_handler
from moto import mock_aws
from moto.moto_api._internal import moto_api_backend

from functions.batch.handler import router
from functions.run_batch.handler import handle
from tests.support.batch import BUCKET, REGION, BatchCloud, Clock, model_cache, record, register
from tests.support.http import ApiGateway, LambdaContext

SMALL = Limits(chunk_rows=10, native_chunk_rows=4, inline_rows=100, active_jobs=3, embedded_rows=25)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchCloud]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("MODELYARD_BUCKET", BUCKET)
    with mock_aws():
        moto_api_backend.reset()  # another package's fake AWS may still be around, and is the same one
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="batch")["QueueUrl"]
        monkeypatch.setenv("MODELYARD_BATCH_QUEUE_URL", url)
        yield BatchCloud(s3, sqs, url)


class Native:
    """Stands for `predict_native`: predicts 1 per row; `answers` may hold others, given out in order."""

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None
        self.calls: list[dict[str, Any]] = []
        self.answers: list[Any] = []

    def __call__(self, payload: dict[str, Any], tenant: str, seconds: float) -> dict[str, Any]:
        self.calls.append(payload)
        self.before()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        return {"outputs": {name: [1] * len(payload["columns"][0]) for name in payload["outputs"]}}


@pytest.fixture
def native() -> Native:
    return Native()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Records(list[str]):
    """The prediction records that a worker wrote."""


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def services(composition, cloud, native, clock, records, tmp_path):
    """The composition of the handlers, with small limits and a clock that the test turns."""
    composition.s3, composition.sqs = cloud.s3, cloud.sqs
    composition.job_store = store = JobStore(cloud.s3, BUCKET)
    composition.model_cache = model_cache(cloud, tmp_path / "models", native)
    composition.outbox = Dispatcher(composition.database, lambda: cloud.sqs, composition.queue_url, clock)
    composition.jobs = lambda unit: JobService(
        unit,
        store=store,
        find_target=BatchTargets(unit, composition.routes).find,
        cursors=composition.cursors,
        limits=SMALL,
        clock=clock,
    )
    composition.batch_worker = Worker(
        database=composition.database,
        store=store,
        find_route=composition.routes.load,
        load_model=composition.model_cache.get,
        original=composition.model_cache.original,
        dispatcher=composition.outbox,
        limits=SMALL,
        clock=clock,
        write=records.append,
    )
    composition.job_sweep = JobSweep(
        database=composition.database, store=store, dispatcher=composition.outbox, clock=clock
    )
    return composition


@pytest.fixture
def gateway(services) -> ApiGateway:
    return ApiGateway(lambda_handler(create_app(router, services)))


@pytest.fixture
def api(gateway, user) -> ApiGateway:
    """The API as `user` calls it."""
    return gateway.with_headers(user.headers)


@pytest.fixture
def deliver(services, cloud):
    """Plays SQS: hands messages (default: all that wait) to the worker; returns the failed ones."""

    def run(messages: list[dict[str, Any]] | None = None, *, attempt: int = 1) -> list[str]:
        failed: list[str] = []
        waiting = messages if messages is not None else cloud.messages()
        while waiting:
            for message in waiting:
                message["attributes"]["ApproximateReceiveCount"] = str(attempt)
            answer = handle({"Records": waiting}, LambdaContext(milliseconds=300_000), services)
            failed += [item["itemIdentifier"] for item in answer["batchItemFailures"]]
            waiting = cloud.messages() if messages is None else []
        return failed

    return run


@pytest.fixture
def model_of(services, cloud):
    """Registers a trained model for a user; returns its id."""
    return lambda user, trained: register(cloud, services, user.id, trained)


@pytest.fixture
def message():
    return record
