"""Rotates the keys that sign tokens: by schedule, or, with `{"emergency": true}`, all of them at once.

`python -m tools.rotate_keys --emergency` sends the latter; docs/API_DESIGN.md says what follows from it.
"""

from __future__ import annotations

import json
from typing import Any

from modelyard.accounts.rotation import rotated
from modelyard.composition import Composition
from modelyard.kit.clock import Clock, utc_now
from modelyard.kit.environment import required
from modelyard.telemetry.log import logger

services = Composition()


def handle(event: dict[str, Any], services: Composition, *, clock: Clock = utc_now) -> dict[str, Any]:
    """`{"rotated": bool, "keys": n}`. Raises where the secret cannot be read or written."""
    emergency = event.get("emergency") is True
    secret = rotated(services.signing_keys(0.0), now=clock(), emergency=emergency)
    if secret is None:
        return {"rotated": False}
    name = required("MODELYARD_SIGNING_KEYS_SECRET")
    services.secrets_manager.put_secret_value(SecretId=name, SecretString=json.dumps(secret))
    logger.info("signing keys rotated", keys=len(secret) - 1, emergency=emergency)
    return {"rotated": True, "keys": len(secret) - 1}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle(event, services)
