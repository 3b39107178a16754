"""`python -m modelyard.intake FILE… [--static-only]`: judge files without a server, one line of JSON each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from modelyard.intake.verdict import Limits, Refused


def judge(path: Path, limits: Limits, *, static_only: bool) -> dict[str, Any]:
    """The verdict on one file; never raises for what the file holds."""
    start = time.monotonic()
    answer: dict[str, Any] = {
        "file": str(path),
        "verdict": "accepted",
        "format": None,
        "rule": None,
        "detail": None,
        "estimator": None,
        "runtime": None,
    }
    try:
        answer |= _static(path, limits) if static_only else _full(path, limits)
    except Refused as refused:
        answer |= {
            "verdict": "refused",
            "format": refused.format,
            "rule": refused.rule,
            "detail": refused.detail,
        }
    except OSError as error:
        answer |= {
            "verdict": "refused",
            "rule": "unreadable",
            "detail": f"the file cannot be read ({error.strerror}); check its path",
        }
    answer["seconds"] = round(time.monotonic() - start, 3)
    return answer


def _static(path: Path, limits: Limits) -> dict[str, Any]:
    from modelyard.intake.gate import scan

    report = scan(path, limits)
    return {"format": report.format, "estimator": _short(report.estimator)}


def _full(path: Path, limits: Limits) -> dict[str, Any]:
    from modelyard.intake import gate, sandbox

    # the gate runs first and here: it opens nothing, and a refused file never gets a process
    report = gate.scan(path, limits)
    result = sandbox.inspect(path, limits)
    if result["verdict"] == "refused":
        raise Refused(result["rule"], result["detail"], format=result.get("format") or report.format)
    signature = result["signature"]
    return {
        "format": result["format"],
        "estimator": _short(report.estimator) or signature.get("estimator"),
        "runtime": signature.get("runtime"),
    }


def _short(estimator: str | None) -> str | None:
    return estimator.rpartition(".")[2] if estimator else None


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if any file is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m modelyard.intake",
        description="Judge model files as Modelyard does on upload; prints one line of JSON per file.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--static-only", action="store_true", help="stop after the static gate; load nothing")
    options = parser.parse_args(arguments)
    limits = Limits.from_environment()
    refused = False
    for path in options.files:
        answer = judge(path, limits, static_only=options.static_only)
        refused = refused or answer["verdict"] == "refused"
        print(json.dumps(answer), flush=True)
    return int(refused)


if __name__ == "__main__":
    sys.exit(main())
