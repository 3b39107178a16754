"""Secrets Manager, read lazily, kept for minutes: a rotated secret is seen without a new deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from modelyard.kit.errors import Unavailable

Fetch = Callable[[str], str]
KEEP_SECONDS = 300.0


def fetch_with_boto3(name: str) -> str:
    from modelyard.kit.aws import client

    return str(client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


class Secrets:
    """JSON secrets by name or ARN. One that cannot be refreshed stays in use: an outage logs nobody out."""

    def __init__(self, fetch: Fetch = fetch_with_boto3, *, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def get(self, name: str, *, max_age: float = KEEP_SECONDS) -> dict[str, Any]:
        """The parsed secret, at most `max_age` seconds old unless Secrets Manager is away."""
        kept = self._kept.get(name)
        if kept is not None and self._now() - kept[0] < max_age:
            return kept[1]
        try:
            value: dict[str, Any] = json.loads(self._fetch(name))
        except Exception as error:
            if kept is not None:
                return kept[1]
            raise Unavailable(
                "The service cannot read its configuration right now. Try again shortly."
            ) from error
        self._kept[name] = (self._now(), value)
        return value
