"""Disagreements that somebody has settled."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Leave all as it was said."""
    op.create_table(
        "settled",
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("labeler", sa.Text(), nullable=False, comment="whose present answer alone holds"),
        sa.Column("settled_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("query_id", name=op.f("pk_settled")),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name=op.f("fk_settled_query_id")),
        sa.ForeignKeyConstraint(["labeler"], ["labeler.name"], name=op.f("fk_settled_labeler")),
        sqlite_strict=True,
    )
