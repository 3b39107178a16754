"""The files of jobs in S3: inputs, chunk results, assembled results. One place knows their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from modelyard.kit.errors import Unavailable

READ_SIZE = 8 * 1024 * 1024
_PART_SIZE = 8 * 1024 * 1024
_MISSING = frozenset(
    {"404", "403", "NoSuchKey", "NotFound", "AccessDenied"}
)  # without ListBucket, S3 says 403
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "json": "application/json",
}


def upload_key(user_id: str, upload_id: str) -> str:
    return f"jobs/{user_id}/inputs/{upload_id}"


def upload_prefix(user_id: str) -> str:
    return f"jobs/{user_id}/inputs/"


def job_prefix(user_id: str, job_id: str) -> str:
    return f"jobs/{user_id}/{job_id}/"


def input_key(user_id: str, job_id: str) -> str:
    return f"jobs/{user_id}/{job_id}/input.jsonl"


def chunk_key(user_id: str, job_id: str, chunk: int) -> str:
    return f"jobs/{user_id}/{job_id}/chunks/{chunk:05d}.json"


def results_key(user_id: str, job_id: str, extension: str) -> str:
    return f"jobs/{user_id}/{job_id}/results.{extension}"


class FileMissing(Exception):
    """There is no such file, or no longer."""


class FileChanged(FileMissing):
    """The file is another one than the one that was looked at."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`etag` pins the content that was looked at: reads of another one are refused."""

    key: str
    size: int
    etag: str


class JobStore:
    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def head(self, key: str) -> StoredObject | None:
        """Size and ETag, or None where there is no such object."""
        with _translated():
            try:
                found = self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return StoredObject(key, int(found["ContentLength"]), str(found["ETag"]))

    def put(self, key: str, data: bytes, content_type: str = "application/json") -> None:
        with _translated():
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)

    def get(self, key: str, *, etag: str | None = None, first: int = 0, end: int | None = None) -> bytes:
        """Bytes `first` to `end` (exclusive; default: the end) of an object that must still carry `etag`."""
        with _translated():
            return bytes(self._open(key, etag, first, end).read())

    def stream(self, key: str, *, etag: str | None = None) -> Iterator[bytes]:
        """The whole object in pieces of `READ_SIZE`."""
        with _translated():
            yield from self._open(key, etag, 0, None).iter_chunks(READ_SIZE)

    def _open(self, key: str, etag: str | None, first: int, end: int | None) -> Any:
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        if etag is not None:
            arguments["IfMatch"] = etag
        if first or end is not None:
            arguments["Range"] = f"bytes={first}-{'' if end is None else end - 1}"
        return self._s3.get_object(**arguments)["Body"]

    def upload_form(self, key: str, *, largest: int, seconds: int) -> dict[str, Any]:
        """A presigned POST (`url`, `fields`) for exactly this key and at most `largest` bytes."""
        form = self._s3.generate_presigned_post(
            self._bucket, key, Conditions=[["content-length-range", 1, largest]], ExpiresIn=seconds
        )
        return {"url": form["url"], "fields": form["fields"]}

    def download_url(self, key: str, *, filename: str, seconds: int) -> str:
        parameters = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        url = self._s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)
        return str(url)

    def write(self, key: str, pieces: Iterator[bytes], content_type: str) -> int:
        """Writes `pieces` as one object without ever holding more than a part of it; returns its size.

        Nothing of it can be seen before all of it is there.
        """
        with _translated():
            return _Writer(self._s3, self._bucket, key, content_type).write(pieces)

    def delete_prefix(self, prefix: str) -> int:
        """Deletes every object under `prefix`; returns how many."""
        if not re.match(r"^jobs/[^/]+/[^/]+/", prefix):
            raise ValueError("only a job's own folder can be deleted")
        deleted = 0
        with _translated():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            for page in pages:
                deleted += self._delete([{"Key": item["Key"]} for item in page.get("Contents", ())])
        return deleted

    def delete(self, key: str) -> None:
        with _translated():
            self._delete([{"Key": key}])

    def _delete(self, keys: list[dict[str, str]]) -> int:
        if keys:
            answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
            if answer.get("Errors"):
                raise Unavailable("The storage refused to delete a file.")
        return len(keys)


class _Writer:
    """A multipart upload, or a plain put where one part is enough."""

    def __init__(self, s3: Any, bucket: str, key: str, content_type: str) -> None:
        self._s3 = s3
        self._target = {"Bucket": bucket, "Key": key}
        self._content_type = content_type
        self._upload: dict[str, str] | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, pieces: Iterator[bytes]) -> int:
        buffer = bytearray()
        size = 0
        try:
            for piece in pieces:
                buffer += piece
                size += len(piece)
                if len(buffer) >= _PART_SIZE:
                    self._part(bytes(buffer))
                    buffer.clear()
            self._finish(bytes(buffer))
        except BaseException:
            if self._upload is not None:  # parts of an unfinished upload are billed for ever
                self._s3.abort_multipart_upload(**self._target, **self._upload)
            raise
        return size

    def _part(self, data: bytes) -> None:
        if self._upload is None:
            started = self._s3.create_multipart_upload(**self._target, ContentType=self._content_type)
            self._upload = {"UploadId": started["UploadId"]}
        number = len(self._parts) + 1
        done = self._s3.upload_part(**self._target, **self._upload, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": done["ETag"]})

    def _finish(self, rest: bytes) -> None:
        if self._upload is None:
            self._s3.put_object(**self._target, Body=rest, ContentType=self._content_type)
            return
        if rest:
            self._part(rest)
        self._s3.complete_multipart_upload(
            **self._target, **self._upload, MultipartUpload={"Parts": self._parts}
        )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _translated() -> Iterator[None]:
    """What S3 says, in our words: a file is gone or changed for good, everything else may pass."""
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in ("412", "PreconditionFailed"):
            raise FileChanged(code) from error
        if code in _MISSING:
            raise FileMissing(code) from error
        raise Unavailable("The storage does not answer right now. Try again shortly.") from error
    except BotoCoreError as error:
        raise Unavailable("The storage does not answer right now. Try again shortly.") from error
