"""Deliveries of log lines from CloudWatch Logs: prediction records become rows, and models on trial are
looked at while they have news.
"""

from __future__ import annotations

from typing import Any

from modelyard.composition import Composition
from modelyard.telemetry.ingest import BadDelivery, unpack
from modelyard.telemetry.log import logger

services = Composition()


def handle(event: dict[str, Any], services: Composition) -> dict[str, int]:
    """Counts what became of the lines. Raises where PostgreSQL is away: Lambda delivers the event again."""
    try:
        delivery = unpack(event)
    except BadDelivery:
        logger.exception("not a delivery")  # again would not help
        return {"stored": 0, "known": 0, "junk": 1}
    counts = services.record_writer.write(delivery.lines)
    result = {"stored": counts.stored, "known": counts.known, "junk": counts.junk}
    # The words differ from the subscription's term on purpose: this line must never be a delivery itself.
    log = logger.warning if counts.junk else logger.info
    log("delivery stored", log_group=delivery.group, **result)
    services.trials.look(counts.models)  # never raises: what is stored is stored
    return result


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    return handle(event, services)
