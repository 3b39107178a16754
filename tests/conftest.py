"""Real services for every tier: PostgreSQL and Redis start once per process, each test leaves no trace."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from modelyard.db.engine import Database
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from tests.support.composition import LocalComposition, SomeUser
    from tools.local.services import Postgres, Redis

TIERS = {"unit", "integration", "infra", "e2e", "security", "benchmarks"}
RANDOM_ID = re.compile(r"(?<=[a-z]{3}_)[0-7][0-9a-hjkmnp-tv-z]{25}")
APP_ROLE = {"username": "modelyard_app", "password": "app-password"}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Ids made at collection differ between workers, and workers must agree on the names of tests."""
    return RANDOM_ID.sub("id", val) if isinstance(val, str) and RANDOM_ID.search(val) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder decides the marker."""
    for item in items:
        for part in Path(str(item.fspath)).parts:
            if part in TIERS:
                item.add_marker(part)


@pytest.fixture(scope="session")
def services_folder() -> Iterator[Path]:
    """Not below pytest's own folder: each pytest that starts closes that one to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="modelyard-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server(services_folder: Path) -> Iterator[Postgres]:
    """PostgreSQL at the newest schema, with the application's own role."""
    from modelyard.db.engine import DatabaseSettings
    from modelyard.db.migrate import upgrade

    from tools.local.services import Postgres

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Postgres(services_folder / "postgres", durable=False) as server:
            owner = DatabaseSettings.from_secret(server.secret())
            upgrade(owner, DatabaseSettings.from_secret(server.secret(**APP_ROLE)))
            yield server


@pytest.fixture(scope="session")
def engine(postgres_server: Postgres) -> Iterator[Engine]:
    """An engine that logs in as the application does."""
    from modelyard.db.engine import DatabaseSettings, make_engine

    engine = make_engine(DatabaseSettings.from_secret(postgres_server.secret(**APP_ROLE)))
    yield engine
    engine.dispose()


@pytest.fixture
def database(engine: Engine) -> Iterator[Database]:
    """Units of work that commit into a transaction which the test rolls back."""
    from modelyard.db.engine import Database

    with engine.connect() as connection:
        outer = connection.begin()
        yield Database(connection)
        outer.rollback()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


@pytest.fixture(scope="session")
def redis_server(services_folder: Path) -> Iterator[Redis]:
    from tools.local.services import Redis

    with Redis(services_folder / "redis") as server:
        yield server


@pytest.fixture
def redis_client(redis_server: Redis) -> Iterator[Any]:
    """A `redis.Redis` on an empty database."""
    import redis

    client = redis.Redis(
        host="127.0.0.1",
        port=redis_server.port,
        password=redis_server.password,
        socket_timeout=2,
        socket_connect_timeout=2,
    )
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def composition(database: Database, redis_client: Any) -> LocalComposition:
    """Services over this test's database and Redis; more may be given by attribute (`composition.s3 = …`)."""
    from tests.support.composition import LocalComposition

    return LocalComposition(database=database, redis=redis_client)


@pytest.fixture
def user(composition: LocalComposition) -> SomeUser:
    """A registered user with a good token: `user.headers`."""
    from tests.support.composition import make_user

    return make_user(composition)


@pytest.fixture
def stranger(composition: LocalComposition) -> SomeUser:
    """Another user."""
    from tests.support.composition import make_user

    return make_user(composition)
