"""Messages of the batch queue: each is one step of a job, or has a shadow version asked what waits for it."""

from __future__ import annotations

from typing import Any

import orjson
from modelyard.composition import Composition
from modelyard.telemetry.log import logger

LEAST_SECONDS = 30.0  # with less left, a message is better begun by another invocation
PAUSES = (5, 20, 60, 180)  # seconds before a failed message comes again, by attempt

services = Composition()


def handle(event: dict[str, Any], context: Any, services: Composition) -> dict[str, Any]:
    """Names the messages that must be delivered again; one that fails does not touch the others."""
    failures = []
    for message in event["Records"]:
        attempt = int(message.get("attributes", {}).get("ApproximateReceiveCount", 1))
        seconds = context.get_remaining_time_in_millis() / 1000
        try:
            if seconds < LEAST_SECONDS:
                raise TimeoutError("too little time left for this message")
            work = orjson.loads(message["body"])
            if isinstance(work, dict) and "shadow" in work:
                services.shadow_worker.handle(work["shadow"], seconds=seconds)
            else:
                services.batch_worker.handle(work, attempt=attempt, seconds=seconds)
        except Exception:
            logger.exception("message not handled", message_id=message["messageId"], attempt=attempt)
            failures.append({"itemIdentifier": message["messageId"]})
            _soon_again(message, attempt, services)
    return {"batchItemFailures": failures}


def _soon_again(message: dict[str, Any], attempt: int, services: Composition) -> None:
    """Shortens the queue's own pause, which is as long as it is for workers that died."""
    try:
        services.sqs.change_message_visibility(
            QueueUrl=services.queue_url("batch"),
            ReceiptHandle=message["receiptHandle"],
            VisibilityTimeout=PAUSES[min(attempt, len(PAUSES)) - 1],
        )
    except Exception:
        logger.warning("the queue's own pause stays", message_id=message["messageId"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle(event, context, services)
