"""EnvPool must give what gymnasium gives: the same numbers, in the same order, and nothing besides."""

from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
import pytest

from prefrl_envs.mujoco.behaviour import BehavingEnv
from prefrl_envs.mujoco.envpool_stepping import EnvpoolStepping
from prefrl_envs.mujoco.envpool_vector import EnvpoolVector
from prefrl_envs.simulator_state import SimulatorState
from prefrl_envs.tasks import TASKS, TASKS_BY_ENV_ID

pytest.importorskip("envpool", reason="the extra `fast` is not installed")

Array = npt.NDArray[Any]
IDS = [task.env_id for task in TASKS.values() if isinstance(task.fast, EnvpoolStepping)]
SAME = [env_id for env_id in IDS if "Ant" not in env_id and "Humanoid" not in env_id]
OLDER_MUJOCO = int(mujoco.__version__.split(".")[0]) < 4
# Steps for which trajectories from one state stay within 1e-6 under MuJoCo 4.0 with random actions. Contacts make
# rounding errors grow by a factor of ten in a few steps, most of all in the Cheetah; others go on for longer.
STEPS_TOGETHER = {"HalfCheetah": 40, "Walker2d": 200, "Ant": 1, "Humanoid": 1}
CLIPPED = 10.0
"""Hopper and Walker2d show no faster velocities, so that their state cannot be read from an observation then."""


def in_the_same_state(vector: EnvpoolVector, infos: dict[str, Any], observations: Array, env: int) -> Any:
    """An environment of gymnasium's at the beginning of an episode of EnvPool's."""
    single = SimulatorState(gymnasium.make(vector.spec.id, max_episode_steps=vector.spec.max_episode_steps))  # type: ignore[union-attr]
    single.reset(seed=0)
    put(single.unwrapped, infos["render_state"][env], observations[env])
    return single


def put(inner: Any, positions: Array, observation: Array) -> None:
    """Put a simulation into the state in which EnvPool made an observation."""
    inner.set_state(positions, velocities(inner, observation))
    if isinstance(inner, BehavingEnv):
        inner._observation = inner._get_obs()
        inner._counts = inner.behaviour.begin(inner.data.qpos)


def velocities(inner: Any, observation: Array) -> Array:
    if "Reacher" in type(inner).__name__:
        return np.array([*observation[6:8], 0.0, 0.0])  # the target stands still
    stepping = TASKS_BY_ENV_ID[inner.spec.id].fast
    assert isinstance(stepping, EnvpoolStepping)
    first = inner.model.nq - stepping.n_hidden + (stepping.seen is not None)  # an angle became two numbers
    return observation[first : first + inner.model.nv]


def random_actions(vector: EnvpoolVector, n_steps: int) -> Array:
    space = vector.single_action_space
    assert isinstance(space, gymnasium.spaces.Box)
    rng = np.random.default_rng(0)
    return rng.uniform(space.low, space.high, size=(n_steps, vector.num_envs, *space.shape)).astype(np.float32)


@pytest.mark.parametrize("env_id", IDS)
def test_looks_like_ours(env_id: str) -> None:
    single, vector = SimulatorState(gymnasium.make(env_id)), EnvpoolVector(env_id, 3)
    assert vector.single_observation_space == single.observation_space
    assert vector.single_action_space == single.action_space
    assert vector.spec is not None
    assert single.spec is not None
    assert vector.spec.max_episode_steps == single.spec.max_episode_steps
    observation, info = single.reset(seed=0)
    observations, infos = vector.reset(seed=0)
    assert observations.shape == (3, *observation.shape)
    assert observations.dtype == observation.dtype
    assert infos["render_state"].shape == (3, *info["render_state"].shape)
    assert infos["render_state"].dtype == info["render_state"].dtype
    vector.close()


@pytest.mark.parametrize("env_id", IDS)
def test_trajectories_from_one_state_are_the_same(env_id: str) -> None:
    """Observations, rewards, states to draw from, and at the end of an episode what the task counts."""
    robot = env_id.removeprefix("prefrl/").split("-")[0]
    n_steps = next((n for name, n in STEPS_TOGETHER.items() if robot.startswith(name)), 200)
    vector = EnvpoolVector(env_id, 2, env_kwargs={"max_episode_steps": n_steps})
    observations, infos = vector.reset(seed=0)
    singles = [in_the_same_state(vector, infos, observations, env) for env in range(2)]
    tolerance = 1e-6 if env_id in SAME or OLDER_MUJOCO else 1e-3
    for step, actions in enumerate(random_actions(vector, n_steps)):
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        seen, told = observations, infos
        if step == n_steps - 1:
            seen, told = np.stack(infos["final_obs"]), infos["final_info"]
        for env, single in enumerate(singles):
            one = single.step(actions[env])
            np.testing.assert_allclose(seen[env], one[0], atol=tolerance, err_msg=f"step {step}")
            np.testing.assert_allclose(rewards[env], one[1], atol=2 * tolerance, err_msg=f"step {step}")
            assert (terminated[env], truncated[env]) == one[2:4]
            np.testing.assert_allclose(
                np.sin(told["render_state"][env]), np.sin(one[4]["render_state"]), atol=tolerance
            )  # angles, where they are angles, may differ by whole turns
            if "task_metrics" in one[4]:
                counted = {name: values[env] for name, values in told["task_metrics"].items()}
                assert counted == pytest.approx(one[4]["task_metrics"], abs=tolerance)
    assert truncated.all()
    vector.close()


@pytest.mark.parametrize("env_id", IDS)
def test_each_step_of_long_episodes_does_the_same(env_id: str) -> None:
    """From EnvPool's own state each time, so that errors cannot grow. 1,000 steps, or 20 short episodes."""
    vector = EnvpoolVector(env_id, 1)
    observations, infos = vector.reset(seed=0)
    inner: Any = in_the_same_state(vector, infos, observations, 0).unwrapped
    errors = []
    for actions in random_actions(vector, 1000):
        before, state = observations[0], infos["render_state"][0]
        put(inner, state, before)
        observations, _, _, truncated, infos = vector.step(actions)
        if can_be_read(inner, state, before) and not truncated[0]:
            errors.append(np.abs(inner.step(actions[0])[0] - observations[0]).max())
    assert len(errors) > 100
    if env_id in SAME or OLDER_MUJOCO:
        # The rest is contacts that begin, for which MuJoCo's solver stops at another place each time.
        assert np.quantile(errors, 0.98) < 1e-9
        assert max(errors) < 1e-4
    else:
        assert np.median(errors) < 1e-2
    vector.close()


def can_be_read(inner: Any, positions: Array, observation: Array) -> bool:
    name = type(inner).__name__
    if "Hopper" in name or "Walker" in name:
        return bool(np.abs(velocities(inner, observation)).max() < CLIPPED)
    return "Reacher" not in name or abs(positions[1]) < 2.9  # its elbow has a stop at 3 rad


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("oracle", ["gymnasium", "paper"])
def test_the_papers_reward_is_offered_where_gymnasiums_side_has_it(env_id: str, oracle: str) -> None:
    try:
        gymnasium.make(env_id, oracle=oracle).close()
    except TypeError:
        task = TASKS_BY_ENV_ID[env_id]
        assert task.fast is not None
        assert not task.fast.accepts(task, {"oracle": oracle})
        return
    vector = EnvpoolVector(env_id, 1, env_kwargs={"oracle": oracle})
    observations, infos = vector.reset(seed=3)
    single = SimulatorState(gymnasium.make(env_id, oracle=oracle))
    single.reset(seed=0)
    put(single.unwrapped, infos["render_state"][0], observations[0])
    for actions in random_actions(vector, 3):
        _, rewards, *_ = vector.step(actions)
        np.testing.assert_allclose(rewards[0], float(single.step(actions[0])[1]), atol=1e-3)
    vector.close()


def test_no_step_is_made_up_between_episodes() -> None:
    """Three episodes one after another: each transition is one that gymnasium makes from the same state too."""
    vector = EnvpoolVector("prefrl/Hopper-v0", 2, env_kwargs={"max_episode_steps": 4})
    observations, infos = vector.reset(seed=0)
    firsts = []
    for step, actions in enumerate(random_actions(vector, 12)):
        if step % 4 == 0:
            firsts.append(observations)
            singles = [in_the_same_state(vector, infos, observations, env) for env in range(2)]
        observations, rewards, _, truncated, infos = vector.step(actions)
        ended = step % 4 == 3
        assert truncated.tolist() == [ended, ended]
        assert ("final_obs" in infos) == ended
        last = np.stack(infos["final_obs"]) if ended else observations
        for env, single in enumerate(singles):
            expected = single.step(actions[env])
            np.testing.assert_allclose(last[env], expected[0], atol=1e-9)
            assert rewards[env] == pytest.approx(expected[1], abs=1e-6)
            assert rewards[env] != 0
        if ended:  # and then stands upright again
            np.testing.assert_allclose(observations[:, 0], 1.25, atol=0.01)
            assert not np.array_equal(observations, last)
    assert len(np.unique(np.concatenate(firsts), axis=0)) == 6, "every episode begins in a place of its own"
    vector.close()


def rollout(vector: EnvpoolVector, n_steps: int, seed: int | None = 5) -> Array:
    seen = [vector.reset(seed=seed)[0]] if seed is not None else []
    for actions in random_actions(vector, 30)[-n_steps:]:
        observations, rewards, *_ = vector.step(actions)
        seen += [observations, np.repeat(rewards[:, None], observations.shape[1], axis=1)]
    return np.array(seen)


def test_threads_change_nothing_and_seeds_everything() -> None:
    kwargs = {"max_episode_steps": 12}
    one, three = (EnvpoolVector("prefrl/Walker2d-v0", 3, n_threads=n, env_kwargs=kwargs) for n in (1, 3))
    np.testing.assert_array_equal(rollout(one, 30), rollout(three, 30))
    np.testing.assert_array_equal(rollout(one, 30), rollout(three, 30))  # the seed begins anew
    assert not np.array_equal(rollout(one, 30), rollout(three, 30, seed=6))
    lonely = EnvpoolVector("prefrl/Walker2d-v0", 1, env_kwargs=kwargs)
    np.testing.assert_array_equal(lonely.reset(seed=7)[0][0], one.reset(seed=5)[0][2])


@pytest.mark.parametrize("env_id", ["prefrl/HopperBackflip-v0", "prefrl/Reacher-v0", "prefrl/AntTurning-v0"])
@pytest.mark.parametrize("n_before", [0, 5, 12, 20])
def test_comes_back_to_the_last_bit(env_id: str, n_before: int) -> None:
    kwargs = {"max_episode_steps": 12}
    first, second = (EnvpoolVector(env_id, 2, env_kwargs=kwargs) for _ in range(2))
    first.reset(seed=9)
    for actions in random_actions(first, n_before):
        first.step(actions)
    state = {name: array.copy() for name, array in first.state_dict().items()}
    second.reset(seed=1)
    second.load_state_dict(state)
    for name, array in second.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == state[name].dtype
    np.testing.assert_array_equal(rollout(first, 30, seed=None), rollout(second, 30, seed=None))


@pytest.mark.parametrize(
    ("env_id", "env_kwargs"),
    [
        ("prefrl/InvertedDoublePendulum-v0", {}),
        ("prefrl/Hopper-v0", {"frame_skip": 2}),
        ("prefrl/HopperBackflip-v0", {"oracle": "paper"}),
        ("Hopper-v5", {}),
    ],
)
def test_what_it_cannot_step_is_refused(env_id: str, env_kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"that EnvPool can step. Received {env_id}"):
        EnvpoolVector(env_id, 1, env_kwargs=env_kwargs)


def test_without_a_seed_it_begins_somewhere() -> None:
    make: Callable[[], EnvpoolVector] = lambda: EnvpoolVector("prefrl/Hopper-v0", 1)  # noqa: E731
    assert not np.array_equal(make().reset()[0], make().reset()[0])


@pytest.mark.parametrize("env_id", IDS)
def test_what_is_said_to_be_the_same_is_what_is_tested_as_the_same(env_id: str) -> None:
    task = TASKS_BY_ENV_ID[env_id]
    assert task.fast is not None
    assert task.fast.same_trajectories == (env_id in SAME)


def test_a_task_makes_its_own_vector() -> None:
    task = TASKS["hopper"]
    assert task.fast is not None
    vector = task.fast.make(task, 2, n_threads=2, env_kwargs={"max_episode_steps": 7, "oracle": "paper"})
    assert isinstance(vector, EnvpoolVector)
    assert (vector.num_envs, vector.horizon) == (2, 7)
    vector.close()
