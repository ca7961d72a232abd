"""What teachers may go by that follow the true return of the latest episodes."""

import json
import warnings

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv

from prefrl.agents import LearnedRewardVecEnv, PreferenceLearning
from prefrl.errors import SettingError
from prefrl.feedback import BPrefTeacher, OracleTeacher
from prefrl.feedback.teachers import Teacher
from prefrl.settings import FeedbackSettings
from prefrl_envs.testing import CountingEnv
from tests.agents.test_learned_reward import act


def wrapped(n_envs: int = 1, *, keeps: bool = True) -> LearnedRewardVecEnv:
    """Episodes of 2 to 5 steps, whose observation counts the steps and pays ten times that."""
    venv = LearnedRewardVecEnv(make_vec_env(lambda: CountingEnv((2, 2, 2, 3, 5, 4)), n_envs=n_envs), "constant")
    venv.keeps_episodes = keeps
    return venv


def test_it_is_the_mean_over_the_steps_of_the_last_ten_episodes() -> None:
    venv = wrapped()
    assert venv.mean_env_reward() is None
    ended: list[tuple[float, int]] = []
    rewards: list[float] = []
    for _, _, _, dones, infos in act(venv, 50):
        rewards.append(float(infos[0]["env_reward"]))
        if dones[0]:
            ended.append((sum(rewards), len(rewards)))
            rewards = []
    assert len(ended) > 12
    latest = ended[-10:]
    expected = sum(true for true, _ in latest) / sum(length for _, length in latest)
    assert venv.mean_env_reward() == pytest.approx(expected)
    assert expected != pytest.approx(sum(true for true, _ in ended) / sum(length for _, length in ended))


def test_nothing_is_kept_where_nobody_asks() -> None:
    venv = wrapped(keeps=False)
    act(venv, 30)
    assert venv.mean_env_reward() is None
    assert venv.state()[1]["episodes"] == []


def test_it_goes_on_from_a_checkpoint_and_an_earlier_one_has_none() -> None:
    venv, again, earlier = wrapped(2), wrapped(2), wrapped(2)
    act(venv, 31)
    arrays, values = venv.state()
    again.reset()
    again.restore(arrays, json.loads(json.dumps(values)))
    assert again.mean_env_reward() == venv.mean_env_reward() is not None
    del values["episodes"]
    earlier.restore(arrays, values)
    assert earlier.mean_env_reward() is None


def test_environments_that_count_no_episodes_are_refused() -> None:
    venv = LearnedRewardVecEnv(DummyVecEnv([lambda: CountingEnv((2,))]), "constant")
    venv.keeps_episodes = True
    with pytest.raises(SettingError, match="nobody counts: put SB3's `Monitor`"):
        act(venv, 3)


@pytest.mark.parametrize(
    ("teacher", "keeps"),
    [(BPrefTeacher(skip=0.1), True), (BPrefTeacher(mistakes=0.1), False), (OracleTeacher(), False)],
)
def test_queries_know_it_where_the_teacher_asks(teacher: Teacher, keeps: bool) -> None:
    prefs = PreferenceLearning(
        make_vec_env(lambda: CountingEnv((6,)), n_envs=2),
        teacher=teacher,
        n_labels=20,
        feedback=FeedbackSettings(segment_length=2, initial_timesteps=30),
    )
    assert prefs.venv.keeps_episodes is keeps
    prefs.venv.reset()
    for _ in range(13):
        prefs.venv.step(np.zeros((2, 1), dtype=np.float32))
    [query] = prefs.labels._maker.make(1, 26)
    assert query.mean_env_reward == (prefs.venv.mean_env_reward() if keeps else None)
    assert (query.mean_env_reward is not None) is keeps


@pytest.mark.parametrize(("cost", "warns"), [(1.0, True), (0.0, False)])
def test_costs_have_no_share_and_it_is_said(cost: float, warns: bool) -> None:
    prefs = PreferenceLearning(
        make_vec_env(lambda: CountingEnv((6,)), n_envs=2),
        teacher=BPrefTeacher(skip=0.1),
        n_labels=20,
        feedback=FeedbackSettings(segment_length=2, initial_timesteps=8, labels_per_round=5),
    )
    model = PPO("MlpPolicy", prefs.venv, n_steps=16, batch_size=32, n_epochs=1, seed=0)
    mean = prefs.venv.mean_env_reward

    def less() -> float | None:
        real = mean()
        return None if real is None else real - 1000 * cost

    prefs.venv.mean_env_reward = less  # type: ignore[method-assign]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn(256, callback=prefs.callback())
    assert sum("no cost has a share" in str(one.message) for one in caught) == warns
