"""A store knows its runs; answers are judgements of a kind, with a value."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_BIG_INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_CHOICES = ("first", "second", "equal", "cannot_tell")
_OPEN = sa.text("expires_at IS NULL AND repeat_of IS NULL AND pair IS NOT NULL AND n_answers < overlap")
_OLD_RUN = 0


def upgrade() -> None:
    """Create the table of runs, give an old store's queries one, and say answers anew as kind and value."""
    _create_runs()
    _give_queries_a_run()
    _turn_answers_into_judgements()


def _create_runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", _BIG_INT, nullable=False),
        sa.Column("created_at", _BIG_INT, nullable=False),
        sa.Column("about", sa.Text(), comment="JSON; NULL for what a store held before it knew its runs"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )
    op.execute(
        f"INSERT INTO run (id, created_at) SELECT {_OLD_RUN}, coalesce((SELECT min(created_at) FROM query), "
        "(SELECT min(created_at) FROM labeler), 0) WHERE EXISTS (SELECT 1 FROM query) "
        "OR EXISTS (SELECT 1 FROM labeler) OR EXISTS (SELECT 1 FROM status)"
    )


def _give_queries_a_run() -> None:
    op.add_column("query", sa.Column("run_id", _BIG_INT, nullable=True, comment="who asked it"))
    op.execute(f"UPDATE query SET run_id = {_OLD_RUN}")
    for name in ("ix_query_ordinal", "ix_query_pair", "ix_query_open"):
        op.drop_index(name, "query")
    with op.batch_alter_table("query", copy_from=_queries(), table_kwargs={"sqlite_strict": True}) as batch:
        batch.alter_column("run_id", nullable=False)
        batch.create_foreign_key("fk_query_run_id", "run", ["run_id"], ["id"])
    op.create_index("ix_query_ordinal", "query", ["ordinal"])
    op.create_index("ix_query_pair", "query", ["pair"])
    op.create_index(
        "ix_query_open",
        "query",
        [sa.text("priority DESC"), sa.text("num_timesteps DESC"), "ordinal"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _queries() -> sa.Table:
    """Return the table as it is now; what SQLite tells of it would not do to build it anew."""
    return sa.Table(
        "query",
        sa.MetaData(),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("num_timesteps", _BIG_INT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0", comment="higher is asked first"),
        sa.Column("overlap", sa.Integer(), nullable=False, server_default="1", comment="people who should answer"),
        sa.Column("expires_at", _BIG_INT, comment="not asked after this time"),
        sa.Column("repeat_of", sa.Text(), comment="earlier query, asked again for consistency"),
        sa.Column("created_at", _BIG_INT, nullable=False),
        sa.Column(
            "pair", sa.Text(), comment="ids of its two segments in alphabetical order; NULL if they are not two"
        ),
        sa.Column(
            "n_answers",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="labelers who have a present answer",
        ),
        sa.Column("run_id", _BIG_INT, nullable=True, comment="who asked it"),
        sa.PrimaryKeyConstraint("id", name="pk_query"),
        sa.ForeignKeyConstraint(["repeat_of"], ["query.id"], name="fk_query_repeat_of"),
    )


def _turn_answers_into_judgements() -> None:
    kind = sa.Column("kind", sa.Text(), nullable=False, server_default="pair", comment="what `value` says")
    op.add_column("answer", kind)
    op.add_column("answer", sa.Column("value", sa.Text(), comment="JSON; NULL withdraws `supersedes`"))
    cases = " ".join(f"WHEN answer = '{choice}' THEN '\"{choice}\"'" for choice in _CHOICES)
    op.execute(f"UPDATE answer SET value = CASE {cases} ELSE ranking END")
    op.execute("UPDATE answer SET kind = 'ranking' WHERE answer IS NULL AND ranking IS NOT NULL")
    for name in ("ix_answer_query_id_labeler_seq", "ix_answer_labeler_seq"):
        op.drop_index(name, "answer")
    kwargs = {"sqlite_autoincrement": True, "sqlite_strict": True}
    said = "kind <> 'pair' OR value IN ({})".format(", ".join(f"'\"{choice}\"'" for choice in _CHOICES))
    with op.batch_alter_table("answer", copy_from=_answers(), table_kwargs=kwargs) as batch:
        for name in ("ck_answer_answer", "ck_answer_says_something"):
            batch.drop_constraint(op.f(name), type_="check")
        batch.drop_column("answer")
        batch.drop_column("ranking")
        batch.create_check_constraint(op.f("ck_answer_kind"), "kind IN ('pair', 'strength', 'ranking', 'rating')")
        batch.create_check_constraint(op.f("ck_answer_value"), said)
        batch.create_check_constraint(
            op.f("ck_answer_says_something"), "value IS NOT NULL OR supersedes IS NOT NULL"
        )
    op.create_index("ix_answer_query_id_labeler_seq", "answer", ["query_id", "labeler", "seq"])
    op.create_index("ix_answer_labeler_seq", "answer", ["labeler", "seq"])


def _answers() -> sa.Table:
    """Return the table as it is now; what SQLite tells of it would not do to build it anew."""
    return sa.Table(
        "answer",
        sa.MetaData(),
        sa.Column("seq", _BIG_INT, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("query_id", sa.Text(), nullable=False),
        sa.Column("labeler", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("ranking", sa.Text()),
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
        sa.Column("kind", sa.Text(), nullable=False, server_default="pair", comment="what `value` says"),
        sa.Column("value", sa.Text(), comment="JSON; NULL withdraws `supersedes`"),
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
    )
