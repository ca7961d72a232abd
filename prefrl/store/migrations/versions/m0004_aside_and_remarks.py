"""People whose answers are set aside, and what they remark of a pair."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Learn from everybody until somebody says otherwise; nothing has been remarked so far."""
    comment = "1: what they say is not learned from"
    op.add_column(
        "labeler", sa.Column("set_aside", sa.Integer(), nullable=False, server_default="0", comment=comment)
    )
    op.add_column(
        "answer", sa.Column("remark", sa.Text(), comment="what is the matter with the pair, one of `Remark`")
    )
    op.add_column("answer", sa.Column("comment", sa.Text(), comment="in the labeler's own words"))
