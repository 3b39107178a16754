"""A Redis client for the hot path: one socket, hiredis' parser, nothing that takes long to import.

A call waits at most `timeout`. While Redis is away, calls fail at once, and it is tried again after a pause
that grows: an outage costs a request nothing. `redis.Redis` serves everything that is not in a hurry.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hiredis import Reader, pack_command

from modelyard.kit.redis import CacheDown
from modelyard.kit.tls import client_context

_FIRST_PAUSE = 0.25  # seconds without trying after a failure; doubles with each further one
_LONGEST_PAUSE = 5.0
_CHUNK = 1 << 16


class ReplyError(Exception):
    """Redis answered with an error; the text begins with its code (`NOSCRIPT …`, `WRONGTYPE …`)."""


class Connection:
    """Redis commands over one connection, made on first use and again whenever it broke. Safe for threads.

    `settings` (`host`, `port`, optional `username`, `password`, `tls`) is asked at every connect: a rotated
    password is picked up. Raises `CacheDown` where Redis is away and `ReplyError` where it objects.
    """

    def __init__(
        self,
        settings: Callable[[], Mapping[str, Any]],
        *,
        timeout: float = 0.5,
        connect_timeout: float = 0.5,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._now = now
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._reader: Any = None
        self._meanwhile: Callable[[], None] | None = None
        self._unread = 0  # replies to `post` that nobody has waited for yet
        self._pause = 0.0
        self._closed_until = 0.0

    # --- what callers use

    def execute(self, *command: Any) -> Any:
        """One command, one round trip, one reply."""
        reply = self.pipeline([command])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Several commands in one round trip; one that failed has its `ReplyError` in place of a reply."""
        data = b"".join([_packed(command) for command in commands])
        with self._lock:
            return self._exchange(data, len(commands))

    def post(self, *command: Any) -> bool:
        """Sends a command whose reply nobody needs, and does not wait for it. False where Redis is away."""
        return self._post(_packed(command), 1)

    def post_all(self, commands: Sequence[Sequence[Any]]) -> bool:
        """The same for several commands, in one write."""
        return self._post(b"".join([_packed(command) for command in commands]), len(commands))

    def _post(self, data: bytes, replies: int) -> bool:
        with self._lock:
            try:
                self._exchange(data, 0)
            except CacheDown:
                return False
            self._unread += replies
            return True

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Has `work` done once, after the next command was sent and before its reply is waited for.

        It must not raise, nor use this connection. Where that command cannot be sent, it is not done at all.
        """
        self._meanwhile = work

    def get(self, name: str) -> bytes | None:
        value: bytes | None = self.execute("GET", name)
        return value

    def set(self, name: str, value: bytes | str, ex: int | None = None) -> Any:
        return self.execute("SET", name, value, *(() if ex is None else ("EX", ex)))

    def delete(self, *names: str) -> int:
        return int(self.execute("DEL", *names))

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        return self.execute("EVALSHA", sha, numkeys, *keys_and_args)

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        return self.execute("EVAL", script, numkeys, *keys_and_args)

    def ping(self) -> Any:
        return self.execute("PING")

    def close(self) -> None:
        """Drops the socket; the next call connects anew (also after a snapshot was restored)."""
        with self._lock:
            self._drop()
            self._pause = self._closed_until = 0.0

    # --- the socket

    def _exchange(self, data: bytes, replies: int) -> list[Any]:
        try:
            return self._tried(data, replies)
        finally:
            self._meanwhile = None

    def _tried(self, data: bytes, replies: int) -> list[Any]:
        if self._now() < self._closed_until:
            raise CacheDown("Redis did not answer a moment ago")
        reused = self._socket is not None
        try:
            try:
                found = self._send_and_read(data, replies)
            except ConnectionError:
                # The server had closed the idle connection and done nothing of `data`: send it once more.
                if not reused:
                    raise
                self._drop()
                found = self._send_and_read(data, replies)
        except Exception as error:
            self._drop()
            self._pause = min(_LONGEST_PAUSE, self._pause * 2 or _FIRST_PAUSE)
            self._closed_until = self._now() + self._pause
            raise CacheDown(f"Redis is away ({type(error).__name__})") from error
        self._pause = 0.0
        return found

    def _send_and_read(self, data: bytes, replies: int) -> list[Any]:
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        self._socket.sendall(data)
        if not replies:
            return []
        work, self._meanwhile = self._meanwhile, None
        if work is not None:
            work()
        while self._unread:
            self._read()
            self._unread -= 1
        return [self._read() for _ in range(replies)]

    def _read(self) -> Any:
        assert self._socket is not None
        while (reply := self._reader.gets()) is False:
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise ConnectionResetError("Redis closed the connection")
            self._reader.feed(chunk)
        return reply

    def _connect(self) -> None:
        settings = self._settings()
        host = str(settings["host"])
        plain: socket.socket = socket.create_connection(
            (host, int(settings["port"])), timeout=self._connect_timeout
        )
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if settings.get("tls"):
                plain = client_context().wrap_socket(plain, server_hostname=host)
            self._socket = plain
        except BaseException:
            plain.close()
            raise
        self._socket.settimeout(self._timeout)
        self._reader = Reader(replyError=ReplyError, notEnoughData=False)
        self._unread = 0
        if settings.get("password"):
            user = (str(settings["username"]),) if settings.get("username") else ()
            self._socket.sendall(_packed(("AUTH", *user, str(settings["password"]))))
            reply = self._read()
            if isinstance(reply, ReplyError):
                raise reply

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._unread = 0


def _packed(command: Sequence[Any]) -> bytes:
    data: bytes = pack_command(tuple(command))
    return data
