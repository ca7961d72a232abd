"""The people who answer: their names, what they may do, and the hash of what lets them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import Connection, insert, select, update

from prefrl.errors import SettingError, StoreError
from prefrl.store import schema
from prefrl.store.base import StoreBase
from prefrl.store.leases import end_leases

Role: TypeAlias = Literal["owner", "labeler"]

_labeler = schema.labeler


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Somebody who answers."""

    name: str
    """Name, as the answers carry it."""
    role: Role
    """The owner of a run sees what all say, a labeler only what is theirs."""
    token_hash: str | None
    """SHA-256 in hex of the token that lets this person in; None if there is none."""
    revoked: bool
    """May not come in any more."""
    created_at: int
    """When the person was added, milliseconds since 1970 UTC."""
    set_aside: bool = False
    """What this person says is kept, and not learned from."""
    quota: int | None = None
    """How many comparisons of a run this person is asked for at most; None for no bound."""


class PeopleMethods(StoreBase):
    """Who may answer."""

    def add_labeler(
        self, name: str, *, role: Role = "labeler", token_hash: str | None = None, quota: int | None = None
    ) -> Labeler:
        """Add a person. Whoever answers or claims under a new name is added too, as a labeler without a token.

        Args:
            name: Of the person.
            role: What this person may do.
            token_hash: SHA-256 in hex of the token that lets this person in.
            quota: As in `set_quota`.

        Raises:
            SettingError: `name` is empty or taken, there is no such role, or the quota is below 1 or an owner's.
        """
        if not name:
            raise SettingError("`name` must not be empty.")
        if role not in get_args(Role):
            raise SettingError(f"`role` must be one of {', '.join(get_args(Role))}. Received {role!r}.")
        _check_quota(quota, role)
        values = {
            "name": name,
            "role": role,
            "token_hash": token_hash,
            "revoked": 0,
            "set_aside": 0,
            "quota": quota,
        }
        with self._database.write() as connection:
            if _is_known(connection, name):
                raise SettingError(f"There is a labeler {name!r} already; choose another name.")
            values["created_at"] = self._clock()
            connection.execute(insert(_labeler).values(values))
        return _as_labeler(values)

    def set_token_hash(self, name: str, token_hash: str | None) -> None:
        """Give somebody a new way in; the old one is closed, and whoever was revoked may come in again.

        Raises:
            StoreError: There is nobody of that name.
        """
        with self._database.write() as connection:
            _update(connection, name, token_hash=token_hash, revoked=0)

    def revoke(self, name: str) -> None:
        """Let somebody in no more. What they said stays; what they have in hand is asked of others.

        Raises:
            StoreError: There is nobody of that name.
        """
        with self._database.write() as connection:
            _update(connection, name, token_hash=None, revoked=1)
            end_leases(connection, name, self._clock())

    def set_aside(self, name: str, aside: bool = True) -> None:
        """Have nothing be learned from what somebody says, or again from all of it. Nothing is lost by it.

        A training that people teach follows at its next look, as far as labels of its own run go; those of earlier
        runs, learned by `old_labels="learn"`, stay.

        Args:
            name: Of the person.
            aside: False takes it back.

        Raises:
            StoreError: There is nobody of that name.
        """
        with self._database.write() as connection:
            _update(connection, name, set_aside=int(aside))

    def set_quota(self, name: str, quota: int | None) -> None:
        """Say how many comparisons somebody is asked for at most in a run, None for no bound.

        It is what claims go by in the labelling page; an answer is never refused for it. Owners have none: whoever
        sets the quotas gives what others do not.

        Raises:
            SettingError: The quota is below 1, or an owner's.
            StoreError: There is nobody of that name.
        """
        with self._database.write() as connection:
            role = connection.execute(select(_labeler.c.role).where(_labeler.c.name == name)).scalar()
            _check_quota(quota, role)
            _update(connection, name, quota=quota)

    def let_go(self, name: str, *, but_for: Sequence[str] = ()) -> None:
        """Have others get what a person has in hand, but for some queries, which stay there."""
        with self._database.write() as connection:
            end_leases(connection, name, self._clock(), but_for=but_for)

    def quotas(self) -> dict[str, int]:
        """Return how many comparisons of a run people are asked for at most, by name, where there is a bound."""
        with self._database.read() as connection:
            found = connection.execute(
                select(_labeler.c.name, _labeler.c.quota).where(_labeler.c.quota.is_not(None))
            )
            return {name: quota for name, quota in found}

    def aside(self) -> frozenset[str]:
        """Return the names of those whose answers are set aside."""
        with self._database.read() as connection:
            found = connection.execute(select(_labeler.c.name).where(_labeler.c.set_aside == 1))
            return frozenset(found.scalars())

    def labelers(self) -> list[Labeler]:
        """Return everybody, in the order in which they came."""
        with self._database.read() as connection:
            rows = connection.execute(select(_labeler).order_by(_labeler.c.created_at, _labeler.c.name)).mappings()
            return [_as_labeler(dict(row)) for row in rows]

    def labeler(self, name: str) -> Labeler | None:
        """Return somebody by name, also if revoked; None if there is nobody of that name."""
        with self._database.read() as connection:
            row = connection.execute(select(_labeler).where(_labeler.c.name == name)).mappings().one_or_none()
        return None if row is None else _as_labeler(dict(row))


def ensure_labeler(connection: Connection, name: str, now: int) -> None:
    """Add somebody who is not known yet."""
    if not _is_known(connection, name):
        connection.execute(insert(_labeler).values(name=name, created_at=now))


def _check_quota(quota: int | None, role: str | None) -> None:
    if quota is None:
        return
    if not 1 <= quota < 2**31:
        raise SettingError(f"`quota` must be at least 1, or None for no bound. Received {quota}.")
    if role == "owner":
        raise SettingError("An owner has no quota: whoever sets the quotas gives what others do not.")


def _is_known(connection: Connection, name: str) -> bool:
    return connection.execute(select(_labeler.c.name).where(_labeler.c.name == name)).one_or_none() is not None


def _update(connection: Connection, name: str, **values: Any) -> None:
    if connection.execute(update(_labeler).where(_labeler.c.name == name).values(values)).rowcount == 0:
        raise StoreError(f"There is no labeler {name!r}; add one with `add_labeler` first.")


def _as_labeler(row: dict[str, Any]) -> Labeler:
    flags = {name: bool(row[name]) for name in ("revoked", "set_aside")}
    return Labeler(**row | flags)
