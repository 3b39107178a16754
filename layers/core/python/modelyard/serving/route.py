"""Where a model's requests go: written by the registry, held in Redis as JSON, read on the hot path."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from modelyard.serving.errors import ModelNotReady, VersionNotFound


@dataclass(frozen=True, slots=True)
class VersionRoute:
    """One ready version: what serves it and where its files lie in the bucket. Checksums are hex SHA-256."""

    version_id: str
    number: int
    runtime: Literal["onnx", "native"]
    artifact_key: str
    artifact_format: str
    artifact_size: int
    artifact_sha256: str
    metadata_key: str  # the signature, as JSON
    onnx_key: str | None = None
    onnx_sha256: str | None = None

    @property
    def label(self) -> str:
        """The version as the wire shows it."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Route:
    """A model's ready versions by number; `default` is the promoted one, None while none is ready."""

    model_id: str
    user_id: str
    name: str
    default: int | None = None
    versions: dict[int, VersionRoute] = field(default_factory=dict)

    def pick(self, number: int | None) -> VersionRoute:
        """The version asked for, or the default one; raises `ModelNotReady` or `VersionNotFound`."""
        version = self.versions.get(self.default if number is None else number)  # type: ignore[arg-type]
        if version is not None:
            return version
        if not self.versions or number is None:
            raise ModelNotReady(
                f"No version of this model is ready. GET /api/models/{self.model_id}/versions tells why."
            )
        ready = ", ".join(f"v{known}" for known in sorted(self.versions)[-10:])
        raise VersionNotFound(f"This model has no ready version of that number; ready are {ready}.")

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["versions"] = {str(number): asdict(version) for number, version in self.versions.items()}
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Route:
        """The inverse of `to_json`; unknown keys (written by a newer version) are ignored."""
        versions = {}
        for number, version in data["versions"].items():
            versions[int(number)] = VersionRoute(**{k: v for k, v in version.items() if k in _VERSION_FIELDS})
        return cls(
            model_id=data["model_id"],
            user_id=data["user_id"],
            name=data["name"],
            default=data["default"],
            versions=versions,
        )


_VERSION_FIELDS = frozenset(f.name for f in fields(VersionRoute))


def route_key(user_id: str, model_id: str) -> str:
    """The Redis key of a route; the braces keep all keys of one user in one cluster slot."""
    return f"{{{user_id}}}:route:{model_id}"


def answer_key(user_id: str, digest: str) -> str:
    """The Redis key of a cached answer."""
    return f"{{{user_id}}}:answer:{digest}"
