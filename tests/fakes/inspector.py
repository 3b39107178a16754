"""An inspector that answers what a test wants, and uses its URLs as the real one does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from modelyard.registry.inspector import Accepted, CompiledFile, Inspection, RefusedFile, Verdict

from tests.support.models import some_signature

COMPILED = b"a compiled model"


class FakeInspector:
    """Accepts everything as a joblib file that compiles, unless told otherwise by `answer`.

    `s3` and `bucket` stand for what the presigned URLs reach.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.asked: list[tuple[str, Inspection]] = []
        self.answer: Callable[[Inspection, bytes], Verdict] = self.accept

    def inspect(self, inspection: Inspection, *, tenant: str) -> Verdict:
        self.asked.append((tenant, inspection))
        key, query = self._target(inspection.source_url)
        source = self.s3.get_object(Bucket=self.bucket, Key=key, VersionId=query["versionId"][0])
        return self.answer(inspection, source["Body"].read())

    def accept(self, inspection: Inspection, content: bytes) -> Accepted:
        self.deliver(inspection, COMPILED)
        return self.accepted(content, onnx=CompiledFile(len(COMPILED), hashlib.sha256(COMPILED).hexdigest()))

    def accept_native(self, inspection: Inspection, content: bytes) -> Accepted:
        return self.accepted(content, signature=some_signature(runtime="native"), onnx=None)

    def accept_onnx(self, inspection: Inspection, content: bytes) -> Accepted:
        return self.accepted(content, format="onnx", onnx=None)

    def accepted(self, content: bytes, **changes: Any) -> Accepted:
        values: dict[str, Any] = {
            "format": "joblib",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "signature": some_signature(),
            "onnx": None,
        }
        return Accepted(**(values | changes))

    @staticmethod
    def refuse(inspection: Inspection, content: bytes) -> RefusedFile:
        return RefusedFile("global", "The file calls something that no model needs.", "pickle")

    def deliver(self, inspection: Inspection, compiled: bytes) -> None:
        """What a PUT to the presigned URL does."""
        key, _ = self._target(inspection.onnx_url)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=compiled)

    def _target(self, url: str) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        assert "X-Amz-Signature" in query
        assert int(query["X-Amz-Expires"][0]) <= 900
        path = unquote(parts.path).lstrip("/")
        return path.removeprefix(f"{self.bucket}/"), query
