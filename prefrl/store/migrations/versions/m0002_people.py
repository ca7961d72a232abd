"""People: leases that come back, repeats, who may come in; and what the trainer shows them of the agent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BIG_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("expires_at IS NULL AND repeat_of IS NULL AND pair IS NOT NULL AND n_answers < overlap")


def upgrade() -> None:
    """Add columns, tables and indices, and fill in what follows from the rows that are there."""
    _extend_queries()
    _fill_queries()
    _extend_people()
    _create_showcase_and_predictions()


def _extend_queries() -> None:
    op.add_column(
        "query",
        sa.Column(
            "pair", sa.Text(), comment="ids of its two segments in alphabetical order; NULL if they are not two"
        ),
    )
    op.add_column(
        "query",
        sa.Column(
            "n_answers",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="labelers who have a present answer",
        ),
    )
    op.create_index("ix_query_pair", "query", ["pair"])
    op.create_index(
        "ix_query_open",
        "query",
        [sa.text("priority DESC"), sa.text("num_timesteps DESC"), "ordinal"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index("ix_query_segment_segment_id", "query_segment", ["segment_id"])
    op.create_index("ix_answer_labeler_seq", "answer", ["labeler", "seq"])


def _fill_queries() -> None:
    query = sa.table("query", sa.column("id"), sa.column("pair"), sa.column("n_answers"))
    part = sa.table("query_segment", sa.column("query_id"), sa.column("segment_id", sa.Text()))
    answer = sa.table("answer", sa.column("query_id"), sa.column("labeler"), sa.column("seq"), sa.column("answer"))
    later = answer.alias("later")
    replaced = sa.exists().where(
        later.c.query_id == answer.c.query_id, later.c.labeler == answer.c.labeler, later.c.seq > answer.c.seq
    )
    pair = (
        sa.select(sa.func.min(part.c.segment_id) + ":" + sa.func.max(part.c.segment_id))
        .where(part.c.query_id == query.c.id)
        .having(sa.func.count() == 2)
        .scalar_subquery()
    )
    n_answers = (
        sa.select(sa.func.count())
        .select_from(answer)
        .where(answer.c.query_id == query.c.id, answer.c.answer.is_not(None), ~replaced)
        .scalar_subquery()
    )
    op.execute(sa.update(query).values(pair=pair, n_answers=n_answers))


def _extend_people() -> None:
    op.add_column(
        "labeler",
        sa.Column("role", sa.Text(), nullable=False, server_default="labeler", comment="owner or labeler"),
    )
    op.add_column(
        "labeler", sa.Column("token_hash", sa.Text(), comment="SHA-256 in hex of what lets this person in")
    )
    op.add_column(
        "labeler",
        sa.Column(
            "revoked", sa.Integer(), nullable=False, server_default="0", comment="1: may not come in any more"
        ),
    )
    op.create_index("ix_labeler_token_hash", "labeler", ["token_hash"], unique=True)
    op.add_column(
        "lease",
        sa.Column(
            "began_at", _BIG_INT, nullable=False, server_default="0", comment="when it was given or renewed"
        ),
    )
    op.add_column(
        "lease",
        sa.Column(
            "turn", sa.Integer(), nullable=False, server_default="0", comment="a labeler's lowest comes back first"
        ),
    )
    op.create_index("ix_lease_labeler_turn", "lease", ["labeler", "turn"])


def _create_showcase_and_predictions() -> None:
    op.create_table(
        "showcase",
        sa.Column("num_timesteps", _BIG_INT, nullable=False, autoincrement=False),
        sa.Column("segment_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("num_timesteps", name="pk_showcase"),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_showcase_segment_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "prediction",
        sa.Column("segment_id", sa.Text(), nullable=False),
        sa.Column("num_timesteps", _BIG_INT, nullable=False, comment="when the reward model was that old"),
        sa.Column("rewards", sa.Text(), nullable=False, comment="JSON list, one number per step"),
        sa.PrimaryKeyConstraint("segment_id", name="pk_prediction"),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_prediction_segment_id"),
        sqlite_strict=True,
    )
