"""Files through presigned URLs with the standard library: streamed, bounded, checked, and never without a
timeout.
"""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
_CHUNK = 1 << 20
_TRIES = 3
_PAUSE = 0.2
_STALL = 20.0  # seconds without a byte


class TransferFailed(Exception):
    """The object store did not give or take the file. Never quotes the URL: it is a credential."""


class WrongFile(Exception):
    """What came is not what was declared."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


def download(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    size: int | None = None,
    sha256: str | None = None,
    seconds: float,
) -> str:
    """Stream an object to `target`; returns its hex SHA-256.

    Raises `WrongFile` where size or checksum differ from what was declared, or the object exceeds
    `max_bytes`; `TransferFailed` where it cannot be had within `seconds`.
    """
    deadline = time.monotonic() + seconds
    return _retried(lambda: _download(url, target, max_bytes, size, sha256, deadline), deadline)


def _download(
    url: str, target: Path, max_bytes: int, size: int | None, sha256: str | None, deadline: float
) -> str:
    digest = hashlib.sha256()
    received = 0
    bound = max_bytes if size is None else min(size, max_bytes)
    with _connected(url, deadline) as (connection, path), target.open("wb") as file:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise _Status(response.status)
        expected = response.length
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            if received > bound:
                break
            digest.update(chunk)
            file.write(chunk)
            _in_time(deadline)
    if size is not None and size <= max_bytes and received != size:
        more = "more" if received > size else "fewer"
        if received < size and expected is not None and received < expected:
            raise ConnectionError("the transfer was cut short")
        raise WrongFile(
            "size", f"the file has {more} bytes than the {size} that were declared; upload it again."
        )
    if received > max_bytes:
        raise WrongFile("too_large", f"the file is larger than the {max_bytes} bytes that are taken.")
    found = digest.hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise WrongFile("checksum", "the file's SHA-256 is not the declared one; upload it again.")
    return found


def upload(url: str, source: Path, *, seconds: float) -> None:
    """PUT a file; raises `TransferFailed`."""
    deadline = time.monotonic() + seconds
    _retried(lambda: _upload(url, source, deadline), deadline)


def _upload(url: str, source: Path, deadline: float) -> None:
    with _connected(url, deadline) as (connection, path), source.open("rb") as file:
        headers = {
            "Content-Length": str(source.stat().st_size),
            "Content-Type": "application/octet-stream",
        }
        connection.request("PUT", path, body=_timed(file.read, deadline), headers=headers)
        response = connection.getresponse()
        response.read()
        if response.status not in (200, 201, 204):
            raise _Status(response.status)


def _timed(read: Callable[[int], bytes], deadline: float) -> Iterator[bytes]:
    while chunk := read(_CHUNK):
        _in_time(deadline)
        yield chunk


class _Status(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"the object store answered {status}")
        self.status = status


@contextmanager
def _connected(url: str, deadline: float) -> Iterator[tuple[http.client.HTTPConnection, str]]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TransferFailed("the address of the file is no http or https URL")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    timeout = min(_STALL, _in_time(deadline))
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        yield connection, parts.path + (f"?{parts.query}" if parts.query else "")
    finally:
        connection.close()


def _in_time(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TransferFailed("the transfer did not end in time")
    return left


def _retried(attempt: Callable[[], T], deadline: float) -> T:
    """Again after server errors and broken connections, not after a refusal such as an expired URL."""
    for number in range(1, _TRIES + 1):
        try:
            return attempt()
        except _Status as error:
            if error.status < 500 or number == _TRIES:
                raise TransferFailed(str(error)) from None
        except (OSError, http.client.HTTPException) as error:
            if number == _TRIES:
                raise TransferFailed(f"the object store was out of reach ({type(error).__name__})") from None
        time.sleep(min(_PAUSE * number, _in_time(deadline)))
    raise AssertionError("unreachable")
