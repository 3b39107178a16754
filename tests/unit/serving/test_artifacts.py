"""Files between S3 and memory: checksums, bounds, and what happens when storage fails."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from modelyard.kit.awslite import AwsError
from modelyard.serving.artifacts import ArtifactStore
from modelyard.serving.errors import ArtifactUnavailable

from tests.fakes.objects import FakeObjects

DATA = b"a model" * 2000
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def objects() -> FakeObjects:
    found = FakeObjects()
    found.data["models/m.onnx"] = DATA
    return found


def test_a_file_is_fetched_once_and_then_found_on_disk(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path / "models")
    assert store.path("models/m.onnx", SUM).read_bytes() == DATA
    assert store.path("models/m.onnx", SUM).read_bytes() == DATA
    assert objects.reads == ["models/m.onnx"]
    # another environment on the same machine, or this one after a restart
    assert ArtifactStore(objects.get, tmp_path / "models").path("models/m.onnx", SUM).read_bytes() == DATA
    assert len(objects.reads) == 1


def test_a_damaged_file_on_disk_is_fetched_again(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    store.path("models/m.onnx", SUM).write_bytes(b"something else")
    assert store.path("models/m.onnx", SUM).read_bytes() == DATA


def test_a_file_that_is_not_the_registered_one_is_never_kept(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    with pytest.raises(ArtifactUnavailable, match="not the one that was registered"):
        store.path("models/m.onnx", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_missing(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    with pytest.raises(ArtifactUnavailable, match="missing"):
        store.path("models/none", SUM)
    with pytest.raises(ArtifactUnavailable, match="missing"):
        store.read("models/none", at_most=100)


def test_storage_down_and_back(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    objects.failure = AwsError("s3", 503, "SlowDown")
    with pytest.raises(ArtifactUnavailable, match="right now") as caught:
        store.path("models/m.onnx", SUM)
    assert caught.value.status == 503
    assert "Retry-After" in caught.value.headers
    objects.failure = None
    assert store.path("models/m.onnx", SUM).read_bytes() == DATA


def test_a_disk_that_cannot_be_written_is_a_503(objects: FakeObjects, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ArtifactUnavailable, match="right now"):
        ArtifactStore(objects.get, tmp_path / "models").path("models/m.onnx", SUM)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    objects = FakeObjects()
    sums = []
    for number in range(4):
        data = bytes([number]) * 1000
        objects.data[f"m{number}"] = data
        sums.append(hashlib.sha256(data).hexdigest())
    store = ArtifactStore(objects.get, tmp_path, max_bytes=3000)
    for number in range(3):
        path = store.path(f"m{number}", sums[number])
        os.utime(path, (number, number))
    store.path("m0", sums[0])  # used again: m1 is now the oldest
    store.path("m3", sums[3])
    assert {path.name for path in tmp_path.iterdir()} == {sums[0], sums[2], sums[3]}


def test_metadata_is_bounded(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    assert store.read("models/m.onnx", at_most=len(DATA)) == DATA
    with pytest.raises(ArtifactUnavailable, match="larger"):
        store.read("models/m.onnx", at_most=len(DATA) - 1)


def test_threads_fetch_once(objects: FakeObjects, tmp_path: Path) -> None:
    store = ArtifactStore(objects.get, tmp_path)
    threads = [threading.Thread(target=store.path, args=("models/m.onnx", SUM)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert objects.reads == ["models/m.onnx"]
