"""The states of a version in PostgreSQL: claim, renew, release, finish, fail; each one short unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from modelyard.db.engine import Database
from modelyard.db.tables import ModelVersion, Promotion
from modelyard.kit.clock import Clock
from modelyard.kit.ids import new_id
from modelyard.registry.names import ArtifactKeys, UploadKey, is_model_name
from modelyard.registry.notifications import Arrival
from modelyard.registry.repository import ModelRepository
from modelyard.serving.route import CHAMPION


class Outcome(StrEnum):
    """What became of one delivery."""

    READY = "ready"
    FAILED = "failed"
    REPEATED = "repeated"  # this object version was registered before
    BUSY = "busy"  # another worker holds the claim; should it die, the sweep delivers again
    IGNORED = "ignored"  # nobody's file, or a second file for a version that has one
    SUPERSEDED = "superseded"  # this worker was too slow: its claim went to another


class Rejected(Exception):
    """The file's fault: final, and told to the user."""

    def __init__(self, rule: str, detail: str, artifact_format: str | None = None) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
        self.format = artifact_format

    def reason(self) -> dict[str, Any]:
        reason = {"rule": self.rule, "detail": self.detail}
        return reason | {"format": self.format} if self.format else reason


class Superseded(Exception):
    """The claim is no longer this worker's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to register one version until the lease that began `at` is over."""

    user_id: str
    model_id: str
    version_id: str
    number: int
    filename: str
    arrival: Arrival
    declared_size: int | None
    declared_sha256: str | None
    at: datetime

    @property
    def keys(self) -> ArtifactKeys:
        return ArtifactKeys(self.user_id, self.model_id, self.number)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a ready version is made of; checksums are hex SHA-256."""

    artifact_key: str
    artifact_format: str
    artifact_size: int
    artifact_sha256: str
    onnx_key: str | None
    onnx_sha256: str | None
    runtime: str
    signature: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """A delivery that needs no work. `publish` names the model whose route may not have reached Redis."""

    outcome: Outcome
    why: str
    publish: tuple[str, str] | None = None  # user id, model id


LEASE = timedelta(minutes=10)
"""Longer than `register_model` may run, shorter than its queue hides a message that was not deleted."""


class Claims:
    """A claim that is not given back ends after `lease`."""

    def __init__(self, database: Database, *, clock: Clock, lease: timedelta = LEASE) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease

    def claim(self, arrival: Arrival) -> Claim | Settled:
        upload = UploadKey.parse(arrival.key)
        if upload is None or "\0" in arrival.key or upload.is_folder_marker:
            return Settled(Outcome.IGNORED, "not a file below uploads/{user_id}/{model_name}/")
        if not is_model_name(upload.model_name):
            return Settled(Outcome.IGNORED, "the folder is no valid model name")
        with self._database.transaction() as session:
            repository = ModelRepository(session, upload.user_id)
            if not repository.owner_is_active():
                return Settled(Outcome.IGNORED, "there is no such active user")
            if upload.version_id is None:
                return self._claim_dropped(repository, upload, arrival)
            return self._claim_announced(repository, upload.version_id, arrival)

    def _claim_announced(
        self, repository: ModelRepository, version_id: str, arrival: Arrival
    ) -> Claim | Settled:
        version = repository.find_version(version_id, lock=True)
        if version is None or version.upload_key != arrival.key:
            return Settled(Outcome.IGNORED, "no upload was announced under this key")
        if version.upload_s3_version not in (None, arrival.s3_version):
            return Settled(Outcome.IGNORED, "the version has its file already; versions are immutable")
        return self._take(version, arrival)

    def _claim_dropped(
        self, repository: ModelRepository, upload: UploadKey, arrival: Arrival
    ) -> Claim | Settled:
        version = repository.version_of_upload(arrival.key, arrival.s3_version)
        if version is None:
            model = repository.model_named(upload.model_name)
            # Under the model's lock nobody else can be adding it: look once more, then add.
            version = repository.version_of_upload(arrival.key, arrival.s3_version)
            if version is None:
                version = repository.add_version(
                    model,
                    new_id("ver"),
                    filename=upload.filename,
                    upload_key=arrival.key,
                    upload_s3_version=arrival.s3_version,
                    status="pending",
                )
                repository.touch(model, self._clock())
        return self._take(version, arrival)

    def _take(self, version: ModelVersion, arrival: Arrival) -> Claim | Settled:
        now = self._clock()
        if version.deleted_at is not None:
            return Settled(Outcome.IGNORED, "the version was deleted")
        if version.status == "ready":
            return Settled(Outcome.REPEATED, "already ready", publish=(version.user_id, version.model_id))
        if version.status == "failed":
            return Settled(Outcome.REPEATED, "already failed")
        if version.inspecting_at is not None and version.inspecting_at > now - self._lease:
            return Settled(Outcome.BUSY, "another worker is at it")
        version.status = "inspecting"
        version.inspecting_at = now
        version.upload_s3_version = arrival.s3_version
        return Claim(
            user_id=version.user_id,
            model_id=version.model_id,
            version_id=version.id,
            number=version.number,
            filename=version.filename,
            arrival=arrival,
            declared_size=version.declared_size,
            declared_sha256=version.declared_sha256,
            at=now,
        )

    @contextmanager
    def _held(self, claim: Claim) -> Iterator[tuple[Session, ModelRepository, ModelVersion]]:
        """The claimed version, locked; raises `Superseded` where the claim is lost."""
        with self._database.transaction() as session:
            repository = ModelRepository(session, claim.user_id)
            version = repository.find_version(claim.version_id, lock=True)
            if version is None or version.status != "inspecting" or version.inspecting_at != claim.at:
                raise Superseded
            yield session, repository, version

    def check(self, claim: Claim) -> None:
        """Raises `Superseded` where the lease is over, even if nobody took the claim yet."""
        with self._held(claim):
            if self._clock() > claim.at + self._lease:
                raise Superseded

    def release(self, claim: Claim) -> None:
        """Gives the claim back: the next delivery may take it, and the sweep sees when it was last tried."""
        with self._held(claim) as (_, _, version):
            version.inspecting_at = self._clock() - self._lease

    def fail(self, claim: Claim, rejected: Rejected) -> None:
        with self._held(claim) as (_, _, version):
            version.status = "failed"
            version.reason = rejected.reason()
            version.artifact_format = rejected.format
            version.finished_at = self._clock()

    def note_arrival(self, user_id: str, version_id: str, s3_version: str) -> None:
        """Remembers which object version a pending version was delivered again with."""
        with self._database.transaction() as session:
            version = ModelRepository(session, user_id).find_version(version_id, lock=True)
            if version is not None and version.status == "pending":
                version.upload_s3_version = s3_version

    def give_up(self, user_id: str, version_id: str, rejected: Rejected, *, idle: timedelta) -> bool:
        """Fails a version that nobody took for so long; False where somebody did in the meantime."""
        now = self._clock()
        with self._database.transaction() as session:
            version = ModelRepository(session, user_id).find_version(version_id, lock=True)
            if version is None or version.status not in ("pending", "inspecting"):
                return False
            if version.inspecting_at is not None and version.inspecting_at > now - idle:
                return False
            version.status = "failed"
            version.reason = rejected.reason()
            version.finished_at = now
            return True

    def finish(self, claim: Claim, made: Finished) -> None:
        """Says `ready`; the first ready version of a model becomes its default."""
        with self._database.transaction() as session:
            repository = ModelRepository(session, claim.user_id)
            model = repository.find_model(claim.model_id, lock=True)  # model before version, as everywhere
            version = repository.find_version(claim.version_id, lock=True)
            if version is None or version.status != "inspecting" or version.inspecting_at != claim.at:
                raise Superseded
            now = self._clock()
            version.status = "ready"
            version.finished_at = now
            version.artifact_key = made.artifact_key
            version.artifact_format = made.artifact_format
            version.artifact_size = made.artifact_size
            version.artifact_sha256 = made.artifact_sha256
            version.onnx_key = made.onnx_key
            version.onnx_sha256 = made.onnx_sha256
            version.runtime = made.runtime
            version.signature = made.signature
            if model is not None:
                if model.default_version is None:
                    model.default_version = version.number
                    repository.record(
                        Promotion(
                            model_id=model.id,
                            user_id=model.user_id,
                            at=now,
                            action="registered",
                            alias=CHAMPION,
                            to_number=version.number,
                            reason="The model's first version that is ready",
                        )
                    )
                repository.touch(model, now)
