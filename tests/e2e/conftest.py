"""One deployed local cloud per test session, the same that `make run` starts, on free ports.

`MODELYARD_E2E_FOLDER=.local` uses the cloud of a running `make run` instead: handy while writing tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import pytest
import redis

from tests.support.account import Account
from tests.support.estimators import dumped, forest, pipeline
from tools.deploy import clients
from tools.local.cloud import LocalCloud
from tools.local.emulator import operator_environment
from tools.local.processes import adopt_orphans, end_descendants
from tools.local.services import Service, free_port

ROOT = Path(__file__).resolve().parents[2]


class Switch(Protocol):
    """A service that a test may stop and must start again."""

    def stop(self) -> None: ...

    def start(self) -> Any: ...


@dataclass
class Cloud:
    """What a test may use of the local cloud."""

    url: str
    database: dict[str, Any]
    client: Callable[[str], Any]
    postgres: Switch
    redis: Switch
    cache: Any  # a client of the Redis that the functions use

    @property
    def bucket(self) -> str:
        return self.output("BucketName")

    def output(self, name: str) -> str:
        """An output of the deployed stacks."""
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        outputs = {o["OutputKey"]: o["OutputValue"] for stack in stacks for o in stack.get("Outputs", [])}
        return str(outputs[name])

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What PostgreSQL holds, read by its owner past all services."""
        with psycopg.connect(**self.database, connect_timeout=3) as connection:
            return connection.execute(statement, parameters).fetchall()


class Ordered:
    """A service below a `make run` of another process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _order(self, wish: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "tools.local.service", wish, self.name], cwd=ROOT, check=True, timeout=60
        )

    def stop(self) -> None:
        self._order("stop")

    def start(self) -> None:
        self._order("start")


def _login(port: int, password: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "user": "postgres",
        "password": password,
        "dbname": "modelyard",
    }


def _cache(port: int, password: str) -> Any:
    return redis.Redis(host="127.0.0.1", port=port, password=password, socket_timeout=5)


def _attached(folder: Path) -> Cloud:
    settings = json.loads((folder / "data" / "settings.json").read_text())
    return Cloud(
        url=f"http://localhost:{os.environ.get('PORT', '8000')}/api",
        database=_login(settings["postgres_port"], settings["postgres_password"]),
        client=clients(operator_environment(settings["cloud_port"])),
        postgres=Ordered("postgres"),
        redis=Ordered("redis"),
        cache=_cache(settings["redis_port"], settings["redis_password"]),
    )


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The deployed local cloud."""
    if folder := os.environ.get("MODELYARD_E2E_FOLDER"):
        yield _attached(ROOT / folder)
        return
    adopt_orphans()
    # Not below pytest's own folder: another session would close it to PostgreSQL, which runs as another user.
    with tempfile.TemporaryDirectory(prefix="modelyard-e2e-", ignore_cleanup_errors=True) as folder:
        yield from _deployed(Path(folder))


def _deployed(folder: Path) -> Iterator[Cloud]:
    try:
        with LocalCloud(folder, port=free_port(), keep=False) as local:
            services: tuple[Service, Service] = (local.postgres, local.redis)
            database = _login(local.postgres.port, local.postgres.password)
            cache = _cache(local.redis.port, local.redis.password)
            yield Cloud(local.url, database, local.client, *services, cache)
    finally:
        end_descendants()


@pytest.fixture(scope="session")
def api(cloud: Cloud) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=cloud.url, timeout=60.0, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def account(cloud: Cloud) -> Iterator[Callable[[], Account]]:
    """Registers further users; each has a rate limit of its own."""
    made: list[Account] = []

    def make() -> Account:
        made.append(Account(cloud.url))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def administrator(cloud: Cloud, account: Callable[[], Account]) -> Account:
    """An administrator whom no limit stops, logged in since they became one."""
    admin = account()
    changed = "UPDATE users SET role = 'admin', requests_per_minute = 1000000 WHERE id = %s RETURNING id"
    cloud.rows(changed, admin.user_id)
    admin.log_in()
    return admin


@dataclass(frozen=True)
class Served:
    """A model that is ready, its owner, and the estimator that it was made from."""

    owner: Account
    model_id: str
    version: dict[str, Any]
    estimator: Any


@pytest.fixture(scope="session")
def iris_model(account: Callable[[], Account]) -> Served:
    """A random forest, sent through the presigned form."""
    owner = account()
    created = owner.upload("iris", dumped(forest()))
    return Served(owner, created["model_id"], owner.ready(created), forest())


@pytest.fixture(scope="session")
def people_model(account: Callable[[], Account]) -> Served:
    """A pipeline over a DataFrame, sent as multipart."""
    owner = account()
    created = owner.upload_multipart("people", dumped(pipeline()))
    return Served(owner, created["model_id"], owner.ready(created), pipeline())
