"""The cloud emulator as a child process, with IAM enforced.

It runs in an environment of its own (`.cloud`): the functions' interpreter is the emulator's, so they see
boto3 and their layers and nothing else, as on Lambda.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from tools.local import log_deliveries
from tools.local.processes import descendants
from tools.local.services import Process, Service, ServiceFailed, free_port, wait_until
from tools.node import search_path

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
REGION = "us-east-1"
# The emulator takes this key, and only this key, for the account's root: what `cdk deploy` and the tests use.
OPERATOR_KEY = "test"
OPERATOR_SECRET = "test"  # noqa: S105
START_TIMEOUT = 60.0
STOP_TIMEOUT = 45.0  # it writes its state before it ends, 150 MB of it
QUIET_SECONDS = 3.0  # between two files of its state


def operator_environment(port: int) -> dict[str, str]:
    """What an AWS client needs to reach the emulator on `port` as its operator."""
    return {
        # An address, not a name: SDKs then put the bucket into the path; `bucket.localhost` may not resolve.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": OPERATOR_KEY,
        "AWS_SECRET_ACCESS_KEY": OPERATOR_SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Emulator(Service):
    """AWS on loopback. `folder` keeps resources at every clean stop, and S3 objects as they are written."""

    def __init__(
        self, folder: Path, *, port: int | None = None, logs: Path | None = None, keep: bool = True
    ) -> None:
        self.folder = folder.resolve()
        self.keep = keep
        self._state = self.folder / "state"
        self._scratch = self.folder / "scratch"
        self.log = (logs or self.folder.parent) / "cloud.log"
        self.port = port or free_port()

    @property
    def endpoint(self) -> str:
        return self.environment()["AWS_ENDPOINT_URL"]

    def environment(self) -> dict[str, str]:
        """What an AWS client needs to reach it as its operator."""
        return operator_environment(self.port)

    def start(self) -> Self:
        interpreter = ROOT / ".cloud" / "bin" / "python"
        if not interpreter.exists():
            raise ServiceFailed("the cloud emulator is not installed: run `make setup`")
        # Functions are unpacked here, and again at every start: nothing in it is worth keeping.
        shutil.rmtree(self._scratch, ignore_errors=True)
        for place in ("state", "s3", "home", "scratch"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        self.process = Process(
            # -P: the file's own folder is not on the path of the emulator and of every function.
            [str(interpreter), "-P", str(Path(log_deliveries.__file__).resolve())],
            log=self.log,
            env=self._own_environment(),
            cwd=self.folder,
            patience=1.0,
        )
        self.process.start()
        wait_until(self._answers, seconds=START_TIMEOUT, what="The cloud emulator", process=self.process)
        return self

    def stop(self) -> None:
        """Lets it write its state, then ends it and its functions: it would wait for their answers."""
        if hasattr(self, "process") and self.process.running:
            started = time.time()
            self.process.signal()
            while self.process.running and not self._nothing_left_to_write(started):
                for pid in descendants(self.process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.1)
        super().stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _nothing_left_to_write(self, since: float) -> bool:
        """Whether its state, functions included, is written and has been quiet for a while; or time is up."""
        now = time.time()
        if not self.keep or now - since > STOP_TIMEOUT:
            return True
        files = [file for file in self._state.iterdir() if file.is_file()]
        times = {file.name: file.stat().st_mtime for file in files if file.exists()}
        if times.get("lambda.json", 0) < since or any(name.endswith(".tmp") for name in times):
            return False  # the largest part, and the one without which nothing works
        return now - max(times.values()) > QUIET_SECONDS

    def _own_environment(self) -> dict[str, str]:
        # Built from nothing: every function inherits it, and must not see what a laptop's shell exports.
        return {
            "PATH": search_path(),  # CDK brings a function of its own that runs on Node.js
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self._scratch),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AWS_ACCESS_KEY_ID": OPERATOR_KEY,
            "AWS_SECRET_ACCESS_KEY": OPERATOR_SECRET,
            "PERSIST_STATE": "1" if self.keep else "0",
            "STATE_DIR": str(self._state),
            "S3_PERSIST": "1" if self.keep else "0",
            "S3_DATA_DIR": str(self.folder / "s3"),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
