"""Arrivals below `uploads/`, from S3 by way of SQS: each is registered, start to end."""

from __future__ import annotations

from typing import Any

from modelyard.composition import Composition
from modelyard.registry.notifications import arrivals
from modelyard.telemetry.log import logger

services = Composition()


def handle(event: dict[str, Any], services: Composition) -> dict[str, Any]:
    """Names the messages that must be delivered again; a message that is not named is done with.

    What is wrong with a file is an outcome. Only the platform's faults, and messages that make no sense, are
    delivered again, and stay in the dead-letter queue when that does not help.
    """
    failures = []
    for message in event["Records"]:
        try:
            attempt = int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
            for arrival in arrivals(message["body"], bucket=services.bucket):
                services.registration.register(arrival, attempt=attempt)
        except Exception:
            logger.exception("not registered", message_id=message["messageId"])
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle(event, services)
