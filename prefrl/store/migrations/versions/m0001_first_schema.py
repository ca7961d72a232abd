"""The first schema: segments, queries, people, leases, answers, status."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _create_segments_and_queries()
    _create_people()
    _create_answers()
    op.create_table(
        "status",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("key", name="pk_status"),
        sqlite_strict=True,
    )


def _create_segments_and_queries() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Text(), nullable=False, comment="content hash; names the file in segments/"),
        sa.Column("n_steps", sa.Integer(), nullable=False),
        sa.Column("created_at", _BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segment"),
        sqlite_strict=True,
    )
    op.create_table(
        "query",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("num_timesteps", _BIG_INT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0", comment="higher is asked first"),
        sa.Column("overlap", sa.Integer(), nullable=False, server_default="1", comment="people who should answer"),
        sa.Column("expires_at", _BIG_INT, comment="not asked after this time"),
        sa.Column("repeat_of", sa.Text(), comment="earlier query, asked again for consistency"),
        sa.Column("created_at", _BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_query"),
        sa.ForeignKeyConstraint(["repeat_of"], ["query.id"], name="fk_query_repeat_of"),
        sqlite_strict=True,
    )
    op.create_index("ix_query_ordinal", "query", ["ordinal"])
    op.create_table(
        "query_segment",
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("segment_id", sa.Text(), nullable=False),
        sa.Column("num_timesteps", _BIG_INT, nullable=False, comment="when the segment was cut"),
        sa.PrimaryKeyConstraint("query_id", "position", name="pk_query_segment"),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name="fk_query_segment_query_id"),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_query_segment_segment_id"),
        sqlite_strict=True,
    )


def _create_people() -> None:
    op.create_table(
        "labeler",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", _BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_labeler"),
        sqlite_strict=True,
    )
    op.create_table(
        "lease",
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("labeler", sa.Text(), nullable=False),
        sa.Column("expires_at", _BIG_INT, nullable=False),
        sa.PrimaryKeyConstraint("query_id", "labeler", name="pk_lease"),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name="fk_lease_query_id"),
        sa.ForeignKeyConstraint(["labeler"], ["labeler.name"], name="fk_lease_labeler"),
        sqlite_strict=True,
    )


def _create_answers() -> None:
    op.create_table(
        "answer",
        sa.Column("seq", _BIG_INT, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("labeler", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), comment="NULL withdraws `supersedes`, unless there is a ranking"),
        sa.Column("ranking", sa.Text(), comment="JSON list of positions, best first"),
        sa.Column("supersedes", sa.Text()),
        sa.Column("sides_swapped", sa.Integer(), nullable=False, comment="1: first segment shown on the right"),
        sa.Column("reaction_ms", sa.Integer()),
        sa.Column("replays", sa.Integer()),
        sa.Column("client_time", _BIG_INT),
        sa.Column("server_time", _BIG_INT, nullable=False),
        sa.Column("gui_version", sa.Text()),
        sa.Column(
            "late", sa.Integer(), nullable=False, server_default="0", comment="1: came after its lease ended"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_answer"),
        sa.UniqueConstraint("id", name="uq_answer_id"),
        sa.CheckConstraint("answer IN ('first', 'second', 'equal', 'cannot_tell')", name=op.f("ck_answer_answer")),
        sa.CheckConstraint(
            "answer IS NOT NULL OR ranking IS NOT NULL OR supersedes IS NOT NULL",
            name=op.f("ck_answer_says_something"),
        ),
        sa.CheckConstraint("sides_swapped IN (0, 1)", name=op.f("ck_answer_sides_swapped")),
        sa.CheckConstraint("late IN (0, 1)", name=op.f("ck_answer_late")),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], name="fk_answer_query_id"),
        sa.ForeignKeyConstraint(["labeler"], ["labeler.name"], name="fk_answer_labeler"),
        sa.ForeignKeyConstraint(["supersedes"], ["answer.id"], name="fk_answer_supersedes"),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.create_index("ix_answer_query_id_labeler_seq", "answer", ["query_id", "labeler", "seq"])
