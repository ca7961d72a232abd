"""Fitting the ensemble to comparisons.

Christiano et al. 2017, sections 2.2.3 and A.1, with the step of the adaptive L2 from Ibarz et al. 2018, A.3. All
members train in one fused computation over [E, batch, 2, T] steps; there is no Python loop over comparisons,
members or steps.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from prefrl.errors import NotEnoughExperienceError, SettingError
from prefrl.reward.cnn import BatchedCNN
from prefrl.reward.comparisons import ComparisonData, ComparisonTensors, CompressedComparisons
from prefrl.reward.ensemble import RewardEnsemble
from prefrl.reward.losses import masked_mean, preference_log_probabilities, preference_loss, segment_returns
from prefrl.seeding import Streams
from prefrl.segments import Comparison

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Validation loss over training loss is held between these (Christiano et al. 2017, A.1), by this factor per
# gradient step (Ibarz et al. 2018, A.3).
RATIO_LOW, RATIO_HIGH, L2_STEP = 1.1, 1.5, 1.001
# The normalisation of outputs looks at about as many steps as these, at most: of vectors, of images.
NORMALISATION_STEPS, NORMALISATION_IMAGES = 50_000, 4_000


class RewardMetrics(NamedTuple):
    """What a fit gives back; losses in nats per comparison, means over members."""

    train_loss: float
    """Mean loss of the last epoch on each member's own draw, without L2."""
    validation_loss: float
    """Mean loss on the comparisons outside each member's draw; NaN if there is none."""
    accuracy: float
    """Share of comparisons outside the draw, without ties, that the member ranks as answered."""
    log_loss: float
    """Mean -log P' of the answers outside the draw, without ties."""
    l2: float
    """Mean L2 coefficient after the fit."""
    n_comparisons: int
    """Comparisons known."""


class HeldOut(NamedTuple):
    """Every member's view of the comparisons outside its draw, each of shape [E, longest]."""

    logits: Tensor
    preferences: Tensor
    mask: Tensor
    """0 for padding."""

    def losses(self, error_rate: float) -> Tensor:
        """Loss of each comparison, shape [E, longest]."""
        return preference_loss(self.logits, self.preferences, error_rate)


class RewardTrainer:
    """Trains a `RewardEnsemble` on a growing set of comparisons, from where it stands.

    Each member trains on a bootstrap draw and is validated on the comparisons outside of it. The draw is made
    once, when a comparison arrives: it enters a member's set Poisson(1) times, which is the limit of drawing
    |D| times with replacement and leaves out 1/e of all comparisons. Drawn once, because a member that goes on
    from its last weights must not be validated on what it was trained on before.

    Args:
        ensemble: What is trained, in place.
        learning_rate: Of Adam.
        batch_size: Comparisons per gradient step and member.
        error_rate: Share of answers assumed to be a fair coin's (0.1 in the paper).
        l2: First coefficient of the squared norm of a member's weights, per comparison loss.
        memory: Only so many latest comparisons are trained on (3,000 in the paper's Atari); 0 for all.
        seed: Decides draws and the order of batches.

    Raises:
        SettingError: A number is out of range.
    """

    def __init__(
        self,
        ensemble: RewardEnsemble,
        *,
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        error_rate: float = 0.1,
        l2: float = 1e-4,
        memory: int = 0,
        seed: int = 0,
    ) -> None:
        """Check the settings; nothing is drawn yet."""
        if learning_rate <= 0 or batch_size < 1 or not 0 <= error_rate < 1 or l2 < 0 or memory < 0:
            raise SettingError(
                "Expected `learning_rate` > 0, `batch_size` >= 1, 0 <= `error_rate` < 1, `l2` and `memory` >= 0. "
                f"Received {learning_rate}, {batch_size}, {error_rate}, {l2} and {memory}."
            )
        self.ensemble = ensemble
        self.batch_size = batch_size
        self.error_rate = error_rate
        self.l2 = torch.full((ensemble.n_members,), l2, device=ensemble.device)
        self.memory = memory
        self.optimizer = torch.optim.Adam(ensemble.network.parameters(), lr=learning_rate)
        self._sees_images = isinstance(ensemble.network, BatchedCNN)
        self._data = self._empty()
        self._draws = np.empty((ensemble.n_members, 0), dtype=np.int64)
        self._seqs = np.empty(0, dtype=np.int64)
        self._past = np.empty(0, dtype=np.int64)
        self._rng = Streams(seed).generator("reward-trainer")

    @property
    def n_comparisons(self) -> int:
        """Comparisons that are trained on."""
        return len(self._data)

    @property
    def n_known(self) -> int:
        """Comparisons taken in so far, those that `memory` has no room for any more included."""
        return len(self._data) + len(self._past)

    @property
    def seqs(self) -> IntArray:
        """Number in the store of each comparison known, in the order in which they were added, shape [n]."""
        return self._seqs

    @property
    def draws(self) -> IntArray:
        """How often each comparison is in each member's training set, shape [E, n]; 0 = validation."""
        return self._draws

    def add(self, comparisons: Sequence[Comparison]) -> None:
        """Take in new comparisons; the order matters for what is drawn."""
        if not comparisons:
            return
        self._append(comparisons)
        size = (len(comparisons), self.ensemble.n_members)
        self._draws = np.concatenate([self._draws, self._rng.poisson(1.0, size=size).T], axis=1)
        self._seqs = np.append(self._seqs, [comparison.seq for comparison in comparisons]).astype(np.int64)
        if 0 < self.memory < self.n_comparisons:
            oldest = np.arange(self.n_comparisons) < self.n_comparisons - self.memory
            self._past = np.append(self._past, self._seqs[oldest])
            self._keep(~oldest)

    def forget(self, seqs: Collection[int]) -> None:
        """Drop the comparisons with these numbers, because whoever answered has changed or withdrawn the answer.

        What the weights have learned from them fades with the next fits. Unknown numbers are passed over.
        """
        if not seqs:
            return
        self._past = self._past[~np.isin(self._past, list(seqs))]
        self._keep(~np.isin(self._seqs, list(seqs)))

    def fit(self, n_epochs: int) -> RewardMetrics:
        """Train for some passes over all comparisons and renormalise the outputs.

        Args:
            n_epochs: Passes of each member over its own draw; at least 1.

        Raises:
            NotEnoughExperienceError: There is no comparison yet.
        """
        if self.n_comparisons == 0:
            raise NotEnoughExperienceError("The reward cannot be fitted before there is a comparison.")
        if n_epochs < 1:
            raise SettingError(f"`n_epochs` must be at least 1. Received {n_epochs}.")
        for _ in range(n_epochs):
            train_loss, n_steps = self._epoch()
            held_out = self._held_out()
            held_out_loss = masked_mean(held_out.losses(self.error_rate), held_out.mask)
            self._adapt_l2(train_loss, held_out_loss, n_steps)
        self._normalise_outputs()
        return self._metrics(train_loss, held_out)

    def evaluate(self, comparisons: Sequence[Comparison]) -> tuple[FloatArray, FloatArray]:
        """Return what the mean of members says of comparisons not trained on.

        Returns:
            Whether it ranks each as answered, 1 or 0, and its log-loss in nats, both of shape [n]; NaN for ties.
        """
        if not comparisons:
            return np.empty(0), np.empty(0)
        returns = self.ensemble.returns([segment for c in comparisons for segment in c.segments])
        logits = torch.as_tensor(returns[:, 0::2] - returns[:, 1::2])
        preferences = np.array([c.preference for c in comparisons])
        log_first, _ = preference_log_probabilities(logits, self.error_rate)
        probability = log_first.exp().mean(dim=0).numpy()
        right = np.where(preferences > 0.5, probability > 0.5, probability < 0.5)
        chosen = np.where(preferences > 0.5, probability, 1 - probability)
        decided = preferences != 0.5
        with np.errstate(divide="ignore"):  # without an error rate a preference may be predicted with certainty
            log_loss = -np.log(chosen)
        return np.where(decided, right, np.nan), np.where(decided, log_loss, np.nan)

    def state_dict(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return what training depends on besides ensemble and comparisons: arrays, and JSON-able values."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "draws": self._draws,
            "seqs": self._seqs,
            "past": self._past,
            "l2": self.l2.cpu().numpy(),
        }
        for index, parameter in enumerate(self.ensemble.network.parameters()):
            for key, value in self.optimizer.state.get(parameter, {}).items():
                arrays[f"adam.{index}.{key}"] = value.cpu().numpy()
        return arrays, {"rng": self._rng.bit_generator.state}

    def load_state_dict(
        self,
        arrays: dict[str, npt.NDArray[Any]],
        values: dict[str, Any],
        comparisons: Iterable[Comparison],
    ) -> None:
        """Continue where `state_dict` was taken.

        Args:
            arrays: From `state_dict`.
            values: From `state_dict`.
            comparisons: Those whose numbers are in `arrays["seqs"]`, in that order; taken in one by one, so that
                they need not be in memory together.
        """
        self._data = self._empty()
        self._append(comparisons)
        self._draws, self._seqs = arrays["draws"], arrays["seqs"]
        self._past = arrays.get("past", self._past)
        self.l2 = torch.as_tensor(arrays["l2"], device=self.ensemble.device).clone()
        for index, parameter in enumerate(self.ensemble.network.parameters()):
            prefix = f"adam.{index}."
            state = {
                key.removeprefix(prefix): torch.as_tensor(value).clone().to(self.ensemble.device)
                for key, value in arrays.items()
                if key.startswith(prefix)
            }
            if state:
                state["step"] = state["step"].cpu()
                self.optimizer.state[parameter] = state
        self._rng.bit_generator.state = values["rng"]

    def _empty(self) -> ComparisonData:
        inputs, device = self.ensemble.inputs, self.ensemble.device
        if not self._sees_images:
            return ComparisonTensors(inputs.shape, device)
        if device.type == "cpu":
            return CompressedComparisons(inputs.shape, n_before=inputs.n_before)
        return ComparisonTensors(inputs.shape, device, dtype=torch.uint8, n_before=inputs.n_before)

    def _append(self, comparisons: Iterable[Comparison]) -> None:
        kept = self.ensemble.inputs.of_segment
        for comparison in comparisons:
            self._data.append(kept(comparison.first), kept(comparison.second), comparison.preference)

    def _keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Go on with some of the comparisons only."""
        self._data.keep(kept)
        self._draws = self._draws[:, kept]
        self._seqs = self._seqs[kept]

    def _epoch(self) -> tuple[Tensor, int]:
        """One pass of every member over its own draw; return mean losses [E] and the gradient steps taken.

        A comparison drawn twice is computed once with weight 2: the same mean loss for 63 % of the work.
        """
        orders = [self._rng.permutation(np.flatnonzero(draw)) for draw in self._draws]
        indices, used = _padded(orders)
        weights = np.take_along_axis(self._draws, indices, axis=1) * used
        losses = torch.zeros(self.ensemble.n_members, device=self.ensemble.device)
        starts = range(0, indices.shape[1], self.batch_size)
        for start in starts:
            batch = slice(start, start + self.batch_size)
            losses += self._step(indices[:, batch], weights[:, batch])
        total = torch.as_tensor(weights.sum(axis=1), device=self.ensemble.device)
        return losses / total.clamp(min=1), len(starts)

    def _step(self, indices: IntArray, weights: npt.NDArray[np.float32]) -> Tensor:
        """One gradient step on comparisons [E, b]; return each member's weighted sum of losses, shape [E]."""
        device = self.ensemble.device
        index, weight = torch.as_tensor(indices, device=device), torch.as_tensor(weights, device=device)
        losses = preference_loss(self._logits(index, self._rng), self._data.preferences[index], self.error_rate)
        summed = (losses * weight).sum(dim=1)
        # Summed over members, so that each trains exactly as it would alone.
        per_member = summed / weight.sum(dim=1).clamp(min=1)
        objective = (per_member + self.l2 * self.ensemble.network.squared_norms()).sum()
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        self.optimizer.step()
        return summed.detach()

    def _logits(self, index: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """Return difference of comparisons as each member sees its own, [E, b] to [E, b]; `rng` in training."""
        read, mask = self._data.gather(index)
        inputs, network = self.ensemble.inputs.normalise(read), self.ensemble.network
        if isinstance(network, BatchedCNN):
            rewards = network(inputs.flatten(1, 2), rng)
        else:
            rewards = network(inputs.flatten(1, 3))
        returns = segment_returns(rewards.view(mask.shape), mask)
        return returns[..., 0] - returns[..., 1]

    @torch.no_grad()
    def _held_out(self) -> HeldOut:
        """Evaluate every member on the comparisons outside its draw."""
        indices, used = _padded([np.flatnonzero(draw == 0) for draw in self._draws])
        index = torch.as_tensor(indices, device=self.ensemble.device)
        chunks = torch.split(index, self.batch_size, dim=1)
        logits = torch.cat([self._logits(chunk) for chunk in chunks], dim=1)
        mask = torch.as_tensor(used, device=self.ensemble.device)
        return HeldOut(logits, self._data.preferences[index], mask)

    def _adapt_l2(self, train_loss: Tensor, held_out_loss: Tensor, n_steps: int) -> None:
        """Raise or lower each member's L2 as often as it took gradient steps; NaN ratios leave it alone."""
        ratio = held_out_loss / train_loss
        factor = L2_STEP**n_steps
        self.l2 = torch.where(ratio > RATIO_HIGH, self.l2 * factor, self.l2)
        self.l2 = torch.where(ratio < RATIO_LOW, self.l2 / factor, self.l2)

    @torch.no_grad()
    def _normalise_outputs(self) -> None:
        """Give every member mean 0 and sd 1 over the steps of the labelled segments (Ibarz et al., A.3)."""
        limit = NORMALISATION_IMAGES if self._sees_images else NORMALISATION_STEPS
        some = torch.arange(
            0, self.n_comparisons, 1 + self._data.n_steps // (limit + 1), device=self.ensemble.device
        )
        chunks = []
        for chunk in torch.split(some, self.batch_size):
            read, mask = self._data.gather(chunk)
            chunks.append(self.ensemble.evaluate(read.flatten(0, 1)).flatten(1)[:, mask.flatten() > 0])
        raw = torch.cat(chunks, dim=1).double()
        self.ensemble.set_output_moments(raw.mean(dim=1).cpu().numpy(), raw.std(dim=1, correction=0).cpu().numpy())

    def _metrics(self, train_loss: Tensor, held_out: HeldOut) -> RewardMetrics:
        losses, decided = held_out.losses(self.error_rate), held_out.mask * (held_out.preferences != 0.5)
        right = ((held_out.logits > 0) == (held_out.preferences > 0.5)) & (held_out.logits != 0)
        return RewardMetrics(
            train_loss=float(train_loss.mean()),
            validation_loss=float(masked_mean(losses, held_out.mask).nanmean()),
            accuracy=float(masked_mean(right.float(), decided).nanmean()),
            log_loss=float(masked_mean(losses, decided).nanmean()),
            l2=float(self.l2.mean()),
            n_comparisons=self.n_comparisons,
        )


def _padded(rows: Sequence[IntArray]) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Stack rows of different lengths, shape [E, longest], with a mask of what is no padding.

    A row is filled up with its own beginning, since batch norm takes notice of comparisons of weight 0, too.
    """
    longest = max(len(row) for row in rows)
    indices = np.zeros((len(rows), longest), dtype=np.int64)
    used = np.zeros((len(rows), longest), dtype=np.float32)
    for member, row in enumerate(rows):
        if len(row):
            indices[member] = np.resize(row, longest)
            used[member, : len(row)] = 1.0
    return indices, used
