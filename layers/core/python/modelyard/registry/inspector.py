"""Asking `inspect_model` about one upload: the payload, the answer, and what may go wrong on the way."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from modelyard.kit.errors import Unavailable
from modelyard.registry.names import EXTENSIONS
from modelyard.serving.signature import Signature

WAIT_SECONDS = 340
"""How long to wait for an answer: longer than `inspect_model` may run (infra/catalogue.py)."""
MAX_SIGNATURE_BYTES = 4 * 1024 * 1024
MAX_DETAIL = 4000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON escapes it; an escaped backslash may stand before it
_SURROGATE = re.compile("[\ud800-\udfff]")
_RULE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class InspectorUnavailable(Unavailable):
    """The inspector could not be asked: the platform's fault, worth another try."""

    code = "inspector_unavailable"


class InspectionCrashed(InspectorUnavailable):
    """The inspector died or answered nonsense over this file: worth another try, but not for ever."""

    code = "inspection_crashed"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the inspector is asked. URLs are presigned; `size` in bytes, `sha256` in hex."""

    version_id: str
    filename: str
    source_url: str
    size: int
    sha256: str
    onnx_url: str
    deadline_seconds: int


@dataclass(frozen=True, slots=True)
class CompiledFile:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The file was understood; `onnx` tells what was PUT to the inspection's `onnx_url`, if anything."""

    format: str
    size: int
    sha256: str
    signature: Signature
    onnx: CompiledFile | None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """The file is not taken; `detail` is written for a data scientist."""

    rule: str
    detail: str
    format: str | None


Verdict = Accepted | RefusedFile


_UNSTORABLE = RefusedFile(
    "unsupported_text",
    "A feature, category or class of this model has a NUL character or half a surrogate pair in its name. "
    "Clean the training data and train again.",
    None,
)


class Inspector(Protocol):
    """Raises `InspectorUnavailable` where no verdict could be had; a bad file is a verdict, not an error."""

    def inspect(self, inspection: Inspection, *, tenant: str) -> Verdict: ...


class LambdaInspector:
    """Calls the function `inspect_model`, in an environment that serves this tenant alone."""

    def __init__(self, client: Any, function: str) -> None:
        # The client must wait longer than the inspector's own timeout and must not repeat a call by itself.
        self._client = client
        self._function = function

    def inspect(self, inspection: Inspection, *, tenant: str) -> Verdict:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke(
                FunctionName=self._function,
                TenantId=tenant,
                Payload=json.dumps(asdict(inspection)).encode(),
            )
            body = answer["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            raise InspectorUnavailable("The inspector cannot be reached right now.") from error
        if answer.get("FunctionError"):
            raise InspectionCrashed("The inspector ended without an answer.")
        return parse_verdict(body)


def parse_verdict(body: bytes | str) -> Verdict:
    """Reads an answer, which comes from where the upload was opened. Raises `InspectionCrashed`."""
    try:
        data = json.loads(body)
        if data["verdict"] == "refused":
            return _refused(data)
        if data["verdict"] == "accepted":
            return _accepted(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InspectionCrashed("The inspector's answer does not keep to the contract.") from error
    raise InspectionCrashed("The inspector's answer is neither 'accepted' nor 'refused'.")


def _refused(data: dict[str, Any]) -> RefusedFile:
    rule, detail, artifact_format = data["rule"], data["detail"], data.get("format")
    if not _RULE.fullmatch(rule) or not isinstance(detail, str):
        raise ValueError("rule or detail")
    readable = "".join(character if character.isprintable() else " " for character in detail)
    return RefusedFile(
        rule, readable[:MAX_DETAIL], artifact_format if artifact_format in EXTENSIONS else None
    )


def _accepted(data: dict[str, Any]) -> Verdict:
    if data["format"] not in EXTENSIONS:
        raise ValueError("format")
    raw = data["signature"]
    text = json.dumps(raw, ensure_ascii=False, allow_nan=False)
    if len(text) > MAX_SIGNATURE_BYTES:
        raise ValueError("signature")
    if _NUL.search(text) or _SURROGATE.search(text):  # PostgreSQL's JSON takes neither
        return _UNSTORABLE
    signature = Signature.from_json(raw)
    if signature.runtime not in ("onnx", "native") or not signature.outputs:
        raise ValueError("signature")
    onnx = data.get("onnx")
    compiled = None if onnx is None else CompiledFile(_size(onnx["size"]), _digest(onnx["sha256"]))
    has_graph = signature.onnx is not None and (compiled is not None or data["format"] == "onnx")
    if signature.runtime == "onnx" and not has_graph:
        raise ValueError("onnx")
    return Accepted(data["format"], _size(data["size"]), _digest(data["sha256"]), signature, compiled)


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("size")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError("sha256")
    return value
