"""How much is asked of a person at most."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Ask everybody as much as there is, until somebody says otherwise."""
    comment = "comparisons of a run that are asked for at most; NULL for no bound"
    op.add_column("labeler", sa.Column("quota", sa.Integer(), comment=comment))
