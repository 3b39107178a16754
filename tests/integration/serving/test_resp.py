"""The lean Redis client against a real Redis: commands, broken connections, outages and what they cost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from modelyard.kit.redis import CacheDown
from modelyard.kit.resp import Connection, ReplyError
from modelyard.kit.tls import client_context

from tools.local.services import Redis, free_port


@pytest.fixture
def connection(redis_server: Redis, redis_client: Any) -> Iterator[Connection]:
    connection = Connection(redis_server.secret)
    yield connection
    connection.close()


def test_commands(connection: Connection) -> None:
    assert connection.ping() == b"PONG"
    assert connection.set("a", b"\x00\xff", ex=10) == b"OK"
    assert connection.get("a") == b"\x00\xff"
    assert connection.set("b", "text") == b"OK"
    assert connection.get("none") is None
    assert connection.delete("a", "b", "c") == 2
    assert connection.eval("return {KEYS[1], ARGV[1], 3, false}", 1, "k", 7) == [b"k", b"7", 3, None]


def test_a_large_value(connection: Connection) -> None:
    data = bytes(5 << 20)
    connection.set("large", data)
    assert connection.get("large") == data


def test_scripts_by_digest(connection: Connection) -> None:
    with pytest.raises(ReplyError, match=r"^NOSCRIPT"):
        connection.evalsha("0" * 40, 0)
    digest = connection.execute("SCRIPT", "LOAD", "return 5")
    assert connection.evalsha(digest.decode(), 0) == 5


def test_a_pipeline_keeps_order_and_errors_apart(connection: Connection) -> None:
    replies = connection.pipeline([("SET", "x", 1), ("LPUSH", "x", 1), ("GET", "x")])
    assert replies[0] == b"OK"
    assert isinstance(replies[1], ReplyError)
    assert replies[2] == b"1"


def test_post_does_not_wait_and_its_reply_is_not_mistaken_for_another(connection: Connection) -> None:
    for number in range(50):
        assert connection.post("SET", f"p{number}", number)
    connection.post("LPUSH", "p0", "an error that nobody reads")
    assert connection.get("p49") == b"49"
    assert connection.get("p0") == b"0"


def test_work_is_done_once_while_the_reply_is_awaited(connection: Connection) -> None:
    done: list[str] = []
    connection.meanwhile(lambda: done.append("work"))
    assert connection.post("SET", "a", "1")  # awaits nothing: there is no while
    assert done == []
    connection.meanwhile(lambda: done.append("work"))
    assert connection.get("a") == b"1"
    assert connection.get("a") == b"1"
    assert done == ["work"]


def test_work_of_a_command_that_was_never_sent_is_not_done_later(
    redis_client: Any, redis_server: Redis
) -> None:
    settings = [{"host": "127.0.0.1", "port": free_port()}]
    clock, done = [0.0], []
    connection = Connection(lambda: settings[-1], now=lambda: clock[0])
    connection.meanwhile(lambda: done.append("work"))
    with pytest.raises(CacheDown):
        connection.ping()
    settings.append(redis_server.secret())
    clock[0] += 10
    assert connection.ping() == b"PONG"
    assert done == []
    connection.close()


def test_a_connection_that_the_server_closed_is_made_anew(connection: Connection) -> None:
    connection.set("a", "1")
    connection.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    assert connection.get("a") == b"1"
    connection.close()
    assert connection.get("a") == b"1"


def test_a_wrong_password_is_an_outage_and_a_rotated_one_is_picked_up(
    redis_server: Redis, redis_client: Any
) -> None:
    settings = [redis_server.secret() | {"password": "wrong"}]
    clock = [0.0]
    connection = Connection(lambda: settings[-1], now=lambda: clock[0])
    with pytest.raises(CacheDown):
        connection.ping()
    settings.append(redis_server.secret())
    clock[0] += 10
    assert connection.ping() == b"PONG"
    connection.close()


def test_the_default_user_by_name(redis_server: Redis, redis_client: Any) -> None:
    connection = Connection(lambda: redis_server.secret() | {"username": "default"})
    assert connection.ping() == b"PONG"
    connection.close()


def test_threads_do_not_take_each_others_replies(connection: Connection) -> None:
    wrong: list[object] = []

    def work(name: str) -> None:
        for number in range(100):
            connection.set(name, f"{name}-{number}")
            found = connection.get(name)
            if found != f"{name}-{number}".encode():
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


class TestOutage:
    def test_costs_nothing_until_it_is_tried_again_and_ends_by_itself(self, tmp_path: Path) -> None:
        redis = Redis(tmp_path / "redis")
        clock = [0.0]
        connection = Connection(redis.secret, now=lambda: clock[0])
        with pytest.raises(CacheDown, match="ConnectionRefused"):
            connection.ping()
        begun = time.perf_counter()
        for _ in range(1000):
            with pytest.raises(CacheDown):
                connection.ping()
            assert not connection.post("PING")
        assert time.perf_counter() - begun < 1.0
        with redis:
            clock[0] += 0.25
            assert connection.ping() == b"PONG"
            # in the middle of a conversation
        with pytest.raises(CacheDown):
            connection.ping()
        connection.close()

    def test_the_pause_grows_and_is_bounded(self) -> None:
        clock, tries = [0.0], []

        def settings() -> dict[str, Any]:
            tries.append(clock[0])
            return {"host": "127.0.0.1", "port": closed}

        closed = free_port()
        connection = Connection(settings, now=lambda: clock[0])
        while clock[0] < 60:
            with pytest.raises(CacheDown):
                connection.ping()
            clock[0] += 0.05
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses[0] == pytest.approx(0.25, abs=0.06)
        assert max(pauses) == pytest.approx(5.0, abs=0.1)

    def test_a_redis_that_does_not_answer_costs_the_timeout_once(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            settings = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
            connection = Connection(lambda: settings, timeout=0.1)
            begun = time.perf_counter()
            for _ in range(20):
                with pytest.raises(CacheDown):
                    connection.ping()
            assert time.perf_counter() - begun < 0.35
            connection.close()

    def test_a_secret_that_cannot_be_read_is_an_outage(self) -> None:
        def settings() -> dict[str, Any]:
            raise OSError("Secrets Manager is away")

        with pytest.raises(CacheDown):
            Connection(settings).ping()


def test_tls(redis_server: Redis, redis_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis behind a TLS front, trusted through the usual variable."""
    from tests.support.tls import TlsFront

    with TlsFront(tmp_path, redis_server.port) as front:
        settings = redis_server.secret() | {"host": "localhost", "port": front.port, "tls": True}
        with pytest.raises(CacheDown, match="SSL"):
            Connection(lambda: settings).ping()
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        client_context.cache_clear()
        connection = Connection(lambda: settings)
        assert connection.ping() == b"PONG"
        connection.close()
    client_context.cache_clear()
