"""An object store as presigned URLs show it: GET and PUT over HTTP, and how it can go wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Store:
    """Objects by path; `failures` answers so many requests with 503 first, `short` cuts bodies."""

    def __init__(self, port: int) -> None:
        self.objects: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{port}"
        self.failures = 0
        self.short = False
        self.requests: list[str] = []


@contextmanager
def object_store() -> Iterator[Store]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            store.requests.append(f"GET {self.path}")
            body = store.objects.get(self.path.partition("?")[0])
            if self._fails() or body is None:
                self._answer(404 if body is None else 503, b"")
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if store.short else body)

        def do_PUT(self) -> None:
            store.requests.append(f"PUT {self.path}")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self._fails():
                self._answer(503, b"")
                return
            store.objects[self.path.partition("?")[0]] = body
            self._answer(200, b"")

        def _fails(self) -> bool:
            store.failures -= 1
            return store.failures >= 0

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store = Store(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
