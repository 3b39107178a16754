"""The end of prediction records whose model, version or user is gone for good."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import delete, func, select

from modelyard.db.engine import Database
from modelyard.db.tables import Prediction

AT_ONCE = 5000  # records, deleted in one statement
SECONDS = 60.0  # in one run of a sweep, which has more to do


def forget_predictions(
    database: Database,
    user_id: str,
    *,
    model_id: str | None = None,
    version_id: str | None = None,
    seconds: float = SECONDS,
) -> bool:
    """Deletes the records of a user, or of one model or version of theirs, in transactions of its own.

    Day by day, which is a partition, and in pieces: millions in one statement would run out of time, at every
    attempt. Whether all are gone; else the next run goes on.
    """
    end = time.monotonic() + seconds
    whose = [Prediction.user_id == user_id]  # these two are indexed with the time
    if model_id is not None:
        whose.append(Prediction.model_id == model_id)
    which = [*whose] if version_id is None else [*whose, Prediction.version_id == version_id]
    with database.transaction() as session:
        extent = select(func.min(Prediction.at), func.max(Prediction.at)).where(*whose)
        since, last = session.execute(extent).one()
    while since is not None and since <= last:
        until = since.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        day = (*which, Prediction.at >= since, Prediction.at < until)
        some = select(Prediction.id).where(*day).limit(AT_ONCE)
        with database.transaction() as session:
            gone = delete(Prediction).where(*day, Prediction.id.in_(some)).returning(Prediction.id)
            count = len(session.scalars(gone).all())
        if count < AT_ONCE:
            since = until
        if time.monotonic() > end and since <= last:
            return False
    return True
