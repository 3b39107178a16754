"""Opens, describes, compiles and verifies one upload. No permission, no network but presigned URLs."""

from __future__ import annotations

from typing import Any

from modelyard.intake.budget import function_limits
from modelyard.intake.inspection import run
from modelyard.intake.logline import log


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    result = run(event, function_limits())
    log(
        "INFO",
        "inspected",
        version_id=event.get("version_id"),
        request_id=getattr(context, "aws_request_id", None),
        verdict=result["verdict"],
        rule=result.get("rule"),
        runtime=(result.get("signature") or {}).get("runtime"),
        seconds=result["seconds"],
    )
    return result
