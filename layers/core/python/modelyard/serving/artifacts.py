"""Files of models on their way from S3 to memory, by way of the environment's `/tmp`.

Nothing is opened that does not have the checksum it was registered with, wherever it was lying in between.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from modelyard.serving.errors import ArtifactUnavailable, StorageUnavailable

Fetch = Callable[[str], Iterable[bytes]]
"""Reads an object of the data bucket in chunks; `KeyError` where there is none, `OSError` where it cannot."""

_CHUNK = 1 << 20


class ArtifactStore:
    """Artifacts on disk, at most `max_bytes` of them; the least recently used goes first.

    Safe for several threads. Processes may share the folder: files appear whole, under their checksum.
    """

    def __init__(self, fetch: Fetch, folder: Path, *, max_bytes: int = 400 << 20) -> None:
        self._fetch = fetch
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def path(self, key: str, checksum: str) -> Path:
        """A local file with this SHA-256, fetched where it is missing or damaged."""
        with self._lock, _translated():
            path = self._folder / checksum
            if path.exists():
                if _checksum(path) == checksum:
                    os.utime(path)
                    return path
                path.unlink(missing_ok=True)
            self._download(key, checksum, path)
            return path

    def read(self, key: str, *, at_most: int) -> bytes:
        """A small object without a checksum of its own (the signature), straight from S3."""
        data = bytearray()
        with _translated():
            for chunk in self._fetch(key):
                data += chunk
                if len(data) > at_most:
                    raise ArtifactUnavailable(
                        "The model's metadata is larger than it may be.", retry_after=60
                    )
        return bytes(data)

    def _download(self, key: str, checksum: str, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{checksum}.{os.getpid()}.part")
        digest = sha256()
        try:
            with partial.open("wb") as file:
                for chunk in self._fetch(key):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != checksum:
                raise ArtifactUnavailable(
                    "The model's file is not the one that was registered and is not served. Upload it again.",
                    retry_after=60,
                )
            self._make_room(partial.stat().st_size)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        held = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.suffix != ".part":
                    held.append((path.stat().st_mtime, path.stat().st_size, path))
        total = size + sum(entry[1] for entry in held)
        for _, freed, path in sorted(held):
            if total <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= freed


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise ArtifactUnavailable("A file of this model is missing from storage.", retry_after=60) from error
    except OSError as error:
        raise StorageUnavailable("The model's files cannot be read right now. Try again shortly.") from error


def _checksum(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
