"""A bucket in a dictionary, as serving reads it."""

from __future__ import annotations

from collections.abc import Iterator


class FakeObjects:
    """`kit.awslite.S3Objects` without S3; `failure` is raised by every read while it is set."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.reads: list[str] = []
        self.failure: OSError | None = None

    def get(self, key: str) -> Iterator[bytes]:
        self.reads.append(key)
        if self.failure is not None:
            raise self.failure
        data = self.data[key]
        return iter([data[start : start + 4096] for start in range(0, len(data), 4096)])

    def presigned_get(self, key: str) -> str:
        return f"https://bucket.example.com/{key}?signed"
