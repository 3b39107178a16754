"""Loaded models: bounded memory, one load for many threads, and versions whose files are not right."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from modelyard.serving import models
from modelyard.serving.artifacts import ArtifactStore
from modelyard.serving.errors import ArtifactUnavailable
from modelyard.serving.models import ModelCache
from modelyard.serving.route import VersionRoute
from modelyard.serving.runtime import NativeRuntime, OnnxRuntime

from tests.fakes.objects import FakeObjects
from tests.support.serving import Trained, logistic, register


def native(signature: Any, version: VersionRoute, tenant: str) -> NativeRuntime:
    return NativeRuntime(signature, version, tenant=tenant, presign=lambda key: key, invoke=lambda *_: {})


class Place:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.objects = FakeObjects()
        self.cache = ModelCache(ArtifactStore(self.objects.get, folder), native, **options)

    def add(self, trained: Trained | None = None) -> VersionRoute:
        return register(self.objects, "usr_1", trained or logistic()).route.versions[1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_loaded_once_and_then_in_memory(place: Place) -> None:
    version = place.add()
    assert place.cache.peek(version) is None
    loaded = place.cache.get(version, "usr_1")
    assert place.cache.get(version, "usr_1") is loaded
    assert place.cache.peek(version) is loaded
    assert len(place.objects.reads) == 2  # metadata and graph
    assert isinstance(loaded.runtime, OnnxRuntime)
    assert version.version_id.encode() in loaded.digest_seed
    assert str(version.onnx_sha256).encode() in loaded.digest_seed


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    probe = Place(tmp_path / "probe")
    size = probe.cache.get(probe.add(), "usr_1").size
    place = Place(tmp_path / "place", max_bytes=2 * size)
    first, second, third = (place.add() for _ in range(3))
    for version in (first, second, first, third):
        place.cache.get(version, "usr_1")
    assert place.cache.peek(second) is None
    assert place.cache.peek(first) is not None
    assert place.cache.peek(third) is not None


def test_a_model_larger_than_all_the_room_is_still_served(tmp_path: Path) -> None:
    place = Place(tmp_path, max_bytes=1)
    version = place.add()
    place.cache.get(version, "usr_1")
    assert place.cache.peek(version) is not None


def test_threads_load_once(place: Place) -> None:
    version = place.add()
    threads = [threading.Thread(target=place.cache.get, args=(version, "usr_1")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(place.objects.reads) == 2


def test_a_large_graph_is_opened_from_its_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_FROM_FILE", 10)
    trained = logistic()
    loaded = place.cache.get(place.add(trained), "usr_1")
    batch = loaded.decoder.decode({"inputs": trained.rows})
    assert loaded.runtime.predict(batch, ["predict"], float("inf"))["predict"] == (
        trained.estimator.predict(trained.rows).tolist()
    )


def test_a_native_version_holds_no_graph(place: Place) -> None:
    trained = logistic()
    version = place.add(replace(trained, signature=replace(trained.signature, runtime="native", onnx=None)))
    loaded = place.cache.get(version, "usr_1")
    assert isinstance(loaded.runtime, NativeRuntime)
    assert len(place.objects.reads) == 1
    assert version.artifact_sha256.encode() in loaded.digest_seed


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b"{}", b'{"columns": 3}', b"\xff"])
def test_metadata_that_cannot_be_read(place: Place, metadata: bytes) -> None:
    version = place.add()
    place.objects.data[version.metadata_key] = metadata
    with pytest.raises(ArtifactUnavailable, match="metadata"):
        place.cache.get(version, "usr_1")


def test_a_graph_that_cannot_be_opened(place: Place) -> None:
    version = place.add(replace(logistic(), onnx=b"not a graph"))
    with pytest.raises(ArtifactUnavailable, match="cannot be opened"):
        place.cache.get(version, "usr_1")


def test_a_version_without_its_compiled_file(place: Place) -> None:
    version = replace(place.add(), onnx_key=None)
    with pytest.raises(ArtifactUnavailable, match="not registered"):
        place.cache.get(version, "usr_1")


def test_a_failed_load_is_tried_again(place: Place) -> None:
    version = place.add()
    good = place.objects.data.pop(str(version.onnx_key))
    with pytest.raises(ArtifactUnavailable):
        place.cache.get(version, "usr_1")
    place.objects.data[str(version.onnx_key)] = good
    assert hashlib.sha256(good).hexdigest() == version.onnx_sha256
    assert place.cache.get(version, "usr_1")
    assert json.loads(place.objects.data[version.metadata_key])["runtime"] == "onnx"
