"""The reward network: E multilayer perceptrons of equal shape, computed as one.

Weights are stacked along a first dimension of members, so that one batched matrix product serves all of them;
no member sees another's inputs or gradients. Christiano et al. 2017, appendix A.1: two hidden layers of 64 units,
leaky ReLU with slope 0.01.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prefrl.reward.inputs import FeatureInputs
from prefrl.reward.members import FloatArray, Members, Predictor
from prefrl.settings import RewardSettings

LEAKY_SLOPE = 0.01


class BatchedMLP(Members):
    """E perceptrons with one output each.

    Args:
        n_inputs: Features F of one step.
        hidden_sizes: Units of each hidden layer.
        seeds: One seed per member; member e depends on `seeds[e]` only.
    """

    def __init__(self, n_inputs: int, hidden_sizes: Sequence[int], seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_members = len(seeds)
        sizes = [n_inputs, *hidden_sizes, 1]
        self.bytes_per_step = 4 * self.n_members * sum(sizes)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for n_in, n_out in pairwise(sizes):
            # As torch.nn.Linear does: uniform within 1 / sqrt(inputs), for weights and biases alike.
            bound = 1 / math.sqrt(n_in)
            draw = [torch.empty(n_in + 1, n_out).uniform_(-bound, bound, generator=g) for g in generators]
            stacked = torch.stack(draw)
            self.weights.append(nn.Parameter(stacked[:, :-1].contiguous()))
            self.biases.append(nn.Parameter(stacked[:, -1:].contiguous()))

    @classmethod
    def of_settings(cls, inputs: FeatureInputs, settings: RewardSettings, seeds: Sequence[int]) -> "BatchedMLP":
        """Return the network that reads these inputs."""
        return cls(inputs.n_features, settings.hidden_sizes, seeds)

    def forward(
        self, steps: Tensor, *, mask: Tensor | None = None, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Return raw rewards [E, m, T] of features [E, m, T, F] or [m, T, F]; each step is read by itself."""
        rows = steps.flatten(-3, -2)
        if rows.dim() == 2:
            rows = rows.expand(self.n_members, -1, -1)
        return self.layers(rows).view(self.n_members, *steps.shape[-3:-1])

    def layers(self, rows: Tensor) -> Tensor:
        """Return raw rewards [E, n] of rows [E, n, F]; each member gets its own."""
        hidden = rows
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < last:
                hidden = F.leaky_relu(hidden, LEAKY_SLOPE, inplace=True)  # nothing else needs the product
        return hidden.squeeze(-1)

    def squared_norms(self) -> Tensor:
        """Return each member's sum of squared weights and biases, shape [E]."""
        squares = [parameter.square().sum(dim=(1, 2)) for parameter in self.parameters()]
        return torch.stack(squares).sum(dim=0)

    def predictor(self) -> Predictor:
        """Return the network in NumPy where it is on the CPU."""
        return NumpyMLP(self) if self.weights[0].device.type == "cpu" else super().predictor()


class NumpyMLP:
    """The same computation on the CPU in NumPy, for the few rows of one environment step.

    A torch call costs more than the arithmetic when a batch has 16 rows: one step of 16 Hoppers took 103 us with
    torch and 29 us with NumPy (benchmarks/speed.py). The arrays share memory with the module's parameters, so
    they follow the training without a copy.

    Args:
        network: Whose parameters these are; it must stay on the CPU.
    """

    def __init__(self, network: BatchedMLP) -> None:
        pairs = zip(network.weights, network.biases, strict=True)
        self._layers = [(weight.detach().numpy(), bias.detach().numpy()) for weight, bias in pairs]

    def __call__(self, steps: npt.NDArray[Any]) -> FloatArray:
        """Return raw rewards of all members for the same steps: features [n, 1, F] to [E, n]."""
        hidden = steps.swapaxes(0, 1)
        for weight, bias in self._layers[:-1]:
            hidden = hidden @ weight
            hidden += bias
            hidden = np.maximum(hidden, LEAKY_SLOPE * hidden)
        weight, bias = self._layers[-1]
        rewards: FloatArray = (hidden @ weight + bias)[..., 0]
        return rewards
