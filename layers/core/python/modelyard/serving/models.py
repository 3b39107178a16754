"""Loaded models, bounded by the bytes that they hold; the least recently used goes first."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from modelyard.serving.artifacts import ArtifactStore
from modelyard.serving.decoding import Decoder
from modelyard.serving.errors import ArtifactUnavailable
from modelyard.serving.route import VersionRoute
from modelyard.serving.runtime import NativeRuntime, OnnxRuntime, Runtime
from modelyard.serving.signature import Signature

_METADATA_BYTES = 16 << 20
_OVERHEAD = 1 << 20  # what a session costs beside its weights, about
_GROWTH = 3  # a session holds its weights about this many times over (measured on forests)
_FROM_FILE = 64 << 20  # larger files are not also held as bytes while they load

NativeFactory = Callable[[Signature, VersionRoute, str], NativeRuntime]
"""Makes the client of the sandbox function from (signature, version, tenant)."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One version ready to answer. `digest_seed` begins the key of every cached answer of it."""

    version: VersionRoute
    signature: Signature
    decoder: Decoder
    runtime: Runtime
    digest_seed: bytes
    size: int


class ModelCache:
    """Loads versions on first use. Two threads that ask for one version load it once."""

    def __init__(self, store: ArtifactStore, native: NativeFactory, *, max_bytes: int = 512 << 20) -> None:
        self._store = store
        self._native = native
        self._max_bytes = max_bytes
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def peek(self, version: VersionRoute) -> LoadedModel | None:
        """The model if it is in memory; never waits for a load."""
        model = self._models.get(version.version_id)
        if model is not None:
            with contextlib.suppress(KeyError):  # evicted by another thread just now; still good to use
                self._models.move_to_end(version.version_id)
        return model

    def get(self, version: VersionRoute, tenant: str) -> LoadedModel:
        """The model, loaded if need be; raises `ArtifactUnavailable`."""
        model = self.peek(version)
        if model is not None:
            return model
        with self._lock:
            model = self._models.get(version.version_id)
            if model is None:
                model = self._load(version, tenant)
                self._models[version.version_id] = model
                self._evict(keep=version.version_id)
        return model

    def original(self, model: LoadedModel, tenant: str) -> NativeRuntime:
        """The sandbox's client for the estimator that `model` was made from, whatever runtime answers."""
        if isinstance(model.runtime, NativeRuntime):
            return model.runtime
        return self._native(model.signature, model.version, tenant)

    def _load(self, version: VersionRoute, tenant: str) -> LoadedModel:
        signature = self._signature(version)
        runtime: Runtime
        if version.runtime == "onnx":
            runtime = self._onnx(version, signature)
        else:
            runtime = self._native(signature, version, tenant)
        checksum = version.onnx_sha256 if version.runtime == "onnx" else version.artifact_sha256
        return LoadedModel(
            version=version,
            signature=signature,
            decoder=Decoder(signature),
            runtime=runtime,
            digest_seed=f"{version.version_id}:{checksum}:".encode(),
            size=_OVERHEAD + _GROWTH * runtime.size,
        )

    def _signature(self, version: VersionRoute) -> Signature:
        data = self._store.read(version.metadata_key, at_most=_METADATA_BYTES)
        try:
            return Signature.from_json(orjson.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactUnavailable("The model's metadata cannot be read.", retry_after=60) from error

    def _onnx(self, version: VersionRoute, signature: Signature) -> OnnxRuntime:
        if version.onnx_key is None or version.onnx_sha256 is None or signature.onnx is None:
            raise ArtifactUnavailable("The model's compiled file is not registered.", retry_after=60)
        path = self._store.path(version.onnx_key, version.onnx_sha256)
        large = path.stat().st_size > _FROM_FILE
        try:
            return OnnxRuntime(signature, path if large else path.read_bytes())
        except Exception as error:
            raise ArtifactUnavailable(
                "The model's compiled file cannot be opened.", retry_after=60
            ) from error

    def _evict(self, *, keep: str) -> None:
        total = sum(model.size for model in self._models.values())
        for version_id in list(self._models):
            if total <= self._max_bytes:
                return
            if version_id != keep:
                total -= self._models.pop(version_id).size
