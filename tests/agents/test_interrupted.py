"""What is stopped in the middle, by Ctrl-C, a teacher that fails or an environment that breaks, and goes on."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import LearnedReward, LearnedRewardVecEnv, PreferenceLearning
from prefrl.agents.label_plan import LabelPlan
from prefrl.errors import FaultyEnvError, RewardModelError, SettingError
from prefrl.feedback import OracleTeacher, People
from prefrl.reward import RewardEnsemble
from prefrl.segments import Answer, Query
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import Store

MakeVenv = Callable[..., VecEnv]


def small(venv: VecEnv, **changes: Any) -> PreferenceLearning:
    given: dict[str, Any] = {
        "teacher": OracleTeacher(),
        "n_labels": 20,
        "feedback": FeedbackSettings(segment_length=5, initial_timesteps=64, labels_per_round=5),
        "reward": RewardSettings(hidden_sizes=(8,), n_members=2, first_epochs=2, epochs=1),
    }
    return PreferenceLearning(venv, **given | changes)


def ppo(venv: VecEnv) -> PPO:
    return PPO("MlpPolicy", venv, n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu")


def test_a_fit_that_was_stopped_is_made_up_for(drift_venv: MakeVenv, monkeypatch: pytest.MonkeyPatch) -> None:
    """All labels come at once, so nothing that comes later would start another fit."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    prefs = small(drift_venv(), n_labels=5)
    prefs.plan(640)
    model = ppo(prefs.venv)
    with monkeypatch.context() as stopping:
        stopping.setattr(prefs.trainer.optimizer, "step", stop)
        with pytest.raises(KeyboardInterrupt):
            model.learn(640, callback=prefs.callback())
    assert (prefs.labels.n_labels, prefs.reward_model.fitted) == (5, False)
    left = 640 - prefs.num_timesteps
    model.learn(left, callback=prefs.callback(), reset_num_timesteps=False)
    assert prefs.reward_model.fitted
    assert prefs.trainer.n_known == 5


class Failing(OracleTeacher):
    """Cannot tell every third time, and fails once."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.fails_at, self.n_asked = fails_at, 0

    def answer(self, query: Query) -> Answer:
        self.n_asked += 1
        if self.n_asked == self.fails_at:
            raise ConnectionError("the service is down")
        return Answer.CANNOT_TELL if self.n_asked % 3 == 0 else super().answer(query)


@pytest.mark.parametrize("fails_at", [4, 7, 11])
def test_what_a_teacher_said_before_it_failed_counts(drift_venv: MakeVenv, fails_at: int) -> None:
    """The first round asks five times, then once or twice more for those that it could not tell."""
    teacher = Failing(fails_at)
    prefs = small(drift_venv(), teacher=teacher)
    prefs.plan(1280)
    model = ppo(prefs.venv)
    with pytest.raises(ConnectionError):
        model.learn(1280, callback=prefs.callback())
    assert prefs.store.counts().answers == fails_at - 1, "nothing that was said is lost"
    model.learn(1280 - prefs.num_timesteps, callback=prefs.callback(), reset_num_timesteps=False)
    assert prefs.labels.n_labels == prefs.trainer.n_known == prefs.store.counts().comparisons == 20


class Drifting(gym.Env[Any, Any]):
    """Counts its steps, and is once interrupted before one."""

    observation_space = spaces.Box(0, np.inf, (1,))
    action_space = spaces.Box(-1, 1, (1,))
    interrupted = False

    def __init__(self) -> None:
        self.n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.n_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        self.n_steps += 1
        return np.array([self.n_steps], np.float32), 0.0, False, self.n_steps == 100, {}


def test_no_segment_holds_a_step_that_only_some_environments_made() -> None:
    """The first has made the step when the second is interrupted in it, so that it seems to make two at once."""
    prefs = small(make_vec_env(Drifting, n_envs=2))
    prefs.venv.reset()
    actions = np.zeros((2, 1), np.float32)
    for step in range(60):
        if step == 30:
            second: Any = prefs.venv.unwrapped.envs[1].unwrapped  # type: ignore[attr-defined]
            second.interrupted = True
            with pytest.raises(KeyboardInterrupt):
                prefs.venv.step(actions)
        prefs.venv.step(actions)
    drawn = prefs.recorder.sample(400, length=5, rng=np.random.default_rng(0))
    assert {int(segment.observations[0, 0]) for segment in drawn} > {0, 20, 40}
    for segment in drawn:
        np.testing.assert_array_equal(np.diff(segment.observations[:, 0]), 1)


class OneBad(gym.Env[Any, Any]):
    """A walk on a line whose observation is once not finite."""

    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Discrete(2)

    def __init__(self, bad_at: int, value: float) -> None:
        self.bad_at, self.value, self.n_steps, self.x = bad_at, value, 0, np.float32(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x = np.float32(0)
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.n_steps += 1
        self.x = np.clip(self.x + np.float32(0.1 * (2 * action - 1)), -1, 1)
        seen = np.array([self.x, self.value if self.n_steps == self.bad_at else 0], np.float32)
        return seen, float(self.x), False, self.n_steps % 50 == 0, {}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("bad_at", [20, 310])
def test_an_observation_that_is_not_finite_is_told(bad_at: int, value: float) -> None:
    """Before the first fit, when all rewards are 0, and after it."""
    prefs = small(make_vec_env(lambda: OneBad(bad_at, value), n_envs=1))
    prefs.begin(640, 32)
    prefs.venv.reset()
    rng = np.random.default_rng(0)

    def walk() -> None:
        for step in range(640):
            if step % 32 == 0:
                prefs.update()
            prefs.venv.step(rng.integers(2, size=1))

    with pytest.raises(FaultyEnvError, match="NaN or infinite"):
        walk()
    assert prefs.venv.num_timesteps < 640 - 32
    assert all(np.isfinite(array).all() for array in prefs.reward_model.state()[0].values())


def test_a_reward_model_that_is_not_finite_is_refused(drift_venv: MakeVenv, tmp_path: Path) -> None:
    prefs = small(drift_venv())
    ppo(prefs.venv).learn(640, callback=prefs.callback())
    prefs.reward_model.output_mean[0] = np.nan
    prefs.reward_model.save(tmp_path)
    with pytest.raises(RewardModelError, match="`output_mean` of the reward model is not finite"):
        RewardEnsemble.load(tmp_path)


@pytest.mark.parametrize("paid", [np.zeros(1, "f"), np.zeros((4, 1), "f"), np.float32(1), [0.0] * 4, 1.0])
def test_a_reward_function_that_returns_another_shape_is_refused(drift_venv: MakeVenv, paid: Any) -> None:
    venv = LearnedRewardVecEnv(drift_venv(), lambda before, actions, after: paid)
    venv.reset()
    with pytest.raises(SettingError, match=r"an array of shape \(4,\)"):
        venv.step(np.stack([venv.action_space.sample() for _ in range(4)]))


@pytest.mark.parametrize("word", ["Continue", "lern", ""])
def test_a_misspelt_choice_about_old_labels_is_refused(drift_venv: MakeVenv, word: Any) -> None:
    with pytest.raises(SettingError, match="`old_labels` must be one of"):
        small(drift_venv(), old_labels=word)


def test_numbers_of_numpy_can_be_saved(drift_venv: MakeVenv, tmp_path: Path) -> None:
    prefs = small(drift_venv(), n_labels=np.int64(20), seed=np.int64(3), store=Store(tmp_path))
    prefs.plan(np.int64(640))  # type: ignore[arg-type]
    ppo(prefs.venv).learn(640, callback=prefs.callback())
    prefs.save(tmp_path / "preferences.safetensors")
    prefs.reward_model.save(tmp_path / "reward_model")
    assert LearnedReward(drift_venv().unwrapped.envs[0], reward_model=tmp_path / "reward_model") is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [10.5, "20", None, np.nan, np.inf])
def test_a_count_that_is_no_whole_number_is_refused(drift_venv: MakeVenv, number: Any) -> None:
    plan = LabelPlan(20, FeedbackSettings())
    for refuses in (
        lambda: small(drift_venv(), n_labels=number),
        lambda: plan.fix(number),
        lambda: plan.begin(0, number, 32),
    ):
        with pytest.raises(SettingError, match="must be a whole number"):
            refuses()
    plan.fix(1e6)  # type: ignore[arg-type]
    assert plan.total_timesteps == 1_000_000


@pytest.mark.parametrize("seed", [None, 1.5, "1"])
def test_a_seed_that_is_no_whole_number_is_refused(drift_venv: MakeVenv, seed: Any) -> None:
    with pytest.raises(SettingError, match="`seed` must be a whole number"):
        small(drift_venv(), seed=seed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"teacher": OracleTeacher}, "`teacher` must be an object"),
        ({"teacher": People}, "`teacher` must be an object"),
        ({"teacher": "oracle"}, "`teacher` must be an object"),
        ({"teacher": SimpleNamespace(answer=print)}, "`teacher` needs a `name`"),
        ({"store": Path("labels")}, "`store` must be a Store"),
        ({"feedback": {"segment_length": 5}}, "`feedback` must be FeedbackSettings"),
        ({"feedback": FeedbackSettings(schedule="lienar")}, "lienar"),
    ],
)
def test_what_is_not_the_object_that_is_wanted_is_refused_at_once(
    drift_venv: MakeVenv, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        small(drift_venv(), **given)


@pytest.mark.parametrize("answer", ["first", 1, 0.5, None])
def test_an_answer_that_is_none_is_told(drift_venv: MakeVenv, answer: Any) -> None:
    prefs = small(drift_venv(), teacher=SimpleNamespace(name="own", answer=lambda query: answer))
    with pytest.raises(SettingError, match=r"kind 'pair' must be one of Answer\.FIRST, .* from own"):
        ppo(prefs.venv).learn(640, callback=prefs.callback())
