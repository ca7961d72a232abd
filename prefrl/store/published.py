"""What trainer and page publish for each other: records, episodes of the agent, predicted rewards."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection, delete, insert, select, update

from prefrl.errors import SettingError, StoreError
from prefrl.segments import Segment
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.database import among, chunks
from prefrl.store.queries import insert_segments
from prefrl.store.records import RunRecord, TrainerRecord, WishRecord
from prefrl.store.typed_json import decode_record, encode_record

Record: TypeAlias = RunRecord | TrainerRecord | WishRecord
_R = TypeVar("_R", RunRecord, TrainerRecord, WishRecord)

MAX_SHOWCASE = 60
"""When there are more episodes to look at, every second one goes."""

_status, _showcase, _prediction = schema.status, schema.showcase, schema.prediction


class PublishedMethods(StoreBase):
    """What the trainer shows of itself and of the agent, and what is wished of it."""

    def publish(self, record: Record) -> None:
        """Publish a record for the other side to read, in place of the one of its kind before.

        Raises:
            SettingError: A value is not finite, or is nothing that JSON knows.
        """
        value = encode_record(record)
        with self._database.write() as connection:
            known = connection.execute(update(_status).where(_status.c.key == record.key).values(value=value))
            if known.rowcount == 0:
                connection.execute(insert(_status).values(key=record.key, value=value))

    def published(self, kind: type[_R]) -> _R | None:
        """Return what was last published of a kind; None if nothing was.

        Raises:
            StoreError: What is there cannot be read as such a record.
        """
        with self._database.read() as connection:
            value = connection.execute(select(_status.c.value).where(_status.c.key == kind.key)).scalar()
        return None if value is None else decode_record(kind, value)

    def add_showcase(self, segment: Segment, num_timesteps: int) -> None:
        """Show an episode of the agent.

        Above 60 every second one is not shown any more; the first and the last always stay.

        Args:
            segment: The episode, or a part of it.
            num_timesteps: Steps the agent had taken; what was shown for the same number before is replaced.
        """
        segment_id = segment.id
        self._blobs.write({segment_id: segment})
        with self._database.write() as connection:
            insert_segments(connection, self._blobs, {segment_id: segment}, self._clock())
            connection.execute(delete(_showcase).where(_showcase.c.num_timesteps == num_timesteps))
            connection.execute(insert(_showcase).values(num_timesteps=num_timesteps, segment_id=segment_id))
            _thin_out(connection)

    def showcase(self) -> list[tuple[int, str]]:
        """Return the time and the segment id of each episode that is shown, oldest first."""
        statement = select(_showcase.c.num_timesteps, _showcase.c.segment_id).order_by(_showcase.c.num_timesteps)
        with self._database.read() as connection:
            return [(row.num_timesteps, row.segment_id) for row in connection.execute(statement)]

    def set_predictions(self, rewards: Mapping[str, Sequence[float]], num_timesteps: int) -> None:
        """Publish what the reward model predicts, in place of what it predicted of these segments before.

        Args:
            rewards: For each segment id the predicted reward per step.
            num_timesteps: Steps the agent had taken.

        Raises:
            SettingError: A reward is not finite.
            StoreError: A segment is unknown; nothing has been stored.
        """
        try:
            rows = [
                {
                    "segment_id": segment_id,
                    "num_timesteps": num_timesteps,
                    "rewards": json.dumps([float(value) for value in values], allow_nan=False),
                }
                for segment_id, values in rewards.items()
            ]
        except ValueError as error:
            raise SettingError("Predicted rewards must be finite.") from error
        if not rows:
            return
        segment_ids = list(rewards)
        with self._database.write() as connection:
            unknown = set(segment_ids) - set(among(connection, schema.segment.c.id, segment_ids))
            if unknown:
                raise StoreError(f"The store has no segment {min(unknown)!r} to predict rewards of.")
            for some in chunks(segment_ids):
                connection.execute(delete(_prediction).where(_prediction.c.segment_id.in_(some)))
            connection.execute(insert(_prediction), rows)

    def predictions(self, segment_ids: Sequence[str]) -> dict[str, list[float]]:
        """Return the predicted reward per step of those of the segments for which it was published."""
        found: dict[str, list[float]] = {}
        with self._database.read() as connection:
            for some in chunks(segment_ids):
                statement = select(_prediction.c.segment_id, _prediction.c.rewards)
                rows = connection.execute(statement.where(_prediction.c.segment_id.in_(some)))
                found |= {row.segment_id: json.loads(row.rewards) for row in rows}
        return found


def _thin_out(connection: Connection) -> None:
    times = (
        connection.execute(select(_showcase.c.num_timesteps).order_by(_showcase.c.num_timesteps)).scalars().all()
    )
    if len(times) > MAX_SHOWCASE:
        surplus = times[1:-1:2]
        connection.execute(delete(_showcase).where(_showcase.c.num_timesteps.in_(surplus)))
