"""The schema that the migrations make is the schema that the code believes in."""

from __future__ import annotations

import pytest
from modelyard.db.migrate import schema_differences, upgrade
from modelyard.kit.ids import new_id
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError


def test_tables_and_migrations_agree(engine):
    assert schema_differences(engine) == []


def test_upgrading_again_changes_nothing(postgres_server):
    from modelyard.db.engine import DatabaseSettings

    owner = DatabaseSettings.from_secret(postgres_server.secret())
    assert upgrade(owner) == upgrade(owner)


def test_the_application_cannot_change_the_schema(session):
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        session.execute(text("DROP TABLE outbox"))


def test_the_application_can_make_partitions_ahead_and_never_drops_recent_ones(session):
    made = session.execute(text("SELECT ensure_prediction_partitions(current_date + 20, 3)")).scalar()
    assert made == 3
    with pytest.raises(Exception, match="never dropped"):
        session.execute(text("SELECT drop_prediction_partitions(current_date)"))


def test_a_transaction_that_raises_leaves_nothing(database):
    identifier = new_id("usr")
    insert = text(
        "INSERT INTO users (id, email, password_hash, name) VALUES (:i, 'somebody@example.com', 'x', 'x')"
    )
    with pytest.raises(RuntimeError), database.transaction() as session:  # noqa: PT012 - the block is the point
        session.execute(insert, {"i": identifier})
        raise RuntimeError
    with database.transaction() as session:
        assert (
            session.execute(text("SELECT count(*) FROM users WHERE id = :i"), {"i": identifier}).scalar() == 0
        )
