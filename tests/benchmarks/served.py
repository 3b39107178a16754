"""The plain endpoint as a bare server: uvicorn on loopback, asked over one connection that is kept."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

_TIMEOUT = 60.0


class Served:
    """`plain.app` behind uvicorn, asked with the same events as the functions (`Function.call`)."""

    def __init__(self, model: Path, *, folder: Path) -> None:
        self._model = model
        self._folder = folder

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ["--port", str(port), "--log-level", "critical", "--no-access-log"]
        options += ["--http", "httptools", "--loop", "uvloop"]  # the quickest that it has
        self._process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "plain:app", *options],
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "BENCHMARK_MODEL": str(self._model),
                "OMP_NUM_THREADS": "1",
            },
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            self._connection = self._connected(port)
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait(timeout=10)

    def prepare(self, event: bytes) -> None:
        """Makes the request that `call` will send for `event`, so that the clock does not see it made."""
        _request(event)

    def call(self, event: bytes) -> tuple[dict[str, Any], float]:
        """The answer in a function's shape, and the seconds until the whole of it was there."""
        request = _request(event)
        begun = time.perf_counter()
        self._connection.sendall(request)
        head, body = self._response()
        took = time.perf_counter() - begun
        return {"statusCode": int(head.split(b" ", 2)[1]), "body": body.decode()}, took

    def _connected(self, port: int) -> socket.socket:
        end = time.monotonic() + _TIMEOUT
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the plain server did not start") from None
                time.sleep(0.02)
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

    def _response(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < int(lengths[0].partition(b":")[2]):
            body += self._received()
        return head, body

    def _received(self) -> bytes:
        chunk = self._connection.recv(1 << 16)
        if not chunk:
            raise RuntimeError("the plain server closed the connection")
        return chunk


@lru_cache(maxsize=20_000)
def _request(event: bytes) -> bytes:
    """The HTTP request that the gateway's event stands for."""
    read = json.loads(event)
    body = base64.b64decode(read["body"]) if read["isBase64Encoded"] else read["body"].encode()
    head = f"POST {read['path'].removeprefix('/api')} HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
