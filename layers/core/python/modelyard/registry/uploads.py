"""Announcing uploads: model and version rows first, then a form for the file, or the file itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from modelyard.intake.verdict import Limits
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.errors import FieldError, Invalid, TooLarge
from modelyard.kit.ids import new_id
from modelyard.registry.artifacts import UPLOAD_SECONDS, ArtifactStore, UploadForm
from modelyard.registry.names import FILENAME_RULE, NAME_RULE, is_filename, is_model_name, upload_key
from modelyard.registry.repository import ModelRepository

DIRECT_BYTES = 4_500_000
"""The largest file that fits into a request: 6 MB for the function, less what base64 adds."""


class FileTooLarge(TooLarge):
    code, title = "file_too_large", "The file is too large"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the user wants to upload; `size` in bytes, `sha256` in hex, `description` None: leave as it is."""

    name: str
    filename: str
    size: int
    description: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """A version that waits for its file, which belongs under `key`."""

    user_id: str
    model_id: str
    version_id: str
    number: int
    key: str
    size: int
    sha256: str | None
    created_at: datetime

    @property
    def form_expires_at(self) -> datetime:
        return self.created_at + timedelta(seconds=UPLOAD_SECONDS)


class Uploads:
    def __init__(self, store: ArtifactStore, limits: Limits, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock

    def announce(self, repository: ModelRepository, wanted: Announcement) -> Announced:
        """Makes the next version of the model of that name, and the model where there is none.

        Raises `Invalid` for names and sizes that cannot be, `FileTooLarge` above the limit for uploads.
        """
        self._check(wanted)
        model = repository.model_named(wanted.name, description=wanted.description or "")
        if wanted.description is not None:
            model.description = wanted.description
        version_id = new_id("ver")
        now = self._clock()
        version = repository.add_version(
            model,
            version_id,
            filename=wanted.filename,
            declared_size=wanted.size,
            declared_sha256=wanted.sha256,
            upload_key=upload_key(repository.user_id, model.name, version_id, wanted.filename),
            status="pending",
            created_at=now,
        )
        repository.touch(model, now)
        return Announced(
            user_id=repository.user_id,
            model_id=model.id,
            version_id=version_id,
            number=version.number,
            key=version.upload_key,
            size=wanted.size,
            sha256=wanted.sha256,
            created_at=now,
        )

    def form(self, announced: Announced) -> UploadForm:
        """The form by which the browser or curl sends the file to S3 itself."""
        return self._store.presigned_upload(announced.key, size=announced.size, sha256=announced.sha256)

    def store(self, announced: Announced, content: bytes) -> None:
        """Puts the file where it belongs. Call it after the commit: the arrival must find its version.

        Where S3 does not answer it raises `Unavailable`. The file may have arrived all the same and is then
        registered; if it did not, the sweep says so.
        """
        self._store.put(announced.key, content)

    def _check(self, wanted: Announcement) -> None:
        wrong = []
        if not is_model_name(wanted.name):
            wrong.append(FieldError("/name", f"expected {NAME_RULE}"))
        if not is_filename(wanted.filename):
            wrong.append(FieldError("/filename", f"expected {FILENAME_RULE}"))
        if wanted.size < 1:
            wrong.append(FieldError("/size", "expected at least 1 byte: the file is empty"))
        if wrong:
            raise Invalid("The upload cannot be announced like this; see errors.", errors=wrong)
        if wanted.size > self._limits.upload_bytes:
            raise FileTooLarge(
                f"Models may have at most {self._limits.upload_bytes} bytes. Compress the file (joblib.dump "
                "with compress=3), or train a smaller model.",
                max_bytes=self._limits.upload_bytes,
            )
