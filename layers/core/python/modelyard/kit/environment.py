"""Reading settings. Nothing is read at import; a missing variable names itself."""

from __future__ import annotations

import os


class MissingSetting(RuntimeError):
    """The function was deployed without a variable that its code needs."""


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise MissingSetting(
            f"environment variable {name} is not set; infra/catalogue.py gives it to the function"
        )
    return value


def optional(name: str, default: str = "") -> str:
    return os.environ.get(name) or default
