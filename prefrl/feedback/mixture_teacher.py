"""Several simulated people, each with faults of their own, of whom one answers each query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from math import isfinite
from typing import Any

from prefrl.errors import SettingError
from prefrl.feedback.passing_teacher import PassingTeacher, make_inner
from prefrl.feedback.teachers import Teacher, chance_of
from prefrl.segments import Query

PERSON = frozenset({"name", "share", "teacher", "teacher_settings"})
"""What may be said of somebody."""


@dataclass(frozen=True, kw_only=True)
class MixtureTeacher(PassingTeacher):
    """Has each query answered by one of several simulated people, under that one's name.

    So a run has labels of several people, whose errors differ. Who answers is a function of seed and query.

    Raises:
        SettingError: There is nobody, two have one name, a share is not above 0, or what somebody is said to be
            cannot be.
    """

    people: Sequence[Mapping[str, Any]] = ()
    """Of each person `name`; `share`, how often they are asked beside the others (1); `teacher` ("simulated"); and
    `teacher_settings`, the settings of that teacher (none)."""
    seed: int = 0
    """Of who is asked; everybody's own noise has another one, unless their settings say it."""

    name = "mixture"

    def __post_init__(self) -> None:
        """Make the people."""
        if not isinstance(self.people, Sequence) or isinstance(self.people, str) or not self.people:
            raise SettingError(
                "A mixture needs `people` in `teacher_settings` (in a file for `--config`), such as [{name: ann, "
                f"share: 0.5, teacher_settings: {{mistakes: 0.1}}}}, {{name: bob}}]. Received {self.people!r}."
            )
        assert self.inner_teachers  # what somebody is said to be is checked
        if len(set(self.names)) < len(self.names):
            raise SettingError(f"Each `name` in a mixture must be one person's. Received {', '.join(self.names)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Of all people."""
        return tuple(person["name"] for person in self.people)

    @cached_property
    def inner_teachers(self) -> tuple[Teacher, ...]:
        """The people."""
        return tuple(self._teacher_of(person) for person in self.people)

    def teacher_for(self, query: Query) -> Teacher:
        """Return whoever answers."""
        return self.inner_teachers[self._place(query)]

    def name_of(self, query: Query) -> str:
        """Return the name of whoever answers."""
        return self.names[self._place(query)]

    def _place(self, query: Query) -> int:
        bounds = list(accumulate(float(person.get("share", 1.0)) for person in self.people))
        chance = bounds[-1] * chance_of(f"{self.seed}:person:{query.id}")
        return sum(chance >= bound for bound in bounds[:-1])

    def _teacher_of(self, person: object) -> Teacher:
        if not isinstance(person, Mapping) or set(person) - PERSON:
            raise SettingError(
                f"Of somebody in a mixture can be said {', '.join(sorted(PERSON))}. Received {person!r}."
            )
        name, share = person.get("name"), person.get("share", 1.0)
        if not isinstance(name, str) or not name.strip():
            raise SettingError(f"Everybody in a mixture needs a `name`. Received {name!r}.")
        if isinstance(share, bool) or not isinstance(share, float | int) or not share > 0 or not isfinite(share):
            raise SettingError(f"`share` of {name} in a mixture must be a number above 0. Received {share!r}.")
        own = int.from_bytes(blake2b(f"{self.seed}:{name}".encode(), digest_size=4).digest())
        return make_inner(
            person.get("teacher", "simulated"), person.get("teacher_settings", {}), seed=own, whose=name
        )
