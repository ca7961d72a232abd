"""A run's store with all that labels can be: changed, taken back, asked again, set aside, settled, still open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.segments import Answer, Judgement, Query, Ranking, Rating, Segment, as_array
from prefrl.settings import RewardSettings
from prefrl.store import NewAnswer, RunAbout, RunRecord, Store

Weights: TypeAlias = dict[str, npt.NDArray[Any]]

VECTORS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
IMAGES = spaces.Box(0, 255, (48, 48, 2), np.uint8)
DICTS = spaces.Dict({"arm": VECTORS, "door": spaces.Discrete(2)})
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)
N_SEGMENTS = {"pair": 2, "strength": 2, "ranking": 4, "rating": 1}
SPACES: dict[str, tuple[spaces.Space[Any], int]] = {
    "vectors": (VECTORS, 1),
    "dicts": (DICTS, 1),
    "images": (IMAGES, 2),
}


def segment(space: spaces.Space[Any], frame_stack: int, rng: np.random.Generator) -> Segment:
    n_steps = int(rng.integers(3, 6))
    if frame_stack > 1:
        frames = rng.integers(256, size=(n_steps + frame_stack, 48, 48, 1), dtype=np.uint8)
        observations, lead_in = frames[frame_stack - 1 : -1], frames[: frame_stack - 1]
        following = frames[-1]
    else:
        space.seed(int(rng.integers(2**31)))
        seen = [space.sample() for _ in range(n_steps + 1)]
        batch = (
            {key: np.array([one[key] for one in seen]) for key in seen[0]}
            if isinstance(space, spaces.Dict)
            else seen
        )
        kept = as_array(space, batch)
        observations, lead_in, following = kept[:-1], None, kept[-1]
    return Segment(
        observations=observations,
        actions=rng.uniform(-1, 1, size=(n_steps, 2)).astype(np.float32),
        drawn_actions=rng.normal(size=(n_steps, 2)).astype(np.float32),
        env_rewards=rng.normal(size=n_steps).astype(np.float32),
        render_states=rng.normal(size=(n_steps, 4)),
        lead_in=lead_in,
        next_observation=following,
        start=int(rng.integers(10**6)),
    )


def said(kind: str, query: Query) -> Judgement:
    returns = [one.env_return for one in query.segments]
    if kind == "ranking":
        return Ranking.by([round(value) for value in returns])
    if kind == "rating":
        return Rating(int(np.clip(round(returns[0]) + 3, 1, 5)))
    if kind == "strength" and abs(returns[0] - returns[1]) > 1:
        return Answer.MUCH_FIRST if returns[0] > returns[1] else Answer.MUCH_SECOND
    return Answer.FIRST if returns[0] > returns[1] else Answer.SECOND


def fill(folder: Path, *, kind: str = "pair", space: str = "vectors", n: int = 10) -> Path:
    rng = np.random.default_rng(0)
    observed, frame_stack = SPACES[space]
    about = RunAbout.of(observed, ACTIONS, segment_length=5, task="a task", frame_stack=frame_stack, seed=1)
    with Store(folder) as store:
        run = store.begin_run(about)
        record = {"task": "a task", "env_id": "e", "question": "Which?", "n_labels": 20, "segment_length": 5}
        store.publish(RunRecord(feedback=kind, **record))  # type: ignore[arg-type]
        queries = [
            Query(
                segments=tuple(segment(observed, frame_stack, rng) for _ in range(N_SEGMENTS[kind])),
                ordinal=ordinal,
                num_timesteps=10 * ordinal,
            )
            for ordinal in range(n)
        ]
        queries = store.add_queries(queries, run=run, overlap=2)
        store.add_labeler("Ann Smith", role="owner", token_hash="a secret", quota=None)
        store.add_labeler("Carl", token_hash="another secret")  # was invited, and has said nothing
        answers = [
            NewAnswer(
                query_id=query.id, answer=said(kind, query), labeler=name, id=f"{name}-{query.ordinal}", kind=kind
            )
            for query in queries[:-2]  # the last two are open
            for name in ("Ann Smith", "Bob", "oracle")[query.ordinal % 2 : query.ordinal % 2 + 2]
        ]
        store.add_answers(answers)
        others: dict[str, Judgement] = {"ranking": Ranking((1, 0, 2, 3)), "rating": Rating(5)}
        other = others.get(kind, Answer.EQUAL)
        again = store.add_repeat(queries[0].id, "Ann Smith")
        more = {"labeler": "Ann Smith", "kind": kind, "gui_version": "1", "reaction_ms": 900}
        store.add_answers(
            [
                NewAnswer(id="changed", query_id=queries[2].id, answer=other, supersedes="Ann Smith-2", **more),  # type: ignore[arg-type]
                NewAnswer(id="withdrawn", query_id=queries[4].id, answer=None, supersedes="Ann Smith-4", **more),  # type: ignore[arg-type]
                NewAnswer(id="again", query_id=again, answer=other, **more),  # type: ignore[arg-type]
                NewAnswer(
                    id="unclear",
                    query_id=queries[6].id,
                    answer=Answer.CANNOT_TELL,
                    supersedes="Ann Smith-6",
                    comment="As my dog Rex does it",
                    **more,  # type: ignore[arg-type]
                ),
            ]
        )
        store.set_aside("Bob")
        store.mark_gold(queries[0].id, "Ann Smith")
        store.settle(queries[1].id, "oracle", by="Ann Smith")
    return folder


def trained_on(folder: Path, space: str = "vectors") -> Weights:
    """All weights and statistics of a reward that was fitted to the labels of a store."""
    observed, frame_stack = SPACES[space]
    settings = RewardSettings(hidden_sizes=(8,), n_members=2, batch_size=4)
    ensemble = RewardEnsemble(observed, ACTIONS, settings=settings, frame_stack=frame_stack, seed=5)
    trainer = RewardTrainer(ensemble)
    with Store(folder) as store:
        trainer.add(store.comparisons())
    trainer.fit(2)
    return ensemble.state()[0] | {f"trainer.{name}": array for name, array in trainer.state()[0].items()}


@pytest.fixture(scope="session")
def make_labels() -> Callable[..., Path]:
    """`make_labels(folder, kind="pair", space="vectors", n=10)`: a store with labels of three who answered."""
    return fill


@pytest.fixture(scope="session")
def fitted() -> Callable[..., Weights]:
    """`fitted(folder, space)`: what a small reward learns from the labels of a store, weights by name."""
    return trained_on
