"""One JSON object a line, for the sandboxed functions: their layers hold neither orjson nor powertools."""

from __future__ import annotations

import json
import sys
from typing import Any

from modelyard.kit.clock import isoformat, utc_now


def log(level: str, message: str, **fields: Any) -> None:
    """Never given a URL or a value of the caller's; this function does not look for them."""
    line = {"timestamp": isoformat(utc_now()), "level": level, "message": message} | fields
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()
