"""The one reader of files, raw and compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from lz4 import frame
from modelyard.intake.streams import CHUNK, Source, compression_of
from modelyard.intake.verdict import Limits, Refused

CONTENT = random.Random(3).randbytes(300_000) * 9  # several chunks, and compressible
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "lz4": frame.compress,
}


@pytest.fixture(params=WAYS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    path = tmp_path / "file"
    path.write_bytes(WAYS[request.param](CONTENT))
    opened = Source(path, Limits())
    assert (opened.compression or "raw") == request.param
    return opened


def test_bytes_come_in_order_however_they_are_asked_for(source: Source) -> None:
    with source:
        assert source.take(10) == CONTENT[:10]
        source.skip(CHUNK + 7)
        assert source.offset == CHUNK + 17
        assert source.take(100) == CONTENT[source.offset - 100 : source.offset]
        target = bytearray(CHUNK // 2)
        start = source.offset
        source.readinto(memoryview(target))
        assert target == CONTENT[start : start + len(target)]
        rest = len(CONTENT) - source.offset
        assert not source.finished()
        assert source.take(rest) == CONTENT[-rest:]
        assert source.finished()
        with pytest.raises(Refused, match="truncated"):
            source.need(1)


def test_skipping_beyond_the_end_is_refused(source: Source) -> None:
    with source, pytest.raises(Refused, match="truncated"):
        source.skip(len(CONTENT) + 1)


def test_lines_end_at_a_line_feed_and_have_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab\n" + b"x" * 3000 + b"\nlast")
    with Source(path, Limits()) as source:
        assert source.line() == b"ab"
        with pytest.raises(Refused, match="too_long"):
            source.line(100)
        assert source.line(5000) == b"x" * 3000
        with pytest.raises(Refused, match="truncated"):
            source.line(5000)


def test_a_ratio_and_a_total_bound_what_inflates(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(zlib.compress(b"\0" * 5_000_000))
    small = Limits(inflated_floor=1_000_000, inflated_ratio=10)
    with Source(path, small) as source, pytest.raises(Refused, match="decompression_bomb"):
        source.skip(4_000_000)
    with Source(path, Limits()) as source:
        source.skip(5_000_000)
        assert source.finished()


def test_a_deadline_ends_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with Source(path, Limits(), deadline=0.0) as source, pytest.raises(Refused, match="timeout"):
        source.take(1)


@pytest.mark.parametrize("head", [b"", b"x", b"x\x02", b"]q\x00", b"\x80\x04\x95", b"BA", b"\x1f"])
def test_pickles_are_not_taken_for_compressed(head: bytes) -> None:
    assert compression_of(head) is None
