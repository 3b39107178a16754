"""A tiny AWS over real HTTP: objects, secrets and functions, for code that does not go through botocore.

Signatures are recorded, not checked; `tests/unit/kit/test_sigv4.py` holds them against botocore's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class AwsStub:
    """A context manager; `url` is the endpoint. `failures`: statuses that the next requests get instead."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}  # "bucket/key"
        self.secrets: dict[str, Any] = {}
        self.functions: dict[str, Callable[[bytes, str | None], tuple[bytes, str | None]]] = {}
        self.failures: list[int] = []
        self.hang_up = 0  # so many next requests find their connection closed instead of an answer
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, **more: str) -> dict[str, str]:
        """What a function finds in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
        } | more

    def __enter__(self) -> Self:
        stub = self

        class Handler(_Handler):
            aws = stub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    aws: AwsStub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.aws.seen.append(Seen(self.command, self.path, headers, body))
        if self.aws.hang_up:
            self.aws.hang_up -= 1
            self.close_connection = True
            return
        if self.aws.failures:
            status = self.aws.failures.pop(0)
            code = b"AccessDenied" if status == 403 else b"SlowDown"
            self._answer(status, b"<Error><Code>%s</Code></Error>" % code)
            return
        path = unquote(urlsplit(self.path).path)
        if headers.get("x-amz-target") == "secretsmanager.GetSecretValue":
            self._secret(json.loads(body)["SecretId"])
        elif path.startswith("/2015-03-31/functions/"):
            self._function(path.split("/")[3], body, headers.get("x-amz-tenant-id"))
        else:
            data = self.aws.objects.get(path.removeprefix("/"))
            if data is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self._answer(200, data)

    def _secret(self, name: str) -> None:
        if name not in self.aws.secrets:
            self._answer(400, b'{"__type":"x#ResourceNotFoundException"}')
            return
        self._answer(200, json.dumps({"SecretString": json.dumps(self.aws.secrets[name])}).encode())

    def _function(self, name: str, body: bytes, tenant: str | None) -> None:
        answer, error = self.aws.functions[name](body, tenant)
        self._answer(200, answer, **({} if error is None else {"X-Amz-Function-Error": error}))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
