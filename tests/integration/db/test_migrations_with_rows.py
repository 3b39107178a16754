"""Every step of the schema, up and down, over tables that hold rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from modelyard.db import migrations
from modelyard.db.engine import DatabaseSettings, make_engine
from modelyard.db.migrate import alembic_config, current_revision, schema_differences
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Connection,
    DateTime,
    Double,
    Engine,
    Integer,
    MetaData,
    Table,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from tools.local.services import Postgres

VERSIONS = Path(migrations.__path__[0]) / "versions"
REVISIONS = sorted(file.name[:4] for file in VERSIONS.glob("0*.py"))
LOST = {
    "0004": frozenset({"'split'", "'joined'"}),
    "0005": frozenset({"'withdrawn'", "'shadowed'", "'unshadowed'"}),
}
"""Entries of the history that the schema of a revision has no words for."""

LONG_AGO = datetime(2020, 5, 17, tzinfo=UTC)  # of no partition: the default one takes it
DATABASE = "migrations_with_rows"


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[Engine]:
    """An engine on a database of its own, with nothing in it."""
    owner = DatabaseSettings.from_secret(postgres_server.secret())
    outside = make_engine(owner).execution_options(isolation_level="AUTOCOMMIT")
    with outside.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    engine = make_engine(DatabaseSettings.from_secret(postgres_server.secret(dbname=DATABASE)))
    yield engine
    engine.dispose()
    with outside.connect() as connection:
        connection.execute(text(f"DROP DATABASE {DATABASE} WITH (FORCE)"))
    outside.dispose()


def go_to(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        config = alembic_config(connection)
        before = current_revision(connection)
        downwards = revision == "base" or (before != "base" and revision < before)
        (command.downgrade if downwards else command.upgrade)(config, revision)


def tables(connection: Connection) -> list[Table]:
    """What this revision has, parents before children."""
    found = MetaData()
    found.reflect(connection)
    return [
        table
        for table in found.sorted_tables
        if table.name != "alembic_version" and not table.name.startswith("predictions_")
    ]


class Filler:
    """Puts rows into every table: one for each value that a column may have, all columns filled, and one with
    nothing but what must be there.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._first: dict[str, dict[str, Any]] = {}

    def fill(self) -> None:
        for table in tables(self._connection):
            choices = self._choices(table)
            most = max((len(values) for values in choices.values()), default=1)
            for number in range(most):
                chosen = {name: values[number % len(values)] for name, values in choices.items()}
                self._add(table, chosen, whole=True)
            self._add(table, {name: values[0] for name, values in choices.items()}, whole=False)

    def _choices(self, table: Table) -> dict[str, list[str]]:
        """What check constraints allow, by column."""
        found = {}
        for check in inspect(self._connection).get_check_constraints(table.name):
            column = re.match(r"\(*(\w+)", check["sqltext"])
            assert column is not None
            found[column[1]] = re.findall(r"'([^']+)'", check["sqltext"])
        return found

    def _add(self, table: Table, chosen: dict[str, str], *, whole: bool) -> None:
        number = next(self._numbers)
        row: dict[str, Any] = {}
        for column in table.columns:
            reference = next(iter(column.foreign_keys), None)
            if column.identity is not None:
                continue
            if reference is not None:
                row[column.name] = self._first[reference.column.table.name][reference.column.name]
            elif column.name in chosen:
                row[column.name] = chosen[column.name]
            elif whole or (not column.nullable and column.server_default is None):
                row[column.name] = self._value(column, number)
        self._connection.execute(table.insert().values(row))
        self._first.setdefault(table.name, row)

    def _value(self, column: Any, number: int) -> Any:
        kind = column.type
        if isinstance(kind, DateTime):
            return LONG_AGO + timedelta(seconds=number) if number % 2 else datetime.now(UTC)
        if isinstance(kind, Boolean):
            return bool(number % 2)
        if isinstance(kind, Double):
            return number + 0.5
        if isinstance(kind, Integer | BigInteger):
            return number
        if isinstance(kind, JSONB):
            return {"v1": number}
        if isinstance(kind, ARRAY):
            return ["a", f"{number}"]
        return f"{number}"


def contents(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as text, with the columns named."""
    found = {}
    for table in tables(connection):
        rows = connection.execute(select(table)).mappings().all()
        found[table.name] = sorted(
            tuple(sorted((name, repr(value)) for name, value in row.items())) for row in rows
        )
    return found


def kept(before: dict[str, list[Any]], after: dict[str, list[Any]], lost: frozenset[str]) -> None:
    """Rows of tables and columns that both have are the same; `lost`: values that the older schema bars."""
    for name in before.keys() & after.keys():
        both = _columns(before[name]) & _columns(after[name])
        old = [_only(row, both) for row in before[name] if not lost & {value for _, value in row}]
        assert sorted(old) == sorted(_only(row, both) for row in after[name]), name


def _columns(rows: list[Any]) -> set[str]:
    return {name for row in rows for name, _ in row}


def _only(row: Any, names: set[str]) -> Any:
    return tuple((name, value) for name, value in row if name in names)


def fill(engine: Engine) -> dict[str, list[Any]]:
    with engine.begin() as connection:
        Filler(connection).fill()
        found = contents(connection)
    assert all(found.values()), {name for name, rows in found.items() if not rows}
    return found


def read(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return contents(connection)


@pytest.mark.parametrize("revision", REVISIONS)
def test_rows_of_any_revision_come_up_to_the_newest(empty: Engine, revision: str) -> None:
    go_to(empty, revision)
    before = fill(empty)

    go_to(empty, "head")

    kept(before, read(empty), frozenset())
    assert schema_differences(empty) == []
    go_to(empty, "base")
    assert read(empty) == {}
    go_to(empty, "head")
    assert schema_differences(empty) == []


def test_rows_of_the_newest_revision_go_down_step_by_step_and_up_again(empty: Engine) -> None:
    go_to(empty, "head")
    rows = fill(empty)

    for revision in REVISIONS[-2::-1]:
        go_to(empty, revision)
        after = read(empty)
        assert all(after.values())
        kept(rows, after, LOST.get(revision, frozenset()))
        rows = after
    go_to(empty, "head")

    kept(rows, read(empty), frozenset())
    assert schema_differences(empty) == []
    with empty.connect() as connection:
        made = connection.execute(func.ensure_prediction_partitions(datetime.now(UTC).date(), 3)).scalar()
    assert made == 0  # the partitions of these days are there
