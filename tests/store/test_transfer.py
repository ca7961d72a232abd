"""What of a store goes along with its labels, and what never does."""

from prefrl.store import schema
from prefrl.store.transfer import COLUMNS, COPIED, NAMES, referring

STAYS = {
    "labeler": {"role", "token_hash", "revoked", "quota"},
    "query": {"pair", "n_answers"},
    "segment": {"id", "n_steps", "created_at"},
    **{
        table: set(schema.metadata.tables[table].c.keys())
        for table in ("lease", "status", "showcase", "prediction")
    },
}


def test_every_column_goes_along_or_is_said_to_stay() -> None:
    """A new column goes out to whoever gets an export: say here if it must not."""
    assert {
        table.name: set(table.c.keys()) - STAYS.get(table.name, set()) for table in schema.metadata.sorted_tables
    } == {
        **{name: set() for name in ("segment", "lease", "status", "showcase", "prediction")},
        **{table: {column.name for column in columns} for table, columns in COLUMNS.items()},
    }


def test_tables_come_after_those_that_they_refer_to() -> None:
    known = [schema.segment]
    for table in COPIED:
        known.append(table)
        assert {key.column.table for key in table.foreign_keys} <= set(known)


def test_columns_that_hold_names_and_ids_are_found() -> None:
    assert {table: columns for table, columns in NAMES.items() if columns} == {
        "labeler": ("name",),
        "answer": ("labeler",),
        "gold": ("labeler",),
        "settled": ("labeler", "settled_by"),
    }
    assert referring(schema.answer.c.id)["answer"] == ("id", "supersedes")
    assert referring(schema.query.c.id)["query"] == ("id", "repeat_of")
