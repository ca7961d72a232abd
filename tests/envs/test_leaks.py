"""Nothing of a task leaks: whoever learns from a constant reward learns nothing of it.

An agent is trained on a constant reward, +1 or -1, and compared with itself before the training. Where an episode
ends early, or its length tells anything else, either sign teaches the task (Hopper: stay up as long as you can).

The comparison: true reward per step over the first 300 steps of 8 episodes, six seeds. There is a leak if the mean
gain over the seeds is above zero by a one-sided t-test at the level of 0.5 % (t > 4.03 with 5 degrees of freedom)
and is worth more than half a standard deviation of the untrained agent's episodes. The second condition is there
because training on noise narrows or moves the actions a little, and any environment with a control cost pays that.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecNormalize

from prefrl_envs.tasks import TASKS

N_ENVS, N_SEEDS, MEASURED_STEPS = 8, 6, 300
T_LIMIT = 4.03
TRAINING_STEPS = {"atari": 4096}
DEFAULT_TRAINING_STEPS = 16_384


class ConstantReward(VecEnvWrapper):
    """Pays the same in every step."""

    def __init__(self, venv: Any, reward: float) -> None:
        super().__init__(venv)
        self._reward = reward

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        observations, _, dones, infos = self.venv.step_wait()
        return observations, np.full(self.num_envs, self._reward, dtype=np.float32), dones, infos


def environments(env_id: str, seed: int, **kwargs: Any) -> Any:
    venv = DummyVecEnv([lambda: Monitor(gymnasium.make(env_id, **kwargs))] * N_ENVS)
    venv.seed(seed)
    return venv


def per_step(model: PPO, env_id: str, **kwargs: Any) -> npt.NDArray[np.float64]:
    """True reward per step of each of 8 episodes, by the policy as it explores, over at most 300 steps each."""
    venv, normalizer = environments(env_id, 1000, **kwargs), model.get_vec_normalize_env()
    observations, totals, going = venv.reset(), np.zeros(N_ENVS), np.ones(N_ENVS, dtype=bool)
    for _ in range(MEASURED_STEPS):
        seen = observations if normalizer is None else normalizer.normalize_obs(observations)
        observations, rewards, dones, _ = venv.step(model.predict(seen, deterministic=False)[0])
        totals += going * rewards
        going &= ~dones
    venv.close()
    return totals / MEASURED_STEPS


def gains(env_id: str, reward: float, steps: int, **kwargs: Any) -> tuple[npt.NDArray[np.float64], float]:
    """Return by how much each seed's agent became better, and the spread of the untrained agents' episodes."""
    gained, spreads = [], []
    for seed in range(N_SEEDS):
        venv: Any = ConstantReward(environments(env_id, seed, **kwargs), reward)
        if isinstance(venv.observation_space, gymnasium.spaces.Box) and venv.observation_space.dtype != np.uint8:
            venv = VecNormalize(venv, norm_reward=False)
        model = PPO("MlpPolicy", venv, n_steps=128, batch_size=256, n_epochs=4, seed=seed, device="cpu")
        before = per_step(model, env_id, **kwargs)
        model.learn(steps)
        gained.append(float(np.mean(per_step(model, env_id, **kwargs)) - np.mean(before)))
        spreads.append(float(np.std(before)))
        venv.close()
    return np.array(gained), float(np.mean(spreads))


def leaks(gained: npt.NDArray[np.float64], spread: float) -> bool:
    mean = float(np.mean(gained))
    error = float(np.std(gained, ddof=1)) / np.sqrt(len(gained))
    return bool(mean > T_LIMIT * error and mean > 0.5 * spread)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reward", [1.0, -1.0])
@pytest.mark.parametrize("task", TASKS)
def test_a_constant_reward_teaches_nothing(task: str, reward: float) -> None:
    steps = TRAINING_STEPS.get(TASKS[task].family, DEFAULT_TRAINING_STEPS)
    gained, spread = gains(TASKS[task].env_id, reward, steps)
    assert not leaks(gained, spread), (gained, spread)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_test_sees_a_leak() -> None:
    """A Hopper whose episodes end when it falls learns to stand from a constant 1."""
    gained, spread = gains("prefrl/Hopper-v0", 1.0, DEFAULT_TRAINING_STEPS, terminate_when_unhealthy=True)
    assert leaks(gained, spread), (gained, spread)


@pytest.mark.parametrize(
    ("gained", "spread", "expected"),
    [
        ([2.0, 2.1, 1.9, 2.0], 1.0, True),
        ([2.0, 2.1, 1.9, 2.0], 5.0, False),  # too little to be worth anything
        ([9.0, -8.0, 9.0, -2.0], 1.0, False),  # chance
        ([-2.0, -2.1, -1.9, -2.0], 1.0, False),
    ],
)
def test_what_counts_as_a_leak(gained: list[float], spread: float, expected: bool) -> None:
    assert leaks(np.array(gained), spread) is expected
