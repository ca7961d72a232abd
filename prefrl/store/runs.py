"""The runs of a store: each training that asks through it begins one, and its queries belong to it."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Self

from gymnasium import spaces
from sqlalchemy import Connection, func, insert, select, update

from prefrl import __version__
from prefrl.segments import space_to_json
from prefrl.store import schema
from prefrl.store.comparisons import count_comparisons
from prefrl.store.expiry import ExpiryMethods
from prefrl.store.typed_json import decode_record, encode_record

_run, _query = schema.run, schema.query


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAbout:
    """What has to be known of a run to learn from its answers later."""

    task: str = ""
    """Preset or environment id; empty where a script made the environments."""
    observation_space: Mapping[str, Any]
    """Space of one observation, as `space_to_json` describes it."""
    action_space: Mapping[str, Any]
    """Space of one action, likewise."""
    frame_stack: int = 1
    """Frames that an observation is a stack of."""
    segment_length: int
    """Steps T of a segment."""
    seed: int | None = None
    """Seed of the training."""
    learns_from: tuple[int, ...] = ()
    """Numbers of earlier runs in the store whose labels the reward learns first."""
    origin: str = ""
    """Folder that the run was in before its labels were copied here; empty where it was made here."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what wrote it, by name."""

    @classmethod
    def of(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        segment_length: int,
        task: str = "",
        frame_stack: int = 1,
        seed: int | None = None,
    ) -> Self:
        """Describe a run of this version of prefrl.

        Raises:
            SpaceError: A space is of a kind that no reward network reads.
        """
        libraries = {name: version(name) for name in ("gymnasium", "numpy")}
        return cls(
            task=task,
            observation_space=space_to_json(observation_space),
            action_space=space_to_json(action_space),
            frame_stack=frame_stack,
            segment_length=segment_length,
            seed=seed,
            versions={"prefrl": __version__, "python": platform.python_version(), **libraries},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as it stands in the store."""

    id: int
    """Its number, from 1; 0 for what the store held before it knew its runs."""
    about: RunAbout | None
    """What it is about; None for run 0."""
    created_at: int
    """When it began, milliseconds since 1970 UTC."""
    n_comparisons: int
    """Present answers that are a comparison; no repeats."""


class RunMethods(ExpiryMethods):
    """Who asks."""

    def begin_run(self, about: RunAbout) -> int:
        """Begin a run; from now on only its queries are handed out.

        What earlier runs have left open, and nobody has answered, expires. Whoever has such a query in hand may
        still answer it.

        Returns:
            The number of the run, greater than those of all before.
        """
        described = encode_record(about)
        with self._database.write() as connection:
            now = self._clock()
            n_expired = _expire_unanswered(connection, now)
            values = {"created_at": now, "about": described}
            run: int = connection.execute(insert(_run).values(values).returning(_run.c.id)).scalar_one()
        if n_expired:
            self._delete_unneeded_segments()
        return run

    def newest_run(self) -> int | None:
        """Return the number of the run that began last; None if none has."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(_run.c.id))).scalar()

    def runs(self) -> list[StoredRun]:
        """Return all runs in the order in which they began.

        Raises:
            StoreError: What a run is about cannot be read.
        """
        with self._database.read() as connection:
            rows = connection.execute(select(_run).order_by(_run.c.id)).all()
            known = count_comparisons(connection)
        return [
            StoredRun(
                id=row.id,
                about=None if row.about is None else decode_record(RunAbout, row.about),
                created_at=row.created_at,
                n_comparisons=known.get(row.id, 0),
            )
            for row in rows
        ]


def _expire_unanswered(connection: Connection, now: int) -> int:
    unanswered = (_query.c.expires_at.is_(None), _query.c.n_answers == 0, _query.c.repeat_of.is_(None))
    n_expired: int = connection.execute(update(_query).where(*unanswered).values(expires_at=now)).rowcount
    return n_expired
