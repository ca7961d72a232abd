"""Where the time of a loop goes."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from benchmarks._loops import RunLoop, Stopwatch
from prefrl.agents.learned_reward import LearnedRewardVecEnv

Take = Callable[[float], None]


class SlowEnvironments(DummyVecEnv):
    """Take four seconds a step."""

    def __init__(self, take: Take) -> None:
        super().__init__([lambda: Monitor(gymnasium.make("Pendulum-v1"))])
        self.take = take

    def step_wait(self) -> VecEnvStepReturn:
        self.take(4)
        return super().step_wait()


class SlowLoop:
    """A loop whose clock only goes on where something is said to take time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = lambda: self.seconds
        self.training = SimpleNamespace(environments=SlowEnvironments(self.take))
        recorder: Any = SimpleNamespace(cut=lambda: None, record=lambda *args, **kwargs: self.take(2))
        venv = LearnedRewardVecEnv(self.training.environments, self.reward, recorder)
        watch: Any = SimpleNamespace(cut=lambda: None, record=lambda *args: self.take(1))
        venv.watch = watch
        self.preferences = SimpleNamespace(venv=venv, recorder=recorder, update=lambda: self.take(6))
        venv.reset()

    def take(self, seconds: float) -> None:
        self.seconds += seconds

    def reward(self, observations: Any, actions: Any, following: Any) -> Any:
        self.take(3)
        return np.zeros(len(actions), dtype=np.float32)

    def steps_per_second(self, n_steps: int) -> float:
        for _ in range(n_steps):
            self.take(4)  # the policy
            self.preferences.venv.step(np.zeros((1, 1), dtype=np.float32))
        self.preferences.update()
        return 0.0


def test_the_parts_of_a_loops_time_are_told_apart() -> None:
    loop = SlowLoop()
    watch = Stopwatch(cast(RunLoop, loop))
    loop.steps_per_second(2)
    loop.steps_per_second(1)
    # Three steps of 4 + 4 + 3 + 2 + 1 seconds, and two updates of 6.
    assert watch.shares() == pytest.approx(
        {
            "stepping": 12 / 54,
            "policy and the rest": 12 / 54,
            "reward prediction": 9 / 54,
            "asking and refits": 12 / 54,
            "recording": 6 / 54,
            "wrapper": 3 / 54,
        }
    )
    assert sum(watch.shares().values()) == pytest.approx(1)
