"""The tables of the store. `migrations/` builds the same tables on disk; a test keeps the two equal.

Times are integer milliseconds since 1970 UTC. On SQLite the tables are STRICT, so types are TEXT and INTEGER
only; a flag is 0 or 1, JSON is text.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = "0007"
"""Newest migration; versions are compared as text, so they keep their four digits."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_BigInt = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: SQLite's INTEGER has them, PostgreSQL's does not."""

segment = Table(
    "segment",
    metadata,
    Column("id", Text, primary_key=True, comment="content hash; names the file in segments/"),
    Column("n_steps", Integer, nullable=False),
    Column("created_at", _BigInt, nullable=False),
    sqlite_strict=True,
)

run = Table(
    "run",
    metadata,
    Column("id", _BigInt, primary_key=True),
    Column("created_at", _BigInt, nullable=False),
    Column("about", Text, comment="JSON; NULL for what a store held before it knew its runs"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
"""The trainings that ask through the store, in the order in which they began; 0 is that of an older store."""

query = Table(
    "query",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ordinal", Integer, nullable=False, index=True),
    Column("num_timesteps", _BigInt, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0", comment="higher is asked first"),
    Column("overlap", Integer, nullable=False, server_default="1", comment="people who should answer"),
    Column("expires_at", _BigInt, comment="not asked after this time"),
    Column("repeat_of", Text, ForeignKey("query.id"), comment="earlier query, asked again for consistency"),
    Column("created_at", _BigInt, nullable=False),
    Column("pair", Text, comment="ids of its two segments in alphabetical order; NULL if they are not two"),
    Column("n_answers", Integer, nullable=False, server_default="0", comment="labelers who have a present answer"),
    Column("run_id", _BigInt, ForeignKey("run.id"), nullable=False, comment="who asked it"),
    Index("ix_query_pair", "pair"),
    sqlite_strict=True,
)

"""What is asked. `pair` holds the ids of all its segments, also of several to be ranked and of one to be rated."""

OPEN = "expires_at IS NULL AND repeat_of IS NULL AND pair IS NOT NULL AND n_answers < overlap"
"""Holds for a query that is still to be asked of anybody."""

Index(
    "ix_query_open",
    query.c.priority.desc(),
    query.c.num_timesteps.desc(),
    query.c.ordinal,
    sqlite_where=text(OPEN),
    postgresql_where=text(OPEN),
)
"""The open queries in the order in which they are asked, so that thousands that are over cost nothing."""

query_segment = Table(
    "query_segment",
    metadata,
    Column("query_id", Text, ForeignKey("query.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("segment_id", Text, ForeignKey("segment.id"), nullable=False, index=True),
    Column("num_timesteps", _BigInt, nullable=False, comment="when the segment was cut"),
    sqlite_strict=True,
)

labeler = Table(
    "labeler",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", _BigInt, nullable=False),
    Column("role", Text, nullable=False, server_default="labeler", comment="owner or labeler"),
    Column("token_hash", Text, comment="SHA-256 in hex of what lets this person in"),
    Column("revoked", Integer, nullable=False, server_default="0", comment="1: may not come in any more"),
    Column(
        "set_aside", Integer, nullable=False, server_default="0", comment="1: what they say is not learned from"
    ),
    Column("quota", Integer, comment="comparisons of a run that are asked for at most; NULL for no bound"),
    Index("ix_labeler_token_hash", "token_hash", unique=True),
    sqlite_strict=True,
)

lease = Table(
    "lease",
    metadata,
    Column("query_id", Text, ForeignKey("query.id"), primary_key=True),
    Column("labeler", Text, ForeignKey("labeler.name"), primary_key=True),
    Column("expires_at", _BigInt, nullable=False),
    Column("began_at", _BigInt, nullable=False, server_default="0", comment="when it was given or renewed"),
    Column("turn", Integer, nullable=False, server_default="0", comment="a labeler's lowest comes back first"),
    Index("ix_lease_labeler_turn", "labeler", "turn"),
    sqlite_strict=True,
)
"""Who was given which query and has not answered it; over once `expires_at` is past, but not forgotten."""

answer = Table(
    "answer",
    metadata,
    Column("seq", _BigInt, primary_key=True),
    Column("id", Text, nullable=False),
    Column("query_id", Text, ForeignKey("query.id"), nullable=False),
    Column("labeler", Text, ForeignKey("labeler.name"), nullable=False),
    Column("supersedes", Text, ForeignKey("answer.id")),
    Column("sides_swapped", Integer, nullable=False, comment="1: first segment shown on the right"),
    Column("reaction_ms", Integer),
    Column("replays", Integer),
    Column("client_time", _BigInt),
    Column("server_time", _BigInt, nullable=False),
    Column("gui_version", Text),
    Column("late", Integer, nullable=False, server_default="0", comment="1: came after its lease ended"),
    Column("kind", Text, nullable=False, server_default="pair", comment="what `value` says"),
    Column("value", Text, comment="JSON; NULL withdraws `supersedes`"),
    Column("remark", Text, comment="what is the matter with the pair, one of `Remark`"),
    Column("comment", Text, comment="in the labeler's own words"),
    UniqueConstraint("id"),
    CheckConstraint("kind IN ('pair', 'strength', 'ranking', 'rating')", name="kind"),
    CheckConstraint(
        """kind <> 'pair' OR value IN ('"first"', '"second"', '"equal"', '"cannot_tell"')""", name="value"
    ),
    CheckConstraint("value IS NOT NULL OR supersedes IS NOT NULL", name="says_something"),
    CheckConstraint("sides_swapped IN (0, 1)", name="sides_swapped"),
    CheckConstraint("late IN (0, 1)", name="late"),
    Index("ix_answer_query_id_labeler_seq", "query_id", "labeler", "seq"),
    Index("ix_answer_labeler_seq", "labeler", "seq"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
"""Append-only judgements. The newest row of a labeler for a query is what that labeler says of it now.

`value` is JSON: the text of an `Answer`, or the list of the places of a `Ranking`, the best
first, with equals in a list of their own: [2, [0, 3], 1], or the level of a `Rating`. Where there are more than
two segments, `sides_swapped` says that they were shown in reverse order.
"""

gold = Table(
    "gold",
    metadata,
    Column("query_id", Text, ForeignKey("query.id"), primary_key=True),
    Column("labeler", Text, ForeignKey("labeler.name"), nullable=False, comment="whose present answer is gold"),
    Column("created_at", _BigInt, nullable=False),
    sqlite_strict=True,
)
"""Queries whose answer is known, and which are put to others to see how they do."""

settled = Table(
    "settled",
    metadata,
    Column("query_id", Text, ForeignKey("query.id"), primary_key=True),
    Column(
        "labeler", Text, ForeignKey("labeler.name"), nullable=False, comment="whose present answer alone holds"
    ),
    Column("settled_by", Text, nullable=False),
    Column("created_at", _BigInt, nullable=False),
    sqlite_strict=True,
)
"""Queries of which people said different things, and whose answer holds."""

status = Table(
    "status",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="JSON"),
    sqlite_strict=True,
)

showcase = Table(
    "showcase",
    metadata,
    Column("num_timesteps", _BigInt, primary_key=True, autoincrement=False),
    Column("segment_id", Text, ForeignKey("segment.id"), nullable=False),
    sqlite_strict=True,
)
"""Episodes of the agent, to be looked at."""

prediction = Table(
    "prediction",
    metadata,
    Column("segment_id", Text, ForeignKey("segment.id"), primary_key=True),
    Column("num_timesteps", _BigInt, nullable=False, comment="when the reward model was that old"),
    Column("rewards", Text, nullable=False, comment="JSON list, one number per step"),
    sqlite_strict=True,
)
