"""The front door of the local cloud: `http://localhost:$PORT/api/...` to the emulator's REST API.

It does what API Gateway does on AWS and the emulator does not: it refuses bodies over 10 MB, names a content
type where the client sent none (the emulator would decode such a body as text), and answers in the shape of
the other errors when nobody is behind it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self
from urllib.parse import quote

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tools.local.services import ServiceFailed, wait_until

BODY_LIMIT = 10 * 1024 * 1024
TIMEOUT = httpx.Timeout(
    35.0, connect=5.0
)  # API Gateway waits 29 s for a function; a cold one starts before that
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


class _TooLarge(Exception):
    """The body grew past the limit while it was read."""


def problem(status: int, code: str, title: str, detail: str, *, instance: str) -> Response:
    """An answer of the door itself, in the shape of all others; `instance` is the path, decoded."""
    request_id = str(uuid.uuid4())
    body = {
        "type": f"/api/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": quote(instance, safe="/:@!$&'()*+,;=~"),
        "code": code,
        "request_id": request_id,
        "error": detail,  # these two as the gateway's own answers have them (infra/gateway_answers.py)
        "message": detail,
    }
    headers = {"X-Request-Id": request_id} | ({"Retry-After": "2"} if status in (502, 503) else {})
    return Response(json.dumps(body), status, headers=headers, media_type="application/problem+json")


class FrontDoor:
    """An ASGI application in front of one REST API. `api_id` is set once it is deployed."""

    def __init__(
        self, endpoint: str, *, api_id: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ):
        self.endpoint = endpoint
        self.api_id = api_id
        self._transport = transport
        self.app = Starlette(
            routes=[
                Route("/", lambda _: RedirectResponse("/api/docs")),
                Route("/api", lambda _: RedirectResponse("/api/docs")),
                Route("/api/{path:path}", self.forward, methods=METHODS),
            ],
            exception_handlers={404: self._elsewhere},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=100, keepalive_expiry=30)
        async with httpx.AsyncClient(
            base_url=self.endpoint,
            timeout=TIMEOUT,
            limits=limits,
            transport=self._transport,
            trust_env=False,
            # A jar would keep one caller's cookies and send them along with the next caller's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        ) as self._client:
            yield

    async def _elsewhere(self, request: Request, _: Exception) -> Response:
        if request.url.path.startswith("/api/"):  # a line feed within it, which routes do not match
            return await self.forward(request)
        return problem(
            404, "not_found", "Not found", "Every path begins with /api.", instance=request.url.path
        )

    async def forward(self, request: Request) -> Response:
        instance = request.url.path
        if self.api_id is None:
            return problem(
                503, "unavailable", "Starting", "The deployment is not finished.", instance=instance
            )
        if int(request.headers.get("content-length") or 0) > BODY_LIMIT:
            return _too_large(instance)
        raw = request.scope["raw_path"].removeprefix(b"/api").decode("ascii")
        query = request.scope["query_string"].decode("ascii")
        url = f"/restapis/{self.api_id}/api/_user_request_{raw}" + (f"?{query}" if query else "")
        outgoing = self._client.build_request(
            request.method, url, headers=_request_headers(request), content=_body(request)
        )
        try:
            answer = await self._client.send(outgoing, stream=True)
        except _TooLarge:
            return _too_large(instance)
        except ClientDisconnect:
            return Response(status_code=400)
        except httpx.TimeoutException:
            detail = "The function did not answer within the time that API Gateway grants."
            return problem(504, "deadline_exceeded", "The deadline passed", detail, instance=instance)
        except httpx.TransportError:
            detail = "The local cloud does not answer. Look into .local/logs/cloud.log."
            return problem(502, "bad_gateway", "Nobody is behind this door", detail, instance=instance)
        if answer.status_code == 413 and answer.headers.get("content-type", "").startswith("text/plain"):
            await answer.aclose()  # the emulator's own words where a function's payload would pass 6 MB
            return _too_large(instance)
        closing = BackgroundTask(answer.aclose)
        response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=closing)
        response.raw_headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in HOP_BY_HOP]
        return response


def _too_large(instance: str) -> Response:
    detail = "A request may carry about 4.5 MB. Send larger files through a presigned upload."
    return problem(413, "too_large", "Too large", detail, instance=instance)


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or (request.headers.get("content-length") or "0") != "0"


def _body(request: Request) -> AsyncIterator[bytes] | None:
    if not _has_body(request):
        return None

    async def limited() -> AsyncIterator[bytes]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > BODY_LIMIT:
                raise _TooLarge
            yield chunk

    return limited()


def _request_headers(request: Request) -> list[tuple[bytes, bytes]]:
    headers = [
        (k, v) for k, v in request.headers.raw if k not in HOP_BY_HOP and k not in (b"host", b"expect")
    ]
    client = request.client.host if request.client else "127.0.0.1"
    headers += [(b"x-forwarded-for", client.encode()), (b"x-forwarded-proto", b"http")]
    headers += [(b"x-forwarded-host", request.headers.get("host", "localhost").encode())]
    names = {name for name, _ in headers}
    if b"content-type" not in names and _has_body(request):
        headers.append((b"content-type", b"application/octet-stream"))
    if b"accept-encoding" not in names:
        headers.append((b"accept-encoding", b"identity"))  # httpx would add its own wish
    return headers


def listen(port: int) -> list[socket.socket]:
    """Sockets on loopback, IPv4 and IPv6. Raises `ServiceFailed` when the port is taken."""
    sockets = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
        except OSError as error:
            if family is socket.AF_INET:
                raise ServiceFailed(
                    f"port {port} is not free: stop what listens there, or choose another: PORT=8001 make run"
                ) from error
            continue
        sockets.append(sock)
    return sockets


class FrontDoorServer:
    """The front door in a thread of this process."""

    def __init__(self, door: FrontDoor, port: int) -> None:
        self.door = door
        self.port = port
        self._sockets = listen(port)
        config = uvicorn.Config(
            door.app,
            log_config=None,
            access_log=False,
            http="h11",  # whatever else is installed: what it lets through is what its tests were run with
            server_header=False,
            date_header=False,  # the emulator's answers carry one
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="front-door", daemon=True)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/api"

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=self._sockets))

    def start(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started, seconds=10, what="The front door")
        return self

    def stop(self) -> None:
        """Ends it; safe to call twice."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(10)
        for sock in self._sockets:
            sock.close()
