"""The partitions of `predictions`: made ahead, dropped when their records are old."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from modelyard.db.engine import Database

DAYS_AHEAD = 14
DAYS_KEPT = 90


@dataclass(frozen=True, slots=True)
class PartitionReport:
    made: int
    dropped: int


def roll(database: Database, *, ahead: int = DAYS_AHEAD, keep: int = DAYS_KEPT) -> PartitionReport:
    """Partitions for the next `ahead` days; those older than `keep` days go, with their records."""
    make = text("SELECT ensure_prediction_partitions(current_date, :days)")
    drop = text("SELECT drop_prediction_partitions(current_date - CAST(:days AS integer))")
    with database.transaction() as session:
        made = session.scalar(make, {"days": ahead})
        dropped = session.scalar(drop, {"days": keep})
    return PartitionReport(int(made or 0), int(dropped or 0))
