"""The label plan: how many labels there should be by which environment step, over all calls of `learn`."""

from prefrl.errors import SettingError
from prefrl.feedback import LabelSchedule, make_schedule
from prefrl.parts import Arrays, Json, State
from prefrl.settings import FeedbackSettings


class LabelPlan:
    """A budget of labels spread over the steps of a training.

    The training is as long as `fix` says, whoever calls `learn` how often; where nobody says, as long as the
    first call, and longer when a later call goes further.

    Args:
        n_labels: Budget of the training; 0 where nothing is asked, as the labels of others are learned.
        settings: The schedule and its figures.

    Raises:
        SettingError: `n_labels` is no whole number, or below 0, or there is no such schedule.
    """

    def __init__(self, n_labels: int, settings: FeedbackSettings) -> None:
        n_labels = _whole("n_labels", n_labels)
        if n_labels < 0:
            raise SettingError(f"`n_labels` must be at least 0. Received {n_labels}.")
        make_schedule(max(1, n_labels), 1, settings)  # refuses now what it would refuse when the training begins
        self.n_labels = n_labels
        self.given = 0
        """Labels of the budget that were there before the first step; the others are spread over the steps."""
        self._settings = settings
        self._schedule: LabelSchedule | None = None
        self._is_fixed = False
        self.total_timesteps = 0
        """Environment steps of the training; 0 while nobody has said."""

    @property
    def is_fixed(self) -> bool:
        """Whether somebody has said how long the training is in all."""
        return self._is_fixed

    @property
    def per_round(self) -> int:
        """Labels that have to be due before a round of asking and fitting starts."""
        return self._settings.labels_per_round

    def fix(self, total_timesteps: int) -> None:
        """Say how long the training is in all, whatever single calls of `learn` ask for.

        Raises:
            SettingError: `total_timesteps` is no whole number, or below 1.
        """
        total_timesteps = _whole("total_timesteps", total_timesteps)
        if total_timesteps < 1:
            raise SettingError(f"`total_timesteps` must be at least 1. Received {total_timesteps}.")
        self._is_fixed = True
        self._spread(total_timesteps, 1)

    def begin(self, now: int, n_steps: int, rollout: int) -> None:
        """Take note of a call of `learn`.

        Args:
            now: Environment steps before it.
            n_steps: Environment steps it asks for.
            rollout: Environment steps of a rollout; questions are asked where one begins.

        Raises:
            SettingError: The training would end before a single question is asked.
        """
        n_steps = _whole("n_steps", n_steps)
        if rollout < 1:
            raise SettingError(f"`rollout` must be at least 1. Received {rollout}.")
        end = now + n_steps
        if self._is_fixed or end > self.total_timesteps:
            self._spread(self.total_timesteps if self._is_fixed else end, rollout)
        last = now + max(0, n_steps - 1) // rollout * rollout
        enough = min(self.per_round, self._n_missing)
        n_due = max(0, self.n_due(last) - self.given)
        if end >= self.total_timesteps and n_due < enough:
            raise SettingError(
                f"Nothing would be asked: the last rollout of {rollout} steps begins at step {last:,}, when "
                f"{n_due} labels are due and {enough} make a round (first questions at step "
                f"{self._settings.initial_timesteps:,}, `initial_timesteps`). Train for more steps, make rollouts "
                "shorter (`n_steps`, `n_envs`), or call `plan(total_timesteps)` if more calls of `learn` follow."
            )

    def n_due(self, num_timesteps: int) -> int:
        """Return how many labels there should be in all at this step; −1 before anything may be asked."""
        if self._schedule is None or num_timesteps < self._settings.initial_timesteps:
            return -1
        return min(self.n_labels, self.given + self._schedule.n_labels(num_timesteps))

    def state(self) -> State:
        """Return the length of the training as far as it was said."""
        return {}, {"total_timesteps": self.total_timesteps, "is_fixed": self._is_fixed, "given": self.given}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken; a length that was fixed since stays."""
        given = values.get("given", 0)
        if self.given != given:
            self.given = given
            if self._schedule is not None:
                self._spread(self.total_timesteps, 1)
        if not self._is_fixed:
            self._is_fixed = values["is_fixed"]
            if values["total_timesteps"]:
                self._spread(values["total_timesteps"], 1)

    @property
    def _n_missing(self) -> int:
        return max(0, self.n_labels - self.given)

    def _spread(self, total_timesteps: int, rollout: int) -> None:
        """Plan so that all labels are due when the last rollout begins, at the latest."""
        last_rollout = (total_timesteps - 1) // rollout * rollout
        asking = min(self._settings.asking_share * total_timesteps, last_rollout)
        self._schedule = make_schedule(max(1, self._n_missing), max(1, int(asking)), self._settings)
        self.total_timesteps = total_timesteps


def _whole(name: str, value: float) -> int:
    """Return a count as Python's own integer, which files can hold; 1e6 is one, too."""
    try:
        if int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise SettingError(f"`{name}` must be a whole number. Received {value!r}.")
