"""How long deleted things wait for somebody to change their mind."""

from __future__ import annotations

from datetime import datetime, timedelta

GRACE = timedelta(days=30)
"""Between deleting a model or a version and its purge; the files' old object versions go 30 days later."""


def purge_at(deleted_at: datetime) -> datetime:
    return deleted_at + GRACE
