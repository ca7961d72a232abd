"""Images that SB3 stacks: recorded frame by frame, seen as stacks by agent and reward alike."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

from prefrl.agents import PreferenceLearning
from prefrl.agents.environments import frame_stack_of
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import Store
from prefrl_envs.testing import SpacesEnv

SIDE = 43
FRAMES = spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8)


def make_screens(space: spaces.Space[Any] = FRAMES) -> VecEnv:
    return make_vec_env(lambda: SpacesEnv(space, spaces.Discrete(3), length=7), n_envs=2, seed=0)


@pytest.mark.parametrize(
    ("wrap", "n"),
    [
        (lambda: make_screens(), 1),
        (lambda: VecFrameStack(make_screens(), 4), 4),
        (lambda: VecFrameStack(make_screens(spaces.Box(-1.0, 1.0, (3,), np.float32)), 4), 1),
    ],
)
def test_stacks_of_images_are_found(wrap: Callable[[], VecEnv], n: int) -> None:
    assert frame_stack_of(wrap()) == n


def test_every_recorded_step_can_be_seen_as_the_agent_saw_it() -> None:
    """Across ends of episodes, and with rewards: what is predicted in flight is predicted from the store."""
    with Store() as store:
        preferences = PreferenceLearning(
            VecFrameStack(make_screens(), 4),
            teacher=OracleTeacher(),
            store=store,
            n_labels=6,
            feedback=FeedbackSettings(
                segment_length=3, labels_per_round=6, initial_timesteps=20, initial_share=1.0
            ),
            reward=RewardSettings(first_epochs=1),
        )
        preferences.begin(100, 2)
        venv, model = preferences.venv, preferences.reward_model
        assert (model.frame_stack, preferences.recorder.frame_stack) == (4, 4)
        assert preferences.recorder.state()[0]["observations"].shape[2:] == (SIDE, SIDE, 1)
        seen: list[npt.NDArray[np.uint8]] = [np.asarray(venv.reset())]
        rewards = []
        rng = np.random.default_rng(0)
        for number in range(40):
            if number == 15:
                assert preferences.update() is not None
            observations, step_rewards, _, _ = venv.step(rng.integers(3, size=2))
            seen.append(np.asarray(observations).copy())
            rewards.append(step_rewards)
        for segment in preferences.recorder.sample(30, length=3, rng=rng):
            first = segment.episode * 7 + segment.start
            frames = model.inputs.of_segment(segment)
            for step in range(3):
                stack = np.concatenate(list(frames[step : step + 4]), axis=-1)
                np.testing.assert_array_equal(stack, seen[first + step][segment.env_index])
            if first >= 15:
                expected = [rewards[first + step][segment.env_index] for step in range(3)]
                np.testing.assert_allclose(model.predict_segment(segment), expected, atol=1e-4)
