"""Reading a file's content once, front to back, within bounds: raw or through one of joblib's compressions.

The gate and the loader read through this one class, so that they cannot disagree about the bytes.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import time
import zlib
from pathlib import Path
from typing import Any, Protocol

from modelyard.intake.verdict import Limits, Refused

CHUNK = 1 << 20
PREFIXES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
LZMA_MEMORY = 256 << 20  # bytes a dictionary may take: the largest preset needs 65 MB


class Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...

    @property
    def eof(self) -> bool: ...


def compression_of(head: bytes) -> str | None:
    """Which of joblib's compressions the first bytes announce."""
    for prefix, name in PREFIXES:
        if head.startswith(prefix):
            return name
    # zlib: deflate with a window of at most 32 KiB, and a header checksum that a pickle's first opcode
    # cannot meet
    if len(head) >= 2 and head[0] == 0x78 and (head[0] << 8 | head[1]) % 31 == 0 and not head[1] & 0x20:
        return "zlib"
    return None


class _Zlib:
    """`zlib.decompressobj` shaped like the other decompressors: it keeps its unread input."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _Lz4:
    def __init__(self) -> None:
        from lz4.frame import LZ4FrameDecompressor

        self._inner = LZ4FrameDecompressor()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(data, max_length=max_length)  # type: ignore[no-any-return]

    @property
    def needs_input(self) -> bool:
        return bool(self._inner.needs_input)

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data or b""


def _decompressor(compression: str) -> Any:
    if compression == "zlib":
        return _Zlib(zlib.MAX_WBITS)
    if compression == "gzip":
        return _Zlib(zlib.MAX_WBITS | 16)
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    if compression in ("xz", "lzma"):
        kind = lzma.FORMAT_XZ if compression == "xz" else lzma.FORMAT_ALONE
        return lzma.LZMADecompressor(kind, memlimit=LZMA_MEMORY)
    return _Lz4()


class Source:
    """Bytes of a file after decompression, with a window that the caller reads directly.

    `data[at:]` is what is at hand; `need(n)` makes sure of at least `n` bytes there or refuses the file as
    broken;
    `base + at` is the offset in the inflated stream. `skip(n)` passes over bytes without keeping them.
    """

    def __init__(self, path: Path, limits: Limits, *, deadline: float | None = None) -> None:
        self._file: io.BufferedReader = path.open("rb")
        self.size = os.fstat(self._file.fileno()).st_size
        self.compression = compression_of(self._file.peek(8)[:8])
        self._inflate = _decompressor(self.compression) if self.compression else None
        self._bound = limits.inflated(self.size) if self._inflate else self.size
        self._deadline = deadline
        self._produced = 0
        self.data = b""
        self.at = 0
        self.base = 0

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def offset(self) -> int:
        return self.base + self.at

    def _more(self) -> bytes:
        """The next piece of content, at most `CHUNK` bytes; empty at the end."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Refused("timeout", "reading the file took longer than a scan may; reduce the model's size")
        if self._inflate is None:
            return self._file.read(CHUNK)
        piece = b""
        try:
            while not piece and not self._inflate.eof:
                raw = self._file.read(CHUNK) if self._inflate.needs_input else b""
                if not raw and self._inflate.needs_input:
                    raise Refused(
                        "truncated",
                        f"the {self.compression} stream ends before its end mark; the file is"
                        " incomplete, upload it"
                        " again",
                    )
                piece = self._inflate.decompress(raw, CHUNK)
        except (
            zlib.error,
            lzma.LZMAError,
            OSError,
            ValueError,
            RuntimeError,
            EOFError,
            MemoryError,
        ) as error:
            raise Refused(
                "broken_compression",
                f"the {self.compression} stream is damaged near offset {self._file.tell()} of the file"
                f" ({type(error).__name__}); save the model again",
            ) from None
        self._produced += len(piece)
        if self._produced > self._bound:
            raise Refused(
                "decompression_bomb",
                f"the {self.compression} stream inflates to more than {self._bound} bytes, the bound"
                " for a file of"
                f" {self.size} bytes; save the model without compression",
            )
        return piece

    def need(self, count: int) -> None:
        """Make `data[at : at + count]` readable. Refuses a file that ends earlier."""
        if not self.have(count):
            raise Refused(
                "truncated",
                f"the stream ends at offset {self.base + len(self.data)} in the middle of a value;"
                " the file is"
                " incomplete, save and upload it again",
            )

    def have(self, count: int) -> bool:
        left = len(self.data) - self.at
        if left >= count:
            return True
        pieces = [self.data[self.at :]]
        self.base += self.at
        while left < count:
            piece = self._more()
            if not piece:
                break
            pieces.append(piece)
            left += len(piece)
        self.data = b"".join(pieces)
        self.at = 0
        return left >= count

    def take(self, count: int) -> bytes:
        if len(self.data) - self.at < count:
            self.need(count)
        piece = self.data[self.at : self.at + count]
        self.at += count
        return piece

    def line(self, bound: int = 1 << 10) -> bytes:
        """Up to the next line feed, which is dropped; refuses lines longer than `bound`."""
        while (end := self.data.find(b"\n", self.at, self.at + bound + 1)) < 0:
            left = len(self.data) - self.at
            if left > bound:
                raise Refused(
                    "too_long", f"a line of text at offset {self.offset} is longer than {bound} bytes"
                )
            more = self.have(left + max(left, 64))
            if not more and self.data.find(b"\n", self.at, self.at + bound + 1) < 0:
                self.need(len(self.data) - self.at + 1)
        piece = self.data[self.at : end]
        self.at = end + 1
        return piece

    def skip(self, count: int) -> None:
        """Pass over `count` bytes, which must be there."""
        left = len(self.data) - self.at
        if count <= left:
            self.at += count
            return
        count -= left
        self.base += len(self.data)
        self.data, self.at = b"", 0
        if self._inflate is None:
            position = self._file.tell()
            if position + count <= self.size:
                self._file.seek(position + count)
                self.base += count
                return
            self.need(count)
        while count:
            piece = self._more()
            if not piece:
                self.need(1)
            if len(piece) > count:
                self.data, self.at = piece, count
                return
            self.base += len(piece)
            count -= len(piece)

    def readinto(self, target: memoryview) -> None:
        """Fill `target` with the next bytes, without keeping a second copy."""
        done = 0
        while done < len(target):
            if self.at == len(self.data):
                self.need(1)
            piece = self.data[self.at : self.at + len(target) - done]
            target[done : done + len(piece)] = piece
            self.at += len(piece)
            done += len(piece)

    def finished(self) -> bool:
        """Whether the content ends here and, compressed or not, the file as well."""
        if self.at < len(self.data) or self._more():
            return False
        if self._inflate is None:
            return True
        return not self._inflate.unused_data and not self._file.read(1)
