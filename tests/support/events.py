"""The sample events of `events/`, as tests send them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).resolve().parents[2] / "events"


def sample(name: str, **headers: str) -> dict[str, Any]:
    """`events/{name}.json`, with these headers set: `sample("users/me", Authorization="Bearer …")`."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    for header, value in headers.items():
        event["headers"][header] = value
        event["multiValueHeaders"][header] = [value]
    return event
