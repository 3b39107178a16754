"""Versions on trial: guarded splits, shadow versions and their answers; caching as each model wants it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHECK = "ck_promotions_action"
BEFORE = "action in ('registered', 'promoted', 'removed', 'rolled_back', 'split', 'joined')"
JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("models", sa.Column("guard", JSON, nullable=True))
    op.add_column("models", sa.Column("split_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("models", sa.Column("shadow", JSON, nullable=True))
    op.add_column("models", sa.Column("answer_seconds", sa.Integer(), nullable=True))
    op.create_index(
        "ix_models_on_trial",
        "models",
        ["id"],
        postgresql_where=sa.text("traffic IS NOT NULL OR shadow IS NOT NULL"),
    )
    op.drop_constraint(op.f(CHECK), "promotions")
    op.create_check_constraint(
        op.f(CHECK), "promotions", BEFORE[:-1] + ", 'withdrawn', 'shadowed', 'unshadowed')"
    )
    op.add_column(
        "predictions", sa.Column("cold", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "shadow_predictions",
        sa.Column("prediction_id", sa.String(length=30), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(length=30), nullable=False),
        sa.Column("model_id", sa.String(length=30), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("shadow_number", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("differing", sa.Integer(), nullable=False),
        sa.Column("measured", sa.Integer(), nullable=False),
        sa.Column("largest", sa.Double(), nullable=True),
        sa.Column("total", sa.Double(), nullable=True),
        sa.Column("pairs", JSON, nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("answered_ms", sa.Double(), nullable=True),
        sa.Column("shadow_ms", sa.Double(), nullable=False),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("shadow_answer", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_shadow_predictions_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prediction_id", name=op.f("pk_shadow_predictions")),
    )
    op.create_index(
        "ix_shadow_predictions_model_id", "shadow_predictions", ["model_id", "shadow_number", "prediction_id"]
    )
    op.create_index(
        "ix_shadow_predictions_differing",
        "shadow_predictions",
        ["model_id", "shadow_number", "prediction_id"],
        postgresql_where=sa.text("differing > 0"),
    )
    op.create_index("ix_shadow_predictions_at", "shadow_predictions", ["at"])


def downgrade() -> None:
    op.drop_table("shadow_predictions")
    op.drop_column("predictions", "cold")
    op.execute("DELETE FROM promotions WHERE action in ('withdrawn', 'shadowed', 'unshadowed')")
    op.drop_constraint(op.f(CHECK), "promotions")
    op.create_check_constraint(op.f(CHECK), "promotions", BEFORE)
    op.drop_index("ix_models_on_trial", table_name="models")
    for column in ("answer_seconds", "shadow", "split_at", "guard"):
        op.drop_column("models", column)
