"""Liveness asks nobody; readiness asks everybody and waits for nobody."""

from __future__ import annotations

import threading
import time

import pytest
from modelyard.composition import Composition
from modelyard.telemetry.readiness import Check, Readiness
from modelyard.web.app import create_app, lambda_handler

from functions.health.handler import router
from tests.support.events import sample
from tests.support.http import ApiGateway, read


def fine() -> None: ...


def broken() -> None:
    raise ConnectionError("the address of the database")


class Known(Composition):
    """Readiness over these checks."""

    def __init__(self, **checks):
        essential = {name: name != "cache" for name in checks}
        self.__dict__["readiness"] = Readiness(
            *(Check(name, ask, essential[name]) for name, ask in checks.items()), deadline=0.3
        )


def api(**checks):
    return ApiGateway(lambda_handler(create_app(router, Known(**checks))))


def test_alive_needs_nothing():
    answer = read(api(database=broken).handler(sample("health/health"), None))
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_ready():
    answer = read(api(database=fine, cache=fine, storage=fine).handler(sample("health/ready"), None))
    assert answer.status == 200
    assert answer.json()["status"] == "ready"
    assert {name: check["status"] for name, check in answer.json()["checks"].items()} == {
        "database": "up", "cache": "up", "storage": "up"
    }  # fmt: skip


def test_degraded_without_the_cache():
    answer = api(database=fine, cache=broken, storage=fine).get("/health/ready")
    assert answer.status == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["cache"]["status"] == "down"


@pytest.mark.parametrize("down", ["database", "storage"])
def test_not_ready_without_an_essential_one(down):
    checks = {"database": fine, "cache": broken, "storage": fine} | {down: broken}
    answer = api(**checks).get("/health/ready")
    body = answer.json()
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["code"] == "not_ready"
    assert down in body["detail"]
    assert "cache" in body["detail"]
    assert body["checks"][down]["status"] == "down"
    assert "address" not in answer.text


def test_what_hangs_is_down_at_the_deadline():
    release = threading.Event()
    started = time.perf_counter()
    answer = api(database=lambda: release.wait(20), cache=fine, storage=fine).get("/health/ready")
    took = time.perf_counter() - started
    release.set()
    assert answer.status == 503
    assert took < 5


def test_the_real_services(composition, monkeypatch):
    import boto3
    from moto import mock_aws
    from moto.moto_api._internal import moto_api_backend

    monkeypatch.setenv("MODELYARD_BUCKET", "somewhere")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        moto_api_backend.reset()  # another package's fake AWS may still be around, and is the same one
        from modelyard.kit.aws import client

        client.cache_clear()
        gateway = ApiGateway(lambda_handler(create_app(router, composition)))
        assert gateway.get("/health/ready").status == 503  # there is no such bucket
        boto3.client("s3").create_bucket(Bucket="somewhere")
        assert gateway.get("/health/ready").json()["status"] == "ready"
        client.cache_clear()
