"""Fitting the ensemble to comparisons.

Christiano et al. 2017, sections 2.2.3 and A.1, with the step of the adaptive L2 from Ibarz et al. 2018, A.3. All
members train in one fused computation over [E, batch, K, T] steps; there is no Python loop over comparisons,
members or steps.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prefrl.errors import NotEnoughExperienceError, RewardModelError, SettingError
from prefrl.parts import Arrays, Json, State, under
from prefrl.reward.adam import MemberAdam
from prefrl.reward.calibration import Calibration
from prefrl.reward.comparisons import make_data
from prefrl.reward.crops import Crops
from prefrl.reward.cutpoints import Cutpoints, rating_loss
from prefrl.reward.draws import IntArray, crossed_draws, epoch_batches, member_draws, padded, query_key
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.evaluation import Evaluation, answered_probabilities, evaluate, predict, rated_pairs
from prefrl.reward.label_filter import Heard, heard, trust_bound
from prefrl.reward.losses import (
    comparison_loss,
    masked_mean,
    preference_logits,
    preference_loss,
    segment_returns,
)
from prefrl.reward.pseudo_labels import Pair, PseudoLabels
from prefrl.reward.reliability import reliabilities
from prefrl.reward.wrong_answers import answered
from prefrl.seeding import Streams
from prefrl.segments import Comparison
from prefrl.segments.answers import LEVELS
from prefrl.settings import RewardSettings

FloatArray = npt.NDArray[np.float64]

# Validation loss over training loss is held between these (Christiano et al. 2017, A.1), by this factor per
# gradient step (Ibarz et al. 2018, A.3).
RATIO_LOW, RATIO_HIGH, L2_STEP = 1.1, 1.5, 1.001


class RewardMetrics(NamedTuple):
    """What a fit gives back; losses in nats per comparison, means over members."""

    train_loss: float
    """Mean loss of the last epoch on each member's own draw, without L2; NaN if no member drew any."""
    validation_loss: float
    """Mean loss on the comparisons outside each member's draw; NaN if there is none."""
    accuracy: float
    """Share of the pairs of segments outside the draw, without ties, that the member ranks as answered."""
    log_loss: float
    """Mean -log P' of the same as answered."""
    l2: float
    """Mean L2 coefficient after the fit."""
    n_comparisons: int
    """Comparisons trained on."""


class HeldOut(NamedTuple):
    """Every member's view of the comparisons outside its draw."""

    returns: Tensor
    """Shape [E, longest, K]."""
    preferences: Tensor
    """Shape [E, longest, P]."""
    ratings: Tensor | None
    """Shape [E, longest], 0 for padding; None where nothing was rated."""
    losses: Tensor
    """Of each comparison, shape [E, longest]."""
    mask: Tensor
    """0 for padding, shape [E, longest]."""
    trusted: Tensor
    """The same, and 0 for what is not trained on as it was said."""


class RewardTrainer:
    """Trains a `RewardEnsemble` on a growing set of comparisons, from where it stands.

    Each member trains on its own draw of the queries and is validated on those outside of it; `draws` tells how
    it is made. The draw of a query never changes, because a member that goes on from its last weights must not
    be validated on what it was trained on before.

    Args:
        ensemble: What is trained, in place.
        settings: Of the training; those of the ensemble by default.
        seed: Decides draws and the order of batches; the ensemble's by default, which is saved with it, so that a
            trainer of a reward that was loaded draws as the first one did.
    """

    def __init__(
        self, ensemble: RewardEnsemble, *, settings: RewardSettings | None = None, seed: int | None = None
    ) -> None:
        seed = ensemble.seed if seed is None else seed
        self.ensemble = ensemble
        self.settings = settings if settings is not None else ensemble.settings
        self.l2 = torch.full((ensemble.n_members,), self.settings.l2, device=ensemble.device)
        """L2 coefficient of each member, shape [E]."""
        self.optimizer = MemberAdam(
            ensemble.network.parameters(), ensemble.n_members, learning_rate=self.settings.learning_rate
        )
        self.cutpoints = Cutpoints(ensemble.n_members, ensemble.device)
        """Where levels of ratings end."""
        self.error_rate = self.settings.error_rate
        """Share of answers taken for a fair coin's; that of the settings unless it is estimated otherwise."""
        self.reliabilities: dict[str, float] = {}
        """How reliable each person was taken to be in the last fit, by name; empty where that is not learned."""
        self._heard: Heard | None = None  # as they, of one fit only; None where all is trained on as it was said
        self._etas: Tensor | None = None
        self._labelers: list[str] = []
        self._data = make_data(ensemble.inputs, ensemble.device)
        self._draws = np.empty((ensemble.n_members, 0), dtype=np.int64)
        self._seqs = np.empty(0, dtype=np.int64)
        self._past = np.empty(0, dtype=np.int64)
        streams = Streams(seed)
        self.seed = streams.seed
        self._rng = streams.generator("reward-trainer")
        self._crops = Crops(self.settings.crop_least, streams.generator("crops"))
        self._pseudo_rng = streams.generator("pseudo-labels")
        self._pseudo_labels: PseudoLabels | None = None
        self.n_pseudo_labels = math.nan
        """Pseudo-labels that a gradient step of the last fit learned from, mean over steps and members; NaN where
        it had no unlabelled pairs."""

    @property
    def n_comparisons(self) -> int:
        """Comparisons that are trained on."""
        return len(self._seqs)

    @property
    def n_known(self) -> int:
        """Comparisons taken in so far, those that `memory` has no room for any more included."""
        return len(self._seqs) + len(self._past)

    @property
    def seqs(self) -> IntArray:
        """Number in the store of each comparison that is trained on, in the order of their coming, shape [n]."""
        return self._seqs

    @property
    def level_counts(self) -> IntArray:
        """How many of the ratings that are trained on are of each level, the worst first, shape [LEVELS]."""
        ratings = self._data.ratings
        said = np.empty(0, dtype=np.int64) if ratings is None else ratings.cpu().numpy().astype(np.int64)
        return np.bincount(said, minlength=LEVELS + 1)[1:]

    @property
    def is_distrusted(self) -> npt.NDArray[np.bool_]:
        """Of which comparisons of the last fit not all was trained on as it was said, shape [n]; else [0]."""
        return np.zeros(0, dtype=bool) if self._heard is None else self._heard.is_distrusted.cpu().numpy()

    @property
    def draws(self) -> IntArray:
        """How often each comparison is in each member's training set, shape [E, n]; 0 = validation."""
        return self._draws

    def add(self, comparisons: Sequence[Comparison]) -> None:
        """Take in new comparisons; those that `memory` has no room for go before the new ones come."""
        self._check_filled()
        if not comparisons:
            return
        n_new = len(comparisons)
        if self.settings.memory:
            n_surplus = max(0, self.n_comparisons + n_new - self.settings.memory)
            kept = np.arange(self.n_comparisons) >= n_surplus
            passed = comparisons[: max(0, n_new - self.settings.memory)]
            comparisons = comparisons[len(passed) :]
            self._past = np.concatenate([self._past, self._seqs[~kept], _seqs_of(passed)])
            self._keep(kept)
        self._append(comparisons)
        keys = map(query_key, comparisons)
        if self.settings.judges_answers and not self.settings.bootstrap:
            drawn = crossed_draws(keys, self.ensemble.n_members, self.seed)
        else:
            drawn = member_draws(keys, self.ensemble.n_members, self.seed, bootstrap=self.settings.bootstrap)
        self._draws = np.concatenate([self._draws, drawn], axis=1)
        self._seqs = np.concatenate([self._seqs, _seqs_of(comparisons)])

    def forget(self, seqs: Collection[int]) -> None:
        """Drop the comparisons with these numbers, because whoever answered has changed or withdrawn the answer.

        What the weights have learned from them fades with the next fits. Unknown numbers are passed over.
        """
        self._check_filled()
        self._past = self._past[~np.isin(self._past, list(seqs))]
        self._keep(~np.isin(self._seqs, list(seqs)))

    def fit(self, n_epochs: int, *, unlabelled: Sequence[Pair] = ()) -> RewardMetrics:
        """Train for some passes over all comparisons and renormalise the outputs.

        Inputs that nothing was ever learned of are normalised by the comparisons first.

        Args:
            n_epochs: Passes of each member over its own draw; at least 1.
            unlabelled: Pairs of segments that nobody was asked about, for `pseudo_weight`; of this fit only.
                Without them it is of the comparisons alone. Better none in the first fit: first weights are sure
                of noise.

        Raises:
            NotEnoughExperienceError: There is no comparison yet.
            SettingError: There is no pass, or there are unlabelled pairs and `pseudo_weight` is 0.
        """
        self._check_filled()
        if self.n_comparisons == 0:
            raise NotEnoughExperienceError("The reward cannot be fitted before there is a comparison.")
        if n_epochs < 1:
            raise SettingError(f"`n_epochs` must be at least 1. Received {n_epochs}.")
        self._pseudo_labels = self._labelling(unlabelled)
        self._normalise_inputs()
        self._heard, self._etas, self.reliabilities = None, None, {}
        # A reward that knows nothing can judge nobody, so in the first fit all is trained on at first.
        judged_at = 0 if self.ensemble.fitted else n_epochs // 2
        for epoch in range(n_epochs):
            if epoch == judged_at and self.settings.judges_answers and (epoch or self.ensemble.fitted):
                self._judge()
            train_loss, n_steps = self._epoch()
            held_out = self._held_out()
            self._adapt_l2(train_loss, masked_mean(held_out.losses, held_out.trusted), n_steps)
        self._normalise_outputs()
        self.n_pseudo_labels = math.nan if self._pseudo_labels is None else self._pseudo_labels.n_used
        self._pseudo_labels = None
        return self._metrics(train_loss, held_out)

    def evaluate(self, comparisons: Sequence[Comparison]) -> Evaluation:
        """Return what the ensemble says of comparisons not trained on. Nothing is learned from them."""
        return evaluate(predict(self.ensemble, comparisons), self.error_rate)

    def calibration(self, comparisons: Sequence[Comparison]) -> Calibration:
        """Return how sure the ensemble is of comparisons not trained on, beside how right. Nothing is learned."""
        return Calibration.of(answered_probabilities(predict(self.ensemble, comparisons), self.error_rate))

    def state(self) -> State:
        """Return what training depends on besides ensemble and comparisons."""
        arrays: Arrays = {
            "draws": self._draws.copy(),
            "seqs": self._seqs.copy(),
            "past": self._past.copy(),
            "l2": self.l2.cpu().numpy().copy(),
        }
        arrays |= {f"adam.{name}": array for name, array in self.optimizer.state().items()}
        arrays |= {f"cutpoints.{name}": array for name, array in self.cutpoints.state().items()}
        streams = {name: rng.bit_generator.state for name, rng in self._streams_in_use.items()}
        own: Json = {"rng": self._rng.bit_generator.state, "seed": self.seed, "streams": streams}
        return arrays, own | {"error_rate": self.error_rate}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Go on where `state` was taken, once `refill` has handed the comparisons back.

        Raises:
            RewardModelError: An array or a value is missing, or has another shape.
        """
        n_members = self.ensemble.n_members
        try:
            seqs = np.array(arrays["seqs"], dtype=np.int64).reshape(-1)
            draws = np.array(arrays["draws"], dtype=np.int64).reshape(n_members, len(seqs))
            l2 = np.array(arrays["l2"], dtype=np.float32).reshape(n_members)
            past = np.array(arrays["past"], dtype=np.int64).reshape(-1)
            seed = int(values["seed"])
            error_rate = float(values.get("error_rate", self.error_rate))
            self._rng.bit_generator.state = values["rng"]
            for name, rng in self._streams_in_use.items():
                rng.bit_generator.state = values["streams"][name]
        except (KeyError, TypeError, ValueError) as error:
            raise RewardModelError(
                f"The state of the reward's training is damaged, or of another number of members: {error}."
            ) from error
        self.optimizer.restore(under("adam.", arrays))
        ends = under("cutpoints.", arrays)
        if ends:  # a state from before there were ratings has none
            self.cutpoints.restore(ends)
        self._seqs, self._draws, self._past, self.seed = seqs, draws, past, seed
        if self.settings.error_rate_from_repeats:
            self.error_rate = error_rate
        self.l2 = torch.as_tensor(l2, device=self.ensemble.device)
        self._empty()

    def refill(self, comparisons: Iterable[Comparison]) -> None:
        """Take the comparisons back after `restore`.

        Args:
            comparisons: Those whose numbers are `seqs`, in that order; taken in one by one, so that they need not
                be in memory together.

        Raises:
            RewardModelError: They are others, or not as many.
        """
        self._empty()
        received = self._append(comparisons)
        if received != self._seqs.tolist():
            self._empty()
            raise RewardModelError(
                f"Expected the {len(self._seqs)} comparisons that the training had, in their order. Received "
                f"{len(received)}, or others."
            )

    @property
    def _streams_in_use(self) -> dict[str, np.random.Generator]:
        """Random numbers beside those of every training, as far as the settings have need of them."""
        crops = {"crops": self._crops.rng} if self._crops.are_drawn else {}
        return {**crops, "pseudo-labels": self._pseudo_rng} if self.settings.pseudo_weight else crops

    def _labelling(self, pairs: Sequence[Pair]) -> PseudoLabels | None:
        """Return what labels these pairs; None where there are none."""
        if not pairs:
            return None
        return PseudoLabels(self.ensemble, pairs, settings=self.settings, crops=self._crops, rng=self._pseudo_rng)

    def _empty(self) -> None:
        """Keep no comparison."""
        self._data, self._labelers = make_data(self.ensemble.inputs, self.ensemble.device), []

    def _check_filled(self) -> None:
        if len(self._data) != len(self._seqs):
            raise RewardModelError(
                f"The reward's training was restored with {len(self._seqs)} comparisons; hand them back by "
                "`refill` first."
            )

    def _append(self, comparisons: Iterable[Comparison]) -> list[int]:
        """Keep what networks read of comparisons, and return their numbers."""
        seqs = []
        for comparison in comparisons:
            read = [self.ensemble.inputs.of_segment(segment) for segment in comparison.segments]
            self._data.append(read, comparison.preferences, comparison.strength, comparison.rating)
            self._labelers.append(comparison.teacher)
            seqs.append(comparison.seq)
        return seqs

    def _keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Go on with some of the comparisons only."""
        if kept.all():
            return
        self._data.keep(kept)
        self._labelers = [name for name, is_kept in zip(self._labelers, kept, strict=True) if is_kept]
        self._draws = self._draws[:, kept]
        self._seqs = self._seqs[kept]

    def _epoch(self) -> tuple[Tensor, IntArray]:
        """One pass of every member over its own draw; return mean losses and gradient steps taken, both [E]."""
        losses = torch.zeros(self.ensemble.n_members, device=self.ensemble.device)
        n_before = self.optimizer.n_steps.copy()
        draws = self._draws if self._heard is None else self._draws * ~self._heard.is_left_out.cpu().numpy()
        for indices, weights in epoch_batches(draws, self.settings.batch_size, self._rng):
            losses += self._step(indices, weights)
        total = torch.as_tensor(draws.sum(axis=1).astype(np.float32), device=self.ensemble.device)
        return losses / total, self.optimizer.n_steps - n_before

    def _step(self, indices: IntArray, weights: npt.NDArray[np.float32]) -> Tensor:
        """One gradient step on comparisons [E, b]; return each member's weighted sum of losses, shape [E]."""
        device = self.ensemble.device
        index, weight = torch.as_tensor(indices, device=device), torch.as_tensor(weights, device=device)
        total = weight.sum(dim=1)
        returns = self._returns(index, trained=total > 0)
        preferences = self._data.preferences if self._heard is None else self._heard.preferences
        losses = self._losses(returns, index, preferences)
        summed = (losses * weight).sum(dim=1)
        # Summed over members, so that each trains exactly as it would alone.
        objective = (summed / total.clamp(min=1) + self.l2 * self.ensemble.network.squared_norms()).sum()
        if self._pseudo_labels is not None:
            objective = objective + self.settings.pseudo_weight * self._pseudo_labels.loss(indices.shape[1]).sum()
        self.optimizer.zero_grad()
        self.cutpoints.optimizer.zero_grad()
        objective.backward()
        self.optimizer.step(weights.sum(axis=1) > 0)
        if self._data.ratings is not None:
            is_rated = (self._data.ratings[index] > 0).cpu().numpy()
            self.cutpoints.optimizer.step((weights * is_rated).sum(axis=1) > 0)
        return summed.detach()

    def _losses(self, returns: Tensor, index: Tensor, preferences: Tensor) -> Tensor:
        """Return the loss of comparisons [E, b] whose segments have these returns, shape [E, b].

        Args:
            returns: Of the segments, shape [E, b, K].
            index: Which comparisons.
            preferences: Of all comparisons, shape [n, P].
        """
        strengths, ratings = self._data.strengths, self._data.ratings
        losses = comparison_loss(
            returns,
            preferences[index],
            self.error_rate,
            strengths=None if strengths is None else strengths[index],
            much_from=self.settings.much_from,
            reliabilities=None if self._etas is None else self._etas[index],
        )
        if ratings is None:
            return losses
        ends = self.cutpoints.ends()
        return losses + rating_loss(returns[..., 0], ratings[index], ends, self.error_rate)

    def _returns(self, index: Tensor, trained: Tensor | None = None) -> Tensor:
        """Return returns of comparisons as each member sees its own, [E, b] to [E, b, K].

        Args:
            index: Which comparisons.
            trained: In training, which members are trained on theirs, shape [E].
        """
        read, mask = self._data.gather(index)
        steps = read.flatten(1, 2)
        if trained is None:
            rewards, weights = self.ensemble.raw(steps), mask
        else:
            rewards = self.ensemble.raw(steps, mask=mask.flatten(1, 2) * trained[:, None, None], rng=self._rng)
            weights = self._crops.weights(mask)
        return segment_returns(rewards.view(mask.shape), weights)

    @property
    def _n_at_once(self) -> int:
        """Comparisons that fit into memory when many are evaluated without a gradient."""
        return max(1, self.ensemble.network.steps_at_once // self._data.widest)

    @torch.no_grad()
    def _held_out(self) -> HeldOut:
        """Evaluate every member on the comparisons outside its draw, all of them as they were said."""
        device = self.ensemble.device
        indices, used = padded([np.flatnonzero(draw == 0) for draw in self._draws])
        index = torch.as_tensor(indices, device=device)
        returns, preferences = self._all_returns(index), self._data.preferences
        mask = torch.as_tensor(used, device=device)
        ratings = None if self._data.ratings is None else self._data.ratings[index] * (mask > 0)
        trusted = mask if self._heard is None else mask * ~self._heard.is_distrusted[index]
        losses = self._losses(returns, index, preferences)
        return HeldOut(returns, preferences[index], ratings, losses, mask, trusted)

    def _all_returns(self, index: Tensor) -> Tensor:
        """Return what `_returns` does of any number of comparisons, without a gradient."""
        chunks = torch.split(index, self._n_at_once, dim=1) if index.shape[1] else ()
        none = index.new_zeros((len(index), 0, self._data.n_segments), dtype=torch.float32)
        return torch.cat([self._returns(chunk) for chunk in chunks], dim=1) if chunks else none

    @torch.no_grad()
    def _judge(self) -> None:
        """Decide how the answers are heard in the rest of this fit."""
        device, preferences = self.ensemble.device, self._data.preferences
        everything = torch.arange(self.n_comparisons, device=device).expand(self.ensemble.n_members, -1)
        # A member does not judge what it was trained on, where there is another; by a bootstrap there may be none.
        held_out = self._draws == 0
        judges = torch.as_tensor(held_out | ~held_out.any(axis=0), device=device)
        said = answered(preference_logits(self._all_returns(everything)), preferences, judges)
        if self.settings.reliability:
            self.reliabilities = reliabilities(said, self._labelers, self.error_rate)
            etas = [self.reliabilities[name] for name in self._labelers]
            self._etas = torch.tensor(etas, device=device)
        else:
            bound = trust_bound(said, self.error_rate)
            self._heard = heard(said, preferences, bound, flips=self.settings.label_filter == "flip")

    def _adapt_l2(self, train_loss: Tensor, held_out_loss: Tensor, n_steps: IntArray) -> None:
        """Raise or lower each member's L2 as often as it took gradient steps; NaN ratios leave it alone."""
        ratio = held_out_loss / train_loss
        factor = torch.as_tensor((L2_STEP**n_steps).astype(np.float32), device=self.ensemble.device)
        self.l2 = torch.where(ratio > RATIO_HIGH, self.l2 * factor, self.l2)
        self.l2 = torch.where(ratio < RATIO_LOW, self.l2 / factor, self.l2)

    def _normalise_inputs(self) -> None:
        """Normalise inputs by the comparisons where nothing was learned of them before, as in a fit offline."""
        inputs = self.ensemble.inputs
        if inputs.is_fixed or inputs.n_seen:
            return
        for chunk in torch.arange(self.n_comparisons).split(self._n_at_once):
            read, mask = (tensor.cpu().numpy() for tensor in self._data.gather(chunk.to(self.ensemble.device)))
            inputs.learn(read[..., inputs.n_before :, :][mask > 0])

    @torch.no_grad()
    def _normalise_outputs(self) -> None:
        """Give every member mean 0 and sd 1 over the steps of the labelled segments (Ibarz et al., A.3)."""
        stride = 1 + self._data.n_steps // (self.ensemble.network.sample_steps + 1)
        some = torch.arange(0, self.n_comparisons, stride, device=self.ensemble.device)
        chunks = []
        for chunk in torch.split(some, self._n_at_once):
            read, mask = self._data.gather(chunk)
            rewards = self.ensemble.raw(read.flatten(0, 1)).flatten(1)
            chunks.append(rewards[:, mask.flatten() > 0].cpu().numpy())
        raw = np.concatenate(chunks, axis=1, dtype=np.float64)  # there are devices without float64
        self.ensemble.set_output_moments(raw.mean(axis=1), raw.std(axis=1))

    def _metrics(self, train_loss: Tensor, held_out: HeldOut) -> RewardMetrics:
        # Of which is better alone, as for fresh comparisons, whatever else was said.
        logits = preference_logits(held_out.returns).flatten(1)
        preferences = held_out.preferences.nan_to_num(0.5)  # pairs that a comparison lacks are not decided either
        preferences = torch.where(held_out.mask[..., None] > 0, preferences, 0.5).flatten(1)
        if held_out.ratings is not None:
            rated = rated_pairs(held_out.returns[..., 0], held_out.ratings)
            logits, preferences = torch.cat([logits, rated[0]], dim=1), torch.cat([preferences, rated[1]], dim=1)
        plain = preference_loss(logits, preferences, self.error_rate)
        decided = (preferences != 0.5).float()
        right = (((logits > 0) == (preferences > 0.5)) & (logits != 0)).float()
        return RewardMetrics(
            train_loss=float(train_loss.nanmean()),
            validation_loss=float(masked_mean(held_out.losses, held_out.mask).nanmean()),
            accuracy=float(masked_mean(right, decided).nanmean()),
            log_loss=float(masked_mean(plain, decided).nanmean()),
            l2=float(self.l2.mean()),
            n_comparisons=self.n_comparisons,
        )


def _seqs_of(comparisons: Sequence[Comparison]) -> IntArray:
    return np.array([comparison.seq for comparison in comparisons], dtype=np.int64)
