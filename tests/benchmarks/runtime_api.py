"""Lambda's Runtime API on loopback, and a function that polls it through AWS's own `awslambdaric`.

What is measured is what a caller of the Runtime API sees: from the moment an event is handed over until the
whole answer is there.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

_TIMEOUT = 60.0
ROOT = Path(__file__).resolve().parents[2]


class Function:
    """One function in a process of its own. `started` is when it was launched (`time.perf_counter`)."""

    def __init__(
        self,
        handler: str,
        *,
        path: Path,
        environment: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self._handler = handler
        self._path = path
        self.environment = dict(environment or {})
        self._options = options
        self._count = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TIMEOUT)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._listener.getsockname()[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "LAMBDA_TASK_ROOT": str(self._path),
            "PYTHONPATH": f"{self._path}:{ROOT / 'layers/core/python'}",
            "OMP_NUM_THREADS": "1",
            **self.environment,
        }
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *self._options, "-m", "awslambdaric", self._handler],
            env=environment,
            cwd=self._path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            self._connection, _ = self._listener.accept()
        except TimeoutError:
            raise RuntimeError(f"{self._handler} did not start: {self._stop()}") from None
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.settimeout(_TIMEOUT)
        self._buffer = b""
        self._expect("GET", "/2018-06-01/runtime/invocation/next")
        self.initialised = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, event: bytes) -> tuple[dict[str, Any], float]:
        """The function's answer, and the seconds until it was there."""
        self._count += 1
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: request-{self._count}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 29_000}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:1:function:benchmark\r\n"
            f"Content-Length: {len(event)}\r\n\r\n"
        ).encode()
        begun = time.perf_counter()
        self._connection.sendall(head + event)
        path, body = self._request()
        took = time.perf_counter() - begun
        if not path.endswith("/response"):
            raise RuntimeError(f"{self._handler} failed: {body[:2000]!r}")
        self._connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        self._expect("GET", "/2018-06-01/runtime/invocation/next")
        return json.loads(body), took

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")

    def _expect(self, method: str, path: str) -> None:
        got, body = self._request()
        if got != path:
            raise RuntimeError(f"{self._handler}: expected {method} {path}, got {got}: {body[:2000]!r}")

    def _request(self) -> tuple[str, bytes]:
        """The next request's path and body; the client keeps one connection."""
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        if headers.get("transfer-encoding") == "chunked":
            return lines[0].split()[1], self._chunked()
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return lines[0].split()[1], body

    def _chunked(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer:
                self._receive()
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            length = int(size, 16)
            while len(self._buffer) < length + 2:
                self._receive()
            body += self._buffer[:length]
            self._buffer = self._buffer[length + 2 :]
            if length == 0:
                return body

    def _receive(self) -> None:
        chunk = self._connection.recv(1 << 16)
        if not chunk:
            # The client reconnects when it wants to; a dead process does not.
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._handler} ended: {self._stop()}")
            self._connection.close()
            self._connection, _ = self._listener.accept()
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.settimeout(_TIMEOUT)
            return
        self._buffer += chunk

    def _stop(self) -> str:
        self._process.kill()
        _, errors = self._process.communicate(timeout=10)
        self._listener.close()
        return errors.decode(errors="replace")[-4000:]
