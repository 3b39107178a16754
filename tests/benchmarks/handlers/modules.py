"""`predict` with a header that lists what was imported by the time of its answer."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

_spec = importlib.util.spec_from_file_location("predict_handler", os.environ["BENCHMARK_HANDLER"])
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    answer: dict[str, Any] = _module.handler(event, context)
    answer["headers"]["x-modules"] = " ".join(sorted(sys.modules))
    return answer
