"""What becomes of every kind of model: `python -m tools.model_table` writes docs/COMPILED_MODELS.md.

Each honest model of the tests is described, compiled and proven in this process; the table says which runtime
serves it, how much faster one row is, and the largest difference that its proof met.
"""

from __future__ import annotations

import sys
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from modelyard.intake.compile import compile_and_prove
from modelyard.intake.describe import describe
from modelyard.intake.verdict import Refused, StaticReport
from rich.progress import track

from tests.support.honest_models import all_models

TARGET = Path(__file__).parents[1] / "docs" / "COMPILED_MODELS.md"
LIBRARIES = ("scikit-learn", "skl2onnx", "onnxruntime", "lightgbm", "xgboost-cpu")
HEAD = """# What becomes of each model

Written by `python -m tools.model_table` with {versions}. {compiled} of {total} models are served by ONNX
Runtime, {native} by the original estimator in its sandbox function; {refused} cannot be asked about new rows
and are refused with that reason. *One row* is the original's time over the compiled form's, in one process
with one thread. The *largest difference* is relative to the output's own scale, over all rows of the proof;
labels are always equal. The tolerance is 1e-5 of the value plus 1e-6 of the scale.

| model | runtime | compiled as | one row | largest difference | why native |
| --- | --- | --- | --- | --- | --- |
"""


def row(name: str, estimator: Any) -> tuple[str, str]:
    """The runtime ("onnx", "native" or "refused") and the line of the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            described = describe(estimator, StaticReport(format="pickle", size=1))
        except Refused as refusal:
            return "refused", f"| {name} | refused | | | | {refusal.rule} |"
        signature = compile_and_prove(estimator, described).signature
    parity = signature.parity
    if signature.runtime == "native":
        reason = (signature.reason or "").replace("|", "/")
        return "native", f"| {name} | native | | | | {reason[:110]} |"
    ratio, difference = parity["speed_ratio"], parity["largest_difference"]
    return "onnx", f"| {name} | onnx | {parity['candidate']} | {ratio:.3g}× | {difference:.1e} | |"


def main() -> int:
    found = [row(name, model) for name, model in track(all_models().items(), "comparing")]
    counts = {
        kind: sum(1 for runtime, _ in found if runtime == kind) for kind in ("onnx", "native", "refused")
    }
    versions = ", ".join(f"{library} {metadata.version(library)}" for library in LIBRARIES)
    head = HEAD.format(
        versions=versions,
        compiled=counts["onnx"],
        total=len(found),
        native=counts["native"],
        refused=counts["refused"],
    )
    TARGET.write_text(head + "\n".join(line for _, line in found) + "\n")
    sys.stdout.write(f"{TARGET.name}: {counts}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
