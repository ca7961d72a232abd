"""Any parts put together in any way keep what must always hold.

Drawn by hypothesis: spaces, wrappers, number of environments, algorithm, calls of `learn`, resets in between, the
store (memory, a folder, used before), the teacher, overlap, and a stop in the middle with new objects that go on.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.agents import PreferenceLearning, algorithm, callback
from prefrl.agents.old_labels import OldLabels
from prefrl.feedback import People, Teacher
from prefrl.feedback.teachers import ask
from prefrl.registry import ALGORITHMS, FEEDBACK_KINDS, OFF_POLICY, SCHEDULES, STRATEGIES
from prefrl.segments import Answer, Judgement, Query, Ranking, Rating, feedback_kind
from prefrl.settings import FeedbackSettings, RewardSettings
from prefrl.store import NewAnswer, Store
from prefrl_envs.testing import EXAMPLE_SPACES, SpacesEnv

LENGTH, ROLLOUT_STEPS, PER_ROUND = 4, 8, 3
SCREENS = spaces.Box(0, 255, (43, 43, 1), np.uint8)
SPACES: dict[str, spaces.Space[Any]] = {
    name: space for name, space in EXAMPLE_SPACES.items() if name != "discrete"
} | {"discrete": spaces.Discrete(4), "screens": SCREENS, "stacked screens": SCREENS}


class Random:
    """Prefers one or the other, says "equal" and "can't tell" now and then; the same for the same query."""

    name = "random"

    def answer(self, query: Query) -> Answer:
        return list(Answer)[[0, 0, 0, 0, 1, 1, 1, 1, 2, 3][int(query.id[:8], 16) % 10]]

    def strength(self, query: Query) -> Answer:
        return list(Answer)[[0, 0, 4, 4, 1, 1, 5, 5, 2, 3][int(query.id[:8], 16) % 10]]

    def rank(self, query: Query) -> Judgement:
        digits = query.id[: len(query.segments)]
        return Answer.CANNOT_TELL if digits[0] == "0" else Ranking.by([int(digit, 16) % 4 for digit in digits])

    def rate(self, query: Query) -> Judgement:
        digit = int(query.id[0], 16)
        return Rating(1 + digit % 5) if digit else Answer.CANNOT_TELL


@dataclass(frozen=True)
class Combination:
    observation: str
    action: str
    normalize: bool
    n_envs: int
    algo: str
    calls: list[int]
    """Rollouts of each call of `learn`."""
    planned: bool
    """Whether all calls are announced."""
    schedule: str
    strategy: str
    kind: str
    action_is_read: bool
    next_observation: bool
    n_labels: int
    people: bool
    pretraining: Literal["none", "state-entropy"]
    overlap: int
    in_folder: bool
    used_before: OldLabels | None
    """What is done with the labels of a run before; None if there was none."""
    stop_after: int | None
    """Calls after which everything but the store is made anew from its state."""


def fitting(drawn: Combination) -> Combination:
    """Give an off-policy algorithm actions that it can choose, and observations that it has a policy for.

    Nor are observations normalised where the reward reads those after an action, which the replay buffer keeps.
    """
    if drawn.algo == "ppo_lstm":  # sb3_contrib 2.9 fails with these by itself
        action = "box" if drawn.action == "multi-binary" else drawn.action
        return replace(
            drawn, action=action, observation="box" if drawn.observation == "multi-discrete" else drawn.observation
        )
    if drawn.algo not in OFF_POLICY:
        return drawn
    crossq_reads = drawn.observation if drawn.observation != "dict" else "box"
    return replace(
        drawn,
        action="discrete" if drawn.algo in ("dqn", "qrdqn") else "box",
        observation=crossq_reads if drawn.algo == "crossq" else drawn.observation,
        normalize=drawn.normalize and not drawn.next_observation,
    )


combinations = st.builds(
    Combination,
    observation=st.sampled_from(sorted(SPACES)),
    action=st.sampled_from(["box", "discrete", "multi-discrete", "multi-binary"]),
    normalize=st.booleans(),
    n_envs=st.integers(1, 3),
    algo=st.sampled_from(sorted(ALGORITHMS)),
    calls=st.lists(st.integers(3, 6), min_size=1, max_size=3),
    planned=st.booleans(),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    strategy=st.sampled_from([*sorted(STRATEGIES), "near-policy:0.4+entropy:0.6"]),
    kind=st.sampled_from(sorted(FEEDBACK_KINDS)),
    action_is_read=st.booleans(),
    next_observation=st.booleans(),
    n_labels=st.integers(3, 12),
    people=st.booleans(),
    pretraining=st.sampled_from(["none", "state-entropy"]),
    overlap=st.integers(1, 2),
    in_folder=st.booleans(),
    used_before=st.sampled_from([None, None, "continue", "ignore", "learn"]),
    stop_after=st.sampled_from([None, None, 1]),
).map(fitting)


def make_venv(drawn: Combination) -> VecEnv:
    action = spaces.Discrete(3) if drawn.action == "discrete" else EXAMPLE_SPACES[drawn.action]
    space = SPACES[drawn.observation]
    venv = make_vec_env(lambda: SpacesEnv(space, action, length=7), n_envs=drawn.n_envs, seed=0)
    return VecFrameStack(venv, 2) if drawn.observation == "stacked screens" else venv


@contextmanager
def make_store(drawn: Combination) -> Iterator[Store]:
    if not drawn.in_folder:
        with Store() as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        yield store


def make_learning(drawn: Combination, store: Store, old_labels: OldLabels, **changes: Any) -> PreferenceLearning:
    teacher: Teacher | People = People() if drawn.people else Random()
    return PreferenceLearning(
        make_venv(drawn),
        teacher=teacher,
        n_labels=changes.get("n_labels", drawn.n_labels),
        seed=changes.get("seed", 0),
        store=store,
        old_labels=old_labels,
        feedback=FeedbackSettings(
            segment_length=LENGTH,
            schedule=drawn.schedule,
            strategy=drawn.strategy,
            kind=drawn.kind,
            initial_timesteps=LENGTH * drawn.n_envs,
            initial_share=0.5,
            pretraining=drawn.pretraining,
            labels_per_round=PER_ROUND,
            recorder_steps=30,
            overlap=drawn.overlap,
            stock=6,
        ),
        reward=RewardSettings(
            hidden_sizes=(4,),
            first_epochs=1,
            epochs=1,
            batch_size=4,
            action=drawn.action_is_read,
            next_observation=drawn.next_observation,
        ),
    )


def make_model(drawn: Combination, prefs: PreferenceLearning) -> BaseAlgorithm:
    venv: VecEnv = prefs.venv
    if drawn.normalize and isinstance(venv.observation_space, spaces.Box) and "screens" not in drawn.observation:
        venv = VecNormalize(venv, norm_reward=False)
    policy = "MultiInputPolicy" if drawn.observation == "dict" else "MlpPolicy"
    if drawn.algo == "ppo_lstm":
        policy = policy.replace("Policy", "LstmPolicy")
    more: dict[str, Any] = {"ppo": {"n_epochs": 1}, "ppo_lstm": {"n_epochs": 1}}.get(drawn.algo, {})
    if drawn.algo in OFF_POLICY:
        more |= {"train_freq": ROLLOUT_STEPS, "learning_starts": 20, "buffer_size": 60}
    else:
        more["n_steps"] = ROLLOUT_STEPS
    if drawn.algo != "a2c":
        more["batch_size"] = 8
    return algorithm(drawn.algo)(policy, venv, seed=0, device="cpu", policy_kwargs={"net_arch": [4]}, **more)


class Watch(BaseCallback):
    """People who answer now and then, and an eye on what must hold at every step."""

    def __init__(self, drawn: Combination, prefs: PreferenceLearning) -> None:
        super().__init__()
        self.drawn, self.prefs = drawn, prefs
        self.rollouts: list[set[int]] = []

    def _on_rollout_start(self) -> None:
        self.rollouts.append(set())
        if self.drawn.people:
            self.answer()

    def _on_step(self) -> bool:
        arrays, _ = self.prefs.reward_model.state()
        self.rollouts[-1].add(hash(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())))
        return True

    def answer(self) -> None:
        store, random = self.prefs.store, Random()
        for person in ("Ann", "Bob")[: self.drawn.overlap]:
            for claim in store.claim(person, 3):
                said = ask(random, feedback_kind(self.drawn.kind), store.query(claim.query_id))
                answer = NewAnswer(
                    id=f"{person}:{claim.query_id}",
                    query_id=claim.query_id,
                    answer=said,
                    labeler=person,
                    kind=self.drawn.kind,
                )
                store.add_answers([answer])


def check(drawn: Combination, prefs: PreferenceLearning, watch: Watch, n_old: int) -> None:
    """What holds after every call, whatever was put together."""
    store, trainer = prefs.store, prefs.trainer
    own = store.comparison_seqs(run=prefs.run)
    budget = max(prefs.plan_of_labels.n_labels, n_old if drawn.used_before == "continue" else 0)
    assert prefs.labels.n_labels <= budget + (12 if drawn.people else 0)
    assert len(own) >= prefs.labels.n_labels, "what is counted was said in this run"
    old = set(store.comparison_seqs()) - set(own)
    assert set(trainer.seqs.tolist()) <= set(own) | (old if drawn.used_before == "learn" else set())
    assert trainer.n_known == prefs.labels.n_labels + (n_old if drawn.used_before == "learn" else 0)
    assert all(len(rewards) == 1 for rewards in watch.rollouts), "one rollout, one reward"
    _check_split(prefs)
    _check_segments(prefs)


def _check_split(prefs: PreferenceLearning) -> None:
    """No member is trained on one answer to a query and validated on another."""
    draws_of: dict[str, npt.NDArray[np.int64]] = {}
    comparisons = prefs.store.comparisons_at(prefs.trainer.seqs.tolist())
    for comparison, draws in zip(comparisons, prefs.trainer.draws.T, strict=True):
        first = draws_of.setdefault(comparison.query_id, draws)
        np.testing.assert_array_equal(first, draws)


def _check_segments(prefs: PreferenceLearning) -> None:
    """Every segment lies in one episode: its steps are as many as it says, and none follows an end."""
    if prefs.recorder.n_starts(LENGTH) == 0:
        return
    for segment in prefs.recorder.sample(20, length=LENGTH, rng=np.random.default_rng(0)):
        assert segment.n_steps == LENGTH
        assert segment.start + LENGTH <= 7


def run_combination(drawn: Combination) -> None:
    total = sum(drawn.calls) * ROLLOUT_STEPS * drawn.n_envs
    with make_store(drawn) as store:
        n_old = 0
        if drawn.used_before:
            before = make_learning(drawn, store, "refuse", n_labels=4, seed=7)
            make_model(drawn, before).learn(
                4 * ROLLOUT_STEPS * drawn.n_envs, callback=[Watch(drawn, before), before.callback()]
            )
            n_old = len(store.comparison_seqs())
        old_labels = drawn.used_before if drawn.used_before and n_old else "refuse"
        prefs = make_learning(drawn, store, old_labels)
        if drawn.planned:
            prefs.plan(total)
        model, watch = make_model(drawn, prefs), Watch(drawn, prefs)
        for number, n_rollouts in enumerate(drawn.calls, start=1):
            n_steps = n_rollouts * ROLLOUT_STEPS * drawn.n_envs
            model.learn(n_steps, callback=[watch, prefs.callback()])
            check(drawn, prefs, watch, n_old)
            watch = Watch(drawn, prefs)
            if number == drawn.stop_after and number < len(drawn.calls):
                arrays, values = prefs.state()
                arrays, values = {k: v.copy() for k, v in arrays.items()}, json.loads(json.dumps(values))
                prefs = make_learning(drawn, store, "replay", seed=99)
                prefs.restore(arrays, values)
                model, watch = make_model(drawn, prefs), Watch(drawn, prefs)
        assert prefs.num_timesteps == total
        if not drawn.people and (drawn.planned or len(drawn.calls) == 1):
            n_own = len(store.comparison_seqs(run=prefs.run))
            assert n_own == max(drawn.n_labels, n_old if old_labels == "continue" else 0), "the whole budget"


@pytest.fixture(autouse=True, scope="module")
def looks_at_every_rollout() -> Iterator[None]:
    """Off-policy, too: one rollout, one reward."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callback, "LOOK_EVERY", 1)
        yield


EXPECTED_WARNINGS = ("labels have been given", "and not one label", "answers are ties")


@given(combinations)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_put_together_keeps_its_promises(drawn: Combination) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_combination(drawn)
    unexpected = [
        str(w.message) for w in caught if not any(words in str(w.message) for words in EXPECTED_WARNINGS)
    ]
    assert unexpected == []


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(combinations)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
def test_whatever_is_put_together_keeps_its_promises_at_length(drawn: Combination) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_combination(drawn)
