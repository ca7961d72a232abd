"""Pairs that nobody was asked about: who labels them, what is learned of them, and that none is kept."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces

from prefrl.errors import SettingError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.crops import Crops
from prefrl.reward.mlp import BatchedMLP
from prefrl.reward.pseudo_labels import Pair, PseudoLabels
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
STILL = 1e-30
ON = RewardSettings(pseudo_weight=1.0, pseudo_threshold=0.7, pseudo_ratio=3, batch_size=8)


def pairs_of(comparisons: list[Comparison]) -> list[Pair]:
    return [(comparison.first, comparison.second) for comparison in comparisons]


@pytest.fixture
def fitted(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> RewardEnsemble:
    """Members that are sure of much and seldom agree: first weights, of which the last ones are larger."""
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, settings=RewardSettings(learning_rate=STILL), seed=0)
    trainer.add(make_comparisons(20))
    trainer.fit(1)
    assert isinstance(ensemble.network, BatchedMLP)
    with torch.no_grad():
        ensemble.network.weights[-1].mul_(20)
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    return ensemble


class FirstHalf(Crops):
    """Cuts everything to its first half."""

    def weights(self, mask: torch.Tensor) -> torch.Tensor:
        weights = mask * 2
        weights[..., mask.shape[-1] // 2 :] = 0
        return weights


def make_labels(
    ensemble: RewardEnsemble, pairs: list[Pair], settings: RewardSettings, *, seed: int = 5, halves: bool = False
) -> PseudoLabels:
    crops = (FirstHalf if halves else Crops)(1.0, np.random.default_rng(0))
    return PseudoLabels(ensemble, pairs, settings=settings, crops=crops, rng=np.random.default_rng(seed))


def returns_by_hand(ensemble: RewardEnsemble, segments: list[Segment], n_steps: int) -> npt.NDArray[np.float64]:
    """Raw returns of the first steps of segments, shape [E, n]."""
    rewards = [ensemble.predict_members(s.observations, s.actions) for s in segments]
    return np.stack([own[:, :n_steps].sum(axis=1) for own in rewards], axis=1)


@pytest.mark.parametrize("halves", [False, True])
def test_each_member_labels_whole_segments_and_learns_of_their_crops(
    fitted: RewardEnsemble, make_comparisons: MakeComparisons, halves: bool
) -> None:
    pairs = pairs_of(make_comparisons(40, seed=3, n_steps=6))
    labels = make_labels(fitted, pairs, ON, halves=halves)
    losses = labels.loss(7)
    index = np.random.default_rng(5).integers(40, size=(3, 21))
    firsts, seconds = ([pair[k] for pair in pairs] for k in (0, 1))
    whole = returns_by_hand(fitted, firsts, 6) - returns_by_hand(fitted, seconds, 6)
    part = whole
    if halves:
        part = 2 * (returns_by_hand(fitted, firsts, 3) - returns_by_hand(fitted, seconds, 3))
    expected, n_sure = np.zeros(3), np.zeros(3)
    for member in range(3):
        for which in index[member]:
            logit = whole[member, which]
            if 1 / (1 + np.exp(-abs(logit))) >= 0.7:
                n_sure[member] += 1
                expected[member] += np.log1p(np.exp(-np.sign(logit) * part[member, which])) / 21
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-3)
    assert labels.n_used == pytest.approx(n_sure.mean())
    assert 0 < n_sure.min() <= n_sure.max() < 21
    signs = np.sign(whole[:, np.abs(whole).min(axis=0) > 1])
    assert (signs != signs[:1]).any(), "members are sure of opposites, or whose labels they are would not show"


def test_the_order_of_a_pair_does_not_matter(fitted: RewardEnsemble, make_comparisons: MakeComparisons) -> None:
    pairs = pairs_of(make_comparisons(30, seed=3))
    there, back = (make_labels(fitted, some, ON).loss(8) for some in (pairs, [(b, a) for a, b in pairs]))
    torch.testing.assert_close(there, back)


def test_a_label_has_no_gradient_of_its_own(fitted: RewardEnsemble, make_comparisons: MakeComparisons) -> None:
    """The gradient pulls at what is learned of a label, not at what it was given by: (p - y) x d logit."""
    pairs = pairs_of(make_comparisons(30, seed=3, n_steps=6))
    labels = make_labels(fitted, pairs, ON, halves=True)
    fitted.network.zero_grad()
    labels.loss(8).sum().backward()
    index = torch.as_tensor(np.random.default_rng(5).integers(30, size=(3, 24)))
    read, mask = labels._data.gather(index)
    rewards = fitted.raw(read.flatten(1, 2)).view(mask.shape)
    whole = (rewards.sum(-1)[..., 0] - rewards.sum(-1)[..., 1]).detach()
    halves = 2 * (rewards[..., :3].sum(-1)[..., 0] - rewards[..., :3].sum(-1)[..., 1])
    sure = (torch.sigmoid(whole.abs()) >= 0.7).float()
    slope = (torch.sigmoid(halves.detach()) - (whole > 0).float()) * sure / 24
    parameters = list(fitted.network.parameters())
    for own, parameter in zip(torch.autograd.grad((slope * halves).sum(), parameters), parameters, strict=True):
        torch.testing.assert_close(parameter.grad, own, rtol=1e-3, atol=1e-6)


# --- in a training ----------------------------------------------------------------------------------------


def fit(
    trainer: RewardTrainer, comparisons: list[Comparison], pairs: list[Pair], n_epochs: int = 2
) -> dict[str, npt.NDArray[Any]]:
    trainer.add(comparisons)
    trainer.fit(n_epochs, unlabelled=pairs)
    return trainer.ensemble.state()[0]


def test_where_nothing_is_sure_it_is_as_without(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons, pairs = make_comparisons(30), pairs_of(make_comparisons(20, seed=3))
    states = []
    for threshold, unlabelled in ((0.5 + 1e-6, pairs), (1 - 1e-7, pairs), (1 - 1e-7, [])):
        settings = RewardSettings(pseudo_weight=1.0, pseudo_threshold=threshold, batch_size=8)
        trainer = RewardTrainer(make_ensemble(), settings=settings, seed=0)
        states.append(fit(trainer, comparisons, unlabelled))
        assert (trainer.n_pseudo_labels > 10) == (threshold < 0.6)
        assert np.isnan(trainer.n_pseudo_labels) == (not unlabelled)
    for name, array in states[2].items():
        np.testing.assert_array_equal(states[1][name], array, err_msg=name)
    assert not np.array_equal(states[0]["weights.0"], states[2]["weights.0"])


def test_the_weight_scales_what_is_learned(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient of a step is that of the labels and so many times that of the pseudo-labels."""
    comparisons, pairs = make_comparisons(8), pairs_of(make_comparisons(20, seed=3))
    gradients = []
    for weight in (0.0, 1.0, 2.5):
        settings = RewardSettings(pseudo_weight=weight, pseudo_threshold=0.51, l2=0.0, learning_rate=STILL)
        trainer = RewardTrainer(make_ensemble(), settings=settings, seed=0)
        trainer.add(comparisons)
        trainer.fit(1, unlabelled=pairs if weight else ())
        gradients.append([p.grad.clone() for p in trainer.ensemble.network.parameters() if p.grad is not None])
    for none, once, more in zip(*gradients, strict=True):
        torch.testing.assert_close(more - none, 2.5 * (once - none), rtol=1e-3, atol=1e-5)
        assert not torch.equal(once, none)


def test_they_are_of_one_fit_and_no_comparisons(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons, pairs = make_comparisons(30), pairs_of(make_comparisons(20, seed=3))
    settings = RewardSettings(pseudo_weight=1.0, pseudo_threshold=0.51, learning_rate=STILL)
    trainer = RewardTrainer(make_ensemble(), settings=settings, seed=0)
    trainer.add(comparisons)
    without = trainer.fit(1)
    draws, size = trainer.draws.copy(), len(trainer._data)
    rng = trainer._rng.bit_generator.state
    metrics = trainer.fit(1, unlabelled=pairs)
    assert metrics._replace(train_loss=0, l2=0) == without._replace(train_loss=0, l2=0), (
        "held out are labels alone"
    )
    assert metrics.train_loss == pytest.approx(without.train_loss), "so is what they are compared with"
    np.testing.assert_array_equal(trainer.draws, draws)
    assert (trainer.n_comparisons, trainer.n_known, len(trainer._data)) == (30, 30, size)
    assert trainer._pseudo_labels is None
    assert trainer.n_pseudo_labels > 0
    other = RewardTrainer(make_ensemble(), settings=settings, seed=0)
    other._rng.bit_generator.state = rng
    other.add(comparisons)
    other.fit(1)
    assert other._rng.bit_generator.state == trainer._rng.bit_generator.state, "batches are drawn as without"


def test_without_a_weight_they_are_refused(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(make_comparisons(5))
    with pytest.raises(SettingError, match=r"^3 unlabelled pairs are given and `pseudo_weight` is 0"):
        trainer.fit(1, unlabelled=pairs_of(make_comparisons(3)))
    assert np.isfinite(trainer.fit(1).train_loss)


@pytest.mark.parametrize("kind", ["pair", "ranking", "rating"])
def test_whatever_was_asked_it_goes_on_as_if_it_had_not_stopped(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, kind: str
) -> None:
    """With crops, pairs whose segments differ in length, and other pairs in each fit."""
    comparisons = [of_kind(kind, comparison) for comparison in make_comparisons(30, n_steps=8)]
    some, others = (pairs_of(make_comparisons(12, seed=seed, lengths=(3, 8))) for seed in (4, 5))
    settings = RewardSettings(pseudo_weight=1.0, pseudo_threshold=0.55, crop_least=0.5, batch_size=8)
    straight = RewardTrainer(make_ensemble(), settings=settings, seed=0)
    fit(straight, comparisons, some)
    (arrays, values), kept = straight.state(), straight.ensemble.state()
    assert not any("pseudo" in name for name in arrays)
    values = json.loads(json.dumps(values))
    expected = straight.fit(2, unlabelled=others)
    assert straight.n_pseudo_labels > 0
    resumed = RewardTrainer(make_ensemble(), settings=settings, seed=9)
    resumed.ensemble.restore(*kept)
    resumed.restore(arrays, values)
    resumed.refill(comparisons)
    assert resumed.fit(2, unlabelled=others) == expected
    for name, array in straight.ensemble.state()[0].items():
        np.testing.assert_array_equal(resumed.ensemble.state()[0][name], array, err_msg=name)


def of_kind(kind: str, comparison: Comparison) -> Comparison:
    segments = comparison.segments
    if kind == "ranking":
        return Comparison(
            segments=(*segments, segments[0]), preferences=(1.0, 0.5, 0.0), query_id="r", seq=comparison.seq
        )
    if kind == "rating":
        rating = 4 if comparison.preference else 2
        return Comparison(segments=segments[:1], preferences=(), rating=rating, query_id="r", seq=comparison.seq)
    return comparison


def test_of_images_batch_norm_remembers_the_labelled_alone() -> None:
    space, actions = spaces.Box(0, 255, (43, 43, 1), np.uint8), spaces.Discrete(2)

    def segment(brightness: int, seed: int) -> Segment:
        rng = np.random.default_rng(seed)
        return Segment(
            observations=rng.integers(brightness, brightness + 50, size=(3, 43, 43, 1), dtype=np.uint8),
            actions=np.zeros(3, np.int64),
            env_rewards=np.zeros(3, np.float32),
        )

    comparisons = [
        Comparison(segments=(segment(9, i), segment(90, 9 + i)), preferences=(1.0,), seq=i, query_id=str(i))
        for i in range(5)
    ]
    pairs = [(segment(200, 50 + i), segment(150, 70 + i)) for i in range(4)]
    states = []
    for unlabelled in ([], pairs):
        settings = RewardSettings(n_members=2, dropout=0.5, pseudo_weight=1.0, pseudo_threshold=0.5 + 1e-9)
        trainer = RewardTrainer(RewardEnsemble(space, actions, settings=settings), seed=0)
        trainer.optimizer.learning_rate = STILL
        states.append(fit(trainer, comparisons, unlabelled, n_epochs=1))
    assert trainer.n_pseudo_labels > 0
    for name in states[0]:
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=0, atol=1e-25, err_msg=name)
