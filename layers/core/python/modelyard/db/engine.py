"""Connections to PostgreSQL: one engine per environment, one connection: it serves one event at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from modelyard.kit.errors import Unavailable


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where PostgreSQL is; the fields are those of an RDS secret. `host` may be a directory (Unix socket)."""

    host: str
    port: int
    username: str
    password: str
    dbname: str
    sslmode: str = "prefer"

    @classmethod
    def from_secret(cls, secret: dict[str, Any]) -> DatabaseSettings:
        return cls(
            host=str(secret["host"]),
            port=int(secret.get("port", 5432)),
            username=str(secret["username"]),
            password=str(secret["password"]),
            dbname=str(secret.get("dbname", "modelyard")),
            sslmode=str(secret.get("sslmode", "prefer")),
        )

    @property
    def url(self) -> URL:
        query = {"sslmode": self.sslmode}
        host: str | None = self.host
        if self.host.startswith("/"):
            host, query = None, {"host": self.host}
        return URL.create(
            "postgresql+psycopg", self.username, self.password, host, self.port, self.dbname, query=query
        )


def make_engine(settings: DatabaseSettings, *, statement_timeout_ms: int = 10_000) -> Engine:
    """An engine that gives up on a connection after 3 s and on a statement after `statement_timeout_ms`."""
    return create_engine(
        settings.url,
        pool_size=1,
        max_overflow=1,
        pool_timeout=3,
        pool_pre_ping=True,
        pool_recycle=900,
        hide_parameters=True,  # errors are logged, and rows hold password hashes and what callers sent
        connect_args={
            "connect_timeout": 3,
            "prepare_threshold": None,  # RDS Proxy and PgBouncer pin sessions that prepare
            "options": f"-c statement_timeout={statement_timeout_ms} -c lock_timeout=5000 -c timezone=UTC",
            "application_name": "modelyard",
            "tcp_user_timeout": 5000,
        },
    )


class Database:
    """Opens units of work. `transaction()` commits on success and rolls back on any exception."""

    def __init__(self, bind: Engine | Connection) -> None:
        # On a Connection whose transaction somebody else owns (tests), commits become that one's savepoints.
        self.bind = bind
        self._sessions = sessionmaker(bind, expire_on_commit=False, join_transaction_mode="create_savepoint")

    def session(self) -> Session:
        """A session that the caller commits or rolls back, and closes."""
        return self._sessions()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with translated(), self._sessions.begin() as session:
            yield session


@contextmanager
def translated() -> Iterator[None]:
    """Turns "PostgreSQL is away" into a 503 in the standard shape; other errors stay what they are."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database does not answer right now. Try again shortly.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("The database does not answer right now. Try again shortly.") from error
        raise
