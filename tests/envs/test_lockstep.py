"""Environments whose episodes begin and end together: the last step of an episode, the next, and coming back."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from prefrl_envs.lockstep import Array, LockstepVector

HORIZON = 3


class Example(gymnasium.Env[Array, Array]):
    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)
    spec = gymnasium.envs.registration.EnvSpec("Example-v0", max_episode_steps=HORIZON)


class Walkers(LockstepVector):
    """Each begins at 10 × its seed + the number of the episode and goes where the action says."""

    def __init__(self, n_envs: int, *, counts: bool = True) -> None:
        super().__init__(Example(), n_envs)
        self.counts = counts
        self.place: Any = None

    def _start(self, seed: int, episode: int) -> tuple[Array, Array]:
        self.place = np.array([[10.0 * (seed + env) + episode] for env in range(self.num_envs)])
        return self.place, -self.place

    def _advance(self, actions: Array) -> tuple[Array, Array, Array]:
        self.place = self.place + actions
        return self.place, actions[:, 0], -self.place

    def _metrics(self) -> Sequence[Mapping[str, float]]:
        return [{"place": float(place)} for place in self.place[:, 0]] if self.counts else []


def step(vector: Walkers, *actions: float) -> Any:
    return vector.step(np.array(actions)[:, None])


def test_the_step_that_ends_an_episode_begins_the_next() -> None:
    walkers = Walkers(2)
    assert walkers.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observations, infos = walkers.reset(seed=1)
    np.testing.assert_array_equal(observations, [[10.0], [20.0]])
    np.testing.assert_array_equal(infos["render_state"], [[-10.0], [-20.0]])
    for n in range(1, HORIZON):
        observations, rewards, terminated, truncated, infos = step(walkers, 0.5, -0.5)
        np.testing.assert_array_equal(observations, [[10.0 + 0.5 * n], [20.0 - 0.5 * n]])
        np.testing.assert_array_equal(rewards, [0.5, -0.5])
        assert not terminated.any()
        assert not truncated.any()
        assert set(infos) == {"render_state"}
    observations, rewards, terminated, truncated, infos = step(walkers, 0.5, -0.5)
    assert truncated.all()
    assert not terminated.any()
    np.testing.assert_array_equal(observations, [[11.0], [21.0]])
    np.testing.assert_array_equal(infos["render_state"], [[-11.0], [-21.0]])
    np.testing.assert_array_equal(np.stack(infos["final_obs"]), [[11.5], [18.5]])
    np.testing.assert_array_equal(infos["final_info"]["render_state"], [[-11.5], [-18.5]])
    np.testing.assert_array_equal(infos["final_info"]["task_metrics"]["place"], [11.5, 18.5])
    assert infos["_final_obs"].all()


def test_nothing_counted_is_nothing_told() -> None:
    walkers = Walkers(1, counts=False)
    walkers.reset(seed=0)
    infos = [step(walkers, 1.0)[4] for _ in range(HORIZON)]
    assert set(infos[-1]["final_info"]) == {"render_state"}


def test_a_reset_goes_on_with_the_seeds_there_are_and_a_seed_begins_anew() -> None:
    walkers = Walkers(1)
    assert walkers.reset(seed=3)[0] == 30.0
    assert walkers.reset()[0] == 31.0
    step(walkers, 1.0)
    assert walkers.reset()[0] == 32.0
    assert walkers.reset(seed=3)[0] == 30.0


def test_without_a_seed_it_draws_one() -> None:
    firsts = {float(Walkers(1).reset()[0][0, 0]) for _ in range(3)}
    assert len(firsts) > 1


@pytest.mark.parametrize("n_steps", [0, 1, HORIZON, HORIZON + 2])
def test_it_comes_back_to_the_same_moment(n_steps: int) -> None:
    one, other = Walkers(2), Walkers(2)
    one.reset(seed=5)
    for n in range(n_steps):
        step(one, 0.1 * n, 0.2 * n)
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(other.place, one.place)
    for _ in range(2 * HORIZON):
        left, right = step(one, 0.3, 0.4), step(other, 0.3, 0.4)
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[3], right[3])


def test_what_it_is_handed_may_change_afterwards() -> None:
    """What is kept of an action is a copy."""
    walkers, again = Walkers(1), Walkers(1)
    walkers.reset(seed=0)
    action = np.array([[1.0]])
    walkers.step(action)
    action[:] = 7.0
    again.load_state_dict(walkers.state_dict())
    np.testing.assert_array_equal(again.place, [[1.0]])


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match="`n_envs` must be at least 1"):
        Walkers(0)
    with pytest.raises(ValueError, match="no state to save before the first reset"):
        Walkers(1).state_dict()
    with pytest.raises(ValueError, match="`options` must be None"):
        Walkers(1).reset(options={"low": 1})
