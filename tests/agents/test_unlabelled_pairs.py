"""Pairs that nobody is asked about, and crops, while an agent learns."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import PreferenceLearning
from prefrl.agents.refits import Refit
from prefrl.agents.unlabelled_pairs import UnlabelledPairs
from prefrl.errors import SettingError
from prefrl.feedback import OracleTeacher
from prefrl.segments import SegmentRecorder
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import Store

MakeVenv = Callable[..., VecEnv]
FEW_LABELS = RewardSettings(
    hidden_sizes=(8,),
    first_epochs=3,
    epochs=2,
    crop_least=0.5,
    pseudo_weight=1.0,
    pseudo_threshold=0.51,
    pseudo_ratio=2,
    batch_size=5,
    bonus=0.5,
    pessimism=0.25,
)


def learning(venv: VecEnv, *, reward: RewardSettings = FEW_LABELS, **settings: Any) -> PreferenceLearning:
    own = {"segment_length": 5, "initial_timesteps": 64, "labels_per_round": 3, **settings}
    of_object = {name: own.pop(name) for name in ("store", "old_labels", "seed", "n_labels") if name in own}
    return PreferenceLearning(
        venv,
        teacher=OracleTeacher(rating_range=(-0.1, 0.1)),
        **{"n_labels": 20, **of_object},
        feedback=FeedbackSettings(**own),
        reward=reward,
    )


def ppo(venv: VecEnv) -> PPO:
    return PPO("MlpPolicy", venv, n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu")


def steps(preferences: PreferenceLearning, n_steps: int) -> None:
    rng = np.random.default_rng(0)
    if preferences.venv.last_observations is None:
        preferences.venv.reset()
    for _ in range(n_steps):
        preferences.venv.step(rng.uniform(-1, 1, size=(preferences.venv.num_envs, 1)).astype(np.float32))


def at(preferences: PreferenceLearning, num_timesteps: int) -> Refit | None:
    preferences.venv.num_timesteps = num_timesteps
    return preferences.update()


def recorded(n_steps: int) -> SegmentRecorder:
    recorder = SegmentRecorder(spaces.Box(-9, 99, (1,), np.float32), spaces.Discrete(2), 1, capacity=50)
    for step in range(n_steps):
        done = np.array([step % 10 == 9])
        recorder.record(np.array([[step]], np.float32), np.zeros(1, np.int64), np.zeros(1, np.float32), done)
    return recorder


def starts(pairs: list[Any]) -> npt.NDArray[np.int64]:
    return np.array([[int(segment.observations[0, 0]) for segment in pair] for pair in pairs])


def test_pairs_are_drawn_uniformly_and_anew() -> None:
    drawing = UnlabelledPairs(recorded(30), length=8, n=400, rng=np.random.default_rng(0))
    first, second = starts(drawing.draw()), starts(drawing.draw())
    assert first.shape == (400, 2)
    possible, counts = np.unique(first, return_counts=True)
    assert possible.tolist() == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    np.testing.assert_allclose(counts / 800, 1 / 9, atol=0.045)
    assert (first != second).any()
    assert abs(np.mean((first[:, 0] - 11) * (first[:, 1] - 11))) < 15, "both of a pair are drawn for themselves"


def test_before_there_is_a_segment_there_is_no_pair() -> None:
    drawing = UnlabelledPairs(recorded(7), length=8, n=4, rng=np.random.default_rng(0))
    assert drawing.draw() == []


def test_the_next_pairs_are_those_of_a_training_that_went_on() -> None:
    straight, resumed = (
        UnlabelledPairs(recorded(30), length=8, n=9, rng=np.random.default_rng(seed)) for seed in (0, 1)
    )
    straight.draw()
    arrays, values = straight.state()
    assert arrays == {}, "no pair is kept"
    resumed.restore({}, json.loads(json.dumps(values)))
    np.testing.assert_array_equal(starts(resumed.draw()), starts(straight.draw()))


# --- while an agent learns --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pair", "strength", "ranking", "rating"])
@pytest.mark.parametrize("n_envs", [1, 4])
@pytest.mark.filterwarnings("ignore:An episode ended before its time limit")
def test_whatever_is_asked_they_are_learned_from_and_never_count(
    drift_venv: MakeVenv, kind: str, n_envs: int
) -> None:
    """Some episodes end early, so that some segments are shorter."""
    with Store() as store:
        preferences = learning(drift_venv(n_envs, edge=0.25), store=store, kind=kind, ranking_size=3)
        preferences.plan(400)
        preferences.begin(400, 16)
        refits = []
        for now in (64, 150, 250, 370):
            steps(preferences, 40)
            refits.append(at(preferences, now))
        assert all(refit is not None for refit in refits)
        used = [refit.pseudo_labels for refit in refits if refit is not None]
        assert np.isnan(used[0]), "first weights are sure of noise"
        assert all(0 < n <= 2 * 5 for n in used[1:])
        assert preferences.labels.n_labels == preferences.trainer.n_comparisons == 20
        assert store.counts().comparisons == 20
        assert store.counts().queries == preferences.labels.n_asked == 20


def test_as_many_pairs_as_belong_to_a_whole_batch_are_drawn(drift_venv: MakeVenv) -> None:
    preferences = learning(drift_venv())
    assert preferences._unlabelled is not None
    steps(preferences, 20)
    assert len(preferences._unlabelled.draw()) == 2 * 5


def test_a_state_asks_and_fits_on_as_if_it_had_never_stopped(drift_venv: MakeVenv) -> None:
    with Store() as store:
        straight = learning(drift_venv(), store=store)
        straight.plan(640)
        steps(straight, 30)
        at(straight, 64)
        at(straight, 200)
        arrays, values = straight.state()
        state = {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values))
        refit = at(straight, 400)
        assert refit is not None
        assert refit.pseudo_labels > 0
        at(straight, 576)
        resumed = learning(drift_venv(), store=store, seed=5, old_labels="replay")
        resumed.restore(*state)
        assert 0 < resumed.sd_weight < 0.5
        again = at(resumed, 400)
        assert again is not None
        assert again._replace(seconds=0.0) == refit._replace(seconds=0.0)
        at(resumed, 576)
    (ours, our_values), (theirs, their_values) = resumed.state(), straight.state()
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)
    for one in (our_values, their_values):
        one.pop("refit_seconds")
    assert our_values == their_values
    assert resumed.sd_weight == straight.sd_weight == -0.25


def test_a_training_that_was_saved_goes_on_with_its_settings(drift_venv: MakeVenv, tmp_path: Any) -> None:
    preferences = learning(drift_venv(), store=Store(tmp_path))
    preferences.plan(640)
    ppo(preferences.venv).learn(320, callback=preferences.callback())
    preferences.save(tmp_path / "preferences.safetensors")
    again = PreferenceLearning.load(
        tmp_path / "preferences.safetensors", drift_venv(), teacher=OracleTeacher(), store=preferences.store
    )
    assert again.trainer.settings == FEW_LABELS
    assert again.sd_weight == preferences.sd_weight
    model = ppo(again.venv)
    model.learn(320, callback=again.callback(), reset_num_timesteps=False)
    assert again.labels.n_labels == 20
    assert again.sd_weight == -0.25


def test_off_policy_too(drift_venv: MakeVenv) -> None:
    preferences = learning(drift_venv(2))
    model = SAC(
        "MlpPolicy", preferences.venv, learning_starts=20, batch_size=4, train_freq=8, buffer_size=900, seed=0
    )
    model.learn(800, callback=preferences.callback())
    assert preferences.labels.n_labels == 20
    assert preferences.trainer.n_pseudo_labels > 0


def test_labels_of_before_the_first_step_are_learned_alone(drift_venv: MakeVenv) -> None:
    """There is no experience then that a pair could be cut from."""
    with Store() as store:
        first = learning(drift_venv(), store=store)
        first.plan(640)
        steps(first, 20)
        at(first, 600)
        second = learning(drift_venv(), store=store, old_labels="learn", reward=FEW_LABELS)
        second.trainer.ensemble.restore(*first.reward_model.state())
        second.plan(640)
        refit = at(second, 0)
        assert refit is not None
        assert np.isnan(refit.pseudo_labels)


def test_switched_off_nothing_is_drawn_and_nothing_saved(drift_venv: MakeVenv) -> None:
    preferences = learning(drift_venv(), reward=RewardSettings(hidden_sizes=(8,)))
    assert preferences._unlabelled is None
    arrays, values = preferences.state()
    assert "unlabelled" not in values
    assert values["trainer"]["streams"] == {}
    assert not any(name.startswith("unlabelled") for name in arrays)


@pytest.mark.parametrize(("least", "length", "fits"), [(0.75, 3, False), (0.75, 4, True), (0.9, 9, False)])
def test_crops_of_segments_that_are_too_short_are_refused(
    drift_venv: MakeVenv, least: float, length: int, fits: bool
) -> None:
    reward = RewardSettings(crop_least=least)
    if fits:
        learning(drift_venv(), segment_length=length, reward=reward)
        return
    with pytest.raises(SettingError, match=rf"^`crop_least` of {least} leaves segments of {length} steps whole"):
        learning(drift_venv(), segment_length=length, reward=reward)
