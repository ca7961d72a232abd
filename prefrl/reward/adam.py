"""Adam for stacked members: each steps, or waits, as if it had an optimiser of its own."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from prefrl.errors import RewardModelError
from prefrl.parts import Arrays

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class MemberAdam:
    """Adam (Kingma and Ba 2015, algorithm 1) with a count of steps per member.

    `torch.optim.Adam` moves every weight at every step by what it remembers of earlier gradients. A member without
    data in a batch must not move, nor forget, so here a step says which members take it.

    Args:
        parameters: Each with the members along its first dimension, which is a multiple of `n_members`.
        n_members: Members E.
        learning_rate: Of all of them.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], n_members: int, *, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.parameters = list(parameters)
        self.n_steps = np.zeros(n_members, dtype=np.int64)
        """Steps that each member has taken, shape [E]."""
        self._means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self.parameters]

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, active: npt.NDArray[np.bool_]) -> None:
        """Move the members for which `active`, shape [E], is True; the others stay to the bit."""
        self.n_steps += active
        taken = np.maximum(self.n_steps, 1)
        rate = active * self.learning_rate / (1 - BETA_1**taken)
        root = 1 / np.sqrt(1 - BETA_2**taken)
        columns = np.stack([active * (1 - BETA_1), active * (1 - BETA_2), root, rate]).astype(np.float32)
        to_mean, to_square, root_column, rate_column = torch.as_tensor(
            columns[:, :, None], device=self.parameters[0].device
        )
        for parameter, mean, square in zip(self.parameters, self._means, self._squares, strict=True):
            assert parameter.grad is not None
            gradient = parameter.grad.reshape(len(self.n_steps), -1)
            own_mean, own_square = self._by_member(mean), self._by_member(square)
            own_mean.lerp_(gradient, to_mean)
            own_square.lerp_(gradient.square(), to_square)
            scale = own_square.sqrt().mul_(root_column).add_(EPSILON)
            self._by_member(parameter).sub_(own_mean.div(scale).mul_(rate_column))

    def state(self) -> Arrays:
        """Return counts and moments, as copies."""
        arrays: Arrays = {"steps": self.n_steps.copy()}
        for index, (mean, square) in enumerate(zip(self._means, self._squares, strict=True)):
            arrays[f"{index}.exp_avg"] = mean.cpu().numpy().copy()
            arrays[f"{index}.exp_avg_sq"] = square.cpu().numpy().copy()
        return arrays

    def restore(self, arrays: Arrays) -> None:
        """Go on where `state` was taken.

        Raises:
            RewardModelError: An array is missing or has another shape.
        """
        own = self.state()
        for name, array in own.items():
            if name not in arrays or arrays[name].shape != array.shape:
                got = arrays[name].shape if name in arrays else "none"
                raise RewardModelError(
                    f"`{name}` in the state of the reward's optimiser must have shape {array.shape}. Received "
                    f"{got}; the checkpoint is damaged, or of another network."
                )
        self.n_steps = np.array(arrays["steps"], dtype=np.int64)
        for index, (mean, square) in enumerate(zip(self._means, self._squares, strict=True)):
            mean.copy_(torch.as_tensor(arrays[f"{index}.exp_avg"]))
            square.copy_(torch.as_tensor(arrays[f"{index}.exp_avg_sq"]))

    def _by_member(self, tensor: Tensor) -> Tensor:
        return tensor.view(len(self.n_steps), -1)
