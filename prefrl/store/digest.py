"""One hash over all that was asked and said in a run, so that a checkpoint knows the labels it was trained on."""

import json
from hashlib import blake2b

from sqlalchemy import select

from prefrl.store import schema
from prefrl.store.base import StoreBase

_answer, _query, _part = schema.answer, schema.query, schema.query_segment
_SAID = [
    _answer.c[name]
    for name in (
        *("seq", "id", "query_id", "labeler", "kind", "value", "supersedes", "sides_swapped"),
        *("reaction_ms", "replays", "client_time", "server_time", "gui_version", "late"),
    )
]
_ASKED = [_query.c[name] for name in ("ordinal", "num_timesteps", "overlap", "repeat_of", "created_at")]
_COMPARED = [_part.c[name] for name in ("query_id", "position", "segment_id", "num_timesteps")]


class DigestMethods(StoreBase):
    """Whether the labels are still those that were read."""

    def digest(self, run: int, until_seq: int) -> str:
        """Return a hash (32 hex digits) over the answers of a run up to a number, and what they were about.

        Answers that come later do not change it; a row of before that is changed, deleted or added does, and so
        does another segment in a query, or another order of its segments. What is in the segments is not read:
        their ids are hashes of that.

        Args:
            run: The run.
            until_seq: Number of the last answer that counts.
        """
        # An answered query keeps its row and its segments for good; what changes in it later is left out.
        counted = (_query.c.run_id == run, _answer.c.seq <= until_seq)
        said = select(*_SAID, *_ASKED).join(_query, _query.c.id == _answer.c.query_id).where(*counted)
        answered = select(_answer.c.query_id).join(_query, _query.c.id == _answer.c.query_id).where(*counted)
        compared = select(*_COMPARED).where(_part.c.query_id.in_(answered))
        statements = (
            said.order_by(_answer.c.seq),
            compared.order_by(_part.c.query_id, _part.c.position),
        )
        digest = blake2b(digest_size=16)
        with self._database.read() as connection:
            for statement in statements:
                rows = [list(row) for row in connection.execute(statement)]
                digest.update(json.dumps(rows).encode())
        return digest.hexdigest()
