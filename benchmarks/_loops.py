"""Agents that learn in a loop that can be timed, in parts and as a whole."""

import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import gymnasium
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from prefrl.agents import make_agent
from prefrl.config import RunConfig
from prefrl.runs import RunFolder
from prefrl.runs.training import Training

Clock = Callable[[], float]


class Loop(Protocol):
    """Something whose environment steps per second are measured."""

    def steps_per_second(self, n_steps: int) -> float:
        """Go on for about `n_steps` environment steps, in whole rollouts."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class PlainLoop:
    """SB3 alone on the environment's own reward: nothing of prefrl around the environment.

    Args:
        config: The settings.
        clock: Returns seconds.
    """

    def __init__(self, config: RunConfig, clock: Clock) -> None:
        """Make environments and agent."""
        self.clock = clock

        def make() -> Monitor[Any, Any]:
            return Monitor(gymnasium.make(config.env_id, **config.make_kwargs))

        agent = config.agent
        self.venv = VecNormalize(
            DummyVecEnv([make] * agent.n_envs),
            norm_obs=agent.normalize_observations,
            norm_reward=agent.normalize_rewards,
            gamma=agent.settings["gamma"],
        )
        self.agent = make_agent(
            config.algo,
            self.venv,
            seed=config.seed,
            settings=agent,
        )
        for group in self.agent.policy.optimizer.param_groups:
            group["fused"] = None  # as SB3's own scripts have it

    def steps_per_second(self, n_steps: int) -> float:
        """Learn for `n_steps` more."""
        return _timed(self.agent, self.clock, lambda: self.agent.learn(n_steps, reset_num_timesteps=False))

    def close(self) -> None:
        """Close the environments."""
        self.venv.close()


class RunLoop:
    """The training that `prefrl train` makes of the same settings.

    Args:
        config: The settings.
        clock: Returns seconds.
        folder: A new folder for the run.
        refits: Whether the teacher is asked and the reward refitted on the way. If not, the reward is fitted
            once, before anything is timed.
    """

    def __init__(self, config: RunConfig, clock: Clock, folder: Path, *, refits: bool = True) -> None:
        """Make the training."""
        self.clock = clock
        self.training = Training(config, RunFolder.create(folder, config))
        self.agent = self.training.agent
        self.preferences = self.training.preferences
        self.refits = refits
        if self.preferences is not None and not refits:
            while not self.preferences.reward_model.fitted:
                self.agent.learn(
                    config.feedback.initial_timesteps,
                    callback=self.preferences.callback(),
                    reset_num_timesteps=False,
                )

    def steps_per_second(self, n_steps: int) -> float:
        """Learn for `n_steps` more."""
        asking = self.preferences is not None and self.refits
        callback = self.preferences.callback() if asking and self.preferences is not None else None

        def learn() -> object:
            with warnings.catch_warnings():  # nothing is asked on purpose
                warnings.filterwarnings("ignore", ".*is stepped while no call of `learn`")
                return self.agent.learn(
                    n_steps,
                    callback=callback,
                    log_interval=self.training.log_interval,
                    reset_num_timesteps=False,
                )

        return _timed(self.agent, self.clock, learn)

    def close(self) -> None:
        """Close environments, store and log."""
        self.training.close()


class Stopwatch:
    """Adds up the time spent in chosen methods of a `RunLoop` that learns from preferences."""

    PARTS = ("stepping", "policy and the rest", "reward prediction", "asking and refits", "recording", "wrapper")

    def __init__(self, loop: RunLoop) -> None:
        """Put a clock around each method, on these objects only."""
        preferences = loop.preferences
        assert preferences is not None
        self._clock = loop.clock
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._watch(loop.training.environments, "step_wait", "stepping")
        self._watch(preferences.venv, "reward", "reward prediction")
        self._watch(preferences.recorder, "record", "recording")
        self._watch(preferences.venv, "step_wait", "all of step_wait")
        self._watch(preferences, "update", "asking and refits")
        self._watch(loop, "steps_per_second", "everything")

    def shares(self) -> dict[str, float]:
        """Return each part's share of the loop's wall time; the parts add up to 1."""
        s = self._seconds
        parts = {name: s[name] for name in ("stepping", "reward prediction", "recording", "asking and refits")}
        # The wrapper's `step_wait` steps, predicts and records.
        inside = s["stepping"] + s["reward prediction"] + s["recording"]
        parts["wrapper"] = s["all of step_wait"] - inside
        parts["policy and the rest"] = s["everything"] - sum(parts.values())
        return {name: parts[name] / s["everything"] for name in self.PARTS}

    def _watch(self, owner: object, method: str, part: str) -> None:
        inner = getattr(owner, method)

        @wraps(inner)
        def watched(*args: Any, **kwargs: Any) -> Any:
            started = self._clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self._seconds[part] += self._clock() - started

        setattr(owner, method, watched)


class Loops:
    """Several loops measured in turn, so that what the machine does meanwhile hits all of them alike."""

    def __init__(self, loops: dict[str, Loop]) -> None:
        """Keep the loops, by name."""
        self.loops = loops

    def __enter__(self) -> Self:
        """Nothing to do: the loops are made."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every loop."""
        for loop in self.loops.values():
            loop.close()

    def measure(self, n_steps: int, n_rounds: int) -> dict[str, list[float]]:
        """Return steps per second of each loop in each round; every second round goes backwards."""
        rates: dict[str, list[float]] = {name: [] for name in self.loops}
        for index in range(n_rounds):
            for name in list(self.loops)[:: 1 if index % 2 == 0 else -1]:
                rates[name].append(self.loops[name].steps_per_second(n_steps))
        return rates


def _timed(agent: BaseAlgorithm, clock: Clock, learn: Callable[[], object]) -> float:
    steps, started = agent.num_timesteps, clock()
    learn()
    return (agent.num_timesteps - steps) / (clock() - started)
