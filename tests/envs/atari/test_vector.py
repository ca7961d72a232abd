"""ale-py's vector environment gives, to the last bit, what single environments give."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium.vector import AutoresetMode

from prefrl_envs.atari.vector import AtariVector
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS

GAMES = ["beam_rider", "breakout", "enduro", "ms_pacman", "pong", "qbert", "seaquest", "space_invaders"]


class Single:
    """Environments that are stepped one by one, told as gymnasium's vector environments tell it."""

    def __init__(self, env_id: str, n_envs: int, kwargs: dict[str, Any]) -> None:
        self.envs = [SimulatorState(gymnasium.make(env_id, **kwargs)) for _ in range(n_envs)]

    def reset(self, seed: int) -> list[tuple[Any, ...]]:
        firsts = [env.reset(seed=seed + i) for i, env in enumerate(self.envs)]
        return [(observation.tobytes(), info["render_state"].tobytes()) for observation, info in firsts]

    def step(self, actions: npt.NDArray[np.int64]) -> list[tuple[Any, ...]]:
        told: list[tuple[Any, ...]] = []
        for env, action in zip(self.envs, actions, strict=True):
            observation, reward, terminated, truncated, info = env.step(action)
            last = None
            if truncated:
                last = (observation.tobytes(), info["render_state"].tobytes(), info["task_metrics"])
                observation, info = env.reset()
            told.append(
                (observation.tobytes(), info["render_state"].tobytes(), reward, terminated, truncated, last)
            )
        return told


def stepped(vector: AtariVector, actions: npt.NDArray[np.int64]) -> list[tuple[Any, ...]]:
    observations, rewards, terminated, truncated, infos = vector.step(actions)
    told: list[tuple[Any, ...]] = []
    for i in range(vector.num_envs):
        last = None
        if truncated[i]:
            final = infos["final_info"]
            metrics = {name: values[i] for name, values in final["task_metrics"].items()}
            last = (infos["final_obs"][i].tobytes(), final["render_state"][i].tobytes(), metrics)
        state = infos["render_state"][i].tobytes()
        told.append((observations[i].tobytes(), state, rewards[i], terminated[i], truncated[i], last))
    return told


def compare(game: str, n_steps: int, horizon: int, noop_max: int = 30) -> float:
    """Step both with the same actions over several ends of episodes; return how many games ended."""
    kwargs = {"game": game, "max_episode_steps": horizon, "noop_max": noop_max}
    vector = AtariVector("prefrl/Atari-v0", 2, n_threads=2, env_kwargs=kwargs)
    single = Single("prefrl/Atari-v0", 2, kwargs)
    observations, infos = vector.reset(seed=3)
    firsts = [(observations[i].tobytes(), infos["render_state"][i].tobytes()) for i in range(2)]
    assert firsts == single.reset(3)
    rng = np.random.default_rng(0)
    n_games = 0.0
    for step in range(n_steps):
        actions = rng.integers(single.envs[0].action_space.n, size=2)  # type: ignore[attr-defined]
        expected = single.step(actions)
        assert stepped(vector, actions) == expected, step
        n_games += sum(last["games"] for *_, last_step in expected if last_step for last in last_step[2:])
    vector.close()
    return n_games


@pytest.mark.parametrize("noop_max", [0, 30])
def test_breakout_is_the_same_over_lost_lives_and_ends_of_games_and_of_episodes(noop_max: int) -> None:
    assert compare("breakout", 300, 260, noop_max) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("noop_max", [0, 30])
def test_every_game_is_the_same_over_thousands_of_steps(game: str, noop_max: int) -> None:
    assert compare(game, 3300, 1600, noop_max) >= (game != "enduro")


def test_it_says_that_it_resets_in_the_same_step_and_what_its_spaces_are() -> None:
    vector = AtariVector("prefrl/Pong-v0", 3, env_kwargs={"max_episode_steps": 2})
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, infos = vector.reset(seed=0)
    assert vector.observation_space.contains(observations)
    assert infos["render_state"].shape == (3, vector.rules.state_bytes)
    actions = np.zeros(3, dtype=np.int64)
    assert not vector.step(actions)[3].any()
    _, rewards, terminated, truncated, infos = vector.step(actions)
    assert truncated.all()
    assert not terminated.any()
    assert rewards.dtype == np.float64
    assert infos["_final_obs"].all()
    assert infos["_final_info"].all()
    vector.close()


def test_what_was_handed_out_does_not_change_later() -> None:
    vector = AtariVector("prefrl/Pong-v0", 2)
    observations, infos = vector.reset(seed=0)
    kept = observations.copy(), infos["render_state"].copy()
    for _ in range(40):
        vector.step(np.full(2, 2))
    np.testing.assert_array_equal(observations, kept[0])
    np.testing.assert_array_equal(infos["render_state"], kept[1])
    vector.close()


def test_a_saved_state_is_come_back_to_exactly() -> None:
    kwargs = {"max_episode_steps": 120}
    vector = AtariVector("prefrl/Breakout-v0", 2, env_kwargs=kwargs)
    vector.reset(seed=9)
    actions = np.random.default_rng(0).integers(4, size=(300, 2))
    for chosen in actions[:190]:  # into the second episode
        vector.step(chosen)
    state = {name: array.copy() for name, array in vector.state_dict().items()}
    expected = [stepped(vector, chosen) for chosen in actions[190:]]
    other = AtariVector("prefrl/Breakout-v0", 2, env_kwargs=kwargs)
    other.load_state_dict(state)
    assert [stepped(other, chosen) for chosen in actions[190:]] == expected
    assert state["actions"].shape == (70, 2)
    vector.close()
    other.close()


@pytest.mark.parametrize("env_id", ["prefrl/EnduroEven-v0", "prefrl/Hopper-v0", "Nothing-v0"])
def test_what_reads_more_than_the_score_cannot_be_stepped_by_it(env_id: str) -> None:
    with pytest.raises(ValueError, match=f"must be an Atari game that ale-py can step. Received {env_id}"):
        AtariVector(env_id, 1)


def test_a_game_makes_its_own_vector() -> None:
    task = TASKS["space-invaders"]
    assert task.fast is not None
    assert task.fast.same_trajectories
    vector = task.fast.make(task, 3, n_threads=2, env_kwargs={"max_episode_steps": 7})
    assert isinstance(vector, AtariVector)
    assert (vector.num_envs, vector.horizon) == (3, 7)
    vector.close()


@pytest.mark.parametrize(("n_envs", "n_threads", "name"), [(0, 1, "n_envs"), (1, 0, "n_threads")])
def test_numbers_too_small_are_refused(n_envs: int, n_threads: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1. Received 0"):
        AtariVector("prefrl/Pong-v0", n_envs, n_threads=n_threads)
