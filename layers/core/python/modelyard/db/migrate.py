"""Brings a database to the newest schema and gives the application its own, smaller role.

The owner role changes the schema; the application role reads and writes rows and can do nothing else.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import Connection, Engine, text

from modelyard.db.engine import DatabaseSettings, make_engine

_LOCK = 0x6D6F64656C796172  # "modelyar": deployments of one database wait for each other


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    # Layers ship compiled files only: without this Alembic would look for *.py and find no revision.
    config.set_main_option("sourceless", "true")
    config.attributes["connection"] = connection
    return config


def upgrade(owner: DatabaseSettings, app: DatabaseSettings | None = None) -> str:
    """Migrates to head and returns the revision. Idempotent; safe when two deployments run at once.

    With `app`, its login role is created (or its password set) and granted what the application needs.
    """
    engine = make_engine(owner, statement_timeout_ms=300_000)
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(alembic_config(connection), "head")
            if app is not None:
                _grant(connection, owner, app)
            return current_revision(connection)
    finally:
        engine.dispose()


def current_revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or "base"


def schema_differences(engine: Engine) -> list[object]:
    """What Alembic would still change: empty when tables.py and the migrations say the same."""
    from alembic.autogenerate import compare_metadata

    from modelyard.db.tables import Base

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_name": _not_a_partition}
        )
        return list(compare_metadata(context, Base.metadata))


def _not_a_partition(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("predictions_"))


def _grant(connection: Connection, owner: DatabaseSettings, app: DatabaseSettings) -> None:
    role = sql.Identifier(app.username)
    raw = connection.connection.driver_connection
    assert raw is not None
    exists = connection.execute(
        text("select 1 from pg_roles where rolname = :name"), {"name": app.username}
    ).scalar()
    verb = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}")
    statements = [
        verb.format(role, sql.Literal(app.password)),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(owner.dbname), role),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(role),
        sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(role),
        sql.SQL("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {}").format(role),
        sql.SQL("REVOKE UPDATE, DELETE ON audit_log FROM {}").format(
            role
        ),  # a trail is added to, never changed
        sql.SQL("REVOKE UPDATE, DELETE ON promotions FROM {}").format(role),  # likewise
        sql.SQL("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {}").format(role),
    ]
    with raw.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
