import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.inputs import FeatureInputs
from prefrl.reward.losses import preference_logits
from prefrl.reward.members import BYTES_AT_ONCE
from prefrl.reward.mlp import BatchedMLP
from prefrl.reward.trainer import L2_STEP, RATIO_HIGH, RATIO_LOW
from prefrl.seeding import Streams
from prefrl.segments import Comparison, Segment, Strength
from prefrl.settings import RewardSettings

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
Array = npt.NDArray[np.float64]

STILL = 1e-30
"""A learning rate so small that no weight moves."""


def weights(ensemble: RewardEnsemble) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.numpy().copy() for name, tensor in ensemble.network.state_dict().items()}


def same_weights(a: RewardEnsemble, b: RewardEnsemble, *, member: int | None = None) -> bool:
    which = slice(None) if member is None else member
    first, second = weights(a), weights(b)
    return all(np.array_equal(first[name][which], second[name][which]) for name in first)


def labelled_steps(comparisons: Sequence[Comparison]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    segments = [segment for c in comparisons for segment in c.segments]
    return (
        np.concatenate([s.observations for s in segments]),
        np.concatenate([s.actions for s in segments]),
    )


def losses_by_hand(ensemble: RewardEnsemble, comparisons: Sequence[Comparison]) -> Array:
    """Loss of every comparison by every member with a label error of 0.1, shape [E, n]."""
    returns = ensemble.returns([segment for c in comparisons for segment in c.segments])
    p = 1 / (1 + np.exp(-(returns[:, 0::2] - returns[:, 1::2])))
    answered = np.array([c.preference for c in comparisons])
    losses: Array = -(answered * np.log(0.9 * p + 0.05) + (1 - answered) * np.log(0.9 * (1 - p) + 0.05))
    return losses


# --- what is trained on, what is validated on -------------------------------------------------------------


@pytest.mark.parametrize(("bootstrap", "share", "mean"), [(True, math.exp(-1), 1.0), (False, 0.1, 0.9)])
def test_each_member_leaves_out_its_share(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, bootstrap: bool, share: float, mean: float
) -> None:
    trainer = RewardTrainer(make_ensemble(n_members=3), settings=RewardSettings(bootstrap=bootstrap), seed=0)
    trainer.add(make_comparisons(4000, n_steps=1))
    left_out = (trainer.draws == 0).mean(axis=1)
    # Four standard deviations of a share of 4,000 draws: 4 sqrt(0.368 * 0.632 / 4000) = 0.03.
    np.testing.assert_allclose(left_out, share, atol=0.03)
    np.testing.assert_allclose(trainer.draws.mean(axis=1), mean, atol=0.07)


def test_members_draw_independently(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble(n_members=2), settings=RewardSettings(bootstrap=True), seed=0)
    trainer.add(make_comparisons(2000, n_steps=1))
    both = (trainer.draws == 0).all(axis=0).mean()
    assert both == pytest.approx(math.exp(-2), abs=4 * math.sqrt(0.135 * 0.865 / 2000))


def test_a_draw_is_made_once_for_good(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    comparisons = make_comparisons(60)
    for known in (20, 40, 60):
        before = trainer.draws.copy()
        trainer.add(comparisons[known - 20 : known])
        trainer.fit(2)
        assert trainer.draws.shape == (3, known)
        np.testing.assert_array_equal(trainer.draws[:, : known - 20], before)


def test_what_a_member_is_validated_on_never_touches_its_weights(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons, other = make_comparisons(30, seed=0), make_comparisons(30, seed=1)

    def trained(left_out_of: int | None) -> tuple[RewardEnsemble, RewardTrainer]:
        """Train in three rounds, with other content wherever a member does not train on it."""
        ensemble = make_ensemble()
        ensemble.inputs.update(*labelled_steps(comparisons))
        trainer = RewardTrainer(ensemble, settings=RewardSettings(batch_size=8, l2=0.0, bootstrap=True), seed=5)
        for start in (0, 10, 20):
            draws = reference[:, start : start + 10]
            trainer.add(
                [
                    other[start + i] if left_out_of is not None and draws[left_out_of, i] == 0 else comparison
                    for i, comparison in enumerate(comparisons[start : start + 10])
                ]
            )
            if left_out_of is not None:
                trainer._draws[:, start:] = draws  # that of what is in its place
            trainer.fit(3)
        return ensemble, trainer

    reference = np.zeros((3, 30), dtype=np.int64)
    plain, trainer = trained(None)
    reference = trainer.draws
    for member in range(3):
        changed, its_trainer = trained(member)
        np.testing.assert_array_equal(its_trainer.draws, reference)
        assert same_weights(plain, changed, member=member)
        assert not any(same_weights(plain, changed, member=m) for m in range(3) if m != member)


def test_metrics_are_means_over_each_members_own_split(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    ensemble = make_ensemble(n_members=4)
    trainer = RewardTrainer(ensemble, seed=0)
    comparisons = make_comparisons(50)
    comparisons += [replace(c, preferences=(0.5,)) for c in make_comparisons(20, seed=1)]
    trainer.add(comparisons)
    trainer.fit(30)
    trainer.optimizer.learning_rate = STILL  # so that the weights after are the weights before
    metrics = trainer.fit(1)
    losses, draws = losses_by_hand(ensemble, comparisons), trainer.draws
    returns = ensemble.returns([segment for c in comparisons for segment in c.segments])
    right = (returns[:, 0::2] > returns[:, 1::2]) == [c.preference > 0.5 for c in comparisons]
    out = draws == 0
    decided = out & (np.arange(70) < 50)
    members = range(4)
    expected = {
        "train_loss": np.mean([(losses[m] * draws[m]).sum() / draws[m].sum() for m in members]),
        "validation_loss": np.mean([losses[m, out[m]].mean() for m in members]),
        "accuracy": np.mean([right[m, decided[m]].mean() for m in members]),
        "log_loss": np.mean([losses[m, decided[m]].mean() for m in members]),
    }
    for name, value in expected.items():
        assert getattr(metrics, name) == pytest.approx(value, rel=1e-5), name
    assert metrics.l2 == pytest.approx(float(trainer.l2.mean()))
    assert metrics.n_comparisons == 70


def test_evaluation_in_chunks_sees_every_comparison_left_out(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    ensemble = make_ensemble(n_members=1)
    ensemble.network.bytes_per_step = BYTES_AT_ONCE // 20
    settings = RewardSettings(learning_rate=STILL, bootstrap=True)
    trainer = RewardTrainer(ensemble, settings=settings, seed=0)
    comparisons = make_comparisons(90, n_steps=1)
    trainer.add(comparisons)
    out = trainer.draws[0] == 0
    assert out.sum() % 10, "the last chunk of 10 is smaller"
    metrics = trainer.fit(1)
    expected = losses_by_hand(ensemble, comparisons)[0, out].mean()
    assert metrics.validation_loss == pytest.approx(expected, rel=1e-5)


def noise(make_comparisons: MakeComparisons, n: int) -> list[Comparison]:
    """Queries answered by a coin, each by two people who agree."""
    coins = np.random.default_rng(1).integers(2, size=n)
    once = [replace(c, preferences=(float(coin),)) for c, coin in zip(make_comparisons(n), coins, strict=True)]
    return [*once, *(replace(c, seq=n + c.seq, teacher="another") for c in once)]


def test_nothing_is_learned_of_noise_that_two_people_agree_on(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Had a member one person's answer to train on and the other's to be validated on, it would know that one."""
    trainer = RewardTrainer(make_ensemble(hidden_sizes=(64, 64), learning_rate=5e-3), seed=0)
    trainer.add(noise(make_comparisons, 150))
    metrics = trainer.fit(60)
    assert metrics.train_loss < 0.2, "it has learned its own answers by heart"
    # Three sd of a share of the 112 queries that some member is validated on. A draw per answer gives 0.8.
    assert metrics.accuracy == pytest.approx(0.5, abs=0.14)


@pytest.mark.parametrize("order", ["together", "one_after_the_other", "backwards", "forgotten_and_said_again"])
def test_all_answers_to_a_query_have_one_draw(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, order: str
) -> None:
    first = make_comparisons(40)
    second = [replace(c, seq=100 + c.seq, preferences=(1 - c.preference,)) for c in first]
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(bootstrap=True), seed=0)
    if order == "together":
        trainer.add([*first, *second])
    elif order == "backwards":
        trainer.add([*second[::-1], *first[::-1]])
    else:
        trainer.add(first)
        expected = dict(zip(range(40), trainer.draws.T.tolist(), strict=True))
        trainer.fit(1)
        if order == "forgotten_and_said_again":
            trainer.forget(range(40))
        trainer.add(second)
        for seq, draw in zip(trainer.seqs.tolist(), trainer.draws.T.tolist(), strict=True):
            assert draw == expected[seq % 100]
    by_query: dict[int, list[list[int]]] = {}
    for seq, draw in zip(trainer.seqs.tolist(), trainer.draws.T.tolist(), strict=True):
        by_query.setdefault(seq % 100, []).append(draw)
    assert all(draws == draws[:1] * len(draws) for draws in by_query.values())
    assert len({str(draws[0]) for draws in by_query.values()}) > 10, "draws of different queries differ"


def test_where_every_member_draws_every_comparison_nothing_is_held_out(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(make_comparisons(3))
    trainer._draws = np.ones((3, 3), dtype=np.int64)
    metrics = trainer.fit(2)
    assert np.isnan([metrics.validation_loss, metrics.accuracy, metrics.log_loss]).all()
    assert math.isfinite(metrics.train_loss)
    np.testing.assert_array_equal(trainer.l2.numpy(), np.float32(1e-4))


def test_a_member_with_nothing_held_out_leaves_the_others_theirs(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(learning_rate=STILL), seed=0)
    comparisons = make_comparisons(4)
    trainer.add(comparisons)
    trainer._draws = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]])
    metrics = trainer.fit(1)
    losses = losses_by_hand(trainer.ensemble, comparisons)
    assert metrics.validation_loss == pytest.approx((losses[1, [1, 3]].mean() + losses[2].mean()) / 2, rel=1e-4)
    assert metrics.train_loss == pytest.approx((losses[0].mean() + losses[1, [0, 2]].mean()) / 2, rel=1e-4)
    assert trainer.optimizer.n_steps.tolist() == [1, 1, 0]
    l2 = trainer.l2.numpy()
    assert l2[0] == l2[2] == np.float32(1e-4)


def test_a_member_without_data_in_a_batch_waits(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """What Adam remembers of earlier gradients does not move it, nor does L2."""
    comparisons = make_comparisons(6)
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(batch_size=1, l2=0.1), seed=0)
    trainer.add(comparisons)
    trainer.fit(1)
    trainer._draws = np.array([[1] * 6, [0] * 6, [0, 2, 0, 0, 0, 0]])
    before, moments = weights(trainer.ensemble), trainer.optimizer.state()
    trainer.optimizer.n_steps[:] = 0
    trainer.fit(3)
    after, moments_after = weights(trainer.ensemble), trainer.optimizer.state()
    for name, old in before.items():
        np.testing.assert_array_equal(after[name][1], old[1])
        assert not np.array_equal(after[name][0], old[0])
    for name in ("0.exp_avg", "1.exp_avg_sq"):
        np.testing.assert_array_equal(moments_after[name][1], moments[name][1])
    assert trainer.optimizer.n_steps.tolist() == [18, 0, 3]


# --- the fit itself ---------------------------------------------------------------------------------------


def reference_network(ensemble: RewardEnsemble, member: int) -> nn.Sequential:
    """One member as torch's own layers, with its present weights."""
    arrays = weights(ensemble)
    layers: list[nn.Module] = []
    n_layers = len(ensemble.settings.hidden_sizes) + 1
    for i in range(n_layers):
        weight, bias = arrays[f"weights.{i}"][member], arrays[f"biases.{i}"][member]
        linear = nn.Linear(*weight.shape)
        linear.weight = nn.Parameter(torch.as_tensor(weight.T.copy()))
        linear.bias = nn.Parameter(torch.as_tensor(bias[0].copy()))
        layers += [linear, nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("batch_size", [7, 100])
def test_a_fit_equals_members_trained_alone_one_comparison_at_a_time(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, batch_size: int
) -> None:
    """Torch's own layers, one network after the other, draws repeated literally, lengths unpadded."""
    n_members, n_epochs, l2 = 3, 6, 1e-2
    ensemble = make_ensemble(n_members=n_members)
    comparisons = make_comparisons(20, lengths=(2, 3, 5))
    comparisons[3] = replace(comparisons[3], preferences=(0.5,))
    ensemble.inputs.update(*labelled_steps(comparisons))
    networks = [reference_network(ensemble, member) for member in range(n_members)]
    trainer = RewardTrainer(ensemble, settings=RewardSettings(batch_size=batch_size, l2=l2), seed=2)
    trainer.add(comparisons)
    draws = trainer.draws
    n_batches = math.ceil(max(np.count_nonzero(draw) for draw in draws) / batch_size)
    rng = Streams(2).generator("reward-trainer")
    orders = [[rng.permutation(np.flatnonzero(d)) for d in draws] for _ in range(n_epochs)]
    assert isinstance(ensemble.inputs, FeatureInputs)
    mean, variance = ensemble.inputs.moments.mean, ensemble.inputs.moments.variance

    def log_loss(network: nn.Sequential, comparison: Comparison) -> torch.Tensor:
        returns = []
        for segment in comparison.segments:
            steps = np.concatenate([segment.observations, segment.actions], axis=1)
            scaled = np.clip((steps - mean) / np.sqrt(variance), -10, 10)
            returns.append(network(torch.as_tensor(scaled, dtype=torch.float32)).sum())
        p = torch.sigmoid(returns[0] - returns[1])
        mu = comparison.preference
        return -(mu * (0.9 * p + 0.05).log() + (1 - mu) * (0.9 * (1 - p) + 0.05).log())

    coefficients = []
    for member, network in enumerate(networks):
        optimizer, coefficient = torch.optim.Adam(network.parameters(), lr=1e-3), l2
        left_out = [comparisons[i] for i in np.flatnonzero(draws[member] == 0)]
        for epoch in range(n_epochs):
            order, seen = orders[epoch][member], []
            batches = np.array_split(order, n_batches)
            for batch in batches:
                repeated = np.repeat(batch, draws[member, batch])
                losses = torch.stack([log_loss(network, comparisons[i]) for i in repeated])
                penalty = torch.stack([p.square().sum() for p in network.parameters()]).sum()
                optimizer.zero_grad()
                (losses.mean() + coefficient * penalty).backward()
                optimizer.step()
                seen.extend(losses.tolist())
            held_out = np.mean([log_loss(network, c).item() for c in left_out])
            ratio = held_out / np.mean(seen)
            coefficient *= 1.001 ** (len(batches) * (int(ratio > 1.5) - int(ratio < 1.1)))
        coefficients.append(coefficient)

    trainer.fit(n_epochs)
    np.testing.assert_allclose(trainer.l2.numpy(), coefficients, rtol=1e-5)
    for member, network in enumerate(networks):
        fitted = reference_network(ensemble, member)
        for expected, actual in zip(network.parameters(), fitted.parameters(), strict=True):
            # float32 sums in another order, through a few dozen Adam steps of 1e-3.
            np.testing.assert_allclose(actual.detach().numpy(), expected.detach().numpy(), atol=2e-5)


def test_a_member_trains_as_it_would_alone(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """Member 0 of three equals member 0 of two, given the same draws; one batch, so order does not matter."""
    comparisons, fitted = make_comparisons(20), []
    for n_members in (3, 2, 1):
        ensemble = make_ensemble(n_members=n_members)
        trainer = RewardTrainer(ensemble, seed=0)
        trainer.add(comparisons)
        trainer._draws = np.arange(20)[None].repeat(n_members, axis=0) % 3
        trainer.fit(10)
        fitted.append(reference_network(ensemble, 0))
    for other in fitted[1:]:
        for expected, actual in zip(fitted[0].parameters(), other.parameters(), strict=True):
            # Batched products of other sizes may add in another order.
            np.testing.assert_allclose(actual.detach().numpy(), expected.detach().numpy(), atol=1e-5)


def test_padding_changes_nothing(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    """Short segments among long ones train as they do among themselves."""
    short, long = make_comparisons(20, lengths=(1, 2, 3)), make_comparisons(1, seed=1, n_steps=40)
    results = []
    for comparisons in (short, [*short, *long]):
        ensemble = make_ensemble()
        ensemble.inputs.update(*labelled_steps(short))
        trainer = RewardTrainer(ensemble, settings=RewardSettings(l2=0.0), seed=0)
        trainer.add(comparisons)
        trainer._draws = (np.arange(len(comparisons))[None] < 20).repeat(3, axis=0).astype(np.int64)
        trainer._rng = np.random.default_rng(0)
        trainer.fit(5)
        results.append(weights(ensemble))
    for name, expected in results[0].items():
        np.testing.assert_allclose(results[1][name], expected, atol=1e-5, err_msg=name)


def test_swapping_every_pair_and_its_answer_gives_the_same_reward(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons = make_comparisons(20)
    swapped = [replace(c, segments=c.segments[::-1], preferences=(1 - c.preference,)) for c in comparisons]
    metrics, fitted = [], []
    for answered in (comparisons, swapped):
        ensemble = make_ensemble()
        trainer = RewardTrainer(ensemble, settings=RewardSettings(batch_size=8), seed=0)
        trainer.add(answered)
        metrics.append(trainer.fit(5))
        fitted.append(weights(ensemble))
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-5)
    for name, expected in fitted[0].items():
        np.testing.assert_allclose(fitted[1][name], expected, atol=1e-5, err_msg=name)


def test_identical_segments_are_predicted_even(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    comparisons = make_comparisons(20)
    trainer.add(comparisons)
    trainer.fit(10)
    index = torch.arange(20).expand(3, -1)
    assert preference_logits(trainer._returns(index)).abs().min() > 1e-4
    same = [replace(c, segments=(c.first, c.first)) for c in comparisons]
    trainer.add(same)
    # float32, and kernels that may compute rows at the edge of a block in another way.
    np.testing.assert_allclose(preference_logits(trainer._returns(index + 20)).detach(), 0.0, atol=1e-5)
    returns = trainer.ensemble.returns([segment for c in same for segment in c.segments])
    assert returns.any()
    np.testing.assert_allclose(returns[:, 0::2], returns[:, 1::2], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trainer.evaluate(same).disagreement, 0.0, atol=1e-5)


def test_identical_segments_teach_nothing(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    ensemble = make_ensemble()
    before = weights(ensemble)
    same = [replace(c, segments=(c.first, c.first)) for c in make_comparisons(10)]
    trainer = RewardTrainer(ensemble, settings=RewardSettings(l2=0.0), seed=0)
    trainer.add(same)
    metrics = trainer.fit(3)
    assert metrics.train_loss == pytest.approx(math.log(2))
    for name, expected in before.items():
        # Both sides give the same numbers with opposite signs; what is left is rounding, which Adam scales up
        # to its learning rate.
        np.testing.assert_allclose(ensemble.network.state_dict()[name], expected, atol=0.01, err_msg=name)


def test_it_learns_the_reward_that_answered(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    ensemble = make_ensemble(hidden_sizes=(64, 64))
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(make_comparisons(300))
    fresh = make_comparisons(200, seed=99)
    before = trainer.evaluate(fresh).right
    metrics = trainer.fit(60)
    after, log_loss, _ = trainer.evaluate(fresh)
    assert np.mean(before) < 0.8
    assert np.mean(after) > 0.9
    assert metrics.accuracy > 0.85
    assert np.mean(log_loss) < 0.35
    steps = labelled_steps(fresh)
    true_rewards = np.concatenate([s.env_rewards for c in fresh for s in c.segments])
    assert np.corrcoef(ensemble.predict(*steps), true_rewards)[0, 1] > 0.9


def test_the_log_loss_is_of_which_is_better_alone(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """So that it compares with that of fresh comparisons, and of runs that ask for pairs."""
    pairs = make_comparisons(80)
    strong = [replace(one, strength=Strength.MUCH) for one in pairs]
    found = []
    for comparisons in (pairs, strong):
        trainer = RewardTrainer(make_ensemble(learning_rate=1e-12), seed=0)
        trainer.add(comparisons)
        found.append(trainer.fit(1))
    assert found[1].log_loss == pytest.approx(found[0].log_loss, rel=1e-5)
    assert found[1].validation_loss > found[0].validation_loss + 0.5, "much more was said"


def test_it_learns_more_from_how_much_better(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """As many answers, twice: the median difference and more is called much."""
    pairs = make_comparisons(60)
    differences = [abs(one.first.env_return - one.second.env_return) for one in pairs]
    strong = [
        replace(one, strength=Strength.MUCH if difference > np.median(differences) else Strength.SLIGHT)
        for one, difference in zip(pairs, differences, strict=True)
    ]
    fresh = make_comparisons(400, seed=99)
    steps = labelled_steps(fresh)
    true_rewards = np.concatenate([s.env_rewards for c in fresh for s in c.segments])
    found = {}
    for name, comparisons in (("pairs", pairs), ("strength", strong)):
        learned = []
        for seed in range(5):
            ensemble = make_ensemble(hidden_sizes=(64, 64), seed=seed)
            trainer = RewardTrainer(ensemble, seed=seed)
            trainer.add(comparisons)
            trainer.fit(60)
            learned.append(np.corrcoef(ensemble.predict(*steps), true_rewards)[0, 1])
        found[name] = np.mean(learned)
    assert 1 - found["strength"] < 0.75 * (1 - found["pairs"]), found


# --- inputs -----------------------------------------------------------------------------------------------


def test_inputs_that_nobody_normalised_are_normalised_by_the_comparisons(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """As in a fit of stored labels, with no agent about; padding does not count."""
    comparisons = make_comparisons(30, lengths=(1, 4, 9))
    offline, online = make_ensemble(), make_ensemble()
    online.inputs.update(*labelled_steps(comparisons))
    offline.network.bytes_per_step = BYTES_AT_ONCE // 100
    results = []
    for ensemble in (offline, online):
        trainer = RewardTrainer(ensemble, seed=0)
        trainer.add(comparisons)
        trainer.fit(3)
        results.append(ensemble.state()[0])
    assert results[0]["input_count"] == sum(s.n_steps for c in comparisons for s in c.segments)
    for name, array in results[0].items():
        np.testing.assert_allclose(array, results[1][name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_normaliser_learns_from_nothing_else(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Neither from what is evaluated or predicted, nor from further fits: one rollout sees one reward."""
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=0)
    comparisons, other = make_comparisons(20), make_comparisons(20, seed=1)
    ensemble.inputs.update(*labelled_steps(comparisons))
    before = ensemble.inputs.state_arrays()
    trainer.add([*comparisons, *other])
    trainer.fit(2)
    trainer.evaluate(other)
    steps = labelled_steps(other)
    ensemble.predict(*steps)
    ensemble.predict_members(*steps)
    ensemble.predict_segment(other[0].first)
    ensemble.returns([other[0].first])
    after = ensemble.inputs.state_arrays()
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array, err_msg=name)


class NoDoubles(TorchFunctionMode):
    """A device without float64, as Apple's are."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            assert result.dtype != torch.float64, func
        return result


def test_no_float64_reaches_the_device(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble(batch_size=4), seed=0)
    with NoDoubles():
        trainer.add(make_comparisons(20, lengths=(1, 3)))
        trainer.fit(2)
        trainer.ensemble.returns([make_comparisons(1)[0].first])
        trainer.ensemble.predict(*labelled_steps(make_comparisons(2)))
        arrays, values = trainer.state()
        trainer.ensemble.restore(*trainer.ensemble.state())
        trainer.restore(arrays, values)


# --- adaptive L2 ------------------------------------------------------------------------------------------


def test_l2_follows_the_ratio_of_each_member_as_often_as_it_stepped(make_ensemble: MakeEnsemble) -> None:
    trainer = RewardTrainer(make_ensemble(n_members=8), settings=RewardSettings(l2=1e-4))
    ratios = torch.tensor([1.0, 1.0, RATIO_LOW + 1e-3, 1.3, RATIO_HIGH - 1e-3, 1.6, 1.6, float("nan")])
    trainer._adapt_l2(torch.full((8,), 0.5), 0.5 * ratios, np.array([1, 7, 5, 5, 5, 3, 0, 5]))
    expected = 1e-4 * 1.001 ** np.array([-1, -7, 0, 0, 0, 3, 0, 0])
    np.testing.assert_allclose(trainer.l2.numpy(), expected, rtol=1e-6)


def test_the_published_band_and_step_of_l2() -> None:
    assert (RATIO_LOW, RATIO_HIGH, L2_STEP) == (1.1, 1.5, 1.001)


def test_l2_moves_once_per_gradient_step_of_a_fit(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Answers that contradict each other between the two sets: every ratio is far above the band."""
    trainer = RewardTrainer(
        make_ensemble(hidden_sizes=(64,)), settings=RewardSettings(batch_size=5, l2=1e-6), seed=0
    )
    comparisons = make_comparisons(40)
    trainer.add([replace(c, preferences=(1 - c.preference,)) if i % 2 else c for i, c in enumerate(comparisons)])
    trainer._draws = (np.arange(40)[None] % 2 == 0).repeat(3, axis=0).astype(np.int64)
    trainer.fit(50)  # until the ratio is far above the band
    before = trainer.l2.clone()
    trainer.fit(2)  # 20 comparisons in batches of 5: 4 steps in each epoch
    np.testing.assert_allclose((trainer.l2 / before).numpy(), 1.001**8, rtol=1e-6)


def test_l2_pulls_weights_towards_zero(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    norms = []
    for l2 in (0.0, 0.1):
        ensemble = make_ensemble()
        trainer = RewardTrainer(ensemble, settings=RewardSettings(l2=l2), seed=0)
        trainer.add(make_comparisons(20))
        trainer.fit(100)
        norms.append(ensemble.network.squared_norms())
    assert (norms[1] < 0.7 * norms[0]).all()


# --- normalisation of outputs -----------------------------------------------------------------------------


@pytest.mark.parametrize("reward_sd", [1.0, 0.05])
def test_every_member_has_mean_0_and_the_set_spread_over_the_labelled_steps(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, reward_sd: float
) -> None:
    ensemble = make_ensemble(reward_sd=reward_sd)
    trainer = RewardTrainer(ensemble, seed=0)
    comparisons = make_comparisons(40, lengths=(1, 4, 9))  # padding must not count as steps
    trainer.add(comparisons)
    trainer.fit(10)
    members = ensemble.predict_members(*labelled_steps(comparisons)).astype(np.float64)
    np.testing.assert_allclose(members.mean(axis=1), 0.0, atol=1e-5 * reward_sd)
    np.testing.assert_allclose(members.std(axis=1), reward_sd, rtol=1e-4)


def test_a_members_own_scale_and_offset_do_not_reach_the_reward(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    comparisons = make_comparisons(30)
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(comparisons)
    trainer.fit(20)
    trainer.optimizer.learning_rate = STILL
    trainer.fit(1)
    steps = labelled_steps(comparisons)
    before, raw_before = ensemble.predict(*steps), ensemble.returns([comparisons[0].first])
    last = len(ensemble.settings.hidden_sizes)
    assert isinstance(ensemble.network, BatchedMLP)
    with torch.no_grad():
        ensemble.network.biases[last][0] += 3.0
        ensemble.network.weights[last][1] *= 5.0
        ensemble.network.biases[last][1] *= 5.0
    trainer.fit(1)
    raw = ensemble.returns([comparisons[0].first])
    np.testing.assert_allclose(raw[0], raw_before[0] + 3.0 * 5, rtol=1e-4)  # 5 steps
    np.testing.assert_allclose(raw[1], raw_before[1] * 5.0, rtol=1e-4)
    # float32 of raw outputs that are a few times as large.
    np.testing.assert_allclose(ensemble.predict(*steps), before, atol=2e-5)


# --- evaluation on fresh comparisons ----------------------------------------------------------------------


def test_evaluation_by_hand(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=0)
    trainer.add(make_comparisons(30))
    trainer.fit(10)
    fresh = make_comparisons(40, seed=7)
    ties = [replace(c, preferences=(0.5,)) for c in make_comparisons(5, seed=8)]
    returns = ensemble.returns([segment for c in fresh for segment in c.segments])
    right, nats = [], []
    for i, comparison in enumerate(fresh):
        members = [0.9 / (1 + math.exp(r[2 * i + 1] - r[2 * i])) + 0.05 for r in returns]
        p_first = sum(members) / 3
        p = p_first if comparison.preference == 1 else 1 - p_first
        right.append(p > 0.5)
        nats.append(-math.log(p))
    spread = [statistics.pstdev(1 / (1 + math.exp(r[2 * i + 1] - r[2 * i])) for r in returns) for i in range(40)]
    ranked, log_loss, disagreement = trainer.evaluate([*ties, *fresh])
    assert np.isnan(ranked[:5]).all()
    assert np.isnan(log_loss[:5]).all()
    assert ranked[5:].tolist() == right
    np.testing.assert_allclose(log_loss[5:], nats, rtol=1e-4)
    np.testing.assert_allclose(disagreement[5:], spread, rtol=1e-3, atol=1e-6)
    assert disagreement[:5].all()


def test_evaluation_of_nothing_is_empty(make_ensemble: MakeEnsemble) -> None:
    assert [len(values) for values in RewardTrainer(make_ensemble()).evaluate([])] == [0, 0, 0]


# --- same and other seeds, going on -----------------------------------------------------------------------


def test_same_seed_same_weights_other_seed_other_weights(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    fitted, draws = [], []
    for seed in (3, 3, 4):
        ensemble = make_ensemble(seed=0)
        trainer = RewardTrainer(ensemble, settings=RewardSettings(batch_size=8), seed=seed)
        trainer.add(make_comparisons(30))
        trainer.fit(3)
        fitted.append(ensemble)
        draws.append(trainer.draws)
    assert same_weights(fitted[0], fitted[1])
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not same_weights(fitted[0], fitted[2])
    assert not np.array_equal(draws[0], draws[2])


def test_going_on_from_a_saved_state_equals_never_stopping(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, tmp_path: Path
) -> None:
    comparisons, later = make_comparisons(30), make_comparisons(10, seed=1, n_steps=8)
    straight = RewardTrainer(make_ensemble(), settings=RewardSettings(batch_size=8), seed=0)
    straight.add(comparisons)
    straight.fit(3)
    straight.ensemble.save(tmp_path / "model")
    arrays, values = straight.state()
    values = json.loads(json.dumps(values))
    straight.add(later)
    expected = straight.fit(3)

    ensemble = RewardEnsemble.load(tmp_path / "model")
    resumed = RewardTrainer(ensemble, settings=RewardSettings(batch_size=8, l2=0.5), seed=99)
    resumed.restore(arrays, values)
    resumed.refill(comparisons)
    assert resumed.n_comparisons == 30
    resumed.add(later)
    assert resumed.fit(3) == expected
    assert same_weights(resumed.ensemble, straight.ensemble)
    np.testing.assert_array_equal(resumed.draws, straight.draws)
    assert torch.equal(resumed.l2, straight.l2)
    steps = labelled_steps(later)
    np.testing.assert_array_equal(resumed.ensemble.predict(*steps), straight.ensemble.predict(*steps))


def test_a_state_of_an_untrained_trainer_can_be_continued(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    straight, resumed = (RewardTrainer(make_ensemble(), seed=seed) for seed in (0, 1))
    resumed.restore(*straight.state())
    resumed.refill([])
    for trainer in (straight, resumed):
        trainer.add(make_comparisons(10))
        trainer.fit(2)
    assert same_weights(straight.ensemble, resumed.ensemble)


# --- edges ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_one_or_two_comparisons_give_a_finite_reward(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, n: int, seed: int
) -> None:
    """A member may have nothing to train on, or nothing to be validated on."""
    ensemble = make_ensemble()
    trainer = RewardTrainer(ensemble, seed=seed)
    comparisons = make_comparisons(n)
    trainer.add(comparisons)
    metrics = trainer.fit(2)
    assert math.isfinite(metrics.train_loss) == trainer.draws.any()
    assert np.isfinite(ensemble.predict(*labelled_steps(comparisons))).all()
    assert all(np.isfinite(array).all() for array in weights(ensemble).values())
    assert trainer.l2.isfinite().all()


def test_fitting_without_comparisons_is_an_error(make_ensemble: MakeEnsemble) -> None:
    trainer = RewardTrainer(make_ensemble())
    trainer.add([])
    with pytest.raises(NotEnoughExperienceError, match="before there is a comparison"):
        trainer.fit(1)


def test_no_epoch_is_an_error(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> None:
    trainer = RewardTrainer(make_ensemble())
    trainer.add(make_comparisons(1))
    with pytest.raises(SettingError, match=r"`n_epochs` must be at least 1\. Received 0\."):
        trainer.fit(0)


def test_segments_of_one_step_and_of_another_number_type(make_ensemble: MakeEnsemble) -> None:
    def segment(value: float) -> Segment:
        return Segment(
            observations=np.full((1, 3), value), actions=np.zeros((1, 2)), env_rewards=np.zeros(1, np.float32)
        )

    trainer = RewardTrainer(make_ensemble(), seed=0)
    pair = Comparison(segments=(segment(1.0), segment(-1.0)), preferences=(1.0,))
    trainer.add([pair] * 20)
    trainer._draws = np.ones((3, 20), dtype=np.int64)  # or all of it would be in the same members' sets
    trainer.fit(200)
    high, low = trainer.ensemble.predict(np.array([[1.0] * 3, [-1.0] * 3]), np.zeros((2, 2)))
    assert high == pytest.approx(1.0, abs=1e-4)
    assert low == pytest.approx(-1.0, abs=1e-4)


# --- answers that people changed or withdrew --------------------------------------------------------------


def test_what_is_forgotten_is_neither_trained_nor_validated_on(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Forty comparisons of which every second is forgotten train as the other twenty with the same draws do."""
    comparisons = make_comparisons(40)
    trainer = RewardTrainer(make_ensemble(), seed=0)
    trainer.add(comparisons)
    trainer.forget({c.seq for c in comparisons if c.seq % 2 == 1} | {1000})
    assert trainer.n_comparisons == 20
    assert trainer.seqs.tolist() == list(range(0, 40, 2))

    alone = RewardTrainer(make_ensemble(), seed=0)
    alone.restore(*trainer.state())
    alone.refill(comparisons[::2])
    assert trainer.fit(3) == alone.fit(3)
    assert same_weights(trainer.ensemble, alone.ensemble)


def test_all_may_be_forgotten_and_others_learned(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), seed=0)
    comparisons = make_comparisons(20)
    trainer.add(comparisons[:10])
    trainer.forget(range(10))
    assert trainer.n_comparisons == 0
    with pytest.raises(NotEnoughExperienceError, match="before there is a comparison"):
        trainer.fit(1)
    trainer.add(comparisons[10:])
    assert trainer.seqs.tolist() == list(range(10, 20))
    assert trainer.fit(1).n_comparisons == 10


# --- a memory of the latest comparisons -------------------------------------------------------------------


def test_only_the_latest_comparisons_are_trained_on_and_all_are_counted(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    """Thirty comparisons with room for twelve train as the last twelve with the same draws do."""
    comparisons = make_comparisons(30)
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(memory=12), seed=0)
    for start in range(0, 30, 7):
        trainer.add(comparisons[start : start + 7])
        assert trainer.n_comparisons == min(12, start + 7, 30)
    assert trainer.n_known == 30
    assert trainer.seqs.tolist() == list(range(18, 30))

    alone = RewardTrainer(make_ensemble(), seed=0)
    alone.restore(*trainer.state())
    alone.refill(comparisons[18:])
    assert alone.n_known == 30
    assert trainer.fit(3) == alone.fit(3)
    assert same_weights(trainer.ensemble, alone.ensemble)


def test_at_no_time_more_is_kept_than_the_memory_has_room_for(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(memory=12), seed=0)
    kept: list[int] = []
    append = trainer._data.append

    def counted(*comparison: Any) -> None:
        append(*comparison)
        kept.append(len(trainer._data))

    monkeypatch.setattr(trainer._data, "append", counted)
    comparisons = make_comparisons(60)
    trainer.add(comparisons[:5])
    trainer.add(comparisons[5:40])
    trainer.add(comparisons[40:])
    assert max(kept) == 12
    assert len(kept) == 5 + 12 + 12
    assert trainer.seqs.tolist() == list(range(48, 60))
    assert trainer.n_known == 60
    assert trainer.draws.shape == (3, 12)


def test_what_is_withdrawn_after_it_left_the_memory_is_not_counted(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons
) -> None:
    trainer = RewardTrainer(make_ensemble(), settings=RewardSettings(memory=5), seed=0)
    trainer.add(make_comparisons(10))
    trainer.forget([1, 7])
    assert trainer.n_known == 8
    assert trainer.seqs.tolist() == [5, 6, 8, 9]


def test_a_reward_that_was_loaded_is_trained_with_the_draws_it_had(
    make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons, tmp_path: Path
) -> None:
    """Or comparisons that it was trained on would be held out."""
    first = RewardTrainer(make_ensemble(seed=5))
    first.add(make_comparisons(30))
    first.fit(1)
    first.ensemble.save(tmp_path)
    again = RewardTrainer(RewardEnsemble.load(tmp_path))
    again.add(make_comparisons(30))
    np.testing.assert_array_equal(again.draws, first.draws)
    other = RewardTrainer(make_ensemble(seed=6))
    other.add(make_comparisons(30))
    assert not np.array_equal(other.draws, first.draws)
