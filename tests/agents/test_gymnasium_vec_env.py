"""SB3 must see the same world whether it steps environments itself or gymnasium steps them together."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.errors import SettingError
from prefrl.segments import SegmentRecorder
from prefrl_envs.testing import EXAMPLE_SPACES, CountingEnv, SpacesEnv

Make = Callable[[], gym.Env[Any, Any]]

STATISTICS_CLOCK = "t"


def one_by_one(makers: Sequence[Make]) -> VecEnv:
    return DummyVecEnv([lambda make=make: Monitor(make()) for make in makers])  # type: ignore[misc]


def together(makers: Sequence[Make]) -> VecEnv:
    return VecMonitor(GymnasiumVecEnv(SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)))


class Telling(gym.Wrapper[Any, Any, Any, Any]):
    """Says in every info how many steps and resets there were, and at the end of an episode that it is one."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.n_resets = self.n_steps = 0

    def reset(self, **kwargs: Any) -> Any:
        observation, _ = self.env.reset(**kwargs)
        self.n_resets, self.n_steps = self.n_resets + 1, 0
        return observation, self._info() | {"first": self.n_resets}

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        self.n_steps += 1
        last = {"counts": {"steps": self.n_steps}} if terminated or truncated else {}
        return observation, reward, terminated, truncated, self._info() | last

    def _info(self) -> dict[str, Any]:
        return {
            "render_state": np.array([self.n_resets, self.n_steps], dtype=np.float64),
            "n_resets": self.n_resets,
        }


def counting(lengths: tuple[int, ...], *, terminates: bool, truncates: bool | None = None) -> Make:
    return lambda: Telling(CountingEnv(lengths, terminates=terminates, truncates=truncates))


WORLDS = {
    "at once": [counting((3,), terminates=False)] * 3,
    "apart": [
        counting((3, 5), terminates=False),
        counting((4,), terminates=True),
        counting((1, 2), terminates=False),
    ],
    "in every step": [counting((1,), terminates=True)] * 2,
    "alone": [counting((2,), terminates=False)],
    "both at once": [
        counting((3,), terminates=True, truncates=True),
        counting((3, 4), terminates=False),
        counting((3, 4), terminates=True),
    ],
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_step_is_what_sb3_itself_makes_of_the_same_environments(world: str) -> None:
    ours, theirs = together(WORLDS[world]), one_by_one(WORLDS[world])
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    assert plain(ours.unwrapped.reset_infos) == plain(theirs.reset_infos)
    actions = np.zeros((ours.num_envs, 1), dtype=np.float32)
    n_ends = 0
    for _ in range(12):
        ours_step, theirs_step = ours.step(actions), theirs.step(actions)
        for mine, other in zip(ours_step[:3], theirs_step[:3], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype  # type: ignore[union-attr]
        # SB3 says of every step that it was no time limit; nobody asks but at an end.
        others = [
            info if done else {k: v for k, v in info.items() if k != "TimeLimit.truncated"}
            for info, done in zip(theirs_step[3], theirs_step[2], strict=True)
        ]
        assert plain(ours_step[3]) == plain(others)
        assert plain(ours.unwrapped.reset_infos) == plain(theirs.reset_infos)
        n_ends += int(ours_step[2].sum())
    assert n_ends >= 3


@pytest.mark.parametrize("make", [together, one_by_one])
def test_an_end_that_is_both_is_a_termination_and_no_time_limit(make: Callable[[Sequence[Make]], VecEnv]) -> None:
    """Else the value of what comes after it would be added to the return of a state after which nothing comes."""
    venv = make(WORLDS["both at once"])
    venv.reset()
    for _ in range(3):
        _, _, dones, infos = venv.step(np.zeros((3, 1), dtype=np.float32))
    assert dones.tolist() == [True, True, True]
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True, False]
    venv.close()


def plain(value: Any) -> Any:
    """Values that `==` compares, without the clock of the statistics."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != STATISTICS_CLOCK}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@pytest.mark.parametrize("world", WORLDS)
def test_what_is_recorded_is_the_same(world: str) -> None:
    """No made-up transition: the arrays of the recorder agree to the last bit."""
    states = []
    for make in (together, one_by_one):
        inner = make(WORLDS[world])
        recorder = SegmentRecorder(inner.observation_space, inner.action_space, inner.num_envs, capacity=50)
        venv = LearnedRewardVecEnv(inner, "true", recorder)
        venv.reset()
        rng = np.random.default_rng(0)
        for _ in range(20):
            venv.step(rng.uniform(-1, 1, size=(inner.num_envs, 1)).astype(np.float32))
        states.append(recorder.state()[0])
    ours, theirs = states
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    # In this world a reward is ten times the observation before the step, in every transition there is.
    np.testing.assert_array_equal(ours["env_rewards"], 10 * ours["observations"][..., 0])


def test_a_step_late_is_refused() -> None:
    vector = SyncVectorEnv(WORLDS["at once"], autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(SettingError, match="in the step in which their episode ends"):
        GymnasiumVecEnv(vector)


def test_of_one_that_does_not_say_nothing_is_assumed() -> None:
    vector = SyncVectorEnv(WORLDS["at once"], autoreset_mode=AutoresetMode.SAME_STEP)
    del vector.metadata["autoreset_mode"]
    with pytest.raises(SettingError, match="Received one with None"):
        GymnasiumVecEnv(vector)


@pytest.mark.parametrize("observation", EXAMPLE_SPACES)
@pytest.mark.parametrize("action", ["box", "discrete", "multi-discrete"])
def test_every_kind_of_space_and_the_same_random_numbers(observation: str, action: str) -> None:
    """The seed counts once, as with SB3: the next reset goes on with the generators there are."""
    spaces_ = EXAMPLE_SPACES[observation], EXAMPLE_SPACES[action]
    makers = [lambda: SpacesEnv(*map(deepcopy, spaces_), length=4)] * 2  # a space has a generator of its own
    ours, theirs = together(makers), one_by_one(makers)
    ours.action_space.seed(0)
    for venv in (ours, theirs):
        venv.seed(7)
    assert_equal(ours.reset(), theirs.reset())
    for step in range(9):
        if step == 6:
            assert_equal(ours.reset(), theirs.reset())
        actions = np.array([ours.action_space.sample() for _ in range(2)])
        mine, other = ours.step(actions), theirs.step(actions)
        assert_equal(mine[0], other[0])
        np.testing.assert_array_equal(mine[1], other[1])
        for info, their_info in zip(mine[3], other[3], strict=True):
            assert ("terminal_observation" in info) == ("terminal_observation" in their_info)
            if "terminal_observation" in info:
                assert_equal(info["terminal_observation"], their_info["terminal_observation"])


def assert_equal(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            np.testing.assert_array_equal(ours[key], theirs[key])
    else:
        np.testing.assert_array_equal(ours, theirs)


def test_seeds_are_given_as_one_number() -> None:
    """Vector environments differ in which lists of seeds they take; all take a number."""

    class Strict(SyncVectorEnv):
        seeds: list[Any]

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            self.seeds.append(seed)
            return super().reset(seed=seed, options=options)

    vector = Strict(WORLDS["at once"], autoreset_mode=AutoresetMode.SAME_STEP)
    vector.seeds = []
    venv = GymnasiumVecEnv(vector)
    venv.seed(5)
    venv.reset()
    venv.reset()
    assert vector.seeds == [5, None]


def test_ppo_learns_alike_in_both() -> None:
    weights = []
    for make in (together, one_by_one):
        venv = make([lambda: SpacesEnv(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,)), length=7)] * 2)
        model = PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=2, seed=0, device="cpu").learn(64)
        weights.append(np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()]))
        assert {round(float(e["r"]), 3) for e in model.ep_info_buffer or []}
    np.testing.assert_array_equal(weights[0], weights[1])


def test_what_each_environment_has_can_be_read_and_called() -> None:
    venv = GymnasiumVecEnv(SyncVectorEnv(WORLDS["apart"], autoreset_mode=AutoresetMode.SAME_STEP))
    venv.reset()
    assert venv.get_attr("n_resets") == [1, 1, 1]
    assert venv.get_attr("n_resets", indices=[2]) == [1]
    assert [seed is None for seed in venv.env_method("get_wrapper_attr", "render_mode", indices=0)] == [True]
    assert venv.env_is_wrapped(Monitor) == [False, False, False]
    assert not venv.has_attr("no_such_thing")
    with pytest.raises(NotImplementedError, match="make them with it"):
        venv.set_attr("n_resets", 3)
    venv.close()
