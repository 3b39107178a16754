"""The end of prediction records whose model, version or user is gone for good."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select

from modelyard.db.engine import Database
from modelyard.db.tables import Prediction

AT_ONCE = 5000  # records, deleted in one statement


def forget_predictions(database: Database, user_id: str, *which: ColumnElement[bool]) -> None:
    """Deletes the user's records for which `which` holds, in transactions of its own.

    Day by day, which is a partition, and in pieces: millions in one statement would run out of time, at every
    attempt. Where it is cut off, the next run goes on.
    """
    mine = (Prediction.user_id == user_id, *which)
    with database.transaction() as session:
        since, last = session.execute(
            select(func.min(Prediction.at), func.max(Prediction.at)).where(*mine)
        ).one()
    while since is not None and since <= last:
        until = since.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        day = (*mine, Prediction.at >= since, Prediction.at < until)
        some = select(Prediction.id).where(*day).limit(AT_ONCE)
        with database.transaction() as session:
            gone = delete(Prediction).where(*day, Prediction.id.in_(some)).returning(Prediction.id)
            count = len(session.scalars(gone).all())
        if count < AT_ONCE:
            since = until
