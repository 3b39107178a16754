"""One file from bytes to proof, inside the sandbox child: scan, open, describe, compile, compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.intake.verdict import Limits, Refused, StaticReport
from modelyard.kit.hashing import sha256_hex, sha256_of_chunks

Tell = Callable[[str, dict[str, Any] | None], None]
"""Report a stage before it begins, and what is known by then."""
COMPILED_NAME = "model.onnx"
_CHUNK = 1 << 20


def examine(path: Path, limits: Limits, tell: Tell, *, scratch: Path, deadline: float) -> dict[str, Any]:
    """The accepted answer of `sandbox.inspect`, without times; raises `Refused`.

    The compiled model is left in `scratch`. `deadline` (of `time.monotonic()`) bounds the compilation only.
    """
    from modelyard.intake import gate

    tell("scanning", None)
    report = gate.scan(path, limits)
    answer: dict[str, Any] = {"verdict": "accepted", "format": report.format, "onnx": None}
    answer |= {"size": path.stat().st_size, "sha256": file_sha256(path)}
    if report.format == "onnx":
        from modelyard.intake import uploaded_onnx

        tell("predicting", None)
        signature = uploaded_onnx.describe(path, report, limits)
        return answer | {"signature": signature.to_json()}
    return answer | _examine_estimator(path, report, limits, tell, answer, scratch=scratch, deadline=deadline)


def _examine_estimator(
    path: Path,
    report: StaticReport,
    limits: Limits,
    tell: Tell,
    answer: dict[str, Any],
    *,
    scratch: Path,
    deadline: float,
) -> dict[str, Any]:
    from modelyard.intake import loading
    from modelyard.intake.describe import describe
    from modelyard.intake.estimators import single_thread

    tell("loading", None)
    estimator = loading.load(path, report, limits)
    single_thread(estimator)
    tell("predicting", None)
    described = describe(estimator, report)
    native = answer | {"signature": described.signature.to_json()}
    # From here on nothing can refuse the model: should this process die, the parent has the native
    # description.
    tell("compiling", native)
    from modelyard.intake.compile import compile_and_prove, write

    try:
        compiled = compile_and_prove(estimator, described, deadline=deadline)
    except MemoryError:
        reason = "compiling needs more memory than a model may use"
        return {"signature": replace(described.signature, reason=reason).to_json()}
    onnx = write(compiled, scratch / COMPILED_NAME, sha256_hex)
    return {"signature": compiled.signature.to_json(), "onnx": onnx}


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_of_chunks(iter(lambda: file.read(_CHUNK), b""))


def main() -> None:
    """The child process: confine, answer one request, end."""
    from modelyard.intake.channel import Channel

    channel = Channel()
    held = channel.confine()
    request = channel.receive()
    if request is None:
        return
    scratch = Path.cwd()

    def tell(stage: str, native: dict[str, Any] | None) -> None:
        channel.send({"stage": stage, "held": held} | ({"native": native} if native else {}))

    deadline = time.monotonic() + float(request["compile_seconds"])
    path = Path(request["path"])
    limits = Limits(**request["limits"])
    try:
        channel.send({"result": examine(path, limits, tell, scratch=scratch, deadline=deadline)})
    except Refused as refusal:
        channel.send(
            {
                "result": {
                    "verdict": "refused",
                    "rule": refusal.rule,
                    "detail": refusal.detail,
                    "format": refusal.format,
                }
            }
        )
    # No destructors of what a stranger built: the answer is out.
    os._exit(0)


if __name__ == "__main__":
    main()
