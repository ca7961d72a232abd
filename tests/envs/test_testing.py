"""The toy environments count right."""

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from prefrl_envs.testing import EXAMPLE_SPACES, ActionRewardEnv, CountingEnv, SpacesEnv


def episode(env: Any, action: Any) -> list[tuple[float, float, bool, bool]]:
    env.reset()
    steps: list[tuple[float, float, bool, bool]] = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        observation, reward, terminated, truncated, _ = env.step(action)
        steps.append((float(observation[0]), reward, terminated, truncated))
    return steps


def test_counting() -> None:
    env = CountingEnv((3,))
    assert env.reset()[0].tolist() == [0.0]
    assert episode(env, np.zeros(1)) == [
        (1.0, 0.0, False, False),
        (2.0, 10.0, False, False),
        (3.0, 20.0, False, True),
    ]


def test_lengths_take_turns_and_may_terminate() -> None:
    env = CountingEnv((2, 4, 1), terminates=True)
    episodes = [episode(env, np.zeros(1)) for _ in range(4)]
    assert [len(steps) for steps in episodes] == [2, 4, 1, 2]
    assert [steps[-1][2:] for steps in episodes] == [(True, False)] * 4


@pytest.mark.parametrize("lengths", [(), (3, 0)])
def test_lengths_that_cannot_be_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`lengths` must hold numbers of at least 1"):
        CountingEnv(lengths)


def test_the_action_is_the_reward() -> None:
    steps = episode(ActionRewardEnv(4), np.array([0.25]))
    assert steps == [(0.0, 0.25, False, False)] * 3 + [(0.0, 0.25, False, True)]


@pytest.mark.parametrize("kind", EXAMPLE_SPACES)
def test_spaces_env_offers_each_kind_and_repeats_itself(kind: str) -> None:
    def rewards(seed: int) -> list[Any]:
        env = SpacesEnv(EXAMPLE_SPACES[kind], EXAMPLE_SPACES["discrete"], length=3)
        assert env.observation_space.contains(env.reset(seed=seed)[0])
        steps = [env.step(np.int64(2)) for _ in range(3)]
        assert all(env.observation_space.contains(step[0]) for step in steps)
        assert [step[3] for step in steps] == [False, False, True]
        return [(str(step[0]), step[1]) for step in steps]

    assert rewards(0) == rewards(0)
    assert rewards(0) != rewards(1)


def test_spaces_env_refuses_an_action_from_outside() -> None:
    env = SpacesEnv(EXAMPLE_SPACES["box"], EXAMPLE_SPACES["discrete"])
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`action` must lie in Discrete"):
        env.step(np.int64(0))


@pytest.mark.filterwarnings("ignore::UserWarning")  # advice about unbounded boxes, and about a missing spec
@pytest.mark.parametrize("env", [CountingEnv(), ActionRewardEnv()], ids=["counting", "action-reward"])
def test_gymnasium_accepts_them(env: Any) -> None:
    check_env(env, skip_render_check=True)
