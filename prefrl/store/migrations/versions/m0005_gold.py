"""Answers that others are measured by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Measure nobody so far."""
    op.create_table(
        "gold",
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("labeler", sa.Text(), nullable=False, comment="whose present answer is gold"),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("query_id", name=op.f("pk_gold")),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name=op.f("fk_gold_query_id")),
        sa.ForeignKeyConstraint(["labeler"], ["labeler.name"], name=op.f("fk_gold_labeler")),
        sqlite_strict=True,
    )
