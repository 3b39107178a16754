"""Where a model's requests go: written by the registry, held in Redis as JSON, read on the hot path."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from typing import Any, Literal

from modelyard.serving.errors import AliasNotFound, ModelNotReady, VersionArchived, VersionNotFound

ANSWER_SECONDS = 3600
"""How long an answer is cached where its owner says nothing else."""


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
    deprecated_at: int | None = None  # seconds since the epoch
    sunset_at: int | None = None

    @property
    def label(self) -> str:
        """The version as the wire shows it."""
        return f"v{self.number}"

    @property
    def notices(self) -> dict[str, str]:
        """The headers of a deprecated version's answers (RFC 9745, RFC 8594); others have none."""
        return {} if self.deprecated_at is None else notices(self.deprecated_at, self.sunset_at)


@dataclass(frozen=True, slots=True)
class Route:
    """A model's ready versions by number; `default` is the promoted one, None while none is ready.

    `archived` versions are known by number only: they do not answer any more.
    """

    model_id: str
    user_id: str
    name: str
    default: int | None = None
    versions: dict[int, VersionRoute] = field(default_factory=dict)
    archived: tuple[int, ...] = ()
    aliases: dict[str, int] = field(default_factory=dict)  # own names; `champion` is the default itself
    traffic: dict[int, int] = field(default_factory=dict)  # percent by version, where requests are split
    shadow: int | None = None  # the version that is asked as well, out of the caller's sight
    shadow_percent: int = 100  # of the requests that go to it
    answer_seconds: int = ANSWER_SECONDS  # how long answers are cached; 0: not at all

    def number(self, number: int | None, alias: str | None = None, key: str = "") -> int | None:
        """The number of the version asked for, be it ready or not; None for an alias that points nowhere.

        Where neither is asked for and requests are split, `key` decides: equal keys go to the same version.
        """
        if number is not None:
            return number
        if alias is None and self.traffic:
            return self._drawn(key)
        return self.default if alias is None or alias == CHAMPION else self.aliases.get(alias)

    def _drawn(self, key: str) -> int | None:
        point = int.from_bytes(blake2b(f"{self.model_id}:{key}".encode(), digest_size=8).digest()) % 100
        # The champion's share comes last: while another's grows, the keys that it has stay with it.
        for number, share in sorted(
            self.traffic.items(), key=lambda item: (item[0] == self.default, -item[0])
        ):
            point -= share
            if point < 0:
                return number
        return self.default

    def pick(self, number: int | None, alias: str | None = None, key: str = "") -> VersionRoute:
        """The version asked for by number or alias, or the default one.

        Raises `ModelNotReady`, `AliasNotFound`, `VersionArchived` or `VersionNotFound`.
        """
        wanted = self.number(number, alias, key)
        version = self.versions.get(wanted)  # type: ignore[arg-type]
        if version is not None:
            return version
        if alias is not None and wanted is None and alias != CHAMPION:
            raise AliasNotFound(
                "This model has no such alias. GET /api/models/{model_id}/aliases lists them."
            )
        if wanted in self.archived:
            raise VersionArchived(
                "This version is archived and answers no more. Leave the version out to get the promoted one."
            )
        if not self.versions or number is None:
            raise ModelNotReady(
                f"No version of this model is ready. GET /api/models/{self.model_id}/versions tells why."
            )
        ready = ", ".join(f"v{known}" for known in sorted(self.versions)[-10:])
        raise VersionNotFound(f"This model has no ready version of that number; ready are {ready}.")

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["versions"] = {str(number): asdict(version) for number, version in self.versions.items()}
        data["traffic"] = {str(number): share for number, share in self.traffic.items()}
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Route:
        """The inverse of `to_json`; unknown keys (written by a newer version) are ignored. Raises `KeyError`,
        `TypeError`, `ValueError` or `AttributeError` for what is no route.
        """
        shadow = data.get("shadow")
        versions = {}
        for number, version in data["versions"].items():
            versions[int(number)] = VersionRoute(**{k: v for k, v in version.items() if k in _VERSION_FIELDS})
        return cls(
            model_id=data["model_id"],
            user_id=data["user_id"],
            name=data["name"],
            default=data["default"],
            versions=versions,
            archived=tuple(data.get("archived", ())),
            aliases=data.get("aliases", {}),
            traffic={int(number): share for number, share in data.get("traffic", {}).items()},
            shadow=None if shadow is None else int(shadow),
            shadow_percent=int(data.get("shadow_percent", 100)),
            answer_seconds=int(data.get("answer_seconds", ANSWER_SECONDS)),
        )


_VERSION_FIELDS = frozenset(f.name for f in fields(VersionRoute))


def notices(deprecated_at: int, sunset_at: int | None) -> dict[str, str]:
    """`Deprecation` and, where its end is set, `Sunset`; both times in seconds since the epoch."""
    headers = {"deprecation": f"@{deprecated_at}"}
    if sunset_at is not None:
        from email.utils import formatdate  # few answers need it

        headers["sunset"] = formatdate(sunset_at, usegmt=True)
    return headers


CHAMPION = "champion"
"""The alias of the default version; every model with a ready version has it."""

GONE = b"null"
"""What Redis holds for a while in place of a deleted model's route, so that no late reader puts it back."""


def route_key(user_id: str, model_id: str) -> str:
    """The Redis key of a route; the braces keep all keys of one user in one cluster slot."""
    return f"{{{user_id}}}:route:{model_id}"


def answer_key(user_id: str, name: str) -> str:
    """The Redis key of a cached answer; `name` is `{version_id}:{digest}`."""
    return f"{{{user_id}}}:answer:{name}"
