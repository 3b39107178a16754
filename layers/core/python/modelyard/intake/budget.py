"""Limits fitted to the Lambda function that the child runs in: it must run out of memory before the
function does.
"""

from __future__ import annotations

from dataclasses import replace

from modelyard.intake.verdict import MEBI, Limits
from modelyard.kit.environment import optional

PARENT_BYTES = 256 * MEBI


def function_limits() -> Limits:
    """`Limits.from_environment()`, with no more memory for a child than the function can give."""
    limits = Limits.from_environment()
    available = function_memory()
    if available is None:
        return limits
    return replace(limits, memory_bytes=min(limits.memory_bytes, available - PARENT_BYTES))


def function_memory() -> int | None:
    """Bytes of this Lambda function; None elsewhere."""
    size = optional("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    return int(size) * MEBI if size.isdigit() else None
