"""Alembic's entry: always online, on the connection that `modelyard.db.migrate` hands over."""

from alembic import context

from modelyard.db.tables import Base

config = context.config
connection = config.attributes["connection"]

context.configure(
    connection=connection, target_metadata=Base.metadata, compare_type=True, compare_server_default=False
)
with context.begin_transaction():
    context.run_migrations()
