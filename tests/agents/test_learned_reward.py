import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize

from prefrl.agents import LearnedRewardVecEnv
from prefrl.agents.learned_reward import ClippedRewardVecEnv
from prefrl.agents.progress_watch import ProgressWatch
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Comparison, SegmentRecorder
from prefrl.settings import RewardSettings
from prefrl_envs.testing import EXAMPLE_SPACES, CountingEnv, SpacesEnv

MakeVenv = Callable[..., VecEnv]
FloatArray = npt.NDArray[np.float32]


def first_number_plus_action(observations: Any, actions: npt.NDArray[Any], following: Any = None) -> FloatArray:
    return np.asarray(observations[:, 0] + 100 * actions[:, 0], dtype=np.float32)


def recorder_of(venv: VecEnv, capacity: int = 1000) -> SegmentRecorder:
    return SegmentRecorder(venv.observation_space, venv.action_space, venv.num_envs, capacity=capacity)


def act(venv: VecEnv, n_steps: int, *, seed: int = 0) -> list[tuple[Any, FloatArray, Any, Any, Any]]:
    """Reset and step with random actions; each entry is (observations before, actions, *results)."""
    rng = np.random.default_rng(seed)
    observations = venv.reset()
    steps = []
    for _ in range(n_steps):
        actions = rng.uniform(-1, 1, size=(venv.num_envs, 1)).astype(np.float32)
        before = np.array(observations)
        observations, rewards, dones, infos = venv.step(actions)
        steps.append((before, actions, rewards.copy(), dones.copy(), infos))
    return steps


# --- the reward -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1,), (2,), (3, 5), (7,)])
def test_the_reward_belongs_to_the_observation_before_the_action(lengths: tuple[int, ...]) -> None:
    """Also in the step after a reset, where the observation is the new episode's first."""
    venv = LearnedRewardVecEnv(make_vec_env(lambda: CountingEnv(lengths), n_envs=2), first_number_plus_action)
    for before, actions, rewards, _, infos in act(venv, 20):
        np.testing.assert_allclose(rewards, before[:, 0] + 100 * actions[:, 0], rtol=1e-6)
        assert rewards.dtype == np.float32
        assert [info["env_reward"] for info in infos] == (10 * before[:, 0]).tolist()


@pytest.mark.parametrize("lengths", [(1,), (2,), (3, 5), (7,)])
def test_the_reward_may_belong_to_what_follows_the_action(lengths: tuple[int, ...]) -> None:
    """At the end of an episode that is the terminal observation, not the first one of the next."""

    def way_made(observations: Any, actions: Any, following: Any) -> FloatArray:
        return np.asarray(1000 * (following - observations)[:, 0] + following[:, 0], dtype=np.float32)

    venv = LearnedRewardVecEnv(make_vec_env(lambda: CountingEnv(lengths), n_envs=2), way_made)
    for before, _, rewards, _, _ in act(venv, 20):
        np.testing.assert_array_equal(rewards, 1000 + before[:, 0] + 1)


def test_a_reset_in_the_middle_of_episodes_is_none_to_the_watch() -> None:
    venv = LearnedRewardVecEnv(make_vec_env(lambda: CountingEnv((10,)), n_envs=2), first_number_plus_action)
    venv.watch = ProgressWatch(2, 0)
    venv.watch.plan(2 * 15)
    act(venv, 14)
    act(venv, 20)
    window = venv.watch.take()
    assert window is not None
    assert (window.episode_length, len(window.steps.actions)) == (10, 2 * 20)


def test_observations_written_over_in_place_are_not_mixed_up(drift_venv: MakeVenv) -> None:
    """Seen from a VecEnv that hands out its own memory, as fast simulators do."""

    class OneBuffer(DummyVecEnv):
        def _obs_from_buf(self) -> Any:
            (buffer,) = self.buf_obs.values()
            return buffer

    inner = OneBuffer([lambda: CountingEnv((50,)) for _ in range(2)])
    venv = LearnedRewardVecEnv(inner, first_number_plus_action, recorder_of(inner))
    for step, (_, actions, rewards, _, _) in enumerate(act(venv, 5)):
        np.testing.assert_allclose(rewards, step + 100 * actions[:, 0], rtol=1e-6)
    assert venv.recorder is not None
    np.testing.assert_array_equal(venv.recorder.latest_observations(5)[:, 0], np.repeat(np.arange(5), 2))


def test_returned_rewards_belong_to_the_caller(drift_venv: MakeVenv) -> None:
    """SB3 adds the bootstrap of time limits into them."""
    kept = np.full(4, 2.0, dtype=np.float32)
    inner = drift_venv(length=3)
    venv = LearnedRewardVecEnv(inner, lambda observations, actions, following: kept, recorder_of(inner))
    venv.reset()
    for _ in range(3):
        _, rewards, _, _ = venv.step(np.zeros((4, 1), dtype=np.float32))
        np.testing.assert_array_equal(rewards, 2.0)
        rewards += 1000.0
    np.testing.assert_array_equal(kept, 2.0)
    assert list(venv.predicted_returns) == [6.0] * 4


def test_learned_returns_add_up_per_episode() -> None:
    venv = LearnedRewardVecEnv(
        make_vec_env(lambda: CountingEnv((2, 4)), n_envs=1),
        lambda observations, actions, following: observations[:, 0].astype(np.float32),
    )
    act(venv, 12)
    assert list(venv.predicted_returns) == [1.0, 6.0, 1.0, 6.0]


class Rollouts(BaseCallback):
    """Keeps every rollout's rewards as the algorithm will use them, and the value of the last observation."""

    def __init__(self, last_observation: FloatArray) -> None:
        super().__init__()
        self.last_observation = torch.as_tensor(last_observation)[None]
        self.rewards: list[FloatArray] = []
        self.terminal_values: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, PPO)
        self.rewards.append(self.model.rollout_buffer.rewards.copy())
        with torch.no_grad():
            self.terminal_values.append(self.model.policy.predict_values(self.last_observation).item())


def fitted_ensemble(venv: VecEnv) -> RewardEnsemble:
    """A reward fitted to whatever answers; its values are all that matters."""
    recorder = recorder_of(venv)
    act(LearnedRewardVecEnv(venv, first_number_plus_action, recorder), 30)
    rng = np.random.default_rng(0)
    ensemble = RewardEnsemble(
        venv.observation_space,
        venv.action_space,
        settings=RewardSettings(hidden_sizes=(8,), next_observation=False),
    )
    trainer = RewardTrainer(ensemble)
    segments = recorder.sample(20, length=4, rng=rng)
    trainer.add(
        [
            Comparison(segments=(first, second), preferences=(float(rng.integers(2)),))
            for first, second in zip(segments[::2], segments[1::2], strict=True)
        ]
    )
    trainer.fit(20)
    return ensemble


@pytest.mark.parametrize("length", [4, 5])
def test_a_rollouts_rewards_are_the_learned_ones_and_keep_the_bootstrap_at_time_limits(length: int) -> None:
    """Episodes of 4 or 5 steps in rollouts of 8: ends within a rollout and at its border."""
    inner = make_vec_env(lambda: CountingEnv((length,)), n_envs=2, seed=0)
    ensemble = fitted_ensemble(inner)
    recorder = recorder_of(inner)
    venv = LearnedRewardVecEnv(inner, ensemble.predict, recorder)
    # The policy's actions are often outside [-1, 1]: the reward is of the clipped ones.
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=16, gamma=0.9, seed=0, device="cpu")
    rollouts = Rollouts(np.array([length], dtype=np.float32))
    model.learn(64, callback=rollouts)
    actions = recorder.latest_actions(1000)
    assert (np.abs(actions) == 1.0).any()
    recomputed = ensemble.predict(recorder.latest_observations(1000), actions).reshape(-1, 2)
    is_last = np.arange(len(recomputed)) % length == length - 1
    expected = recomputed.astype(np.float64)
    expected[is_last] += 0.9 * np.repeat(rollouts.terminal_values, 8)[is_last, None]
    assert np.ptp(recomputed) > 0.1
    assert np.abs(rollouts.terminal_values).min() > 1e-3, "a value of 0 would show nothing"
    np.testing.assert_allclose(np.concatenate(rollouts.rewards), expected, atol=1e-5)


def test_the_recorder_is_not_touched_by_the_bootstrap(drift_venv: MakeVenv) -> None:
    inner = drift_venv(length=5)
    recorder = recorder_of(inner)
    model = PPO(
        "MlpPolicy", LearnedRewardVecEnv(inner, first_number_plus_action, recorder), n_steps=10, batch_size=40
    )
    model.learn(80)
    (segment,) = recorder.sample(1, length=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(segment.env_rewards, segment.observations[:, 0], atol=1e-6)


# --- what is recorded -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_envs", [1, 3])
def test_states_are_those_in_which_the_observations_were_seen(drift_venv: MakeVenv, n_envs: int) -> None:
    """Across resets too: position and clock of state and observation agree at every recorded step."""
    inner = drift_venv(n_envs, length=4)
    recorder = recorder_of(inner)
    venv = LearnedRewardVecEnv(inner, first_number_plus_action, recorder)
    steps = act(venv, 14)
    segments = recorder.sample(200, length=3, rng=np.random.default_rng(0))
    assert {segment.start for segment in segments} == {0, 1}
    for segment in segments:
        assert segment.render_states is not None
        np.testing.assert_allclose(segment.render_states[:, 0], segment.observations[:, 0], atol=1e-6)
        np.testing.assert_array_equal(segment.render_states[:, 1], segment.start + np.arange(3))
    seen = np.stack([before for before, *_ in steps]).reshape(-1, 2)
    np.testing.assert_array_equal(recorder.latest_observations(100), seen)
    assert venv.render_states is not None
    np.testing.assert_allclose(venv.render_states[:, 0], venv.last_observations[:, 0], atol=1e-6)


def test_without_states_none_are_recorded() -> None:
    inner = make_vec_env(lambda: CountingEnv(), n_envs=2)
    recorder = recorder_of(inner)
    act(LearnedRewardVecEnv(inner, first_number_plus_action, recorder), 20)
    (segment,) = recorder.sample(1, length=5, rng=np.random.default_rng(0))
    assert segment.render_states is None


@pytest.mark.parametrize("observation", ["box", "discrete", "multi-discrete", "multi-binary", "dict"])
@pytest.mark.parametrize("action", ["box", "discrete", "multi-discrete", "multi-binary"])
def test_every_kind_of_space_is_rewarded_and_recorded(observation: str, action: str) -> None:
    spaces_ = EXAMPLE_SPACES[observation], EXAMPLE_SPACES[action]
    inner = make_vec_env(lambda: SpacesEnv(*spaces_, length=5), n_envs=2, seed=0)
    ensemble, recorder = RewardEnsemble(*spaces_, settings=RewardSettings(hidden_sizes=(4,))), recorder_of(inner)
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    venv = LearnedRewardVecEnv(inner, ensemble.predict, recorder)
    venv.action_space.seed(0)
    venv.reset()
    rewards = []
    for _ in range(10):
        _, step_rewards, _, _ = venv.step(np.array([venv.action_space.sample() for _ in range(2)]))
        rewards.append(step_rewards)
    segments = [recorder.segment_at(place) for place in recorder.places(5)]
    assert len(segments) == 4
    for segment in segments:
        expected = [rewards[5 * segment.episode + step][segment.env_index] for step in range(5)]
        np.testing.assert_allclose(ensemble.predict_segment(segment), expected, atol=1e-5)
    assert ensemble.returns(recorder.sample(3, length=4, rng=np.random.default_rng(0))).shape == (3, 3)


# --- ends of episodes -------------------------------------------------------------------------------------


def test_an_episode_that_ends_early_is_warned_of_once() -> None:
    venv = LearnedRewardVecEnv(
        make_vec_env(lambda: CountingEnv((3,), terminates=True), n_envs=2), first_number_plus_action
    )
    with pytest.warns(UserWarning, match=r"An episode ended before its time limit.*hide such ends") as caught:
        act(venv, 12)
    assert len(caught) == 1


def test_with_the_true_reward_early_ends_give_nothing_away() -> None:
    venv = make_vec_env(lambda: CountingEnv((3,), terminates=True), n_envs=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act(LearnedRewardVecEnv(venv, "true"), 12)
    assert caught == []


def test_time_limits_are_not_warned_of(drift_venv: MakeVenv) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act(LearnedRewardVecEnv(drift_venv(length=3), first_number_plus_action), 12)
    assert caught == []


def test_task_metrics_are_kept_at_the_end_of_episodes(drift_venv: MakeVenv) -> None:
    venv = LearnedRewardVecEnv(drift_venv(2, length=4), first_number_plus_action)
    steps = act(venv, 8)
    final = [info["terminal_observation"][0] for *_, infos in steps for info in infos if "episode" in info]
    assert len(final) == 4
    np.testing.assert_allclose(venv.task_metrics["final_position"], final, atol=1e-6)


# --- around and below -------------------------------------------------------------------------------------


def test_normalisation_of_observations_above_leaves_the_reward_alone(drift_venv: MakeVenv) -> None:
    inner = drift_venv(length=5)
    recorder = recorder_of(inner)
    seen: list[FloatArray] = []

    def remember(observations: Any, actions: npt.NDArray[Any], following: Any = None) -> FloatArray:
        seen.append(np.array(observations))
        return np.zeros(4, dtype=np.float32)

    venv = VecNormalize(LearnedRewardVecEnv(inner, remember, recorder), norm_reward=False)
    normalised = act(venv, 12)
    np.testing.assert_array_equal(np.concatenate(seen), recorder.latest_observations(100))
    assert not np.allclose(np.concatenate([before for before, *_ in normalised])[4:], np.concatenate(seen)[4:])


@pytest.mark.slow
def test_processes_of_their_own_give_the_same(drift_venv: MakeVenv) -> None:
    results = []
    for kind in (DummyVecEnv, SubprocVecEnv):
        inner = make_vec_env(CountingEnv, n_envs=2, seed=0, vec_env_cls=kind, env_kwargs={"lengths": (3, 4)})
        recorder = recorder_of(inner)
        venv = LearnedRewardVecEnv(inner, first_number_plus_action, recorder)
        act(venv, 12)
        results.append(recorder.state()[0] | {"returns": np.array(venv.predicted_returns)})
        venv.close()
    for name, expected in results[0].items():
        np.testing.assert_array_equal(results[1][name], expected, err_msg=name)


def test_a_state_continues_in_the_middle_of_episodes(drift_venv: MakeVenv) -> None:
    straight = LearnedRewardVecEnv(drift_venv(2, length=5), first_number_plus_action)
    act(straight, 7)
    arrays, values = straight.state()
    state = {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values))
    inner = drift_venv(2, length=5)
    resumed = LearnedRewardVecEnv(inner, first_number_plus_action)
    act(LearnedRewardVecEnv(inner, first_number_plus_action), 7)  # brings the environments to the same point
    resumed.restore(*state)
    actions = np.full((2, 1), 0.5, dtype=np.float32)
    for _ in range(5):
        for expected, actual in zip(straight.step(actions)[:3], resumed.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(actual, expected)
    assert list(resumed.predicted_returns) == list(straight.predicted_returns)
    (ours, our_values), (theirs, their_values) = resumed.state(), straight.state()
    assert our_values == their_values
    assert our_values["num_timesteps"] == 24
    assert ours.keys() == theirs.keys() >= {"observations.", "render_states", "running_returns"}
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_spaces_and_number_of_environments_are_passed_on(drift_venv: MakeVenv) -> None:
    venv = LearnedRewardVecEnv(drift_venv(3), first_number_plus_action)
    assert venv.num_envs == 3
    assert isinstance(venv.observation_space, spaces.Box)
    assert venv.last_observations is None


# --- clipped for the agent --------------------------------------------------------------------------------


def test_the_agent_gets_no_reward_beyond_one_and_the_recorder_all_of_it() -> None:
    inner = make_vec_env(lambda: CountingEnv((5,)), n_envs=1, seed=0)  # pays 0, 10, 20, ...
    recorder = recorder_of(inner)
    venv = ClippedRewardVecEnv(LearnedRewardVecEnv(inner, "true", recorder))
    venv.reset()
    rewards = [venv.step(np.zeros((1, 1), np.float32))[1].tolist() for _ in range(3)]
    assert rewards == [[0.0], [1.0], [1.0]]
    segment = recorder.sample(1, length=3, rng=np.random.default_rng(0))[0]
    assert segment.env_rewards.tolist() == [0.0, 10.0, 20.0]


def test_negative_rewards_are_clipped_too() -> None:
    inner = make_vec_env(lambda: CountingEnv((5,)), n_envs=2, seed=0)
    venv = ClippedRewardVecEnv(
        LearnedRewardVecEnv(inner, lambda observations, actions, following: np.array([-3.0, 0.5], "f"))
    )
    venv.reset()
    assert venv.step(np.zeros((2, 1), np.float32))[1].tolist() == [-1.0, 0.5]


def test_running_means_look_back_over_the_window() -> None:
    inner = make_vec_env(lambda: CountingEnv((2,)), n_envs=1, seed=0)
    venv = LearnedRewardVecEnv(inner, lambda observations, actions, following: observations[:, 0], window=3)
    venv.reset()
    for _ in range(10):
        venv.step(np.zeros((1, 1), np.float32))
    assert list(venv.predicted_returns) == [1.0, 1.0, 1.0]
