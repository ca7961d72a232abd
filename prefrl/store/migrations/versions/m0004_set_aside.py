"""People whose answers are set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Learn from everybody until somebody says otherwise."""
    comment = "1: what they say is not learned from"
    op.add_column(
        "labeler", sa.Column("set_aside", sa.Integer(), nullable=False, server_default="0", comment=comment)
    )
