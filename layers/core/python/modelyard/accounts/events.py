"""What happened to an account, for whoever sends mail or watches: one log line each, named `account_event`.

A subscription filter on that term is the hook for a mail sender; no address and no secret is in the line.
"""

from __future__ import annotations

from typing import Any

from modelyard.telemetry.log import logger


def emit(event: str, *, user_id: str, **facts: Any) -> None:
    """Writes the event. `event` is `subject.what_happened`."""
    logger.info("account_event", event=event, user_id=user_id, **facts)
