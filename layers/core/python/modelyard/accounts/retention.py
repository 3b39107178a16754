"""How long things about accounts stay; docs/DATABASE_SCHEMA.md says the same in words."""

from __future__ import annotations

from datetime import timedelta

GRACE = timedelta(days=30)  # between deleting an account and its end
KEEP_ENDED_SESSIONS = timedelta(days=90)
KEEP_ANSWERS = timedelta(hours=24)  # of requests with an Idempotency-Key
