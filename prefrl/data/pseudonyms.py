"""Names of people, and what would tell them, taken out of labels."""

from typing import Any

from prefrl.registry import TEACHERS
from prefrl.store import schema
from prefrl.store.transfer import NAMES, referring

LabelRows = dict[str, list[dict[str, Any]]]


def without_names(rows: LabelRows) -> LabelRows:
    """Return rows in which people are "person-1", "person-2", …, in the order in which they answered first.

    Only the names of the teachers that prefrl has stay. Ids of answers and of what was asked somebody again are
    made of names, so they are replaced, and what people wrote in their own words is left out.
    """
    again = [row["id"] for row in rows["query"] if row["repeat_of"] is not None]
    said = {row["id"]: f"answer-{row['seq']}" for row in rows["answer"] if row["labeler"] not in TEACHERS}
    new: dict[tuple[str, str], dict[str, str]] = {}
    for columns, values in (
        (NAMES, names_of(rows, names=False)),
        (referring(schema.query.c.id), {query_id: f"again-{n}" for n, query_id in enumerate(again, start=1)}),
        (referring(schema.answer.c.id), said),
    ):
        new |= {(table, name): values for table, own in columns.items() for name in own}
    return {
        table: [
            {name: new.get((table, name), {}).get(value, value) for name, value in row.items()}
            | ({"comment": None} if table == "answer" else {})
            for row in of_table
        ]
        for table, of_table in rows.items()
    }


def names_of(rows: LabelRows, *, names: bool) -> dict[str, str]:
    """Return the name that everybody has in an export: their own, or a pseudonym."""
    tables = ["answer", *(table for table in NAMES if table != "answer")]
    everybody = dict.fromkeys(row[name] for table in tables for name in NAMES[table] for row in rows[table])
    if names:
        return {name: name for name in everybody}
    people = [name for name in everybody if name not in TEACHERS]
    pseudonyms = {name: f"person-{number}" for number, name in enumerate(people, start=1)}
    return {name: pseudonyms.get(name, name) for name in everybody}
