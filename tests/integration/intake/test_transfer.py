"""Presigned URLs: streamed, bounded, checked, tried again where that can help."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard.intake.transfer import TransferFailed, WrongFile, download, upload
from modelyard.kit.hashing import sha256_hex

from tests.support.presigned import Store, object_store

BODY = bytes(range(256)) * 20_000


@pytest.fixture
def store() -> Iterator[Store]:
    with object_store() as store:
        store.objects["/a"] = BODY
        yield store


def test_an_expired_url_is_not_tried_again_and_not_quoted(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TransferFailed) as error:
        download(f"{store.url}/none?X-Amz-Signature=abc", tmp_path / "f", max_bytes=1 << 30, seconds=10)
    assert "404" in str(error.value)
    assert "abc" not in str(error.value)
    assert len(store.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "no url", "http://"])
def test_other_addresses_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(TransferFailed):
        download(url, tmp_path / "f", max_bytes=10, seconds=1)


@pytest.mark.parametrize(
    ("size", "sha256", "most", "rule"),
    [
        (len(BODY) - 1, None, 1 << 30, "size"),
        (len(BODY) + 1, None, 1 << 30, "size"),
        (len(BODY), "0" * 64, 1 << 30, "checksum"),
        (None, None, 1000, "too_large"),
    ],
)
def test_what_is_not_the_declared_file_is_refused(
    store: Store, tmp_path: Path, size: int | None, sha256: str | None, most: int, rule: str
) -> None:
    with pytest.raises(WrongFile) as error:
        download(f"{store.url}/a", tmp_path / "f", max_bytes=most, size=size, sha256=sha256, seconds=10)
    assert error.value.rule == rule


def test_a_download_survives_two_failures(store: Store, tmp_path: Path) -> None:
    store.failures = 2
    digest = download(
        f"{store.url}/a?sig=1", tmp_path / "f", max_bytes=1 << 30, size=len(BODY), sha256=sha256_hex(BODY),
        seconds=10,
    )  # fmt: skip
    assert digest == sha256_hex(BODY)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_body_that_is_cut_short_is_a_failed_transfer(store: Store, tmp_path: Path) -> None:
    store.short = True
    with pytest.raises(TransferFailed):
        download(f"{store.url}/a", tmp_path / "f", max_bytes=1 << 30, size=len(BODY), seconds=10)
    assert len(store.requests) == 3


def test_an_upload_arrives_even_after_a_failure(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY)
    store.failures = 1
    upload(f"{store.url}/b?sig=1", tmp_path / "f", seconds=10)
    assert store.objects["/b"] == BODY


def test_an_upload_that_keeps_failing_says_so(store: Store, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    store.failures = 10
    with pytest.raises(TransferFailed):
        upload(f"{store.url}/b", tmp_path / "f", seconds=10)


def test_a_store_that_does_not_answer_ends_at_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(TransferFailed):
            download(url, tmp_path / "f", max_bytes=10, seconds=0.5)
        assert time.monotonic() - start < 3
