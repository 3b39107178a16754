"""The whole cloud on a laptop: PostgreSQL, Redis, the emulator, the deployed stage, the front door.

`make run` and the end-to-end tests start the same `LocalCloud`, in folders of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tools.deploy import Deployment, Outputs, bring_services, clients
from tools.layers import Builder
from tools.local.emulator import Emulator
from tools.local.proxy import FrontDoor, FrontDoorServer
from tools.local.services import Postgres, Redis, Service, ServiceFailed, free_port, port_is_open
from tools.recipes import LAYERS

STAGE = "local"
Step = Callable[[str], contextlib.AbstractContextManager[Callable[[str], None]]]


@contextmanager
def silent(_: str) -> Iterator[Callable[[str], None]]:
    """A step that nobody watches."""
    yield lambda _: None


class Settings:
    """Ports and passwords of one local cloud: chosen once, kept in its folder, so that they stay the same."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._values: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def secret(self, name: str) -> str:
        return str(self._keep(name, self._values.get(name) or secrets.token_urlsafe(24)))

    def port(self, name: str) -> int:
        """`MODELYARD_<NAME>_PORT`, else last time's port where it is free, else a free one."""
        wished = os.environ.get(f"MODELYARD_{name.upper()}_PORT")
        if wished:
            if port_is_open(int(wished)):
                raise ServiceFailed(f"port {wished} is not free: change MODELYARD_{name.upper()}_PORT")
            return int(self._keep(f"{name}_port", int(wished)))
        last = self._values.get(f"{name}_port")
        return int(self._keep(f"{name}_port", last if last and not port_is_open(last) else free_port()))

    def _keep(self, name: str, value: Any) -> Any:
        if self._values.get(name) != value:
            self._values[name] = value
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps(self._values, indent=2))
        return value


class LocalCloud:
    """One local cloud, kept in `folder`: start it twice and it goes on where it stopped.

    `keep=False` is for tests: PostgreSQL without fsync, and nothing written for a second start.
    """

    def __init__(self, folder: Path, *, port: int, keep: bool = True, step: Step = silent) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.keep = keep
        self.outputs: Outputs = {}
        self._step = step
        self._running: list[Service | FrontDoorServer] = []
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/api"

    @property
    def bucket(self) -> str:
        return self.outputs["BucketName"]

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator, with the operator's credentials."""
        return clients(self.emulator.environment())(service)

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends everything, the newest first; safe to call twice."""
        while self._running:
            self._running.pop().stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take()
        self._settle_data()
        self.settings = Settings(self.folder / "data" / "settings.json")
        self._start_services()
        bring_services(
            STAGE, self.emulator.environment(), owner=self.postgres.secret(), redis=self.redis.secret()
        )
        self._build_layers()
        self._deploy()

    def _take(self) -> None:
        """One process per folder: two would overwrite each other's state."""
        self._lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise ServiceFailed(
                f"a local cloud already runs in {self.folder.name}/ (process {self._lock.read().strip()}): "
                "stop it first, with Ctrl-C in its terminal"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def _settle_data(self) -> None:
        """All of the data or none: rows without their objects would only puzzle, so begin anew."""
        data = self.folder / "data"
        parts = [data / "settings.json", data / "postgres" / "data", data / "cloud" / "state"]
        if data.exists() and not all(part.exists() for part in parts):
            shutil.rmtree(data)
        data.mkdir(exist_ok=True)

    def _start_services(self) -> None:
        data = self.folder / "data"
        door = FrontDoor("")
        server = FrontDoorServer(door, self.port)  # takes the port now: a taken one should cost no minute
        self._running.append(server)
        self.emulator = Emulator(
            data / "cloud", port=self.settings.port("cloud"), logs=self.folder / "logs", keep=self.keep
        )
        door.endpoint = self.emulator.endpoint
        self.door = door
        self.postgres = Postgres(
            data / "postgres",
            port=self.settings.port("postgres"),
            password=self.settings.secret("postgres_password"),
            durable=self.keep,
            logs=self.folder / "logs",
        )
        self.redis = Redis(
            data / "redis",
            port=self.settings.port("redis"),
            password=self.settings.secret("redis_password"),
            logs=self.folder / "logs",
        )
        for name, service in (("PostgreSQL", self.postgres), ("Redis", self.redis), ("AWS", self.emulator)):
            with self._step(f"{name} on port {service.port}"):
                self._running.insert(-1, service)  # stop() ends the front door first
                service.start()
        server.start()

    def _build_layers(self) -> None:
        """Ahead of the synthesis, which would build them one after the other and without a word."""
        builder = Builder("host")
        pool = ThreadPoolExecutor(max_workers=2)
        try:
            with self._step("Layers of the functions") as say:
                # The largest first, so that it is not the last one that everybody waits for.
                names = sorted(LAYERS, key=lambda name: name != "sklearn")
                for name, _ in zip(names, pool.map(builder.layer, names), strict=True):
                    say(name)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _deploy(self) -> None:
        with self._step("Deployment (cdk deploy)") as say:
            # What the shell says about AWS must not lead this deployment to a real account.
            shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            environment = {**shell, **self.emulator.environment()}
            deployment = Deployment(STAGE, environment, context={"public_url": self.url}, say=say)
            self.outputs = deployment.run()
            if self.keep:
                self._write_state()
            self.door.api_id = self.outputs["ApiId"]

    def _write_state(self) -> None:
        """Makes the deployment survive a crash: the emulator writes its state only when it ends."""
        stacks = self.client("cloudformation").describe_stacks()["Stacks"]
        now = sorted(f"{s['StackId']} {s.get('LastUpdatedTime', s['CreationTime'])}" for s in stacks)
        marker = self.folder / "data" / "cloud" / "deployed.json"
        if not marker.exists() or json.loads(marker.read_text()) != now:
            self.emulator.stop()
            marker.write_text(json.dumps(now))
            self.emulator.start()
