"""A script that goes on after a stop: `PreferenceLearning.save` and `load`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import PreferenceLearning
from prefrl.agents.saved_preferences import FORMAT_VERSION, KEY
from prefrl.errors import SettingError, StoreError
from prefrl.feedback import OracleTeacher, People
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Answer
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings
from prefrl.store import NewAnswer, Store

MakeVenv = Callable[..., VecEnv]
FEEDBACK = FeedbackSettings(segment_length=5, initial_timesteps=64, labels_per_round=3, strategy="disagreement")
REWARD = RewardSettings(hidden_sizes=(8,), n_members=2, first_epochs=3, epochs=2)


def begun(venv: VecEnv, folder: Path, *, teacher: Any = OracleTeacher()) -> PreferenceLearning:
    prefs = PreferenceLearning(
        venv,
        teacher=teacher,
        n_labels=30,
        seed=3,
        store=Store(folder),
        feedback=FEEDBACK,
        reward=REWARD,
        restarts=RestartSettings(at_most=1),
    )
    prefs.plan(1280)
    return prefs


def ppo(venv: VecEnv) -> PPO:
    return PPO("MlpPolicy", venv, n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu")


@pytest.fixture
def stopped(drift_venv: MakeVenv, tmp_path: Path) -> Path:
    """A folder with labels, policy and preferences of half a training."""
    folder = tmp_path / "run"
    prefs = begun(drift_venv(), folder)
    model = ppo(prefs.venv)
    model.learn(640, callback=prefs.callback())
    model.save(folder / "policy")
    prefs.save(folder / "preferences.safetensors")
    prefs.store.close()
    return folder


def loaded(folder: Path, venv: VecEnv, **changes: Any) -> PreferenceLearning:
    given: dict[str, Any] = {"teacher": OracleTeacher(), "store": Store(folder)} | changes
    return PreferenceLearning.load(folder / "preferences.safetensors", venv, **given)


def gone_on(folder: Path, venv: VecEnv) -> PreferenceLearning:
    prefs = loaded(folder, venv)
    model = PPO.load(folder / "policy", env=prefs.venv, device="cpu")
    model.learn(640, callback=prefs.callback(), reset_num_timesteps=False)
    return prefs


def test_everything_is_as_it_was(drift_venv: MakeVenv, tmp_path: Path) -> None:
    prefs = begun(drift_venv(), tmp_path)
    ppo(prefs.venv).learn(640, callback=prefs.callback())
    prefs.save(str(tmp_path / "new" / "preferences.safetensors"))
    again = PreferenceLearning.load(
        tmp_path / "new" / "preferences.safetensors",
        drift_venv(seed=5),
        teacher=OracleTeacher(),
        store=prefs.store,
    )
    assert (again.feedback, again.trainer.settings, again.restarts.settings) == (
        FEEDBACK,
        REWARD,
        RestartSettings(at_most=1),
    )
    assert (again.seed, again.num_timesteps, again.run) == (3, 640, prefs.run)
    assert again.labels.n_labels == prefs.labels.n_labels > 0
    (arrays, values), (arrays_then, values_then) = again.state(), prefs.state()
    assert json.dumps(values) == json.dumps(values_then)
    assert values["normalised_until"] > 0, "what is pending between two refits is among it"
    assert arrays.keys() == arrays_then.keys()
    for name, array in arrays_then.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_it_goes_on_to_the_end_of_what_was_planned(drift_venv: MakeVenv, stopped: Path) -> None:
    n_before = loaded(stopped, drift_venv()).labels.n_labels
    prefs = gone_on(stopped, drift_venv(seed=1))
    assert prefs.num_timesteps == 1280
    assert n_before < prefs.labels.n_labels == 30
    assert prefs.trainer.n_comparisons == 30
    assert prefs.store.counts().comparisons == 30, "nothing was asked twice"
    assert len(prefs.store.runs()) == 1


def test_it_goes_on_in_the_same_way_every_time(drift_venv: MakeVenv, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "other")
    first, second = (gone_on(folder, drift_venv(seed=1)) for folder in (stopped, tmp_path / "other"))
    for name, array in first.state()[0].items():
        np.testing.assert_array_equal(second.state()[0][name], array, err_msg=name)


def test_what_was_asked_after_it_was_saved_is_not_asked_again(drift_venv: MakeVenv, stopped: Path) -> None:
    """The script was killed some time after it had saved."""
    killed = gone_on(stopped, drift_venv(seed=1))
    killed.store.close()
    again = gone_on(stopped, drift_venv(seed=2))  # who comes upon other clips
    assert again.store.counts().comparisons == again.labels.n_labels == 30
    assert sorted(again.trainer.seqs) == sorted(killed.trainer.seqs)


def test_what_was_asked_after_it_was_saved_is_learned_though_the_budget_is_not_spent(
    drift_venv: MakeVenv, stopped: Path
) -> None:
    n_saved = loaded(stopped, drift_venv()).labels.n_labels
    killed = loaded(stopped, drift_venv(seed=1))
    PPO.load(stopped / "policy", env=killed.venv, device="cpu").learn(
        320, callback=killed.callback(), reset_num_timesteps=False
    )
    n_killed = killed.labels.n_labels
    killed.store.close()
    assert n_saved < n_killed < 30
    again = loaded(stopped, drift_venv(seed=2))
    again.begin(640, 64)
    again.update(at_least=1)
    assert again.labels.n_labels == again.trainer.n_known == again.store.counts().comparisons == n_killed


@pytest.mark.parametrize(("old_labels", "n_known", "n_stored"), [("continue", 40, 40), ("learn", 70, 70)])
def test_old_labels_that_were_not_learned_yet_are_learned_after_the_load(
    drift_venv: MakeVenv, tmp_path: Path, old_labels: Any, n_known: int, n_stored: int
) -> None:
    first = begun(drift_venv(), tmp_path)
    ppo(first.venv).learn(1280, callback=first.callback())
    assert first.labels.n_labels == 30
    prefs = PreferenceLearning(
        drift_venv(),
        teacher=OracleTeacher(),
        n_labels=40,
        store=first.store,
        old_labels=old_labels,
        feedback=FEEDBACK,
        reward=REWARD,
    )
    prefs.save(tmp_path / "preferences.safetensors")
    again = loaded(tmp_path, drift_venv(seed=1), store=first.store)
    ppo(again.venv).learn(1280, callback=again.callback())
    assert (again.trainer.n_known, again.store.counts().comparisons) == (n_known, n_stored)


def test_no_segment_crosses_the_stop(drift_venv: MakeVenv, stopped: Path) -> None:
    """The share of the episode that is over is observed, so a segment of two episodes would jump in it."""
    prefs = gone_on(stopped, drift_venv(seed=1))
    for comparison in prefs.store.comparisons():
        for segment in comparison.segments:
            np.testing.assert_allclose(np.diff(segment.observations[:, 1]), 0.1, atol=1e-6)


def test_more_labels_than_were_planned(drift_venv: MakeVenv, stopped: Path) -> None:
    prefs = loaded(stopped, drift_venv(), n_labels=50)
    prefs.plan(2560)
    model = PPO.load(stopped / "policy", env=prefs.venv, device="cpu")
    model.learn(1920, callback=prefs.callback(), reset_num_timesteps=False)
    assert prefs.labels.n_labels == 50


def test_a_reward_of_another_seed_keeps_it(drift_venv: MakeVenv, tmp_path: Path) -> None:
    """It decides what each network is validated on."""
    venv = drift_venv()
    ensemble = RewardEnsemble(venv.observation_space, venv.action_space, settings=REWARD, seed=11)
    longer = RewardSettings(epochs=7)  # and networks of another size, which are the ensemble's to decide
    trainer = RewardTrainer(ensemble, settings=longer, seed=12)
    prefs = PreferenceLearning(
        venv, teacher=OracleTeacher(), store=Store(tmp_path), feedback=FEEDBACK, reward=trainer
    )
    prefs.save(tmp_path / "preferences.safetensors")  # before the first step
    again = loaded(tmp_path, drift_venv())
    assert (again.reward_model.seed, again.reward_model.settings) == (11, REWARD)
    assert (again.trainer.seed, again.trainer.settings) == (12, longer)
    assert again.venv.last_observations is None


def test_people_who_answer_while_nothing_runs(drift_venv: MakeVenv, tmp_path: Path) -> None:
    prefs = begun(drift_venv(), tmp_path, teacher=People())
    ppo(prefs.venv).learn(320, callback=prefs.callback())
    prefs.save(tmp_path / "preferences.safetensors")
    prefs.store.close()
    store = Store(tmp_path)
    asked = [query.query_id for query in store.open_queries()]
    assert asked
    store.add_answers(
        [NewAnswer(id=f"a{i}", query_id=q, answer=Answer.FIRST, labeler="Ann") for i, q in enumerate(asked)]
    )
    again = loaded(tmp_path, drift_venv(), teacher=People(), store=store)
    again.begin(960, 64)
    refit = again.update()
    assert refit is not None
    assert again.labels.n_labels == len(asked)


def test_off_policy(drift_venv: MakeVenv, tmp_path: Path) -> None:
    """The replay buffer is the user's to save, and is paid what the reward says when training goes on."""
    prefs = begun(drift_venv(), tmp_path)
    model = SAC("MlpPolicy", prefs.venv, learning_starts=50, batch_size=8, buffer_size=2000, seed=0, device="cpu")
    model.learn(640, callback=prefs.callback())
    model.save(tmp_path / "policy")
    model.save_replay_buffer(tmp_path / "replay")
    prefs.save(tmp_path / "preferences.safetensors")
    again = loaded(tmp_path, drift_venv(seed=1), store=prefs.store)
    model = SAC.load(tmp_path / "policy", env=again.venv, device="cpu")
    model.load_replay_buffer(tmp_path / "replay")
    model.learn(640, callback=again.callback(), reset_num_timesteps=False)
    assert model.replay_buffer is not None
    assert model.replay_buffer.size() == 320
    assert again.labels.n_labels == 30


def test_labels_in_memory_cannot_be_gone_on_with(drift_venv: MakeVenv, tmp_path: Path) -> None:
    prefs = PreferenceLearning(drift_venv(), teacher=OracleTeacher())
    with pytest.raises(SettingError, match=r"in memory only.*store=Store"):
        prefs.save(tmp_path / "preferences.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_other_environments_are_refused(drift_venv: MakeVenv, stopped: Path) -> None:
    with pytest.raises(
        SettingError, match=r"^[^:]*was saved with other environments\. Expected number 4\. Received 3"
    ):
        loaded(stopped, drift_venv(3))
    with pytest.raises(SettingError, match=r"other environments\. Expected observations .* Received"):
        loaded(stopped, make_vec_env("Pendulum-v1", n_envs=4))


def test_another_store_is_refused(drift_venv: MakeVenv, stopped: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        loaded(stopped, drift_venv(), store=Store(tmp_path / "empty"))


def test_a_store_with_other_labels_of_the_same_numbers_is_refused(
    drift_venv: MakeVenv, stopped: Path, tmp_path: Path
) -> None:
    other = begun(drift_venv(seed=7), tmp_path / "other")
    ppo(other.venv).learn(640, callback=other.callback())
    with pytest.raises(StoreError, match="is not the one that"):
        loaded(stopped, drift_venv(), store=other.store)


@pytest.mark.parametrize("damage", ["missing", "cut", "noise", "another file", "no state", "later"])
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(
    drift_venv: MakeVenv, stopped: Path, damage: str
) -> None:
    path = stopped / "preferences.safetensors"
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    document = json.loads(header[KEY])
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        path.write_bytes(b"noise" * 100)
    elif damage == "another file":
        save_file(load_file(path), path)
    elif damage == "no state":
        del document["state"]
        save_file(load_file(path), path, metadata={KEY: json.dumps(document)})
    else:
        document["format_version"] = FORMAT_VERSION + 1
        save_file(load_file(path), path, metadata={KEY: json.dumps(document)})
    expected = "reads up to 1" if damage == "later" else "There is no readable PreferenceLearning in"
    with pytest.raises(SettingError, match=expected):
        loaded(stopped, drift_venv())


def test_a_full_disk_leaves_the_file_of_before(
    drift_venv: MakeVenv, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefs = loaded(stopped, drift_venv())
    before = (stopped / "preferences.safetensors").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        prefs.save(stopped / "preferences.safetensors")
    assert (stopped / "preferences.safetensors").read_bytes() == before


def test_a_run_that_learned_old_labels_alone_goes_on(drift_venv: MakeVenv, stopped: Path, tmp_path: Path) -> None:
    """Nothing is asked any more, before the stop and after it."""
    given: dict[str, Any] = {"teacher": OracleTeacher(), "n_labels": 0, "feedback": FEEDBACK, "reward": REWARD}
    prefs = PreferenceLearning(drift_venv(), **given, store=Store(stopped), old_labels="continue")
    ppo(prefs.venv).learn(640, callback=prefs.callback())
    n_known = prefs.trainer.n_known
    prefs.save(stopped / "preferences.safetensors")
    prefs.store.close()
    again = gone_on(stopped, drift_venv(seed=5))
    assert again.trainer.n_known == n_known == again.store.counts().comparisons
