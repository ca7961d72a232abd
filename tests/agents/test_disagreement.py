"""What the members' disagreement pays: a bonus while labels come, nothing good after."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import PreferenceLearning
from prefrl.feedback import OracleTeacher, People
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Answer, Segment
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import NewAnswer, Store

MakeVenv = Callable[..., VecEnv]
PAYS = RewardSettings(hidden_sizes=(8,), first_epochs=3, epochs=2, bonus=0.5, pessimism=0.25)
Steps = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]


def learning(venv: VecEnv, reward: RewardSettings | RewardTrainer = PAYS, **settings: Any) -> PreferenceLearning:
    return PreferenceLearning(
        venv,
        teacher=OracleTeacher(),
        **{"n_labels": 20, **settings},
        feedback=FeedbackSettings(segment_length=5, initial_timesteps=64, labels_per_round=3),
        reward=reward,
    )


def some_steps(n: int = 4) -> Steps:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(n, 2)).astype(np.float32)
    return observations, rng.uniform(-1, 1, size=(n, 1)).astype(np.float32), observations


def by_hand(ensemble: RewardEnsemble, steps: Steps, weight: float) -> npt.NDArray[np.float64]:
    members = ensemble.predict_members(*steps).astype(np.float64)
    rewards: npt.NDArray[np.float64] = members.mean(axis=0) + weight * members.std(axis=0)
    return rewards


class Watcher(BaseCallback):
    """At every step what disagreement pays, and whether that is what was paid; by rollout."""

    def __init__(self, preferences: PreferenceLearning) -> None:
        super().__init__()
        self.preferences = preferences
        self.weights: list[set[float]] = []
        self.labels: list[int] = []
        self.last: Any = None

    def _on_rollout_start(self) -> None:
        self.weights.append(set())
        self.labels.append(self.preferences.labels.n_labels)

    def _on_step(self) -> bool:
        self.weights[-1].add(self.preferences.sd_weight)
        if self.last is not None and self.preferences.reward_model.fitted:
            steps = (self.last, self.preferences.venv._actions, self.preferences.venv.next_observations)
            expected = by_hand(self.preferences.reward_model, steps, self.preferences.sd_weight)
            np.testing.assert_allclose(self.locals["rewards"], expected, atol=1e-4)
        self.last = self.preferences.venv.last_observations
        return True


class Rows(KVWriter):
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


def test_the_bonus_falls_with_the_labels_that_are_to_come_and_then_pays_less(
    drift_venv: MakeVenv, tmp_path: Path
) -> None:
    preferences = learning(drift_venv(length=1000))  # no end, at which SB3 adds to what is paid
    watcher, rows = Watcher(preferences), Rows()
    model = PPO("MlpPolicy", preferences.venv, n_steps=16, n_epochs=1, gamma=0.9, seed=0, device="cpu")
    model.set_logger(Logger(None, [rows]))
    model.learn(640, callback=[preferences.callback(), watcher])
    assert all(len(weights) == 1 for weights in watcher.weights), "one rollout, one reward"
    for weights, n_labels in zip(watcher.weights, watcher.labels, strict=True):
        (weight,) = weights
        assert weight == pytest.approx(-0.25 if n_labels == 20 else 0.5 * (1 - n_labels / 20))
    assert len({*watcher.labels}) > 3
    assert watcher.labels[0] == 0
    assert watcher.labels[-1] == 20
    logged = [row["reward_model/sd_weight"] for row in rows.rows if "reward_model/sd_weight" in row]
    assert logged == sorted(logged, reverse=True)
    assert logged[-1] == -0.25

    steps = some_steps()
    preferences.reward_model.save(tmp_path)
    saved = RewardEnsemble.load(tmp_path)
    np.testing.assert_allclose(saved.predict(*steps), by_hand(saved, steps, -0.25), atol=1e-5)
    np.testing.assert_array_equal(saved.predict(*steps), preferences.reward_now(*steps))


def test_what_is_saved_shown_and_asked_by_pays_no_bonus(drift_venv: MakeVenv, tmp_path: Path) -> None:
    """In the middle of the labels: the agent gets the bonus, and nobody else."""
    preferences, plain = (
        learning(drift_venv(length=1000), RewardSettings(hidden_sizes=(8,), bonus=bonus)) for bonus in (0.5, 0.0)
    )
    for one in (preferences, plain):
        one.plan(640)
        one.venv.reset()
        for _ in range(30):
            one.venv.step(np.full((4, 1), 0.3, np.float32))
        one.venv.num_timesteps = 100
        assert one.update() is not None
    steps = some_steps()
    assert preferences.sd_weight == pytest.approx(0.5 * (1 - preferences.labels.n_labels / 20))
    assert 0 < preferences.sd_weight < 0.5
    paid = preferences.reward_now(*steps)
    assert (paid > plain.reward_now(*steps)).all()
    np.testing.assert_allclose(paid, by_hand(plain.reward_model, steps, preferences.sd_weight), atol=1e-5)
    np.testing.assert_array_equal(preferences.reward_model.predict(*steps), plain.reward_now(*steps))
    segment = Segment(observations=steps[0], actions=steps[1], env_rewards=np.zeros(4, np.float32))
    for one in (preferences, plain):
        one.reward_model.save(tmp_path / str(one is plain))
    first, second = (RewardEnsemble.load(tmp_path / str(which)) for which in (False, True))
    np.testing.assert_array_equal(first.predict(*steps), second.predict(*steps))
    np.testing.assert_array_equal(
        preferences.reward_model.predict_segment(segment), plain.reward_model.predict_segment(segment)
    )
    asked = [[answer.query_id for answer in one.store.answers()] for one in (preferences, plain)]
    assert asked[0] == asked[1]


def test_off_policy_all_that_is_kept_is_paid_by_the_weight_of_now(drift_venv: MakeVenv) -> None:
    preferences = learning(drift_venv(2, length=1000))
    model = SAC(
        "MlpPolicy", preferences.venv, learning_starts=20, batch_size=4, train_freq=8, buffer_size=2000, seed=0
    )

    class Kept(BaseCallback):
        """Looks at what is kept whenever the labels have been looked at."""

        def __init__(self) -> None:
            super().__init__()
            self.weights: list[float] = []

        def _on_step(self) -> bool:
            buffer = model.replay_buffer
            assert buffer is not None
            n = buffer.pos
            if n and preferences.reward_model.fitted and preferences.num_timesteps % 64 == 0:
                self.weights.append(preferences.sd_weight)
                actions = model.policy.unscale_action(buffer.actions[:n].reshape(2 * n, 1))
                steps = buffer.observations[:n].reshape(2 * n, 2), actions, None
                paid = preferences.reward_model.predict(*steps, sd_weight=preferences.sd_weight)
                np.testing.assert_allclose(buffer.rewards[:n].reshape(-1), paid, atol=1e-4)
            return True

    kept = Kept()
    model.learn(1200, callback=[preferences.callback(), kept])
    assert kept.weights[0] > 0
    assert kept.weights[-1] == -0.25
    assert len(set(kept.weights)) >= 3


def test_labels_that_were_there_before_are_no_more_to_come(drift_venv: MakeVenv) -> None:
    with Store() as store:
        first = learning(drift_venv(), store=store, n_labels=10)
        first.plan(640)
        first.venv.reset()
        for _ in range(30):
            first.venv.step(np.full((4, 1), 0.3, np.float32))
        first.venv.num_timesteps = 600
        first.update()
        assert first.sd_weight == -0.25
        for old_labels, weight in (("continue", 0.25), ("learn", 0.5)):
            again = learning(drift_venv(), store=store, n_labels=20, old_labels=old_labels)
            assert again.sd_weight == 0.5
            again.plan(640)
            assert again.update() is not None
            assert again.sd_weight == pytest.approx(weight), "those of other runs cost nothing"


def test_where_somebody_takes_answers_back_labels_are_to_come_again(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = PreferenceLearning(
            drift_venv(),
            teacher=People(),
            n_labels=4,
            store=store,
            feedback=FeedbackSettings(segment_length=5, initial_timesteps=64, labels_per_round=3),
            reward=PAYS,
        )
        preferences.plan(640)
        preferences.venv.reset()
        for _ in range(30):
            preferences.venv.step(np.full((4, 1), 0.3, np.float32))
        preferences.venv.num_timesteps = 640
        preferences.update()
        queries = [query.query_id for query in store.open_queries()][:4]
        assert preferences.sd_weight == 0.5, "until something is learned"
        for number, said in enumerate([Answer.FIRST] * 4 + [None]):
            answer = NewAnswer(
                id=f"a{number}",
                query_id=queries[number % 4],
                answer=said,
                labeler="Ann",
                supersedes=None if said else "a0",
            )
            store.add_answers([answer])
            before = preferences.sd_weight
            refit = preferences.update(at_least=1 if number > 1 else 3)
            weight = {2: 0.5 / 4, 3: -0.25, 4: 0.5 / 4}.get(number, before)
            assert (refit is None) == (number < 2)
            assert preferences.sd_weight == pytest.approx(weight)


def test_a_state_of_before_there_was_a_bonus_is_gone_on_with(drift_venv: MakeVenv) -> None:
    with Store() as store:
        constant = RewardSettings(hidden_sizes=(8,), sd_weight=-0.5)
        first = learning(drift_venv(), constant, store=store)
        arrays, values = first.state()
        del values["sd_weight"]
        again = learning(drift_venv(), constant, store=store, old_labels="replay")
        again.restore(arrays, values)
        assert again.sd_weight == -0.5


@pytest.mark.parametrize("sd_weight", [0.0, -0.5])
def test_without_them_the_same_is_paid_always(drift_venv: MakeVenv, sd_weight: float) -> None:
    preferences = learning(drift_venv(), RewardSettings(hidden_sizes=(8,), sd_weight=sd_weight))
    model, rows = PPO("MlpPolicy", preferences.venv, n_steps=16, n_epochs=1, seed=0, device="cpu"), Rows()
    model.set_logger(Logger(None, [rows]))
    model.learn(320, callback=preferences.callback())
    assert preferences.sd_weight == sd_weight
    steps = some_steps()
    np.testing.assert_array_equal(preferences.reward_now(*steps), preferences.reward_model.predict(*steps))
    assert not any("reward_model/sd_weight" in row for row in rows.rows)
