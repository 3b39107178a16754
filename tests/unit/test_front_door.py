"""The front door hands requests on as they are, and answers for whoever is not behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tools.local.proxy import BODY_LIMIT, FrontDoor, FrontDoorServer, listen
from tools.local.services import ServiceFailed, free_port

Answer = Callable[[httpx.Request], httpx.Response]


class Streamed(httpx.AsyncByteStream):
    """An answer that has not been read yet, as one from a socket."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class Behind(httpx.AsyncBaseTransport):
    """Stands where the emulator would, reads the whole body and remembers the request."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.answer: Answer = lambda _: httpx.Response(200, json={"ok": True})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.seen.append(request)
        answer = self.answer(request)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=Streamed(answer.content))


@pytest.fixture
def behind() -> Behind:
    return Behind()


@contextmanager
def served(behind: Behind, api_id: str | None) -> Iterator[httpx.Client]:
    server = FrontDoorServer(
        FrontDoor("http://cloud.test", api_id=api_id, transport=behind), free_port()
    ).start()
    try:
        with httpx.Client(base_url=f"http://localhost:{server.port}", timeout=5, trust_env=False) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture
def client(behind: Behind) -> Iterator[httpx.Client]:
    with served(behind, "abc123") as client:
        yield client


def test_nothing_is_deployed_yet(behind: Behind):
    with served(behind, None) as client:
        answer = client.get("/api/health")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == "/api/health"
    assert behind.seen == []


def test_other_paths_say_where_the_api_is(client: httpx.Client):
    answer = client.get("/models")

    assert answer.status_code == 404
    assert "/api" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/", "/api"])
def test_the_root_leads_to_the_documentation(client: httpx.Client, path: str):
    answer = client.get(path)

    assert answer.headers["location"] == "/api/docs"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/health", "/restapis/abc123/api/_user_request_/health"),
        (
            "/api/models/a%2Fb?limit=5&cursor=x%3D",
            "/restapis/abc123/api/_user_request_/models/a%2Fb?limit=5&cursor=x%3D",
        ),
        ("/api/models/x:predict", "/restapis/abc123/api/_user_request_/models/x:predict"),
    ],
)
def test_path_and_query_arrive_unchanged(client: httpx.Client, behind: Behind, path: str, expected: str):
    client.get(path)

    assert behind.seen[0].url.raw_path.decode() == expected


def test_body_and_headers_arrive(client: httpx.Client, behind: Behind):
    headers = {"Authorization": "Bearer t", "X-Request-Id": "r1", "Content-Type": "text/csv"}

    client.post("/api/predict/m", content=b"a,b\n1,2\n", headers=headers)

    (request,) = behind.seen
    assert request.content == b"a,b\n1,2\n"
    assert {name: request.headers[name] for name in headers} == headers
    assert request.headers["X-Forwarded-Host"] == client.base_url.netloc.decode()
    assert request.headers["Host"] == "cloud.test"


def test_a_body_without_a_type_is_named_bytes(client: httpx.Client, behind: Behind):
    client.post("/api/v2/models/m/infer", content=b"\x00\xff\x80")

    assert behind.seen[0].headers["Content-Type"] == "application/octet-stream"
    assert behind.seen[0].content == b"\x00\xff\x80"


def test_no_body_gets_no_type(client: httpx.Client, behind: Behind):
    client.get("/api/health")

    assert "Content-Type" not in behind.seen[0].headers


def test_a_streamed_body_arrives(client: httpx.Client, behind: Behind):
    client.post("/api/models/upload", content=iter([b"one", b"two"]))

    assert behind.seen[0].content == b"onetwo"


def test_the_answer_leaves_as_it_came(client: httpx.Client, behind: Behind):
    behind.answer = lambda _: httpx.Response(
        201, content=b"\x00\x01", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Cache", "HIT")]
    )

    answer = client.get("/api/anything")

    assert (answer.status_code, answer.content) == (201, b"\x00\x01")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-cache"] == "HIT"


def test_a_cookie_goes_to_its_owner_only(client: httpx.Client, behind: Behind):
    behind.answer = lambda _: httpx.Response(200, headers={"set-cookie": "access=mine; Path=/"})

    assert client.get("/api/first").headers["set-cookie"] == "access=mine; Path=/"
    client.cookies.clear()
    client.get("/api/second")

    assert "cookie" not in behind.seen[-1].headers


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_over_the_limit_of_the_gateway_are_refused(
    client: httpx.Client, behind: Behind, announced: bool
):
    big = b"x" * (BODY_LIMIT + 1)

    answer = client.post("/api/models/upload", content=big if announced else iter([big[:1000], big]))

    assert answer.status_code == 413
    assert "presigned" in answer.json()["detail"]
    assert behind.seen == []


def test_a_payload_that_the_cloud_refuses_answers_in_the_standard_shape(client: httpx.Client, behind: Behind):
    behind.answer = lambda _: httpx.Response(413, text="Content Too Large")

    answer = client.post("/api/models/upload", content=b"x")

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["error"] == told["message"] == told["detail"]  # where other servers' clients look


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (httpx.ConnectError("refused"), 502, "bad_gateway"),
        (httpx.ReadError("reset"), 502, "bad_gateway"),
        (httpx.ReadTimeout("slow"), 504, "deadline_exceeded"),
    ],
)
def test_nobody_answers(client: httpx.Client, behind: Behind, error: Exception, status: int, code: str):
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    behind.answer = fail

    answer = client.get("/api/models")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["instance"]) == (code, "/api/models")


def test_a_taken_port_says_how_to_choose_another():
    port = free_port()
    sockets = listen(port)
    for sock in sockets:
        sock.listen()

    with pytest.raises(ServiceFailed, match="PORT=8001"):
        listen(port)

    for sock in sockets:
        sock.close()


def test_it_serves_from_a_thread_and_gives_the_port_back(behind: Behind):
    port = free_port()
    server = FrontDoorServer(FrontDoor("http://cloud.test", api_id="abc123", transport=behind), port).start()

    answer = httpx.get(f"{server.url}/health", timeout=5, trust_env=False)
    server.stop()
    server.stop()

    assert answer.json() == {"ok": True}
    listen(port)[0].close()
