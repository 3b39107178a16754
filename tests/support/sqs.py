"""Events of a queue as Lambda hands them over."""

from __future__ import annotations

import json
from typing import Any


def sqs_event(*bodies: Any, receive_count: int = 1) -> dict[str, Any]:
    """What Lambda gets from a queue."""
    return {
        "Records": [
            {
                "messageId": f"message-{index}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receive_count)},
                "eventSource": "aws:sqs",
            }
            for index, body in enumerate(bodies)
        ]
    }
