"""Layer 1: what an uploaded file is and whether anything in it goes beyond what models need. Static.

Nothing of scikit-learn, numpy or ONNX is imported here, nothing in the file is called, and time and memory
stay
within `Limits`. `scan` is the one entrance.
"""

from __future__ import annotations

import time
from pathlib import Path

from modelyard.intake import formats
from modelyard.intake.onnx_gate import check as check_onnx
from modelyard.intake.pickle_gate import scan_pickle
from modelyard.intake.skops_gate import scan_skops
from modelyard.intake.verdict import Limits, Refused, StaticReport


def scan(path: Path, limits: Limits) -> StaticReport:
    """Judge the file at `path` by its content. Raises `Refused` with the rule it breaks."""
    size = path.stat().st_size
    deadline = time.monotonic() + limits.scan_seconds
    if not size:
        raise Refused("empty", "the file is empty; upload a saved model")
    if size > limits.upload_bytes:
        raise Refused("too_large", f"the file has {size} bytes; at most {limits.upload_bytes} are taken")
    kind = formats.detect(path)
    try:
        if kind == "skops":
            return scan_skops(path, limits, deadline=deadline)
        if kind == "onnx":
            check_onnx(path, limits, source="upload")
            return StaticReport(format="onnx", size=size, inflated=size)
        return scan_pickle(path, limits, deadline=deadline)
    except Refused as refused:
        refused.format = refused.format or kind
        raise
    except RecursionError:
        raise Refused("too_deep", "the file is nested too deeply", format=kind) from None
    except MemoryError:
        raise Refused(
            "too_large", "the file needs more memory to read than a scan may take", format=kind
        ) from None
    except OSError:
        raise
    except Exception as error:  # fail closed: what the gate does not understand does not pass
        raise Refused(
            "unexpected",
            f"the file cannot be read ({type(error).__name__}); save the model again",
            format=kind,
        ) from error
