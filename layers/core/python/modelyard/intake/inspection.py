"""What `inspect_model` does with one event: fetch, inspect, hand the compiled model over."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.intake.sandbox import inspect
from modelyard.intake.transfer import WrongFile, download, upload
from modelyard.intake.verdict import Limits

_LEAST_SECONDS = 10.0
_HAND_OVER = 20.0  # seconds kept for sending the compiled model


def run(event: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Answer the event of docs/ARCHITECTURE.md; raises `TransferFailed` where the object store is out of
    reach.

    `ValueError` names a member that the event should have.
    """
    start = time.monotonic()
    for name in ("source_url", "onnx_url", "size"):
        if event.get(name) in (None, ""):
            raise ValueError(f"the event has no {name!r}")
    seconds = min(
        float(event.get("deadline_seconds") or limits.inspection_seconds), limits.inspection_seconds
    )
    if int(event["size"]) > limits.upload_bytes:
        return _refused(
            "too_large", f"the file is larger than the {limits.upload_bytes} bytes that are taken.", start
        )
    with tempfile.TemporaryDirectory(prefix="modelyard-inspect-") as folder:
        source, compiled = Path(folder) / "upload", Path(folder) / "model.onnx"
        try:
            download(
                event["source_url"],
                source,
                max_bytes=limits.upload_bytes,
                size=int(event["size"]),
                sha256=event.get("sha256"),
                seconds=seconds,
            )
        except WrongFile as wrong:
            return _refused(wrong.rule, wrong.detail, start)
        left = max(_LEAST_SECONDS, seconds - (time.monotonic() - start) - _HAND_OVER)
        result = inspect(source, replace(limits, inspection_seconds=left), onnx_out=compiled)
        if result.get("onnx"):
            upload(event["onnx_url"], compiled, seconds=max(_HAND_OVER, seconds - (time.monotonic() - start)))
    return result | {"seconds": round(time.monotonic() - start, 3)}


def _refused(rule: str, detail: str, start: float) -> dict[str, Any]:
    seconds = round(time.monotonic() - start, 3)
    return {"verdict": "refused", "rule": rule, "detail": detail, "format": None, "seconds": seconds}
