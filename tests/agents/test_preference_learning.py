import copy
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from prefrl.agents import EntropyTRPO, PreferenceLearning, Refit
from prefrl.agents.old_labels import OldLabels
from prefrl.errors import SettingError, SpaceError
from prefrl.feedback import OracleTeacher, People, QueryMaker, Teacher
from prefrl.parts import State
from prefrl.registry import SCHEDULES
from prefrl.reward import Calibration, RewardMetrics, RewardTrainer
from prefrl.reward.inputs import FeatureInputs
from prefrl.segments import Answer, Query, Rating
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import NewAnswer, Store
from prefrl_envs.testing import EXAMPLE_SPACES, CountingEnv, SpacesEnv

MakeVenv = Callable[..., VecEnv]
FloatArray = npt.NDArray[np.float32]


def small(
    venv: VecEnv,
    *,
    teacher: Teacher | People = OracleTeacher(),
    n_labels: int = 20,
    seed: int = 0,
    store: Store | None = None,
    old_labels: OldLabels = "refuse",
    reward: RewardSettings | RewardTrainer = RewardSettings(first_epochs=3, epochs=2),
    **feedback: Any,
) -> PreferenceLearning:
    """Twenty labels about segments of five steps, three to a round, from step 64 on."""
    settings = {"segment_length": 5, "initial_timesteps": 64, "labels_per_round": 3} | feedback
    return PreferenceLearning(
        venv,
        teacher=teacher,
        n_labels=n_labels,
        seed=seed,
        store=store,
        old_labels=old_labels,
        feedback=FeedbackSettings(**settings),
        reward=reward,
    )


def at(preferences: PreferenceLearning, num_timesteps: int, **more: Any) -> Refit | None:
    """What happens between two rollouts at this step."""
    preferences.venv.num_timesteps = num_timesteps
    return preferences.update(**more)


ALGORITHMS: dict[str, tuple[type[OnPolicyAlgorithm], dict[str, Any]]] = {
    "ppo": (PPO, {"n_steps": 16, "batch_size": 64, "n_epochs": 2}),
    "a2c": (A2C, {"n_steps": 16}),
    "trpo": (EntropyTRPO, {"n_steps": 16, "batch_size": 64, "ent_coef": 0.01}),
}
algorithms = pytest.mark.parametrize("algo", ALGORITHMS)


def make_model(algo: str, venv: VecEnv, seed: int = 0) -> OnPolicyAlgorithm:
    kind, settings = ALGORITHMS[algo]
    return kind("MlpPolicy", venv, seed=seed, device="cpu", **settings)


class Written(KVWriter):
    """Everything that was logged, one mapping per dump."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


class Undecided:
    """Sometimes cannot tell, otherwise calls the first better."""

    name = "undecided"

    def __init__(self, every: int) -> None:
        self.every, self.n_asked = every, 0

    def answer(self, query: Query) -> Answer:
        self.n_asked += 1
        return Answer.CANNOT_TELL if self.n_asked % self.every == 0 else Answer.FIRST


# --- one rollout, one reward ------------------------------------------------------------------------------


class RewardHashes(BaseCallback):
    """What the reward was at every step, as the bytes of weights and normalisers, by rollout."""

    def __init__(self, preferences: PreferenceLearning) -> None:
        super().__init__()
        self.preferences = preferences
        self.rollouts: list[list[int]] = []

    def _on_rollout_start(self) -> None:
        self.rollouts.append([])

    def _on_step(self) -> bool:
        arrays = self.preferences.reward_model.state()[0].values()
        self.rollouts[-1].append(hash(b"".join(array.tobytes() for array in arrays)))
        return True


@algorithms
def test_one_rollout_sees_one_reward(drift_venv: MakeVenv, algo: str) -> None:
    with Store() as store:
        preferences = small(drift_venv(), store=store)
        hashes = RewardHashes(preferences)
        make_model(algo, preferences.venv).learn(640, callback=[hashes, preferences.callback()])
    assert [len(rollout) for rollout in hashes.rollouts] == [16] * 10
    assert all(len(set(rollout)) == 1 for rollout in hashes.rollouts)
    assert len({rollout[0] for rollout in hashes.rollouts}) > 3, "it is refitted now and then"


# --- the budget -------------------------------------------------------------------------------------------


@algorithms
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_budget_is_spent_to_the_label(drift_venv: MakeVenv, algo: str, schedule: Any) -> None:
    with Store() as store:
        preferences = small(
            drift_venv(),
            teacher=OracleTeacher(),
            schedule=schedule,
            store=store,
        )
        make_model(algo, preferences.venv).learn(640, callback=preferences.callback())
        assert preferences.trainer.n_comparisons == 20
        assert store.counts().comparisons == 20
        assert store.counts().queries == 20


def test_what_cannot_be_told_costs_nothing_and_is_never_trained_on(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=Undecided(every=3), store=store)
        make_model("ppo", preferences.venv).learn(640, callback=preferences.callback())
        counts = store.counts()
        assert counts.cannot_tell >= 9
        assert counts.comparisons == preferences.trainer.n_comparisons == 20
        assert counts.queries == counts.comparisons + counts.cannot_tell
        assert {comparison.preference for comparison in store.comparisons()} == {1.0}


def test_a_teacher_who_can_never_tell_stops_nothing(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=Undecided(every=1), store=store)
        with pytest.warns(UserWarning, match="128 steps and not one label"):
            model = make_model("ppo", preferences.venv).learn(128, callback=preferences.callback())
        assert model.num_timesteps == 128
        assert preferences.trainer.n_comparisons == 0
        assert not preferences.reward_model.fitted


def test_ties_are_trained_on_as_ties(drift_venv: MakeVenv) -> None:
    """Where every return is equal the oracle says so, and the answers are worth log 2."""
    with Store() as store:
        preferences = small(
            drift_venv(hidden_reward=lambda env, action: 1.0),
            store=store,
        )
        with pytest.warns(UserWarning, match="20 of 20 answers are ties"):
            make_model("ppo", preferences.venv).learn(640, callback=preferences.callback())
        assert [comparison.preference for comparison in store.comparisons()] == [0.5] * 20


@pytest.mark.parametrize("n_alike", [17, 16])
def test_ratings_that_are_nearly_all_alike_are_warned_of(drift_venv: MakeVenv, n_alike: int) -> None:
    """More than 80 % of 20, whatever the true reward is."""

    class Rates(OracleTeacher):
        def rate(self, query: Query) -> Rating:
            return Rating(2 if query.ordinal < n_alike else 4)

    teacher = Rates(rating_range=(0.0, 1.0))
    with Store() as store:
        preferences = small(drift_venv(), store=store, teacher=teacher, kind="rating", initial_share=1.0)
        model = make_model("ppo", preferences.venv)
        if n_alike == 17:
            with pytest.warns(UserWarning, match="17 of 20 ratings are 2, from which the reward learns next to"):
                model.learn(320, callback=preferences.callback())
        else:
            model.learn(320, callback=preferences.callback())  # where a warning is an error
        assert preferences.trainer.level_counts.tolist() == [0, n_alike, 0, 20 - n_alike, 0]


# --- asking, step by step ---------------------------------------------------------------------------------


def step_randomly(preferences: PreferenceLearning, n_steps: int) -> None:
    rng = np.random.default_rng(0)
    if preferences.venv.last_observations is None:
        preferences.venv.reset()
    for _ in range(n_steps):
        preferences.venv.step(rng.uniform(-1, 1, size=(4, 1)).astype(np.float32))


def test_nothing_is_asked_before_the_initial_steps(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), store=store)
        preferences.plan(640)
        assert at(preferences, 0) is None
        step_randomly(preferences, 15)
        assert at(preferences, 60) is None
        assert store.counts().queries == 0
        step_randomly(preferences, 1)
        refit = at(preferences, 64)
        assert refit is not None
        # A quarter at the start and log(1 + 64/2e6) / log(1 + 576/2e6) of the other 15: 5 + round(1.667).
        assert refit.metrics.n_comparisons == 7
        assert refit.seconds > 0
        assert math.isnan(refit.fresh_accuracy), "the first comparisons have no reward to be fresh for"


def test_a_round_waits_until_enough_is_due(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(
            drift_venv(),
            store=store,
            n_labels=100,
            schedule="constant",
            initial_share=0.0,
            asking_share=1.0,
            labels_per_round=10,
        )
        preferences.plan(1000)
        step_randomly(preferences, 30)
        asked = {}
        for num_timesteps in range(64, 1001, 4):
            if at(preferences, num_timesteps) is not None:
                asked[num_timesteps] = preferences.trainer.n_comparisons
        assert asked == {96: 10} | {100 * i - 4: 10 * i for i in range(2, 11)}


def test_many_labels_are_asked_in_parts_and_trained_on_together(
    drift_venv: MakeVenv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where clips are large: as many labels as without, and each part is taken in before the next is asked."""
    monkeypatch.setattr(QueryMaker, "most_at_once", 4)
    known = []
    make = QueryMaker.make

    def remember(self: QueryMaker, n: int, num_timesteps: int) -> list[Query]:
        known.append((n, preferences.trainer.n_known))
        return make(self, n, num_timesteps)

    monkeypatch.setattr(QueryMaker, "make", remember)
    with Store() as store:
        preferences = small(drift_venv(), store=store, n_labels=60)
        preferences.plan(640)
        step_randomly(preferences, 20)
        first = at(preferences, 64)
        assert first is not None
        n_first = preferences.n_due(64)
        assert preferences.trainer.n_comparisons == n_first
        assert preferences.trainer.seqs.tolist() == list(range(1, n_first + 1))
        assert known[:4] == [(4, n) for n in range(0, 16, 4)]
        second = at(preferences, 500)
        assert second is not None
        assert preferences.trainer.seqs.tolist() == list(range(1, preferences.n_due(500) + 1))
        assert second.fresh_accuracy >= 0


def test_fresh_accuracy_is_that_of_the_reward_before_the_refit(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), store=store, n_labels=60)
        preferences.plan(640)
        step_randomly(preferences, 20)
        at(preferences, 64)
        seen = store.counts().comparisons
        before = copy.deepcopy(preferences.trainer)
        refit = at(preferences, 500)
        assert refit is not None
        comparisons = store.comparisons(after=seen)
        said = before.evaluate(comparisons)
        assert np.isnan(said.right).sum() < len(said.right) > 20
        assert refit.fresh_accuracy == np.nanmean(said.right)
        assert refit.fresh_log_loss == pytest.approx(np.nanmean(said.log_loss))
        # sigmoid of the difference of returns, spread over members, pair by pair
        pairs = [before.ensemble.returns([c.first, c.second]) for c in comparisons]
        spreads = [np.std([1 / (1 + math.exp(second - first)) for first, second in pair]) for pair in pairs]
        assert refit.fresh_disagreement == pytest.approx(np.mean(spreads), rel=1e-4)
        assert refit.fresh_disagreement > 0
        assert len(preferences.trainer.draws[0]) > seen


def test_how_sure_the_reward_was_is_counted_over_all_refits_and_a_checkpoint(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), store=store, n_labels=60)
        preferences.plan(640)
        step_randomly(preferences, 20)
        at(preferences, 64)
        assert counted(preferences).n == 0, "nothing was said before the first fit"
        expected = Calibration()
        for now in (300, 500):
            before, seen = copy.deepcopy(preferences.trainer), store.counts().comparisons
            at(preferences, now)
            expected += before.calibration(store.comparisons(after=seen))
            state = copied(preferences.state())
            preferences = small(drift_venv(), store=store, n_labels=60, old_labels="replay")
            preferences.plan(640)
            preferences.restore(*state)
        assert expected.n > 30
        assert counted(preferences).to_json() == expected.to_json()
        state[1].pop("calibration")  # as in a checkpoint of an earlier version
        preferences.restore(*state)
        assert counted(preferences).n == 0


def test_what_is_said_again_of_the_same_clips_is_not_new(drift_venv: MakeVenv) -> None:
    """Somebody else's answers, and those of one who has thought better of it."""
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), overlap=2, labels_per_round=4, store=store)
        preferences.plan(640)
        step_randomly(preferences, 20)
        at(preferences, 64)
        queries = [query.query_id for query in store.open_queries()][:8]
        for number, query_id in enumerate(queries[:6]):
            say(store, query_id, Answer.FIRST, number)
        assert at(preferences, 68) is not None
        store.add_answers(
            [NewAnswer(id=f"b{i}", query_id=q, answer=Answer.FIRST, labeler="Bob") for i, q in enumerate(queries)]
        )
        arrays, values = copied(preferences.state())
        refit = at(preferences, 72)
        assert refit is not None
        assert refit.metrics.n_comparisons == 14
        assert counted(preferences).n == 2
        resumed = small(
            drift_venv(), teacher=People(), overlap=2, labels_per_round=4, store=store, old_labels="replay"
        )
        resumed.plan(640)
        resumed.restore(arrays, values)
        assert at(resumed, 72) is not None
        assert counted(resumed).n == 2


def counted(preferences: PreferenceLearning) -> Calibration:
    return Calibration.from_json(preferences.state()[1]["calibration"])


def say(store: Store, query_id: str, answer: Answer | Rating | None, number: int, **more: Any) -> None:
    store.add_answers([NewAnswer(id=f"a{number}", query_id=query_id, answer=answer, labeler="Ann", **more)])


@pytest.mark.parametrize("is_old", [False, True])
def test_ratings_that_come_one_by_one_are_judged_together(drift_venv: MakeVenv, is_old: bool) -> None:
    """Also after a checkpoint between them; one of an older format tells no more of those before it."""
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), kind="rating", labels_per_round=6, store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        queries = [query.query_id for query in store.open_queries()]
        for number, query_id in enumerate(queries[:3]):
            say(store, query_id, Rating(1 + number), number, kind="rating")
        assert at(preferences, 68, at_least=1) is not None
        before = copy.deepcopy(preferences.trainer)
        levels = [4, 2, 4, 1, 5, 2]
        for number, level in enumerate(levels, start=3):
            say(store, store.open_queries()[0].query_id, Rating(level), number, kind="rating")
            if number < 8:
                assert at(preferences, 72) is None
        arrays, values = copied(preferences.state())
        resumed = small(
            drift_venv(), teacher=People(), kind="rating", labels_per_round=6, store=store, old_labels="replay"
        )
        resumed.plan(640)
        if is_old:
            values["fresh"] = [[seq, None, None, None] for seq, _ in values["fresh"]]
        resumed.restore(arrays, values)
        refit = at(resumed, 76)
        assert refit is not None
        said = before.evaluate(store.comparisons(after=3))
        assert not np.isnan(said.right).any()
        assert 0 < np.mean(said.right) < 1, "or a wrong one would not show"
        if is_old:
            assert math.isnan(refit.fresh_accuracy), "one was judged, beside none"
        else:
            assert refit.fresh_accuracy == np.mean(said.right)
            assert refit.fresh_log_loss == pytest.approx(np.mean(said.log_loss))
            assert refit.fresh_disagreement == pytest.approx(np.mean(said.disagreement))


def test_people_answer_when_they_like(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), stock=7, store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        assert at(preferences, 60) is None
        assert store.open_queries() == [], "not before there is something to see"
        assert at(preferences, 64) is None
        queries = [query.query_id for query in store.open_queries()]
        assert len(queries) == 7
        assert at(preferences, 68) is None
        assert store.counts().queries == 7
        for number, query_id in enumerate(queries[:3]):
            say(store, query_id, Answer.CANNOT_TELL if number == 2 else Answer.FIRST, number)
        assert at(preferences, 72) is None, "two are not a round"
        assert preferences.trainer.n_known == 2
        say(store, queries[3], Answer.SECOND, 3)
        refit = at(preferences, 76)
        assert refit is not None
        assert refit.metrics.n_comparisons == preferences.trainer.n_known == 3
        assert at(preferences, 80, at_least=1) is None


def test_what_somebody_said_is_forgotten_when_it_is_set_aside(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), stock=7, store=store, overlap=2)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        queries = [query.query_id for query in store.open_queries()][:4]
        for number, query_id in enumerate(queries):
            for name in ("Ann", "Bob"):
                answer = NewAnswer(id=f"{name}{number}", query_id=query_id, answer=Answer.FIRST, labeler=name)
                store.add_answers([answer])
        assert at(preferences, 72) is not None
        store.set_aside("Bob")
        refit = at(preferences, 76)
        assert refit is not None, "four labels less are a round"
        assert refit.metrics.n_comparisons == preferences.labels.n_labels == 4
        assert {one.teacher for one in store.comparisons_at(preferences.trainer.seqs.tolist())} == {"Ann"}
        arrays, values = preferences.state()
        store.set_aside("Bob", False)
        again = small(drift_venv(), teacher=People(), stock=7, store=store, overlap=2, old_labels="replay")
        again.restore(arrays, json.loads(json.dumps(values)))
        again.plan(640)
        assert again.trainer.n_known == 4, "as it was when the state was taken"
        refit = at(again, 80)
        assert refit is not None
        assert refit.metrics.n_comparisons == again.labels.n_labels == 8


def test_what_is_left_of_the_budget_makes_the_last_round(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store, n_labels=5)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 120)
        fitted = []
        for number, query in enumerate(store.open_queries()[:5]):
            say(store, query.query_id, Answer.FIRST, number)
            refit = at(preferences, 120)
            fitted.append(None if refit is None else refit.metrics.n_comparisons)
        assert fitted == [None, None, 3, None, 5], "three make a round, and then the two that are left"


def test_an_answer_that_is_withdrawn_before_a_fit_counts_once(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 120)
        queries = [query.query_id for query in store.open_queries()]
        for number in range(2):
            say(store, queries[number], Answer.FIRST, number)
        assert at(preferences, 120) is None
        say(store, queries[0], None, 2, supersedes="a0")
        assert at(preferences, 120) is None, "one answer and one withdrawal are not three"
        say(store, queries[2], Answer.FIRST, 3)
        refit = at(preferences, 120)
        assert refit is not None
        assert refit.metrics.n_comparisons == 2


def test_one_answer_is_enough_where_the_agent_waits(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        say(store, store.open_queries()[0].query_id, Answer.FIRST, 0)
        assert at(preferences, 64, at_least=1) is not None


def test_the_reward_follows_a_change_of_mind(drift_venv: MakeVenv) -> None:
    """All answers are turned round after the first fit, and one is withdrawn."""
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        queries = [query.query_id for query in store.open_queries()]
        for number, query_id in enumerate(queries):
            say(store, query_id, PositionAnswer.of(store.query(query_id)), number)
        at(preferences, 64)
        for number, query_id in enumerate(queries[1:], start=1):
            opposite = PositionAnswer.opposite(store.query(query_id))
            say(store, query_id, opposite, 100 + number, supersedes=f"a{number}")
        say(store, queries[0], None, 100, supersedes="a0")
        refit = at(preferences, 68)
        assert refit is not None
        assert refit.metrics.n_comparisons == preferences.trainer.n_known == len(queries) - 1
        for _ in range(100):
            preferences.trainer.fit(1)
        comparisons = store.comparisons()
        assert [c.preference for c in comparisons] == [
            PositionAnswer.opposite(store.query(query_id)).preference for query_id in queries[1:]
        ]
        assert np.mean(preferences.trainer.evaluate(comparisons).right) > 0.9


def test_ties_that_somebody_took_back_are_none(drift_venv: MakeVenv) -> None:
    """All is equal to Ann at first, and then she looks again; nothing is said of ties then."""
    with Store() as store, warnings.catch_warnings():
        warnings.simplefilter("error")
        preferences = small(drift_venv(), teacher=People(), store=store, n_labels=60, stock=24)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        queries = [query.query_id for query in store.open_queries()]
        assert len(queries) == 24
        for number, query_id in enumerate(queries):
            say(store, query_id, Answer.EQUAL, number)
        at(preferences, 64, at_least=1000)  # read, and not fitted
        for number, query_id in enumerate(queries):
            say(store, query_id, PositionAnswer.of(store.query(query_id)), 100 + number, supersedes=f"a{number}")
        refit = at(preferences, 68)
    assert refit is not None
    assert refit.metrics.n_comparisons == 24


def test_when_everything_is_withdrawn_nothing_is_fitted(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 64)
        query_id = store.open_queries()[0].query_id
        say(store, query_id, Answer.FIRST, 0)
        assert at(preferences, 64, at_least=1) is not None
        say(store, query_id, None, 1, supersedes="a0")
        assert at(preferences, 64, at_least=1) is None
        assert preferences.trainer.n_known == 0


def copied(state: State) -> State:
    """A state as a checkpoint keeps it."""
    arrays, values = state
    return {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(values))


def test_answers_read_but_not_fitted_survive_a_restart(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 120)
        for number, query in enumerate(store.open_queries()[:2]):
            say(store, query.query_id, Answer.FIRST, number)
        assert at(preferences, 120) is None
        resumed = small(drift_venv(), teacher=People(), store=store, old_labels="replay")
        resumed.restore(*copied(preferences.state()))
        assert resumed.trainer.n_known == 2
        say(store, store.open_queries()[0].query_id, Answer.SECOND, 2)
        refit = resumed.update()
        assert refit is not None
        assert refit.metrics.n_comparisons == 3


class PositionAnswer:
    """What `PositionTeacher` says, and its opposite."""

    @staticmethod
    def of(query: Query) -> Answer:
        first, second = (float(segment.observations[:, 0].sum()) for segment in query.segments)
        return Answer.FIRST if first > second else Answer.SECOND

    @staticmethod
    def opposite(query: Query) -> Answer:
        return Answer.SECOND if PositionAnswer.of(query) is Answer.FIRST else Answer.FIRST


def test_selection_by_disagreement_works_through_the_same_door(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(
            drift_venv(),
            teacher=OracleTeacher(),
            strategy="disagreement",
            store=store,
        )
        make_model("ppo", preferences.venv).learn(640, callback=preferences.callback())
        assert store.counts().comparisons == 20


# --- inputs -----------------------------------------------------------------------------------------------


def test_inputs_are_normalised_by_every_step_seen_once(drift_venv: MakeVenv) -> None:
    with Store() as store:
        preferences = small(drift_venv(), store=store)
        preferences.begin(640, 64)
        for num_timesteps in (64, 320, 576):
            step_randomly(preferences, 20)
            at(preferences, num_timesteps)
        recorder, inputs = preferences.recorder, preferences.reward_model.inputs
        assert isinstance(inputs, FeatureInputs)
        moments = inputs.moments
        steps = np.concatenate([recorder.latest_observations(100), recorder.latest_actions(100)], axis=1)
        assert len(steps) == 240
        assert moments.count == 240
        np.testing.assert_allclose(moments.mean, steps.mean(axis=0, dtype=np.float64), atol=1e-6)
        np.testing.assert_allclose(moments.variance, steps.var(axis=0, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("observation", ["discrete", "multi-binary", "dict"])
@pytest.mark.parametrize("action", ["discrete", "multi-discrete", "box"])
def test_it_runs_on_every_kind_of_space(observation: str, action: str) -> None:
    kinds = EXAMPLE_SPACES[observation], EXAMPLE_SPACES[action]
    if isinstance(kinds[1], spaces.Discrete):
        kinds = kinds[0], spaces.Discrete(3)  # SB3 knows no other start
    if isinstance(kinds[0], spaces.Discrete):
        kinds = spaces.Discrete(4), kinds[1]
    venv = make_vec_env(lambda: SpacesEnv(*kinds), n_envs=4, seed=0)
    with Store() as store:
        preferences = small(venv, store=store)
        policy = "MultiInputPolicy" if observation == "dict" else "MlpPolicy"
        model = A2C(policy, preferences.venv, n_steps=16, device="cpu", seed=0)
        model.learn(640, callback=preferences.callback())
        assert preferences.trainer.n_comparisons == 20
        assert preferences.reward_model.fitted


def test_a_space_that_no_network_reads_is_an_error() -> None:
    venv = make_vec_env(lambda: SpacesEnv(EXAMPLE_SPACES["box"], EXAMPLE_SPACES["box"]), n_envs=1)
    venv.observation_space = spaces.Text(5)
    with pytest.raises(SpaceError, match=r"The observation space is Text"):
        PreferenceLearning(venv, teacher=OracleTeacher())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_labels", 0),
        ("segment_length", 0),
        ("labels_per_round", 0),
        ("asking_share", 0.0),
        ("asking_share", 1.1),
        ("initial_share", -0.1),
    ],
)
def test_a_setting_out_of_range_is_an_error(drift_venv: MakeVenv, setting: str, value: float) -> None:
    settings: dict[str, Any] = {setting: value}
    with pytest.raises(SettingError, match=rf"`{setting}`.* Received .*{value}"):
        small(drift_venv(), **settings)


# --- what is logged ---------------------------------------------------------------------------------------


def test_true_and_predicted_returns_are_logged_under_their_own_names(drift_venv: MakeVenv) -> None:
    """The true reward is 7 a step, so the true return of 10 steps is 70; the predicted one has mean about 0."""
    written = Written()
    with Store() as store:
        preferences = small(
            drift_venv(hidden_reward=lambda env, action: 7.0),
            teacher=Undecided(100),
            store=store,
        )
        model = make_model("ppo", preferences.venv)
        model.set_logger(Logger(None, [written]))
        model.learn(640, callback=preferences.callback())
    last = written.rows[-1]
    assert last["rollout/ep_rew_mean"] == pytest.approx(70.0)
    assert last["rollout/ep_predicted_rew_mean"] == pytest.approx(np.mean(preferences.venv.predicted_returns))
    assert abs(last["rollout/ep_predicted_rew_mean"]) < 60
    assert last["labels/total"] == 20
    assert last["labels/asked"] == 20
    assert written.rows[0]["rollout/ep_predicted_rew_mean"] == 0.0, "0 before the first fit"
    fits = [row for row in written.rows if "reward_model/train_loss" in row]
    assert 3 < len(fits) < len(written.rows), "a fit is logged once"
    expected = set(RewardMetrics._fields)
    assert expected >= {"train_loss", "validation_loss", "accuracy", "log_loss", "l2", "n_comparisons"}
    fresh = {"fresh_accuracy", "fresh_log_loss", "disagreement"}
    for row in fits:
        names = {key.removeprefix("reward_model/") for key in row if key.startswith("reward_model/")}
        assert expected <= names <= expected | fresh
    assert all(f"reward_model/{name}" not in fits[0] for name in fresh), "NaN is not logged"
    assert all(f"reward_model/{name}" in fits[-1] for name in fresh)
    assert all(math.isfinite(value) for row in written.rows for value in row.values())


def test_how_many_answers_are_distrusted_is_logged_where_there_is_a_filter(drift_venv: MakeVenv) -> None:
    written = Written()
    own = RewardSettings(first_epochs=4, epochs=2, label_filter="drop")
    preferences = small(drift_venv(), reward=own)
    with preferences.store:
        model = make_model("ppo", preferences.venv)
        model.set_logger(Logger(None, [written]))
        model.learn(640, callback=preferences.callback())
    fits = [row for row in written.rows if "reward_model/train_loss" in row]
    assert all(0 <= row["reward_model/distrusted"] <= 1 for row in fits)
    assert fits[-1]["reward_model/distrusted"] == preferences.trainer.is_distrusted.mean()
    assert len(preferences.trainer.is_distrusted) == 20


# --- seeds, and going on ----------------------------------------------------------------------------------


def trained(venv: VecEnv, seed: int) -> tuple[OnPolicyAlgorithm, PreferenceLearning]:
    preferences = small(venv, seed=seed)
    with preferences.store:
        model = make_model("ppo", preferences.venv, seed=0)
        model.learn(320, callback=preferences.callback())
    return model, preferences


def test_same_seed_same_training_other_seed_another(
    drift_venv: MakeVenv, policy_weights: Callable[[OnPolicyAlgorithm], FloatArray]
) -> None:
    results = []
    for seed in (0, 0, 1):
        model, preferences = trained(drift_venv(seed=0), seed)
        reward = preferences.reward_model.state()[0]["weights.0"]
        results.append((policy_weights(model), reward))
    for first, again, other in zip(*results, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_state_asks_and_fits_on_as_if_it_had_never_stopped(drift_venv: MakeVenv) -> None:
    """All that a checkpoint holds, taken between two rounds and put into new objects."""
    with Store() as store:
        straight = small(drift_venv(), store=store)
        straight.plan(640)
        step_randomly(straight, 20)
        at(straight, 64)
        state = copied(straight.state())
        at(straight, 576)
        queries = [answer.query_id for answer in store.answers()]
        assert straight.trainer.n_comparisons == 20

        resumed = small(drift_venv(), store=store, seed=5, old_labels="replay")
        resumed.restore(*state)
        at(resumed, 576)
        assert [answer.query_id for answer in store.answers()] == queries, (
            "the replayed round asks the same queries"
        )
        assert store.counts().answers == 20, "nothing is answered twice"
    (ours, our_values), (theirs, their_values) = resumed.state(), straight.state()
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_array_equal(ours[name], expected, err_msg=name)
    assert our_values.pop("refit_seconds") > 0
    assert their_values.pop("refit_seconds") > 0
    assert our_values == their_values


def test_a_reward_that_was_given_is_gone_on_with_and_pays(drift_venv: MakeVenv) -> None:
    _, first = trained(drift_venv(), 0)
    trainer = RewardTrainer(first.reward_model)
    again = small(drift_venv(), reward=trainer)
    assert again.trainer is trainer
    assert again.reward_model is first.reward_model
    observations = np.asarray(again.venv.reset()).copy()
    actions = np.full((4, 1), 0.5, dtype=np.float32)
    following, rewards, _, _ = again.venv.step(actions)
    np.testing.assert_array_equal(rewards, first.trainer.ensemble.predict(observations, actions, following))
    assert np.abs(rewards).min() > 0


def test_episodes_shorter_than_a_segment_are_compared_whole() -> None:
    """Terminating environments, as users have them."""
    venv = make_vec_env(lambda: CountingEnv((2, 3), terminates=True), n_envs=4, seed=0)
    with Store() as store:
        preferences = small(venv, store=store)
        with pytest.warns(UserWarning, match="An episode ended before its time limit"):
            make_model("ppo", preferences.venv).learn(640, callback=preferences.callback())
        lengths = {s.n_steps for c in store.comparisons() for s in (c.first, c.second)}
        assert lengths == {2, 3}
        assert preferences.trainer.n_comparisons == 20


def test_any_teacher_with_a_name_and_an_answer_will_do(drift_venv: MakeVenv, position_teacher: Teacher) -> None:
    with Store() as store:
        preferences = small(drift_venv(), teacher=position_teacher, store=store)
        make_model("ppo", preferences.venv).learn(128, callback=preferences.callback())
        assert {c.teacher for c in store.comparisons()} == {"position"}


# --- the error rate from repeats --------------------------------------------------------------------------


@pytest.mark.parametrize("is_learned", [False, True])
def test_the_error_rate_is_that_of_repeats_where_it_is_to_be(drift_venv: MakeVenv, is_learned: bool) -> None:
    own = RewardSettings(first_epochs=1, epochs=1, error_rate_from_repeats=is_learned)
    with Store() as store:
        preferences = small(drift_venv(), teacher=People(), store=store, n_labels=90, stock=60, reward=own)
        preferences.plan(640)
        step_randomly(preferences, 30)
        at(preferences, 120)
        queries = [query.query_id for query in store.open_queries()][:24]
        assert len(queries) == 24
        for number, query_id in enumerate(queries):
            say(store, query_id, Answer.FIRST, number)
            again = store.add_repeat(query_id, "Ann")
            say(store, again, Answer.SECOND if number < 6 else Answer.FIRST, 100 + number)
        assert at(preferences, 124) is not None
        # r = (6 + 20 · 0.1 · 0.95) / (24 + 20), e = 1 − sqrt(1 − 2 r)
        expected = 1 - math.sqrt(1 - 2 * 7.9 / 44) if is_learned else 0.1
        assert preferences.trainer.error_rate == pytest.approx(expected)
        assert preferences.trainer.n_known == 24, "nothing is learned from repeats themselves"
        resumed = small(
            drift_venv(), teacher=People(), store=store, n_labels=90, stock=60, reward=own, old_labels="replay"
        )
        resumed.restore(*preferences.state())
        assert resumed.trainer.error_rate == preferences.trainer.error_rate
        store.set_aside("Ann")
        for number, query in enumerate(store.open_queries()):
            answer = NewAnswer(id=f"bob {number}", query_id=query.query_id, answer=Answer.FIRST, labeler="bob")
            store.add_answers([answer])
        assert at(preferences, 128) is not None
        assert preferences.trainer.error_rate == 0.1, "nobody else was asked twice"
