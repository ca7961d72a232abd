"""Policies that are replaced: where one gets no better any more, a fresh one starts on the reward as it is now.

An agent may get stuck while its reward is right: a Hopper that has once fallen over backwards lies there, is told
that this is not wanted, and has no exploration left to find anything else. A fresh policy on the very same reward
learns to flip. Labels are dear and steps are cheap, so a stuck policy is replaced and not coaxed. The best of all
policies, by the reward of now, is kept and has the last word; so a policy that was as good as can be loses nothing
but the steps in which another was tried. (Nikishin et al. 2022 reset networks against the same primacy bias, at
fixed times and without keeping the old ones.)

Where many policies get stuck the first ones only gather what is asked about, one after the other. The last one
learns from all that was said of them: what nearly nobody does by chance, the reward knows by then.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from prefrl.agents.kept_policy import KeptPolicy, put_fresh_policy
from prefrl.agents.learned_reward import LearnedRewardVecEnv
from prefrl.agents.progress_watch import NOWHEN, ProgressWatch, Window, joined_windows, packed, thinned, unpacked
from prefrl.parts import Arrays, Json, State, under
from prefrl.seeding import Streams
from prefrl.settings import RestartSettings

HISTORY_SHARE = 15
"""One of so many steps of each window is kept to the end, to know how much the reward varies; no power of two, as
the environments' number may be one."""
OVERTAKING = 2
"""So many times the steps that a stuck policy rose for must be left for a fresh one
(docs/findings/stuck-policies.md)."""
SD_FLOOR = 1e-8


class Note(NamedTuple):
    """A sentence for people about the policy."""

    num_timesteps: int
    text: str


class Progress(NamedTuple):
    """What was found at the end of a window."""

    gain: float
    """Returns of the latest windows less those before, per step, in standard deviations of the reward; NaN while
    the policy is too young to be judged."""
    exploration: float
    """Standard deviation of the policy's actions, as a share of its first one; NaN for discrete actions."""
    is_stuck: bool
    """Whether the policy gets no better."""
    number: int
    """Of the policy that learns from now on; the first one is 1."""


class RestartedSchedule:
    """A schedule of SB3's that a fresh policy goes through from its beginning, in the steps that are left.

    Args:
        schedule: From the share of the training that is left, 1 to 0, to a value.
        left: The share that is left when the policy starts.
    """

    def __init__(self, schedule: Callable[[float], float], left: float) -> None:
        self.schedule = schedule
        self.left = left

    def __call__(self, progress_remaining: float) -> float:
        """Return the value where this share of the whole training is left."""
        return self.schedule(min(1.0, progress_remaining / self.left))


class _Restarted(NamedTuple):
    """Where a schedule began anew."""

    left: float
    """Share of the training that was left."""
    at: int
    """Step of the model, as SB3 counts, at which the policy began to learn."""
    total: int
    """Steps of the model when its training ends."""


class PolicyRestarts:
    """Watches the policy of an on-policy algorithm of Stable-Baselines3, and replaces it where it is stuck.

    Args:
        venv: The environments it learns in; what pays there also judges.
        settings: When.
        seed: Of the fresh policies.
    """

    def __init__(self, venv: LearnedRewardVecEnv, settings: RestartSettings, seed: int) -> None:
        self._venv = venv
        self.settings = settings
        self._streams = Streams(seed)
        self._total_timesteps = 0
        self._model: OnPolicyAlgorithm | None = None
        self._windows: list[Window] = []
        self._history: list[Window] = []
        self._kept: dict[int, KeptPolicy] = {}
        self._n_windows = 0
        self._began = 0
        self._first_log_std: float | None = None
        self._since: int | None = None
        self._schedule: _Restarted | None = None
        self._is_gathering = settings.first_policies > 0
        self.number = 1
        """Of the policy that learns now."""
        self.n_policies = 1
        """Policies so far."""
        self.notes: list[Note] = []
        """What people should know of it, in the order of the steps."""
        self._watch = ProgressWatch(venv.num_envs, self._streams.integer("windows"))
        self.attend(True)

    def attend(self, yes: bool) -> None:
        """Say whether what is done in the environments is taken note of; a constant reward judges nobody."""
        self._venv.watch = self._watch if yes and self._venv.reward != "constant" else None

    def plan(self, total_timesteps: int) -> None:
        """Say how many environment steps the training has in all."""
        self._total_timesteps = total_timesteps
        self._watch.plan(int(self.settings.window_share * total_timesteps))

    def update(self, model: OnPolicyAlgorithm) -> Progress | None:
        """Look at the policy, and replace it if it is stuck; to be called between rollouts.

        Returns:
            What was found; None while no window has ended since the last call.
        """
        self._attend(model)
        self._keep_schedule(model)
        window = self._watch.take()
        if window is None:
            return None
        patience = self.settings.patience
        self._windows = [*self._windows[1 - 2 * patience :], window]
        self._history.append(thinned(window, HISTORY_SHARE))
        self._n_windows += 1
        exploration = self._exploration(model)
        values = [self._value(window) for window in self._windows]
        self._keep(model, values[-1])
        gain = math.nan
        if len(values) >= 2 * patience:
            gain = float((np.mean(values[-patience:]) - np.mean(values[:patience])) / self._spread(self._windows))
        is_stuck = not self._is_gathering and gain < self.settings.least_gain
        if is_stuck:
            self._mend(model, exploration)
        else:
            self._since = None
            if self._is_gathering:
                self._take_turns(model)
        return Progress(gain, exploration, is_stuck, self.number)

    def end(self, model: OnPolicyAlgorithm) -> None:
        """Put the best policy in place, if the training is at its end and was long enough to tell."""
        self._attend(model)
        long_enough = len(self._windows) > 0 and self._n_windows >= 2 * self.settings.patience
        if long_enough and self._venv.num_timesteps >= self._total_timesteps:
            best = self._better()
            if best is not None:
                self._put_back(model, best)
                self.note(f"{best.words.capitalize()} was the best: it is kept.")
        _own_schedule(model)  # another training may follow, without all this

    def _attend(self, model: OnPolicyAlgorithm) -> None:
        """Begin anew with another model than before: it must not be given what the first one had learned."""
        before, self._model = self._model, model
        if before is None or before is model:
            return
        self._kept, self._windows, self._since, self._schedule = {}, [], None, None
        self._n_windows, self._began, self._first_log_std = 0, self._venv.num_timesteps, None
        self._is_gathering = self.settings.first_policies > 0
        self.number = self.n_policies = 1
        self._watch.begin()

    def _take_turns(self, model: OnPolicyAlgorithm) -> None:
        """Give the next of the first policies its turn, or a fresh one the rest of the training."""
        settings = self.settings
        if self._age < settings.first_share / settings.first_policies * self._total_timesteps:
            return
        self._start_fresh(model)
        if self.n_policies <= settings.first_policies:
            self.note(f"Policy {self.number} of the first {settings.first_policies} begins.")
            return
        self._is_gathering = False
        before = "the first" if settings.first_policies == 1 else f"the first {settings.first_policies}"
        self.note(f"Policy {self.number} begins, on the reward that was learned from {before}.")

    def _mend(self, model: OnPolicyAlgorithm, exploration: float) -> None:
        """Do what can be done for a policy that is stuck, and say so, once for each thing that is done."""
        settings, is_new = self.settings, self._since is None
        self._since = self._since or self._windows[settings.patience - 1].until
        said = f"Policy {self.number} has got no better since step {self._since:,}"
        if not math.isnan(exploration):
            said += f" (its exploration is {exploration:.0%} of the first)"
        left = self._total_timesteps - self._venv.num_timesteps
        # A fresh one takes as long to come as far, and must have time to come further.
        rise = self._since - self._began
        has_time = left >= max(settings.least_share * self._total_timesteps, OVERTAKING * rise)
        better = self._better()
        if self.n_policies <= settings.first_policies + settings.at_most and has_time:
            self._start_fresh(model)
            self.note(f"{said}: policy {self.number}, a fresh one, takes its place; the best one is kept.")
        elif better is not None and better.number != self.number:
            self._put_back(model, better)
            self.note(f"{said}: {better.words} takes its place again.")
        elif is_new:
            self.note(f"{said}; it goes on, as no fresh one may be started any more.")

    def note(self, text: str) -> None:
        """Keep a sentence for people, with the step of now."""
        self.notes.append(Note(self._venv.num_timesteps, text))

    def state(self) -> State:
        """Return windows, kept policies and counters."""
        arrays, watch = self._watch.state()
        arrays = {f"watch.{name}": array for name, array in arrays.items()}
        windows, kept = [], []
        for index, window in enumerate(self._windows):
            own, values = packed(window)
            windows.append(values)
            arrays |= {f"window{index}.{name}": array for name, array in own.items()}
        for index, policy in enumerate(self._kept.values()):
            own, values = policy.state()
            kept.append(values)
            arrays |= {f"kept{index}.{name}": array for name, array in own.items()}
        if self._history:
            own, _ = packed(joined_windows(self._history))
            arrays |= {f"history.{name}": array for name, array in own.items()}
        return arrays, {
            "watch": watch,
            "windows": windows,
            "kept": kept,
            "total_timesteps": self._total_timesteps,
            "n_windows": self._n_windows,
            "began": self._began,
            "first_log_std": self._first_log_std,
            "since": self._since,
            "schedule": None if self._schedule is None else list(self._schedule),
            "is_gathering": self._is_gathering,
            "number": self.number,
            "n_policies": self.n_policies,
            "notes": [list(note) for note in self.notes],
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken; the model that comes next is the one of then."""
        self._model = None
        self._watch.restore(under("watch.", arrays), values["watch"])
        self._windows = [
            unpacked(arrays, f"window{index}.", window) for index, window in enumerate(values["windows"])
        ]
        policies = [
            KeptPolicy.from_state(under(f"kept{index}.", arrays), kept)
            for index, kept in enumerate(values["kept"])
        ]
        self._kept = {policy.number: policy for policy in policies}
        self._history = [unpacked(arrays, "history.", NOWHEN)] if "history.actions" in arrays else []
        self._total_timesteps = self._total_timesteps or values["total_timesteps"]
        self._n_windows, self._began = values["n_windows"], values["began"]
        self._first_log_std = values["first_log_std"]
        self._since, schedule = values["since"], values["schedule"]
        self._schedule = None if schedule is None else _Restarted(*schedule)
        self._is_gathering = values["is_gathering"]
        self.number, self.n_policies = values["number"], values["n_policies"]
        self.notes = [Note(*note) for note in values["notes"]]

    @property
    def _age(self) -> int:
        """Environment steps in which the policy of now has learned."""
        return self._venv.num_timesteps - self._began

    @property
    def _best(self) -> KeptPolicy:
        """The best of all kept policies, by the reward of now."""
        return max(self._kept.values(), key=lambda policy: self._value(policy.window))

    def _better(self) -> KeptPolicy | None:
        """Return the best policy, if it is better than the one of now by more than chance."""
        best = self._best
        gap = self._value(best.window) - self._value(self._windows[-1])
        spread = self._spread([best.window, self._windows[-1]])
        return best if gap > self.settings.least_gain * spread else None

    def _value(self, window: Window) -> float:
        """Return the mean return of a window's episodes, by the reward of now."""
        return float(self._rewards(window).mean()) * window.episode_length

    def _rewards(self, window: Window) -> npt.NDArray[Any]:
        if callable(self._venv.reward):
            steps = window.steps
            return self._venv.reward(steps.observations, steps.actions, steps.next_observations)
        return window.steps.rewards

    def _spread(self, windows: list[Window]) -> float:
        """Return what one standard deviation of the reward comes to over an episode of these windows.

        That over all that was done so far: what one policy does may be all alike.
        """
        deviation = float(self._rewards(joined_windows(self._history)).std())
        return max(deviation, SD_FLOOR) * float(np.mean([window.episode_length for window in windows]))

    def _keep(self, model: OnPolicyAlgorithm, value: float) -> None:
        """Keep the policy as it is now, unless it was better before."""
        earlier = self._kept.get(self.number)
        if earlier is None or self._value(earlier.window) <= value:
            self._kept[self.number] = KeptPolicy.of(model, self.number, self._age, self._windows[-1])

    def _start_fresh(self, model: OnPolicyAlgorithm) -> None:
        """Give the model a policy with first weights."""
        self.n_policies += 1
        put_fresh_policy(model, self._streams.integer(f"policy-{self.n_policies}"))
        self._begin(model, self.n_policies, age=0)

    def _put_back(self, model: OnPolicyAlgorithm, policy: KeptPolicy) -> None:
        """Give the model a kept policy."""
        policy.put_back(model)
        self._begin(model, policy.number, policy.age)

    def _begin(self, model: OnPolicyAlgorithm, number: int, age: int) -> None:
        """Take note that another policy learns; its learning rate goes on from what it has learned."""
        self.number, self._began = number, self._venv.num_timesteps - age
        self._windows, self._since = [], None
        self._watch.begin()
        left = model._current_progress_remaining + age / max(self._total_timesteps, 1)
        self._restart_schedule(model, left, max(0, model.num_timesteps - age))

    def _keep_schedule(self, model: OnPolicyAlgorithm) -> None:
        """See that the learning rate is still the policy's own.

        SB3 forgets it where it loads a model; a training that was made longer has another share left; and a call
        of `learn` that counts from 0 goes through the schedule once more.
        """
        began = self._schedule
        if began is None:
            _own_schedule(model)  # it may come from another training
            return
        total = model._total_timesteps
        if model.num_timesteps < began.at:
            self._restart_schedule(model, 1.0, 0)
        elif total != began.total:
            self._restart_schedule(model, 1 - began.at / total, began.at)
        elif not isinstance(model.lr_schedule, RestartedSchedule):
            self._restart_schedule(model, began.left, began.at)

    def _restart_schedule(self, model: OnPolicyAlgorithm, left: float, at: int) -> None:
        """Have the learning rate begin anew with the policy."""
        schedule = model.lr_schedule
        first = schedule.schedule if isinstance(schedule, RestartedSchedule) else schedule
        left = min(1.0, max(left, 1e-8))
        self._schedule = _Restarted(left, at, model._total_timesteps)
        model.lr_schedule = RestartedSchedule(first, left)

    def _exploration(self, model: OnPolicyAlgorithm) -> float:
        log_std = getattr(model.policy, "log_std", None)
        if log_std is None:
            return math.nan
        mean = float(log_std.detach().mean())
        if self._first_log_std is None:
            self._first_log_std = mean
        return math.exp(mean - self._first_log_std)


def _own_schedule(model: OnPolicyAlgorithm) -> None:
    """Give the model back the learning rate's schedule that it was made with."""
    if isinstance(model.lr_schedule, RestartedSchedule):
        model.lr_schedule = model.lr_schedule.schedule
