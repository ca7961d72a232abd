"""Policies that are replaced, in a world whose reward follows a script whatever the policy does."""

import io
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import HumanOutputFormat, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.agents import EntropyTRPO, LearnedRewardVecEnv, PolicyRestarts, PreferenceLearning
from prefrl.agents.callback import watch_policy
from prefrl.agents.kept_policy import KeptPolicy, put_fresh_policy
from prefrl.agents.restarts import RestartedSchedule
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings

FloatArray = npt.NDArray[np.float32]
Level = Callable[[int], float]
TOTAL, ROLLOUT, N_ENVS = 1600, 32, 2
MOMENTS = ("mean", "var", "count")


class ScriptedEnv(gym.Env[FloatArray, FloatArray]):
    """Observes the level that the script has for the step, with some noise; pays ten times that."""

    def __init__(self, level: Level) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self._level, self._n_steps = level, 0

    def _observation(self) -> FloatArray:
        return np.array([self._level(self._n_steps * N_ENVS) + (-1) ** self._n_steps], dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        reward = 10.0 * float(self._observation()[0])
        self._n_steps += 1
        return self._observation(), reward, False, self._n_steps % 4 == 0, {}


def rising(step: int) -> float:
    return step / 100


def flat(step: int) -> float:
    return 0.0


def up_and_down(step: int) -> float:
    """Best in the middle."""
    return 5 - abs(step - TOTAL / 2) / 160


def paid(observations: Any, actions: npt.NDArray[Any], following: Any = None) -> FloatArray:
    return np.asarray(observations[:, 0], dtype=np.float32)


class Trial:
    """A model that learns in a scripted world, with everything that can be asked of it."""

    def __init__(
        self,
        level: Level,
        reward: Any = paid,
        *,
        kind: type[OnPolicyAlgorithm] = PPO,
        seed: int = 0,
        learning_rate: Any = 3e-4,
        make: Callable[[], gym.Env[Any, Any]] | None = None,
        **settings: Any,
    ) -> None:
        venv = make_vec_env(make or (lambda: ScriptedEnv(level)), n_envs=N_ENVS)
        self.venv = LearnedRewardVecEnv(venv, reward)
        self.normalizer = VecNormalize(self.venv, norm_reward=False)
        chosen = {"window_share": 0.05, "patience": 2, "least_share": 0.25} | settings
        self.restarts = PolicyRestarts(self.venv, RestartSettings(**chosen), seed)
        self.restarts.plan(TOTAL)
        extra: dict[str, Any] = {} if kind is A2C else {"batch_size": 32}
        extra |= {"n_epochs": 1} if kind is PPO else {}
        self.model = kind(
            "MlpPolicy", self.normalizer, n_steps=ROLLOUT // N_ENVS, learning_rate=learning_rate, seed=0, **extra
        )
        self.weights: dict[int, npt.NDArray[np.float32]] = {}
        """Those that began a rollout, by its step."""
        self.learned: dict[int, npt.NDArray[np.float32]] = {}
        """Those that the rollout before had come to."""
        self.counts: dict[int, float] = {}
        """Of the observations in the running statistics, at the same steps."""
        self.return_counts: dict[int, float] = {}
        """Of the returns that rewards are scaled by, likewise."""
        self.rates: dict[int, float] = {}

    def learn(self, n_steps: int = TOTAL) -> "Trial":
        trial = self

        class Watch(BaseCallback):
            def _on_rollout_start(self) -> None:
                trial.learned[self.num_timesteps] = weights_of(self.model)
                trial.counts[self.num_timesteps] = trial.statistics.count
                trial.return_counts[self.num_timesteps] = trial.normalizer.ret_rms.count
                watch_policy(trial.restarts, self.model)
                trial.weights[self.num_timesteps] = weights_of(self.model)

            def _on_step(self) -> bool:
                return True

            def _on_rollout_end(self) -> None:
                assert isinstance(self.model, OnPolicyAlgorithm)
                remaining = self.model._current_progress_remaining
                trial.rates[self.num_timesteps] = float(self.model.lr_schedule(remaining))

            def _on_training_end(self) -> None:
                assert isinstance(self.model, OnPolicyAlgorithm)
                trial.restarts.end(self.model)

        self.model.learn(n_steps, callback=Watch(), reset_num_timesteps=False)
        return self

    @property
    def statistics(self) -> RunningMeanStd:
        statistics = self.normalizer.obs_rms
        assert isinstance(statistics, RunningMeanStd)
        return statistics

    @property
    def said(self) -> str:
        return "\n".join(f"{step} {text}" for step, text in self.restarts.notes)


def weights_of(model: Any) -> npt.NDArray[np.float32]:
    return torch.cat([p.detach().flatten() for p in model.policy.parameters()]).numpy().copy()


def same_weights(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    return bool(np.array_equal(one, other))


# --- when ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", [paid, "true"])
def test_a_policy_that_gets_better_is_left_alone(reward: Any) -> None:
    trial = Trial(rising, reward).learn()
    assert trial.restarts.n_policies == 1
    assert trial.said == ""


@pytest.mark.parametrize("reward", [paid, "true"])
def test_a_policy_that_gets_no_better_is_replaced_as_often_as_may_be(reward: Any) -> None:
    trial = Trial(flat, reward).learn()
    assert trial.restarts.n_policies == 3
    assert "Policy 1 has got no better since step 1" in trial.said
    assert "policy 2, a fresh one, takes its place; the best one is kept" in trial.said
    assert "Policy 2 has got no better" in trial.said


class LongerEnv(gym.Env[FloatArray, FloatArray]):
    """Pays 1 at every step, and its episodes become longer and longer."""

    def __init__(self) -> None:
        self.observation_space = self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self._n_steps = self._since = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        super().reset(seed=seed)
        self._since = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        self._n_steps, self._since = self._n_steps + 1, self._since + 1
        return np.zeros(1, dtype=np.float32), 1.0, self._since >= 2 + self._n_steps // 40, False, {}


def test_longer_episodes_are_a_gain_where_each_step_is_paid() -> None:
    trial = Trial(flat, "true", make=LongerEnv).learn()
    assert trial.said == ""


def test_another_model_gets_nothing_of_what_the_first_one_had_learned() -> None:
    trial = Trial(lambda step: 5.0 if step < TOTAL else step / 100 - TOTAL / 100, at_most=1).learn()
    assert trial.restarts.n_policies == 2
    trial.model = A2C("MlpPolicy", trial.normalizer, n_steps=16, policy_kwargs={"net_arch": [8]}, seed=1)
    trial.model.num_timesteps = trial.venv.num_timesteps
    trial.restarts.plan(2 * TOTAL)
    trial.learn()
    assert [text for step, text in trial.restarts.notes if step > TOTAL] == []
    assert trial.restarts.n_policies == 1


def test_another_model_begins_with_the_first_policies_again() -> None:
    trial = Trial(rising, first_policies=1, first_share=0.25, at_most=0).learn()
    trial.model = PPO("MlpPolicy", trial.normalizer, n_steps=16, batch_size=32, n_epochs=1, seed=1)
    trial.model.num_timesteps = trial.venv.num_timesteps
    trial.restarts.plan(2 * TOTAL)
    trial.learn()
    (note,) = [note for note in trial.restarts.notes if note.num_timesteps > TOTAL]
    assert note.text == "Policy 2 begins, on the reward that was learned from the first."
    assert note.num_timesteps >= TOTAL + TOTAL // 2


def test_a_policy_that_knows_no_state_dependent_exploration_is_replaced_too() -> None:
    model = MaskablePPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=0)
    before = weights_of(model)
    put_fresh_policy(model, 1)
    assert np.mean(before != weights_of(model)) > 0.4


def test_a_constant_reward_says_nothing_of_a_policy() -> None:
    trial = Trial(flat, "constant").learn()
    assert trial.restarts.n_policies == 1
    assert trial.said == ""


def test_it_takes_two_times_the_patience_to_know() -> None:
    """Windows of 80 steps: four of them are done after 320, five after 400."""
    early = Trial(flat).learn(320)
    assert early.restarts.n_policies == 1
    assert early.learn(64).restarts.n_policies == 2
    assert early.restarts.notes[0].num_timesteps == 320


def test_without_restarts_it_is_said_once_that_a_policy_is_stuck() -> None:
    trial = Trial(flat, at_most=0).learn()
    assert trial.restarts.n_policies == 1
    assert trial.said.count("has got no better") == 1
    assert "it goes on, as no fresh one may be started any more" in trial.said


def test_a_fresh_policy_must_have_time_to_learn() -> None:
    trial = Trial(flat, least_share=0.81).learn()
    assert trial.restarts.n_policies == 1


@pytest.mark.parametrize(("until", "n_policies"), [(0.2, 2), (0.3, 1)])
def test_a_fresh_policy_must_have_twice_the_time_that_the_stuck_one_learned_in(
    until: float, n_policies: int
) -> None:
    """`least_share` alone would do in both cases."""
    trial = Trial(lambda step: min(step, until * TOTAL) / 100, at_most=1, least_share=0.1).learn()
    assert trial.restarts.n_policies == n_policies
    first = trial.restarts.notes[0]
    assert first.num_timesteps <= 0.9 * TOTAL
    assert ("takes its place" in first.text) == (n_policies == 2)


@pytest.mark.parametrize("reads", ["before", "after"])
def test_what_was_done_before_is_judged_by_the_reward_of_now(reads: str) -> None:
    """By the reward of its time the policy rises; by the one that comes, it has fallen all the time."""
    sign = {"now": 1.0}

    def pays(observations: Any, actions: Any, following: Any) -> FloatArray:
        if reads == "after":  # as it is in the scripted world: the next level, the noise turned round
            np.testing.assert_allclose(np.abs(following - observations), 2, atol=0.5)
        seen = observations if reads == "before" else following
        return np.asarray(sign["now"] * seen[:, 0], dtype=np.float32)

    trial = Trial(rising, pays).learn(640)
    assert trial.said == ""
    sign["now"] = -1.0
    trial.learn(160)
    assert trial.restarts.n_policies == 2


def test_how_much_is_gained_is_counted_in_standard_deviations_of_all_that_was_done() -> None:
    for scale in (0.001, 1000.0):
        calm = Trial(rising, lambda o, a, then, s=scale: np.asarray(s * o[:, 0], dtype=np.float32)).learn()
        assert calm.said == ""

        def crawling(step: int) -> float:
            return 0.00005 * step  # 0.016 from two windows to the next two, of noise of 1

        stuck = Trial(crawling, lambda o, a, then, s=scale: np.asarray(s * o[:, 0], dtype=np.float32)).learn()
        assert stuck.restarts.n_policies == 3


# --- the fresh policy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PPO, A2C, EntropyTRPO])
def test_a_fresh_policy_has_first_weights_and_no_momentum(kind: type[OnPolicyAlgorithm]) -> None:
    trial = Trial(flat, kind=kind).learn(320)
    before = weights_of(trial.model)
    torch_state = torch.get_rng_state()
    watch_policy(trial.restarts, trial.model)
    assert trial.restarts.number == 2
    after = weights_of(trial.model)
    assert np.mean(before != after) > 0.4  # biases begin at 0 with either
    assert not trial.model.policy.optimizer.state
    assert torch.equal(torch_state, torch.get_rng_state())
    first = Trial(flat, kind=kind)
    assert np.std(after) == pytest.approx(np.std(weights_of(first.model)), rel=0.1)


def test_fresh_policies_are_the_seed_s() -> None:
    def fresh(seed: int) -> list[npt.NDArray[np.float32]]:
        trial = Trial(flat, seed=seed).learn()
        return [trial.weights[note.num_timesteps] for note in trial.restarts.notes[:2]]

    one, again, other = fresh(5), fresh(5), fresh(6)
    assert same_weights(one[0], again[0])
    assert same_weights(one[1], again[1])
    assert not same_weights(one[0], one[1])
    assert not same_weights(one[0], other[0])


def test_a_learning_rate_that_falls_begins_anew_with_each_policy() -> None:
    trial = Trial(flat, learning_rate=LinearSchedule(1.0, 0.0, 1.0), at_most=1).learn()
    step = trial.restarts.notes[0].num_timesteps
    rates = trial.rates
    assert rates[step] < 0.85  # before the policy was replaced
    assert rates[step + ROLLOUT] == 1.0
    assert rates[step + (TOTAL - step) // 2] == pytest.approx(0.5, abs=0.05)
    assert rates[TOTAL] == pytest.approx(0.0, abs=0.05)


def test_another_training_of_the_model_has_its_own_learning_rate() -> None:
    """Without preferences after the end, and with others of which nothing is known yet after an interruption."""
    schedule = LinearSchedule(1.0, 0.0, 1.0)
    trial = Trial(flat, learning_rate=schedule, at_most=1).learn()
    assert trial.restarts.n_policies == 2
    assert [trial.model.lr_schedule(left) for left in (1.0, 0.9, 0.4)] == [1.0, 0.9, 0.4]
    trial.model.lr_schedule = RestartedSchedule(trial.model.lr_schedule, 0.5)
    other = Trial(flat, at_most=1)
    other.model = trial.model
    other.model.set_env(other.normalizer)
    watch_policy(other.restarts, other.model)
    assert [other.model.lr_schedule(left) for left in (1.0, 0.9, 0.4)] == [1.0, 0.9, 0.4]


def test_a_training_that_was_made_longer_stretches_the_learning_rate_of_the_policy() -> None:
    """As SB3 does with the first one: it goes on in the share that is left of its own time."""
    trial = Trial(flat, learning_rate=LinearSchedule(1.0, 0.0, 1.0), at_most=1).learn()
    began = trial.restarts.notes[0].num_timesteps
    trial.restarts.plan(2 * TOTAL)
    trial.learn(TOTAL)
    own = 2 * TOTAL - began
    for step in (TOTAL + 2 * ROLLOUT, TOTAL + TOTAL // 2):
        assert trial.rates[step] == pytest.approx((2 * TOTAL - step) / own, abs=0.03)
    assert trial.rates[TOTAL + ROLLOUT] < 0.75


def test_a_call_that_counts_from_0_goes_through_the_learning_rate_again() -> None:
    trial = Trial(flat, learning_rate=LinearSchedule(1.0, 0.0, 1.0), at_most=1).learn()
    trial.model.learn(TOTAL, callback=Rates(trial))
    assert trial.rates[TOTAL // 2] == pytest.approx(0.5, abs=0.05)


class Rates(BaseCallback):
    """Notes the learning rates of a call that counts from 0."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial = trial

    def _on_rollout_start(self) -> None:
        watch_policy(self.trial.restarts, self.model)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        remaining = self.model._current_progress_remaining
        self.trial.rates[self.num_timesteps] = float(self.model.lr_schedule(remaining))


# --- several to begin with -----------------------------------------------------------------------------------


def test_the_first_policies_have_their_turns_and_then_a_fresh_one_begins() -> None:
    trial = Trial(rising, first_policies=2, first_share=0.4, at_most=0).learn()
    steps, texts = zip(*trial.restarts.notes, strict=True)
    assert texts == (
        "Policy 2 of the first 2 begins.",
        "Policy 3 begins, on the reward that was learned from the first 2.",
    )
    assert 320 <= steps[0] <= 370  # a turn is 320 steps, and lasts until a window ends
    assert 320 <= steps[1] - steps[0] <= 370
    fresh = [trial.weights[step] for step in steps]
    assert not same_weights(fresh[0], fresh[1])
    assert not any(same_weights(one, other) for one in trial.learned.values() for other in fresh)
    assert trial.restarts.n_policies == 3


def test_one_policy_may_be_the_first() -> None:
    trial = Trial(rising, first_policies=1, first_share=0.25, at_most=0).learn()
    ((step, text),) = trial.restarts.notes
    assert text == "Policy 2 begins, on the reward that was learned from the first."
    assert 400 <= step <= 450


def test_one_of_the_first_policies_may_be_the_best_of_all() -> None:
    """The second one is at 5, the last one nowhere near; before the end it takes its place again."""
    trial = Trial(second_is_best, first_policies=2, first_share=0.4, at_most=0).learn()
    assert "policy 2 as it was at step" in trial.said
    last = weights_of(trial.model)
    begun, over = (step for step, text in trial.restarts.notes[:2])
    assert any(same_weights(weights, last) for at, weights in trial.learned.items() if begun < at <= over)


def second_is_best(step: int) -> float:
    return 5.0 if 330 < step < 700 else 0.0


def test_the_best_of_all_is_so_by_the_reward_of_now() -> None:
    """By the reward of its turn the second one was the best; by the one that comes it is the worst."""
    sign = {"now": 1.0}

    def pays(observations: Any, actions: Any, following: Any) -> FloatArray:
        return np.asarray(sign["now"] * observations[:, 0], dtype=np.float32)

    trial = Trial(second_is_best, pays, first_policies=2, first_share=0.4, at_most=0).learn(800)
    sign["now"] = -1.0
    trial.learn(TOTAL - 800)
    assert "policy 2 as" not in trial.said


def test_nobody_is_stuck_while_the_first_policies_take_turns() -> None:
    trial = Trial(flat, first_policies=2, first_share=0.9, patience=1).learn(1200)
    assert "no better" not in trial.said
    later = Trial(flat, first_policies=2, first_share=0.3, patience=1).learn()
    assert later.restarts.n_policies == 5
    assert "Policy 3 has got no better" in later.said


def test_the_learning_rate_begins_anew_with_the_last_policy() -> None:
    rate = LinearSchedule(1.0, 0.0, 1.0)
    trial = Trial(rising, learning_rate=rate, first_policies=2, first_share=0.4, at_most=0).learn()
    for step, _ in trial.restarts.notes:
        assert trial.rates[step] < 0.85
        assert trial.rates[step + ROLLOUT] == 1.0
    assert trial.rates[TOTAL] == pytest.approx(0.0, abs=0.05)


def test_the_learning_rate_of_a_policy_goes_on_from_what_it_has_learned() -> None:
    rate = LinearSchedule(1.0, 0.0, 1.0)
    trial = Trial(lambda step: 5.0 if step < 330 else 0.0, learning_rate=rate, at_most=1).learn()
    back, age = next(
        (step, int(text.rsplit("at step ", 1)[1].split()[0]))
        for step, text in trial.restarts.notes
        if "takes its place again" in text
    )
    left = TOTAL - back
    assert trial.rates[back + ROLLOUT] == pytest.approx(left / (left + age), abs=0.03)


# --- the best has the last word -----------------------------------------------------------------------------


def test_a_fresh_policy_sees_through_fresh_statistics() -> None:
    """Not through those of the one before, which may have lain in one place for long."""
    trial = Trial(flat, at_most=1).learn(400)
    (note,) = trial.restarts.notes
    assert "a fresh one, takes its place" in note.text
    began = note.num_timesteps
    since = trial.venv.num_timesteps - began
    assert trial.statistics.count == pytest.approx(since, abs=0.01)
    assert trial.normalizer.ret_rms.count == pytest.approx(since, abs=0.01)


def test_statistics_that_are_frozen_stay() -> None:
    trial = Trial(flat, at_most=1).learn(100)
    mean = trial.statistics.mean.copy()
    trial.normalizer.training = False
    put_fresh_policy(trial.model, 1)
    assert trial.statistics.count > 100
    assert np.array_equal(trial.statistics.mean, mean)


def test_a_policy_kept_by_an_earlier_version_has_its_statistics() -> None:
    trial = Trial(up_and_down, at_most=0).learn(TOTAL // 2)
    arrays, values = KeptPolicy.of(trial.model, 1, 8, trial.restarts._windows[-1]).state()
    names = {name for name in arrays if name.startswith("normalizer.")}
    assert names == {f"normalizer.{of}.{what}" for of in ("return", "observation:") for what in MOMENTS}
    earlier = {name: array for name, array in arrays.items() if name not in names}
    earlier |= {f"statistics..{what}": arrays[f"normalizer.observation:.{what}"] for what in MOMENTS}
    mean, n_returns = trial.statistics.mean.copy(), trial.normalizer.ret_rms.count
    put_fresh_policy(trial.model, 1)
    assert (trial.statistics.count, trial.normalizer.ret_rms.count) == (1e-4, 1e-4)
    assert (float(trial.statistics.mean[0]), float(trial.statistics.var[0])) == (0.0, 1.0)
    KeptPolicy.from_state(earlier, values).put_back(trial.model)
    assert np.array_equal(trial.statistics.mean, mean)
    assert trial.normalizer.ret_rms.count == 1e-4
    KeptPolicy.from_state(arrays, values).put_back(trial.model)
    assert trial.normalizer.ret_rms.count == n_returns


def test_a_policy_that_is_put_back_has_the_statistics_it_had() -> None:
    trial = Trial(up_and_down, at_most=0).learn(TOTAL // 2 + 16)
    mean = float(trial.statistics.mean[0])
    trial.learn(TOTAL // 2 - 16)
    assert "Policy 1 as it was at step 8" in trial.said
    last = weights_of(trial.model)
    (kept,) = [at for at, weights in trial.weights.items() if same_weights(weights, last)]
    assert 780 <= kept <= 900
    assert trial.statistics.count == trial.counts[kept]
    assert trial.normalizer.ret_rms.count == trial.return_counts[kept]
    assert abs(mean - float(trial.statistics.mean[0])) < 0.7
    going_on = Trial(up_and_down, at_most=0).learn(TOTAL - ROLLOUT)
    assert abs(mean - float(going_on.statistics.mean[0])) < 2.0


def test_at_the_end_the_best_policy_is_kept() -> None:
    falling_late = Trial(lambda step: step / 100 if step < 1300 else 0.0, at_most=0).learn()
    assert "was the best: it is kept" in falling_late.said
    last = weights_of(falling_late.model)
    assert 1250 <= next(at for at, weights in falling_late.weights.items() if same_weights(weights, last)) <= 1400
    rising_late = Trial(rising).learn()
    assert not any(
        same_weights(weights, weights_of(rising_late.model)) for weights in rising_late.weights.values()
    )


def test_a_training_of_a_few_windows_ends_with_the_policy_it_has() -> None:
    assert Trial(lambda step: 5.0 if step < 700 else 0.0, window_share=0.4).learn().said == ""
    assert (
        "was the best" in Trial(lambda step: 5.0 if step < 700 else 0.0, window_share=0.2, at_most=0).learn().said
    )


def test_before_the_end_of_the_training_the_policy_of_now_is_kept() -> None:
    """A training may take several calls of `learn`."""
    trial = Trial(lambda step: step / 100 if step < 500 else 0.0, at_most=0).learn(640)
    assert "kept" not in trial.said


def test_another_policy_that_was_better_goes_on_where_no_fresh_one_can() -> None:
    """The first one stood at 5, the fresh one stands at 0."""
    trial = Trial(lambda step: 5.0 if step < 330 else 0.0, at_most=1).learn()
    step = next(step for step, text in trial.restarts.notes if "Policy 2 has got no better" in text)
    assert "policy 1 as it was at step 320 takes its place again" in trial.said
    assert same_weights(trial.weights[step], trial.weights[320]) or trial.restarts.number == 1
    assert step < 0.75 * TOTAL


# --- state --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_policies", [0, 2])
@pytest.mark.parametrize("stopped_after", [160, 352, 736, 1248])
def test_restarts_that_are_restored_go_on_as_if_nothing_had_been(stopped_after: int, first_policies: int) -> None:
    whole = Trial(up_and_down, at_most=1, first_policies=first_policies).learn()
    first = Trial(up_and_down, at_most=1, first_policies=first_policies).learn(stopped_after)
    arrays, values = first.restarts.state()
    replaced = PolicyRestarts(first.venv, first.restarts.settings, 0)
    replaced.plan(TOTAL)
    replaced.restore({name: array.copy() for name, array in arrays.items()}, values)
    first.restarts = replaced
    first.learn(TOTAL - stopped_after)
    assert first.restarts.notes == whole.restarts.notes
    assert whole.restarts.notes
    assert first.restarts.number == whole.restarts.number


# --- with preferences, and in a script ----------------------------------------------------------------------


def test_a_script_gets_fresh_policies_too() -> None:
    venv = make_vec_env(lambda: ScriptedEnv(flat), n_envs=N_ENVS)
    prefs = PreferenceLearning(
        venv,
        teacher=OracleTeacher(),
        n_labels=10,
        feedback=FeedbackSettings(segment_length=2, initial_timesteps=64, labels_per_round=5),
        reward=RewardSettings(first_epochs=1, epochs=1),
        restarts=RestartSettings(window_share=0.025, patience=2, least_gain=100.0),
    )
    model = PPO("MlpPolicy", prefs.venv, n_steps=16, batch_size=32, n_epochs=1, seed=0)
    shown = io.StringIO()
    model.set_logger(Logger(None, [HumanOutputFormat(shown)]))
    model.learn(2560, callback=prefs.callback())
    assert prefs.restarts.n_policies == 3
    assert len(prefs.restarts.notes) >= 2
    assert all(note.text in shown.getvalue() for note in prefs.restarts.notes[:2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "`patience` must be at least 1"),
        ({"first_policies": -1}, "`first_policies` and `at_most` at least 0"),
        ({"first_share": 1.0}, "0 < `first_share` < 1"),
        ({"at_most": -1}, "`first_policies` and `at_most` at least 0"),
        ({"window_share": 0.0}, "0 < `window_share` <= 1"),
        ({"least_share": 1.5}, "0 <= `least_share` <= 1"),
        ({"least_gain": float("nan")}, "`least_gain` must be finite"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        RestartSettings(**settings)


class WeightsElsewhere(PPO):
    """Its policy has no optimiser of PyTorch's, as the JAX ones of SBX have none."""

    def _setup_model(self) -> None:
        super()._setup_model()
        del self.policy.optimizer

    def train(self) -> None:
        """Learn nothing."""


def preferences(restarts: RestartSettings) -> PreferenceLearning:
    return PreferenceLearning(
        make_vec_env(lambda: ScriptedEnv(flat), n_envs=N_ENVS),
        teacher=OracleTeacher(),
        n_labels=10,
        feedback=FeedbackSettings(segment_length=2, initial_timesteps=64, labels_per_round=5),
        reward=RewardSettings(hidden_sizes=(8,)),
        restarts=restarts,
    )


def test_a_policy_that_cannot_be_kept_is_neither_watched_nor_replaced() -> None:
    prefs = preferences(RestartSettings(window_share=0.05, patience=1, least_gain=1e9))
    model = WeightsElsewhere("MlpPolicy", prefs.venv, n_steps=ROLLOUT // N_ENVS, batch_size=32, seed=0)
    model.learn(800, callback=prefs.callback())
    assert prefs.reward_model.fitted
    assert (prefs.restarts.n_policies, prefs.restarts.notes, prefs.venv.watch) == (1, [], None)


def test_first_policies_that_cannot_be_followed_are_refused() -> None:
    prefs = preferences(RestartSettings(first_policies=1))
    model = WeightsElsewhere("MlpPolicy", prefs.venv, n_steps=ROLLOUT // N_ENVS, batch_size=32, seed=0)
    with pytest.raises(SettingError, match=r"WeightsElsewhere is not replaced, as its weights are not PyTorch's"):
        model.learn(100, callback=prefs.callback())
