"""The alarm where the agent may exploit mistakes of its reward."""

import json
import math

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from prefrl.agents import PreferenceLearning
from prefrl.agents.reward_alarm import LATEST, RewardAlarm
from prefrl.feedback import OracleTeacher
from prefrl.segments import Answer, Query
from prefrl.settings import FeedbackSettings, RestartSettings, RewardSettings
from tests.agents.test_restarts import ScriptedEnv

GAIN, LEAST = 0.5, 0.05


def alarm_of(before: float, latest: float, n_before: int = 60) -> RewardAlarm:
    """An alarm that has seen these shares of right ones, evenly spread."""
    alarm = RewardAlarm()
    for share, n in ((before, n_before), (latest, LATEST)):
        alarm.take([float(round((i + 1) * share) - round(i * share)) for i in range(n)])
    return alarm


def test_it_tells_what_was_right_before_and_is_now() -> None:
    said = alarm_of(0.9, 0.5).look(GAIN, LEAST)
    assert said is not None
    assert f"right about 50% of the latest {LATEST} comparisons only, and about 90% of those before" in said


@pytest.mark.parametrize(
    ("before", "latest", "n_before", "gain"),
    [
        (0.9, 0.5, 60, 0.05),  # the policy gets no better
        (0.9, 0.5, 60, -1.0),
        (0.9, 0.5, 60, math.nan),
        (0.9, 0.65, 60, GAIN),  # it is right about most still
        (0.6, 0.5, 60, GAIN),  # it never was
        (0.9, 0.5, 39, GAIN),  # too little is known
        (0.5, 0.9, 60, GAIN),
    ],
)
def test_it_says_nothing_where_nothing_is_the_matter(
    before: float, latest: float, n_before: int, gain: float
) -> None:
    assert alarm_of(before, latest, n_before).look(gain, LEAST) is None


def test_half_of_forty_after_all_of_forty_is_enough_and_three_standard_errors_are_needed() -> None:
    """24 of 40 after x of 40: pooled p, error sqrt(p (1 - p) / 20); at 37 it is 3.31 errors, at 35 2.74."""
    assert alarm_of(37 / 40, 24 / 40, 40).look(GAIN, LEAST) is not None
    assert alarm_of(35 / 40, 24 / 40, 40).look(GAIN, LEAST) is None


def test_it_is_said_once_and_again_after_all_was_well() -> None:
    alarm = alarm_of(0.9, 0.5)
    assert alarm.look(GAIN, LEAST) is not None
    assert alarm.look(GAIN, LEAST) is None
    alarm.take([1.0] * LATEST)
    assert alarm.look(GAIN, LEAST) is None
    alarm.take([0.0] * LATEST)
    assert alarm.look(GAIN, LEAST) is not None


def test_ties_say_nothing() -> None:
    alarm, same = alarm_of(0.9, 0.5), alarm_of(0.9, 0.5)
    alarm.take([math.nan] * 100)
    assert alarm.values() == same.values()


def test_one_by_one_is_as_all_at_once() -> None:
    shares = np.random.default_rng(0).random(200)
    whole, single = RewardAlarm(), RewardAlarm()
    whole.take(shares)
    for one in shares:
        single.take([one])
    assert whole.values()["latest"] == single.values()["latest"] == shares[-LATEST:].tolist()
    assert whole.values()["n_before"] == single.values()["n_before"] == 160
    assert single.values()["right_before"] == pytest.approx(shares[:-LATEST].sum())


def test_what_was_counted_goes_on() -> None:
    alarm, again = alarm_of(0.9, 0.5), RewardAlarm()
    alarm.look(GAIN, LEAST)
    again.restore(json.loads(json.dumps(alarm.values())))
    assert again.values() == alarm.values()
    assert again.look(GAIN, LEAST) is None
    again.take([1.0])
    assert alarm.values() != again.values()


@pytest.mark.parametrize("changes_sides", [True, False])
def test_a_run_whose_reward_is_right_no_more_says_so(changes_sides: bool) -> None:
    """What the policy does gets better by the reward, which people contradict every other time from then on."""

    class Turncoat(OracleTeacher):
        n_answered = 0

        def answer(self, query: Query) -> Answer:
            Turncoat.n_answered += 1
            honest = super().answer(query)
            is_late = Turncoat.n_answered > 130
            return honest.turned_round if changes_sides and is_late and Turncoat.n_answered % 2 else honest

    venv = make_vec_env(lambda: ScriptedEnv(lambda step: step / 400), n_envs=2)
    prefs = PreferenceLearning(
        venv,
        teacher=Turncoat(),
        n_labels=200,
        seed=0,
        feedback=FeedbackSettings(
            segment_length=2, initial_timesteps=64, initial_share=0.3, schedule="constant", labels_per_round=10
        ),
        reward=RewardSettings(
            hidden_sizes=(16,), n_members=2, action=False, learning_rate=0.01, first_epochs=60, epochs=10
        ),
        restarts=RestartSettings(at_most=0, patience=2, window_share=0.05),
    )
    model = PPO("MlpPolicy", prefs.venv, seed=0, n_steps=16, batch_size=32, n_epochs=1)
    model.learn(1600, callback=prefs.callback())
    said = [note.text for note in prefs.restarts.notes if "may exploit its mistakes" in note.text]
    assert len(said) == changes_sides
    _, values = prefs.state()
    assert values["alarm"]["n_before"] + len(values["alarm"]["latest"]) > 100


def test_what_was_saved_is_not_changed_by_what_comes() -> None:
    alarm = RewardAlarm()
    alarm.take([1.0] * 30)
    values = alarm.values()
    alarm.take([0.0] * 5)
    assert values["latest"] == [1.0] * 30
