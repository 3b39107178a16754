"""The life of models and versions: stages, deletion with time to come back, what their owners say of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("models", "model_versions"):
        op.add_column(table, sa.Column("tags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False))
        metadata = postgresql.JSONB(astext_type=sa.Text())
        op.add_column(table, sa.Column("metadata", metadata, server_default="{}", nullable=False))
    op.add_column("models", sa.Column("card", sa.Text(), server_default="", nullable=False))
    op.create_index(
        "ix_models_deleted_at", "models", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NOT NULL")
    )
    op.create_index("ix_models_updated_at", "models", ["updated_at"])
    versions = "model_versions"
    op.add_column(versions, sa.Column("stage", sa.String(length=16), server_default="active", nullable=False))
    for column in ("deprecated_at", "sunset_at", "deleted_at"):
        op.add_column(versions, sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.add_column(versions, sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.create_check_constraint(
        op.f("ck_model_versions_stage"), versions, "stage in ('active', 'deprecated', 'archived')"
    )
    op.create_index(
        "ix_model_versions_deleted_at",
        versions,
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_model_versions_deleted_at", table_name="model_versions")
    op.drop_index("ix_models_updated_at", table_name="models")
    op.drop_index("ix_models_deleted_at", table_name="models")
    for column in ("stage", "deprecated_at", "sunset_at", "deleted_at", "description", "tags", "metadata"):
        op.drop_column("model_versions", column)
    for column in ("card", "tags", "metadata"):
        op.drop_column("models", column)
