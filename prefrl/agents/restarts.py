"""Policies that are replaced: where one gets no better any more, a fresh one starts on the reward as it is now.

An agent may get stuck while its reward is right: a Hopper that has once fallen over backwards lies there, is told
that this is not wanted, and has no exploration left to find anything else. A fresh policy on the very same reward
learns to flip. Labels are dear and steps are cheap, so a stuck policy is replaced and not coaxed. The best of all
policies, by the reward of now, is kept and has the last word; so a policy that was as good as can be loses nothing
but the steps in which another was tried. (Nikishin et al. 2022 reset networks against the same primacy bias, at
fixed times and without keeping the old ones.)
"""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd

from prefrl.agents.learned_reward import LearnedRewardVecEnv
from prefrl.agents.progress_watch import ProgressWatch, Window, joined_windows, packed, thinned, unpacked
from prefrl.parts import Arrays, Json, State
from prefrl.seeding import Streams
from prefrl.settings import RestartSettings

HISTORY_SHARE = 15
"""One of so many steps of each window is kept to the end, to know how much the reward varies; no power of two, as
the environments' number may be one."""


class Note(NamedTuple):
    """A sentence for people about the policy."""

    num_timesteps: int
    text: str


class Progress(NamedTuple):
    """What was found at the end of a window."""

    gain: float
    """Reward per step of the latest windows less that of those before, in standard deviations of the reward; NaN
    while the policy is too young to be judged."""
    exploration: float
    """Standard deviation of the policy's actions, as a share of its first one; NaN for discrete actions."""
    is_stuck: bool
    """Whether the policy gets no better."""
    number: int
    """Of the policy that learns from now on; the first one is 1."""


class KeptPolicy(NamedTuple):
    """A policy as it was when a window ended."""

    number: int
    """The first policy of the training is 1."""
    weights: Arrays
    statistics: Arrays
    """Of the normalised observations; empty where they are not normalised."""
    window: Window
    """What it did."""


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


class PolicyRestarts:
    """Watches the policy of an on-policy algorithm of Stable-Baselines3, and replaces it where it is stuck.

    Args:
        venv: The environments it learns in; what pays there also judges.
        settings: When.
        seed: Of the fresh policies.
    """

    def __init__(self, venv: LearnedRewardVecEnv, settings: RestartSettings, seed: int) -> None:
        self._venv = venv
        self._settings = settings
        self._streams = Streams(seed)
        self._total_timesteps = 0
        self._windows: list[Window] = []
        self._history: list[Window] = []
        self._best: KeptPolicy | None = None
        self._first_log_std: float | None = None
        self._since: int | None = None
        self._left = 1.0
        self.number = 1
        """Of the policy that learns now."""
        self.n_policies = 1
        """Policies so far."""
        self.notes: list[Note] = []
        """What people should know of it, in the order of the steps."""
        self._watch = ProgressWatch(venv.num_envs, self._streams.integer("windows"))
        if venv.reward != "constant":
            venv.watch = self._watch

    def plan(self, total_timesteps: int) -> None:
        """Say how many environment steps the training has in all."""
        self._total_timesteps = total_timesteps
        self._watch.plan(int(self._settings.window_share * total_timesteps))

    def update(self, model: OnPolicyAlgorithm) -> Progress | None:
        """Look at the policy, and replace it if it is stuck; to be called between rollouts.

        Returns:
            What was found; None while no window has ended since the last call.
        """
        if self._left < 1.0 and not isinstance(model.lr_schedule, RestartedSchedule):
            self._restart_schedule(model)
        window = self._watch.take()
        if window is None:
            return None
        now, patience = self._venv.num_timesteps, self._settings.patience
        self._windows = [*self._windows[1 - 2 * patience :], window]
        self._history.append(thinned(window, HISTORY_SHARE))
        exploration = self._exploration(model)
        values = [self._value(window) for window in self._windows]
        spread = self._spread()
        self._keep(model, values[-1])
        gain = math.nan
        if len(values) >= 2 * patience:
            gain = float((np.mean(values[-patience:]) - np.mean(values[:patience])) / spread)
        is_stuck = gain < self._settings.least_gain
        if not is_stuck:
            self._since = None
        if is_stuck:
            self._mend(model, now, values[-1], exploration, spread)
        return Progress(gain, exploration, is_stuck, self.number)

    def end(self, model: OnPolicyAlgorithm) -> None:
        """Put the best policy in place, if the training is at its end."""
        now = self._venv.num_timesteps
        if not self._windows or now < self._total_timesteps:
            return
        if self._is_better(self._value(self._windows[-1]), self._spread()):
            self._put_back(model)
            self._note(now, f"Policy {self._kept_words} was the best: it is kept.")

    def _mend(self, model: OnPolicyAlgorithm, now: int, value: float, exploration: float, spread: float) -> None:
        """Do what can be done for a policy that is stuck, and say so, once for each thing that is done."""
        another = self._best is not None and self._best.number != self.number
        is_new, stuck = self._since is None, self.number
        self._since = self._since or self._windows[self._settings.patience - 1].until
        said = f"Policy {stuck} has got no better since step {self._since:,}"
        if not math.isnan(exploration):
            said += f" (its exploration is {exploration:.0%} of the first)"
        left = self._total_timesteps - now
        has_time = left >= self._settings.least_share * self._total_timesteps
        if self.n_policies <= self._settings.at_most and has_time:
            self._start_fresh(model)
            self._note(now, f"{said}: policy {self.number}, a fresh one, takes its place; the best one is kept.")
        elif another and self._is_better(value, spread):
            self._put_back(model)
            self._note(now, f"{said}: policy {self._kept_words} takes its place again.")
        elif is_new:
            self._note(now, f"{said}; it goes on, as no fresh one may be started any more.")

    def _note(self, now: int, text: str) -> None:
        self.notes.append(Note(now, text))

    def state(self) -> State:
        """Return windows, kept policy and counters."""
        arrays, watch = self._watch.state()
        arrays = {f"watch.{name}": array for name, array in arrays.items()}
        untils = []
        for index, window in enumerate(self._windows):
            own, values = packed(window)
            untils.append(values)
            arrays |= {f"window{index}.{name}": array for name, array in own.items()}
        arrays |= {f"history.{name}": array for name, array in self._packed_history().items()}
        best: Json | None = None
        if self._best is not None:
            own, values = packed(self._best.window)
            best = {"number": self._best.number, "window": values}
            arrays |= {f"best.window.{name}": array for name, array in own.items()}
            arrays |= {f"best.weights.{name}": array for name, array in self._best.weights.items()}
            arrays |= {f"best.statistics.{name}": array for name, array in self._best.statistics.items()}
        return arrays, {
            "watch": watch,
            "windows": untils,
            "best": best,
            "total_timesteps": self._total_timesteps,
            "first_log_std": self._first_log_std,
            "number": self.number,
            "n_policies": self.n_policies,
            "since": self._since,
            "left": self._left,
            "notes": [list(note) for note in self.notes],
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken."""
        self._watch.restore(_under("watch.", arrays), values["watch"])
        self._windows = [
            unpacked(arrays, f"window{index}.", window) for index, window in enumerate(values["windows"])
        ]
        self._history = [unpacked(arrays, "history.", {"until": 0})] if "history.actions" in arrays else []
        best = values["best"]
        self._best = None
        if best is not None:
            self._best = KeptPolicy(
                best["number"],
                _under("best.weights.", arrays),
                _under("best.statistics.", arrays),
                unpacked(arrays, "best.window.", best["window"]),
            )
        self._total_timesteps = self._total_timesteps or values["total_timesteps"]
        self._first_log_std = values["first_log_std"]
        self.number, self.n_policies = values["number"], values["n_policies"]
        self._since, self._left = values["since"], values["left"]
        self.notes = [Note(*note) for note in values["notes"]]

    @property
    def _kept_words(self) -> str:
        return f"{self._best.number} as it was at step {self._best.window.until:,}" if self._best else ""

    def _packed_history(self) -> Arrays:
        return packed(joined_windows(self._history))[0] if self._history else {}

    def _value(self, window: Window) -> float:
        """Return the mean reward per step of a window, by the reward of now."""
        return float(self._rewards(window).mean())

    def _rewards(self, window: Window) -> npt.NDArray[Any]:
        if callable(self._venv.reward):
            return self._venv.reward(window.observations, window.actions)
        return window.rewards

    def _spread(self) -> float:
        """Return the standard deviation of the reward over all that was done so far.

        Over all: what one policy does may be all alike.
        """
        return max(float(self._rewards(joined_windows(self._history)).std()), 1e-8)

    def _keep(self, model: OnPolicyAlgorithm, value: float) -> None:
        """Keep the policy of now if none that is kept is better."""
        if self._best is not None and self._value(self._best.window) > value:
            return
        weights = {name: tensor.cpu().numpy().copy() for name, tensor in model.policy.state_dict().items()}
        self._best = KeptPolicy(self.number, weights, _statistics(model), self._windows[-1])

    def _is_better(self, value: float, spread: float) -> bool:
        """Return whether the kept policy is better, by more than chance."""
        if self._best is None:
            return False
        return self._value(self._best.window) - value > self._settings.least_gain * spread

    def _start_fresh(self, model: OnPolicyAlgorithm) -> None:
        """Give the model a policy with first weights."""
        self.n_policies += 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._streams.integer(f"policy-{self.n_policies}"))
            fresh = model.policy_class(
                model.observation_space,
                model.action_space,
                model.lr_schedule,
                use_sde=model.use_sde,
                **model.policy_kwargs,
            )
        self._put(model, fresh.state_dict())
        self._left = max(model._current_progress_remaining, 1e-8)
        self._restart_schedule(model)
        self.number = self.n_policies

    def _restart_schedule(self, model: OnPolicyAlgorithm) -> None:
        """Have the learning rate begin anew with the policy; SB3 forgets it where it loads a model."""
        schedule = model.lr_schedule
        first = schedule.schedule if isinstance(schedule, RestartedSchedule) else schedule
        model.lr_schedule = RestartedSchedule(first, self._left)

    def _put_back(self, model: OnPolicyAlgorithm) -> None:
        """Give the model the kept policy."""
        assert self._best is not None
        self._put(model, {name: torch.as_tensor(array) for name, array in self._best.weights.items()})
        _set_statistics(model, self._best.statistics)
        self.number = self._best.number

    def _put(self, model: OnPolicyAlgorithm, weights: dict[str, Any]) -> None:
        model.policy.load_state_dict(weights)
        model.policy.optimizer.state.clear()  # its momentum belongs to the other policy
        self._windows, self._since = [], None
        self._watch.begin()

    def _exploration(self, model: OnPolicyAlgorithm) -> float:
        log_std = getattr(model.policy, "log_std", None)
        if log_std is None:
            return math.nan
        mean = float(log_std.detach().mean())
        if self._first_log_std is None:
            self._first_log_std = mean
        return math.exp(mean - self._first_log_std)


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _running(model: OnPolicyAlgorithm) -> dict[str, RunningMeanStd]:
    """Return the running statistics of observations that `VecNormalize` has, by name."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None or not normalizer.norm_obs:
        return {}
    own = normalizer.obs_rms
    return own if isinstance(own, dict) else {"": own}


def _statistics(model: OnPolicyAlgorithm) -> Arrays:
    result: Arrays = {}
    for name, running in _running(model).items():
        result |= {
            f"{name}.mean": np.array(running.mean),
            f"{name}.var": np.array(running.var),
            f"{name}.count": np.array([running.count], dtype=np.float64),
        }
    return result


def _set_statistics(model: OnPolicyAlgorithm, statistics: Arrays) -> None:
    for name, running in _running(model).items():
        if f"{name}.mean" in statistics:
            running.mean = copy.copy(statistics[f"{name}.mean"])
            running.var = copy.copy(statistics[f"{name}.var"])
            running.count = float(statistics[f"{name}.count"][0])
