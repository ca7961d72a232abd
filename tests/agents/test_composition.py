"""Parts put together in ways that the command line does not: twice, in another order, on an old store."""

import itertools
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import EvalCallback, EveryNTimesteps
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecNormalize

from prefrl.agents import LearnedReward, LearnedRewardVecEnv, PreferenceLearning
from prefrl.agents.environments import horizon_of
from prefrl.agents.learned_reward import ClippedRewardVecEnv, NamedReward
from prefrl.agents.old_labels import OldLabels
from prefrl.errors import SettingError, StoreError
from prefrl.feedback import OracleTeacher, People, Teacher
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Answer, SegmentRecorder, Strength
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import NewAnswer, RunAbout, Store
from prefrl_envs.testing import CountingEnv

MakeVenv = Callable[..., VecEnv]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as opened:
        yield opened


def learning(
    venv: VecEnv,
    store: Store,
    *,
    teacher: Teacher | People = OracleTeacher(rating_range=(-0.2, 0.2)),
    n_labels: int = 20,
    seed: int = 0,
    old_labels: OldLabels = "refuse",
    **feedback: Any,
) -> PreferenceLearning:
    settings = {"segment_length": 5, "initial_timesteps": 64, "labels_per_round": 3} | feedback
    return PreferenceLearning(
        venv,
        teacher=teacher,
        n_labels=n_labels,
        seed=seed,
        store=store,
        old_labels=old_labels,
        feedback=FeedbackSettings(**settings),
        reward=RewardSettings(first_epochs=3, epochs=2),
    )


def ppo(venv: VecEnv, **settings: Any) -> PPO:
    rollout: dict[str, Any] = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}
    return PPO("MlpPolicy", venv, seed=0, device="cpu", **rollout | settings)


# --- a store that is used again ---------------------------------------------------------------------------


def train(prefs: PreferenceLearning, n_steps: int = 640) -> PPO:
    model = ppo(prefs.venv)
    model.learn(n_steps, callback=prefs.callback())
    return model


def test_a_store_with_labels_is_refused_unless_somebody_says_what_is_to_be_done(
    drift_venv: MakeVenv, store: Store
) -> None:
    train(learning(drift_venv(), store))
    with pytest.raises(SettingError, match=r"holds 20 labels of an earlier run\..*continue.*learn.*ignore"):
        learning(drift_venv(), store)


def test_a_new_run_in_an_old_store_learns_from_its_own_labels_only(drift_venv: MakeVenv, store: Store) -> None:
    first = learning(drift_venv(), store)
    train(first)
    second = learning(drift_venv(), store, n_labels=12, old_labels="ignore")
    train(second)
    assert store.counts().comparisons == 32
    assert second.trainer.seqs.tolist() == list(range(21, 33))
    assert store.counts(run=second.run).comparisons == 12
    assert second.labels.n_labels == 12


def test_a_run_that_is_continued_learns_what_it_knew_before_its_first_step(
    drift_venv: MakeVenv, store: Store
) -> None:
    first = learning(drift_venv(), store)
    train(first)
    again = learning(drift_venv(), store, n_labels=26, old_labels="continue", seed=1)
    assert not again.reward_model.fitted
    again.begin(640, 64)
    refit = again.update()
    assert refit is not None
    assert refit.metrics.n_comparisons == again.labels.n_labels == 20
    assert again.reward_model.fitted, "the agent is paid from its first step on"
    train(again)
    assert again.run == first.run
    assert store.counts(run=first.run).comparisons == 26, "six more, and nothing twice"
    assert again.trainer.n_known == 26
    ordinals = [store.query(answer.query_id).ordinal for answer in store.answers()]
    assert ordinals == list(range(26))


def test_missing_labels_are_spread_over_the_steps_of_a_continued_run(drift_venv: MakeVenv, store: Store) -> None:
    """Ten of thirty are missing, and are asked as ten are in a run of its own."""
    settings: dict[str, Any] = {"initial_share": 0.3, "schedule": "constant", "time_constant": 1e6}
    train(learning(drift_venv(), store, **settings))
    again = learning(drift_venv(), store, n_labels=30, old_labels="continue", seed=1, **settings)
    again.begin(640, 64)
    with Store() as empty:
        alone = learning(drift_venv(), empty, n_labels=10, **settings)
        alone.begin(640, 64)
    steps = (64, 128, 320, 639)
    assert [again.n_due(step) for step in steps] == [20 + alone.n_due(step) for step in steps]
    assert (again.n_due(0), again.n_due(64), again.n_due(639)) == (0, 24, 30)
    arrays, values = again.state()
    other = learning(drift_venv(), store, n_labels=30, old_labels="replay", seed=1, **settings)
    other.plan(640)
    assert other.n_due(320) < 27
    other.restore(arrays, values)
    assert other.n_due(320) == 27


def test_a_continued_run_whose_budget_is_spent_says_so(drift_venv: MakeVenv, store: Store) -> None:
    train(learning(drift_venv(), store))
    again = learning(drift_venv(), store, old_labels="continue", seed=1)
    with pytest.warns(UserWarning, match=r"All 20 labels have been given.*A larger `n_labels`"):
        train(again)
    assert (again.labels.n_labels, store.counts().comparisons) == (20, 20)


def test_nothing_is_too_few_where_all_but_a_few_labels_are_there(drift_venv: MakeVenv, store: Store) -> None:
    """One label is missing, and makes a round of its own."""
    train(learning(drift_venv(), store))
    again = learning(drift_venv(), store, n_labels=21, old_labels="continue", seed=1)
    train(again, 192)
    assert store.counts().comparisons == 21


@pytest.mark.parametrize("old_labels", ["continue", "replay"])
def test_what_a_run_learned_first_is_learned_first_where_it_goes_on(
    old_labels: OldLabels, drift_venv: MakeVenv, store: Store
) -> None:
    train(learning(drift_venv(), store))
    second = learning(drift_venv(), store, n_labels=10, old_labels="learn", seed=1)
    train(second)
    assert (second.n_learned_first, second.trainer.n_known) == (20, 30)
    third = learning(drift_venv(), store, n_labels=15, old_labels=old_labels, seed=1)
    train(third)
    assert (third.run, third.n_learned_first, third.trainer.n_known) == (second.run, 20, 35)


@pytest.mark.parametrize("old_labels", ["ignore", "refuse", "replay", "learn", "continue"])
def test_nothing_to_ask_and_nothing_to_learn_is_refused(
    old_labels: OldLabels, drift_venv: MakeVenv, store: Store
) -> None:
    with pytest.raises(SettingError, match="`n_labels` must be at least 1 where no old labels"):
        learning(drift_venv(), store, n_labels=0, old_labels=old_labels)
    assert store.runs() == []  # so that nobody goes on with one that could not be
    run = store.begin_run(RunAbout.of(drift_venv().observation_space, drift_venv().action_space, segment_length=5))
    if old_labels in ("replay", "continue", "ignore"):
        with pytest.raises(SettingError, match="`n_labels` must be at least 1 where no old labels"):
            learning(drift_venv(), store, n_labels=0, old_labels=old_labels)
        assert [one.id for one in store.runs()] == [run]


@pytest.mark.parametrize("is_resumed", [False, True])
def test_who_is_set_aside_counts_no_more_among_labels_learned_first(
    is_resumed: bool, drift_venv: MakeVenv, store: Store
) -> None:
    """And counts again where that is taken back, also after a stop."""

    class Named(OracleTeacher):
        name = "bob"

    train(learning(drift_venv(), store, n_labels=12))
    train(learning(drift_venv(), store, n_labels=8, old_labels="ignore", teacher=Named(), seed=1))
    third = learning(drift_venv(), store, n_labels=0, old_labels="learn", seed=2)
    train(third, 128)
    assert (third.n_learned_first, third.trainer.n_known) == (20, 20)
    store.set_aside("bob")
    if is_resumed:
        arrays, values = third.state()
        third = learning(drift_venv(), store, n_labels=0, old_labels="replay", seed=2)
        third.restore(arrays, json.loads(json.dumps(values)))
        third.plan(1000)
    assert third.update() is not None
    assert (third.n_learned_first, third.trainer.n_known) == (12, 12)
    assert third.update() is None
    store.set_aside("bob", False)
    assert third.update() is not None
    assert (third.n_learned_first, third.trainer.n_known) == (20, 20)
    with_all = learning(drift_venv(), store, n_labels=0, old_labels="replay", seed=2)
    assert with_all.update() is not None
    assert sorted(with_all.trainer.seqs) == sorted(third.trainer.seqs)


def test_old_labels_alone_are_enough(drift_venv: MakeVenv, store: Store) -> None:
    train(learning(drift_venv(), store))
    second = learning(drift_venv(), store, n_labels=0, old_labels="learn", seed=1)
    train(second)
    assert (second.trainer.n_known, second.labels.n_asked, store.counts().comparisons) == (20, 0, 20)


def test_what_a_reward_was_trained_on_says_nothing_new_of_it(drift_venv: MakeVenv, store: Store) -> None:
    first = learning(drift_venv(), store)
    train(first)
    for old_labels in ("continue", "learn"):
        again = PreferenceLearning(
            drift_venv(),
            teacher=OracleTeacher(),
            n_labels=30,
            store=store,
            old_labels=old_labels,
            feedback=FeedbackSettings(segment_length=5),
            reward=RewardTrainer(first.reward_model),
        )
        refit = again.update()
        assert refit is not None
        assert refit.metrics.n_comparisons == 20
        assert math.isnan(refit.fresh_accuracy)
        assert math.isnan(refit.fresh_log_loss)
        assert math.isnan(refit.fresh_disagreement)


def test_old_labels_alone_are_labels(drift_venv: MakeVenv, store: Store) -> None:
    """Nobody says anything new, which is said: the reward is not 0, and nothing says that it is."""
    train(learning(drift_venv(), store))
    again = learning(drift_venv(), store, teacher=People(), old_labels="learn", seed=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(again)
    assert again.labels.n_labels == 0
    [one] = caught
    assert "Not one of the 20 labels was given: the reward is what was learned of earlier" in str(one.message)


def test_a_trainer_s_own_settings_are_all_kept_to(
    drift_venv: MakeVenv, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = drift_venv()
    ensemble = RewardEnsemble(venv.observation_space, venv.action_space)
    trainer = RewardTrainer(ensemble, settings=RewardSettings(first_epochs=7, epochs=5))
    passes: list[int] = []
    fit = trainer.fit

    def noted(n_epochs: int, **more: Any) -> Any:
        passes.append(n_epochs)
        return fit(n_epochs, **more)

    monkeypatch.setattr(trainer, "fit", noted)
    prefs = PreferenceLearning(
        venv,
        teacher=OracleTeacher(),
        n_labels=9,
        store=store,
        feedback=FeedbackSettings(segment_length=5, initial_timesteps=64, labels_per_round=3),
        reward=trainer,
    )
    train(prefs)
    assert passes[0] == 7
    assert set(passes[1:]) == {5}


def test_a_fit_has_fewer_passes_where_little_is_new(
    drift_venv: MakeVenv, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of 36 are less than a tenth: the more is known, the fewer passes for a round of three."""
    prefs = learning(drift_venv(), store, n_labels=60, initial_share=0.25)
    passes: list[tuple[int, int]] = []
    fit = prefs.trainer.fit

    def noted(n_epochs: int, **more: Any) -> Any:
        passes.append((prefs.trainer.n_known, n_epochs))
        return fit(n_epochs, **more)

    monkeypatch.setattr(prefs.trainer, "fit", noted)
    monkeypatch.setattr(prefs.trainer, "settings", replace(prefs.trainer.settings, epochs=5))
    train(prefs, 2560)
    assert passes[0] == (16, 3)
    new = [known - before for (before, _), (known, _) in itertools.pairwise(passes)]
    for n_new, (known, n_epochs) in zip(new, passes[1:], strict=True):
        assert n_epochs == max(1, min(5, -(-50 * n_new // known)))
    assert {n_epochs for _, n_epochs in passes[1:]} >= {3, 5}


@pytest.mark.parametrize(
    ("strategy", "needs"),
    [
        ("disagreement", "disagreement"),
        ("thompson", "thompson"),
        ("mutual-information", "mutual-information"),
        ("disagreement-diverse", "disagreement-diverse"),
        ("entropy:0.5+thompson:0.5", "thompson"),
    ],
)
def test_an_ensemble_of_one_has_nothing_to_disagree_on(strategy: str, needs: str, drift_venv: MakeVenv) -> None:
    with pytest.raises(SettingError, match=rf"`strategy` {needs} needs an ensemble of at least 2 members"):
        PreferenceLearning(
            drift_venv(),
            teacher=OracleTeacher(),
            feedback=FeedbackSettings(segment_length=5, strategy=strategy),
            reward=RewardSettings(n_members=1),
        )


def test_a_policy_is_not_judged_before_there_is_a_reward(drift_venv: MakeVenv, store: Store) -> None:
    """People who have not answered yet: no policy gets better on a reward of 0."""
    prefs = learning(drift_venv(), store, teacher=People())
    with pytest.warns(UserWarning, match="not one label"):
        train(prefs, 6400)
    assert (prefs.restarts.notes, prefs.restarts.n_policies) == ([], 1)


def test_a_state_knows_what_was_recalled_already(drift_venv: MakeVenv, store: Store) -> None:
    first = learning(drift_venv(), store)
    train(first)
    again = learning(drift_venv(), store, old_labels="continue")
    again.restore(*first.state())
    again.update()
    assert again.trainer.n_known == again.labels.n_labels == 20
    assert len(set(again.trainer.seqs.tolist())) == len(again.trainer.seqs) == 20


def test_a_run_that_learns_from_old_labels_has_its_whole_budget(drift_venv: MakeVenv, store: Store) -> None:
    train(learning(drift_venv(), store))
    second = learning(drift_venv(), store, n_labels=9, old_labels="learn", seed=1)
    train(second)
    assert second.trainer.n_known == 29
    assert (second.labels.n_labels, store.counts(run=second.run).comparisons) == (9, 9)


def test_another_task_does_not_continue_a_run(drift_venv: MakeVenv, store: Store) -> None:
    train(learning(drift_venv(), store))
    other = make_vec_env(lambda: CountingEnv((20,)), n_envs=2)
    choices: tuple[OldLabels, ...] = ("continue", "learn", "replay")
    for old_labels in choices:
        with pytest.raises(StoreError, match="Run 1 in the store has another observation_space"):
            learning(other, store, old_labels=old_labels)
    assert learning(other, store, old_labels="ignore").run == 2


def test_a_reward_for_other_environments_is_refused(drift_venv: MakeVenv) -> None:
    other = make_vec_env(lambda: CountingEnv((20,)), n_envs=2)
    trainer = RewardTrainer(RewardEnsemble(other.observation_space, other.action_space))
    with pytest.raises(
        SettingError, match=r"`reward` was made for other observations than these .* Received .*\[1\]"
    ):
        PreferenceLearning(drift_venv(), teacher=OracleTeacher(), reward=trainer)


def test_a_trainer_that_holds_labels_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    """They would be taken for those of another store, or learned twice."""
    first = learning(drift_venv(), store)
    train(first)
    with pytest.raises(SettingError, match=r"`reward` holds 20 labels already"):
        PreferenceLearning(drift_venv(), teacher=OracleTeacher(), store=store, reward=first.trainer)
    again = PreferenceLearning(
        drift_venv(),
        teacher=OracleTeacher(),
        store=store,
        old_labels="continue",
        feedback=FeedbackSettings(segment_length=5),
        reward=RewardTrainer(first.reward_model),
    )
    again.update()
    assert again.trainer.n_known == 20
    np.testing.assert_array_equal(again.trainer.draws, first.trainer.draws)


def test_a_state_of_another_run_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    first = learning(drift_venv(), store)
    train(first)
    second = learning(drift_venv(), store, old_labels="ignore")
    with pytest.raises(StoreError, match=r"is of run 1 in the store, and this object asks in run 2"):
        second.restore(*first.state())


def test_people_of_a_continued_run_are_heard_again(drift_venv: MakeVenv, store: Store) -> None:
    first = learning(drift_venv(), store, teacher=People())
    step_randomly(first, 20)
    first.begin(640, 64)
    first.update()
    for number, query in enumerate(store.open_queries()[:4]):
        store.add_answers(
            [NewAnswer(id=f"a{number}", query_id=query.query_id, answer=Answer.FIRST, labeler="Ann")]
        )
    again = learning(drift_venv(), store, teacher=People(), old_labels="continue")
    again.begin(640, 64)
    refit = again.update()
    assert refit is not None
    assert refit.metrics.n_comparisons == again.labels.n_labels == 4
    assert again.update() is None


# --- several calls, and resets in between -----------------------------------------------------------------


def step_randomly(prefs: PreferenceLearning, n_steps: int) -> None:
    rng = np.random.default_rng(0)
    if prefs.venv.last_observations is None:
        prefs.venv.reset()
    for _ in range(n_steps):
        prefs.venv.step(rng.uniform(-1, 1, size=(prefs.venv.num_envs, 1)).astype(np.float32))


def assert_no_jumps(recorder: SegmentRecorder) -> None:
    """An action moves the point by a tenth of itself, and a reset anywhere else."""
    segments = recorder.sample(500, length=5, rng=np.random.default_rng(0))
    for segment in segments:
        moved = np.diff(segment.observations[:, 0])
        np.testing.assert_allclose(moved, 0.1 * segment.actions[:-1, 0], atol=1e-5)
        np.testing.assert_allclose(np.diff(segment.observations[:, 1]), 0.1, atol=1e-5)


def test_no_segment_crosses_a_reset_in_the_middle_of_an_episode(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    prefs.begin(640, 64)
    for n_steps in (7, 13, 4, 26):
        prefs.venv.reset()
        step_randomly(prefs, n_steps)
    assert_no_jumps(prefs.recorder)


def test_a_reset_forgets_the_return_of_the_episode_under_way(drift_venv: MakeVenv) -> None:
    venv = LearnedRewardVecEnv(
        drift_venv(2), lambda observations, actions, following: np.ones(2, dtype=np.float32)
    )
    venv.reset()
    for _ in range(4):
        venv.step(np.zeros((2, 1), dtype=np.float32))
    venv.reset()
    for _ in range(10):
        venv.step(np.zeros((2, 1), dtype=np.float32))
    assert list(venv.predicted_returns) == [10.0, 10.0]


@pytest.mark.parametrize("reset_num_timesteps", [True, False])
def test_budget_and_schedule_follow_total_steps_over_all_calls(
    drift_venv: MakeVenv, store: Store, reset_num_timesteps: bool
) -> None:
    prefs = learning(drift_venv(), store, n_labels=30, schedule="constant", initial_share=0.0, asking_share=1.0)
    prefs.plan(1920)
    model = ppo(prefs.venv)
    given = []
    for _ in range(3):
        model.learn(640, callback=prefs.callback(), reset_num_timesteps=reset_num_timesteps)
        given.append(prefs.labels.n_labels)
    assert prefs.num_timesteps == 1920
    assert given[-1] == 30
    # A third of the training each, less what a round and a rollout may lag behind.
    assert 5 <= given[0] <= 11
    assert 15 <= given[1] <= 21
    assert_no_jumps(prefs.recorder)


def test_one_long_call_and_three_short_ones_ask_at_the_same_steps(drift_venv: MakeVenv) -> None:
    times = []
    for calls in ([1920], [640, 640, 640]):
        with Store() as store:
            prefs = learning(drift_venv(), store, n_labels=30)
            prefs.plan(1920)
            model = ppo(prefs.venv)
            for n_steps in calls:
                model.learn(n_steps, callback=prefs.callback())
            times.append([store.query(answer.query_id).num_timesteps for answer in store.answers()])
    assert times[0] == times[1]


def test_a_later_call_that_finds_no_labels_left_says_so(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    model = train(prefs)
    with pytest.warns(UserWarning, match=r"All 20 labels have been given.*plan\(total_timesteps\)"):
        model.learn(640, callback=prefs.callback())
    assert prefs.labels.n_labels == 20


# --- what cannot learn says so ----------------------------------------------------------------------------


def test_a_single_gymnasium_environment_is_refused() -> None:
    with pytest.raises(SettingError, match=r"`venv` must be a VecEnv.*Received .*make_vec_env"):
        PreferenceLearning(gym.make("Pendulum-v1"), teacher=OracleTeacher())  # type: ignore[arg-type]


def test_a_segment_longer_than_an_episode_is_refused() -> None:
    with pytest.raises(SettingError, match=r"must not exceed the episode of 200 steps\. Received 201"):
        PreferenceLearning(
            make_vec_env("Pendulum-v1"), teacher=OracleTeacher(), feedback=FeedbackSettings(segment_length=201)
        )


def test_the_time_limit_is_known_of_processes_and_of_environments_that_nobody_registered() -> None:
    processes = make_vec_env("Pendulum-v1", n_envs=2, vec_env_cls=SubprocVecEnv)
    try:
        assert horizon_of(processes) == 200
    finally:
        processes.close()
    assert horizon_of(make_vec_env(lambda: gym.wrappers.TimeLimit(CountingEnv((500,)), 70))) == 70
    assert horizon_of(make_vec_env(lambda: CountingEnv((500,)))) is None
    assert horizon_of(make_vec_env("Pendulum-v1", env_kwargs={"max_episode_steps": 30})) == 30


def test_a_model_on_the_wrong_environments_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    venv = drift_venv()
    prefs = learning(venv, store)
    with pytest.raises(SettingError, match=r"does not learn in `prefs\.venv`"):
        ppo(venv).learn(640, callback=prefs.callback())


def test_a_forgotten_callback_is_noticed(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    with pytest.warns(UserWarning, match=r"no callback is at work.*callback=prefs\.callback\(\)") as caught:
        ppo(prefs.venv).learn(640)
    assert len(caught) == 1


def test_steps_outside_a_training_are_noticed(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = train(prefs)
    with pytest.warns(UserWarning, match=r"stepped while no call of `learn`.*evaluation_venv") as caught:
        evaluate_policy(model, prefs.venv, n_eval_episodes=4, warn=False)
    assert len(caught) == 1, "once"


def test_a_callback_forgotten_in_the_second_call_is_noticed(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    model = train(prefs)
    with pytest.warns(UserWarning, match=r"Give `callback=prefs\.callback\(\)` to every call of `learn`"):
        model.learn(64, reset_num_timesteps=False)


def test_a_callback_that_is_called_now_and_then_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    with pytest.raises(SettingError, match=r"not told when rollouts begin.*EveryNTimesteps"):
        ppo(prefs.venv).learn(640, callback=EveryNTimesteps(64, prefs.callback()))


@pytest.mark.parametrize("venv_class", [DummyVecEnv, SubprocVecEnv])
@pytest.mark.parametrize("wrapper", ["NormalizeReward", "LearnedReward"])
def test_another_reward_around_the_environments_is_refused(
    wrapper: str, venv_class: type[DummyVecEnv | SubprocVecEnv]
) -> None:
    def wrapped(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        if wrapper == "NormalizeReward":
            return gym.wrappers.NormalizeReward(env)
        return LearnedReward(env, lambda before, actions, after: np.zeros(1, np.float32))

    venv = make_vec_env(lambda: gym.wrappers.TimeLimit(wrapped(CountingEnv((500,))), 70), vec_env_cls=venv_class)
    try:
        with pytest.raises(SettingError, match=f"{wrapper} lies around an environment below the learned reward"):
            PreferenceLearning(venv, teacher=OracleTeacher())
    finally:
        venv.close()


@pytest.mark.parametrize("n_steps", [64, 100, 128])
def test_too_few_steps_to_ask_anything_are_refused(drift_venv: MakeVenv, store: Store, n_steps: int) -> None:
    prefs = learning(drift_venv(), store, initial_timesteps=100)
    with pytest.raises(SettingError, match=r"Nothing would be asked: the last rollout of 64 steps begins at"):
        ppo(prefs.venv).learn(n_steps, callback=prefs.callback())
    assert prefs.num_timesteps == 0, "before the first step"


def test_a_single_rollout_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    with pytest.raises(SettingError, match=r"begins at step 0"):
        ppo(prefs.venv, n_steps=512, batch_size=512).learn(640, callback=prefs.callback())


def test_short_calls_of_a_longer_plan_are_not_refused(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    prefs.plan(640)
    model = ppo(prefs.venv)
    for _ in range(10):
        model.learn(64, callback=prefs.callback(), reset_num_timesteps=False)
    assert prefs.labels.n_labels == 20


def test_normalisation_below_is_refused(drift_venv: MakeVenv, store: Store) -> None:
    with pytest.raises(SettingError, match="VecNormalize lies below the learned reward"):
        learning(VecNormalize(drift_venv()), store)
    frozen = VecNormalize(drift_venv(), norm_reward=False)
    frozen.training = False
    assert learning(frozen, store).num_timesteps == 0


def test_what_changes_the_true_reward_is_refused_below(drift_venv: MakeVenv, store: Store) -> None:
    """Comparisons would go by it: a second learned reward around the first, say, in a notebook."""
    scaled = VecNormalize(drift_venv(), norm_obs=False, training=False)
    second = VecNormalize(learning(drift_venv(), store).venv, norm_reward=False, training=False)
    below = {"VecNormalize": scaled, "ClippedRewardVecEnv": ClippedRewardVecEnv(drift_venv())}
    for name, venv in {**below, "LearnedRewardVecEnv": second}.items():
        with pytest.raises(SettingError, match=f"{name} lies below the learned reward and changes the true one"):
            learning(venv, store)


def test_a_constant_true_reward_is_noticed(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(hidden_reward=lambda env, action: 1.0), store, n_labels=40)
    with pytest.warns(UserWarning, match=r"of \d+ answers are ties") as caught:
        train(prefs)
    assert len(caught) == 1


def test_where_nobody_answered_the_end_says_so(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store, teacher=People())
    with pytest.warns(UserWarning, match=r"640 steps and not one label.* queries were asked"):
        train(prefs)


@pytest.mark.parametrize("reward", [None, "learned", 3])
def test_what_pays_the_agent_is_named(drift_venv: MakeVenv, reward: Any) -> None:
    with pytest.raises(SettingError, match=r"`reward` must be a function or one of \('true', 'constant'\)"):
        LearnedRewardVecEnv(drift_venv(), reward)


def test_a_reward_function_takes_what_it_is_given(drift_venv: MakeVenv) -> None:
    def of_two(observations: Any, actions: Any) -> Any:
        return actions[:, 0]

    makers: list[Callable[..., Any]] = [
        LearnedRewardVecEnv,
        lambda venv, reward: LearnedReward(gym.make("Pendulum-v1"), reward),
    ]
    for make in makers:
        with pytest.raises(SettingError, match=r"three batches: .*Received .*of_two\("):
            make(drift_venv(), of_two)
        for fits in (lambda *batches: batches[1][:, 0], lambda before, actions, after=None: actions[:, 0], max):
            make(drift_venv(), fits)


def test_the_controls_pay_what_they_say(drift_venv: MakeVenv) -> None:
    paid = {}
    names: tuple[NamedReward, ...] = ("true", "constant")
    for name in names:
        venv = LearnedRewardVecEnv(drift_venv(hidden_reward=lambda env, action: 7.0), name)
        venv.reset()
        _, paid[name], _, infos = venv.step(np.zeros((4, 1), dtype=np.float32))
        assert [info["env_reward"] for info in infos] == [7.0] * 4
    assert paid["true"].tolist() == [7.0] * 4
    assert paid["constant"].tolist() == [0.0] * 4


# --- evaluation beside it ---------------------------------------------------------------------------------


def test_eval_callback_and_normalisation_work_together(drift_venv: MakeVenv, store: Store) -> None:
    """The true return of DriftEnv's constant reward of 7 over ten steps is 70."""
    prefs = learning(drift_venv(hidden_reward=lambda env, action: 7.0 + env.position), store)
    evaluated = VecNormalize(
        prefs.evaluation_venv(drift_venv(1, hidden_reward=lambda env, action: 7.0)),
        training=False,
        norm_reward=False,
    )
    evaluation = EvalCallback(evaluated, n_eval_episodes=2, eval_freq=80, verbose=0)
    model: OnPolicyAlgorithm = ppo(VecNormalize(prefs.venv, norm_reward=False))
    model.learn(640, callback=[prefs.callback(), evaluation])
    assert evaluation.last_mean_reward == pytest.approx(70.0)
    trained = model.get_vec_normalize_env()
    assert trained is not None
    assert isinstance(trained.obs_rms, RunningMeanStd)
    assert trained.obs_rms.count > 100
    assert prefs.labels.n_labels == 20


def test_running_means_look_back_as_far_as_the_algorithms_own(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    ppo(prefs.venv, stats_window_size=3).learn(640, callback=prefs.callback())
    assert len(prefs.venv.predicted_returns) == len(prefs.venv.task_metrics["final_position"]) == 3


# --- what is kept of the policy's own actions -------------------------------------------------------------


def test_segments_keep_the_actions_as_drawn_and_what_came_after(drift_venv: MakeVenv, store: Store) -> None:
    prefs = learning(drift_venv(), store)
    model = ppo(prefs.venv, policy_kwargs={"log_std_init": 1.0})
    model.learn(640, callback=prefs.callback())
    segments = prefs.recorder.sample(50, length=5, rng=np.random.default_rng(0))
    for segment in segments:
        assert segment.drawn_actions is not None
        np.testing.assert_array_equal(np.clip(segment.drawn_actions, -1, 1), segment.actions)
        assert segment.next_observation is not None
        expected = segment.observations[-1, 0] + 0.1 * segment.actions[-1, 0]
        np.testing.assert_allclose(segment.next_observation[0], expected, atol=1e-5)
    assert any(
        (np.abs(segment.drawn_actions) > 1).any() for segment in segments if segment.drawn_actions is not None
    )


def test_a_policy_that_squashes_has_no_actions_as_drawn() -> None:
    """What it draws lies between -1 and 1, and the environments get it within their own bounds."""
    prefs = learning(make_vec_env("Pendulum-v1", n_envs=4), Store(), n_labels=6)
    ppo(prefs.venv, use_sde=True, policy_kwargs={"squash_output": True}).learn(640, callback=prefs.callback())
    segments = prefs.recorder.sample(50, length=5, rng=np.random.default_rng(0))
    assert max(np.abs(segment.actions).max() for segment in segments) > 1
    assert [segment.drawn_actions for segment in segments] == [None] * 50


# --- kinds of feedback ------------------------------------------------------------------------------------


@pytest.mark.parametrize("old_labels", ["continue", "learn"])
def test_labels_of_one_kind_are_learned_beside_those_of_another(
    drift_venv: MakeVenv, store: Store, old_labels: OldLabels
) -> None:
    """Whoever said "better" where nothing else could be said did not mean "not much better"."""
    train(learning(drift_venv(), store, n_labels=12))
    second = learning(drift_venv(), store, n_labels=24, seed=1, old_labels=old_labels, kind="strength")
    train(second)
    assert second.trainer.n_comparisons == (24 if old_labels == "continue" else 36)
    strengths = [one.strength for one in store.comparisons_at(second.trainer.seqs.tolist())]
    assert set(strengths[:12]) == {Strength.UNSAID}
    assert Strength.MUCH in strengths[12:]
    assert second.trainer._data.strengths is not None
    assert second.trainer._data.strengths.tolist() == strengths

    third = learning(drift_venv(), store, n_labels=30, old_labels="learn")
    train(third)
    kinds = [answer.kind for answer in store.answers(run=third.run)]
    assert set(kinds) == {"pair"}, "what was asked before does not decide what is asked now"


def test_a_reward_saved_in_the_middle_goes_on_with_the_strengths(drift_venv: MakeVenv, tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        first = learning(drift_venv(), folder, n_labels=12, kind="strength")
        train(first)
        first.save(tmp_path / "preferences.safetensors")
        loaded = PreferenceLearning.load(
            tmp_path / "preferences.safetensors", drift_venv(), teacher=OracleTeacher(), store=folder, n_labels=20
        )
        assert loaded.feedback.kind == "strength"
        assert loaded.trainer._data.strengths is not None
        train(loaded)
        assert {answer.kind for answer in folder.answers()} == {"strength"}
        assert loaded.trainer.n_comparisons == 20


@pytest.mark.parametrize("old_labels", ["continue", "learn"])
@pytest.mark.parametrize(
    ("first_kind", "second_kind"),
    [("pair", "ranking"), ("ranking", "pair"), ("pair", "rating"), ("rating", "pair"), ("rating", "ranking")],
)
def test_kinds_of_feedback_are_learned_beside_each_other(
    drift_venv: MakeVenv, store: Store, old_labels: OldLabels, first_kind: str, second_kind: str
) -> None:
    """Whichever came first, also where a third training of pairs learns from all of them."""
    train(learning(drift_venv(), store, n_labels=12, kind=first_kind, ranking_size=3))
    second = learning(
        drift_venv(), store, n_labels=24, seed=1, old_labels=old_labels, kind=second_kind, ranking_size=5
    )
    train(second)
    sizes = [len(one.segments) for one in store.comparisons_at(second.trainer.seqs.tolist())]
    of = {"pair": 2, "ranking": 3 if first_kind == "ranking" else 5, "rating": 1}
    assert sizes[:12] == [of[first_kind]] * 12
    assert sizes[12:] == [of[second_kind]] * (12 if old_labels == "continue" else 24)
    assert second.trainer._data.n_segments == max(sizes)
    assert second.trainer.cutpoints.optimizer.n_steps.any() == ("rating" in (first_kind, second_kind))
    third = learning(drift_venv(), store, n_labels=30, old_labels="learn")
    train(third)
    assert third.trainer._data.n_segments == max(2, *sizes)
    assert {answer.kind for answer in store.answers(run=third.run)} == {"pair"}


def test_a_reward_saved_in_the_middle_goes_on_with_rankings(drift_venv: MakeVenv, tmp_path: Path) -> None:
    with Store(tmp_path) as folder:
        first = learning(drift_venv(), folder, n_labels=12, kind="ranking", ranking_size=3)
        train(first)
        first.save(tmp_path / "preferences.safetensors")
        loaded = PreferenceLearning.load(
            tmp_path / "preferences.safetensors", drift_venv(), teacher=OracleTeacher(), store=folder, n_labels=20
        )
        assert loaded.trainer._data.n_segments == 3
        train(loaded)
        assert loaded.trainer.n_comparisons == 20
        assert {len(one.segments) for one in folder.comparisons()} == {3}


def test_a_teacher_that_does_not_give_this_kind_of_feedback_is_refused_at_once(
    drift_venv: MakeVenv, store: Store, position_teacher: Teacher
) -> None:
    with pytest.raises(
        SettingError, match=r"no feedback of kind 'strength': it needs a method `strength\(query\)`"
    ):
        learning(drift_venv(), store, teacher=position_teacher, kind="strength")
    with pytest.raises(SettingError, match="`kind` must be one of pair, strength, ranking, rating"):
        learning(drift_venv(), store, kind="points")
