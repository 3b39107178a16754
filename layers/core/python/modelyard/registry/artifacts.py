"""Uploads and artifacts in S3: presigned forms and URLs, exact object versions, nothing of the database."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from modelyard.kit.errors import Unavailable

CHUNK_BYTES = 1024 * 1024
UPLOAD_SECONDS = 900
"""How long a presigned form may be used; the upload itself may take longer once it has begun."""


class ObjectMissing(Exception):
    """There is no such object, or no such version of it."""


class ObjectTooLarge(Exception):
    """The object holds more bytes than were asked for."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One immutable version of an object; `size` in bytes. `version` is "null" in an unversioned bucket."""

    key: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A presigned POST: send `fields` and then the file, named `file`, as multipart/form-data to `url`."""

    url: str
    fields: dict[str, str]


class ArtifactStore:
    """The one data bucket, seen by the registry. S3 being away is `Unavailable`; a missing object is not."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def presigned_upload(self, key: str, *, size: int, sha256: str | None) -> UploadForm:
        """A form for exactly `key` and at most `size` bytes.

        Fewer bytes are let through on purpose: registration then says what was wrong, which S3 would not.
        """
        fields: dict[str, str] = {}
        if sha256 is not None:
            digest = base64.b64encode(bytes.fromhex(sha256)).decode()
            fields = {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": digest}
        conditions: list[Any] = [["content-length-range", 0, size]]
        conditions += [{name: value} for name, value in fields.items()]
        with _translated():
            form = self._s3.generate_presigned_post(
                self._bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=UPLOAD_SECONDS
            )
        return UploadForm(str(form["url"]), dict(form["fields"]))

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        with _translated():
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def head(self, key: str, version: str | None = None) -> ObjectVersion:
        """The object version, the newest one where none is named. Raises `ObjectMissing`."""
        with _translated():
            try:
                found = self._s3.head_object(Bucket=self._bucket, Key=key, **_version(version))
            except ClientError as error:
                if _code(error) in _DENIED and not self._is_listed(key):
                    raise ObjectMissing from error
                raise
        return ObjectVersion(
            key, str(found.get("VersionId") or version or "null"), int(found["ContentLength"])
        )

    def _is_listed(self, key: str) -> bool:
        """S3 denies what is missing to roles that may list some prefixes only; a listing tells more."""
        listed = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return any(found["Key"] == key for found in listed.get("Contents", []))

    def sha256(self, source: ObjectVersion) -> str:
        """The hex digest of the object, read in pieces."""
        digest = hashlib.sha256()
        for chunk in self._chunks(source):
            digest.update(chunk)
        return digest.hexdigest()

    def download(self, source: ObjectVersion, target: Path) -> str:
        """Writes the object to `target` and returns its hex digest."""
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for chunk in self._chunks(source):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _chunks(self, source: ObjectVersion) -> Iterator[bytes]:
        read = 0
        with _translated():
            answer = self._s3.get_object(Bucket=self._bucket, Key=source.key, **_version(source.version))
            for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                read += len(chunk)
                if read > source.size:
                    raise ObjectTooLarge
                yield chunk

    def read_url(self, source: ObjectVersion, *, seconds: int) -> str:
        """A presigned GET of exactly this object version."""
        params = {"Bucket": self._bucket, "Key": source.key} | _version(source.version)
        with _translated():
            return str(self._s3.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))

    def write_url(self, key: str, *, seconds: int) -> str:
        """A presigned PUT to `key`, with any content type."""
        params = {"Bucket": self._bucket, "Key": key}
        with _translated():
            return str(self._s3.generate_presigned_url("put_object", Params=params, ExpiresIn=seconds))

    def copy(self, source: ObjectVersion, key: str) -> None:
        """Copies exactly this object version to `key`, within S3."""
        origin = {"Bucket": self._bucket, "Key": source.key} | _version(source.version)
        with _translated():
            self._s3.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource=origin,
                ContentType="application/octet-stream",
                MetadataDirective="REPLACE",
            )

    def delete(self, key: str, version: str | None = None) -> None:
        """Without `version` the newest one is hidden, with it exactly that one is removed."""
        with _translated():
            self._s3.delete_object(Bucket=self._bucket, Key=key, **_version(version))

    def delete_prefix(self, prefix: str) -> None:
        """Everything below `prefix`, which ends with a slash."""
        assert prefix.endswith("/")
        with _translated():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                if objects := [{"Key": found["Key"]} for found in page.get("Contents", [])]:
                    told = {"Objects": objects, "Quiet": True}
                    answer = self._s3.delete_objects(Bucket=self._bucket, Delete=told)
                    if answer.get("Errors"):
                        raise Unavailable("The file storage did not delete everything. Try again shortly.")


def _version(version: str | None) -> dict[str, str]:
    return {} if version is None else {"VersionId": version}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        # NoSuchVersion, and 400 InvalidArgument for a version id that S3 never gave out, mean the same to us.
        if _code(error) in _MISSING:
            raise ObjectMissing from error
        raise Unavailable("The file storage does not answer right now. Try again shortly.") from error
    except BotoCoreError as error:
        raise Unavailable("The file storage does not answer right now. Try again shortly.") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


_DENIED = {"403", "AccessDenied", "Forbidden"}
_MISSING = {"404", "NoSuchKey", "NoSuchVersion", "NotFound", "InvalidVersionId", "405", "MethodNotAllowed"}
