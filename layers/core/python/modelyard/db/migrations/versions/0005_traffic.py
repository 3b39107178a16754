"""Requests of a model split between versions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHECK = "ck_promotions_action"


def upgrade() -> None:
    for table in ("models", "promotions"):
        op.add_column(table, sa.Column("traffic", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.drop_constraint(op.f(CHECK), "promotions")
    op.create_check_constraint(
        op.f(CHECK),
        "promotions",
        "action in ('registered', 'promoted', 'removed', 'rolled_back', 'split', 'joined')",
    )


def downgrade() -> None:
    op.execute("DELETE FROM promotions WHERE action in ('split', 'joined')")
    op.drop_constraint(op.f(CHECK), "promotions")
    op.create_check_constraint(
        op.f(CHECK), "promotions", "action in ('registered', 'promoted', 'removed', 'rolled_back')"
    )
    for table in ("promotions", "models"):
        op.drop_column(table, "traffic")
