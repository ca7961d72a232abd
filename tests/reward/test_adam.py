import numpy as np
import pytest
import torch
from torch import nn

from prefrl.errors import RewardModelError
from prefrl.reward.adam import MemberAdam

N_MEMBERS = 3
SHAPES = [(N_MEMBERS, 4, 2), (N_MEMBERS * 5, 2)]
"""Members first: each once, and each with five filters."""


def parameters(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def own(tensor: torch.Tensor, member: int) -> torch.Tensor:
    return tensor.detach().view(N_MEMBERS, -1)[member]


def give_gradients(of: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in of:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def optimizer(of: list[nn.Parameter]) -> MemberAdam:
    return MemberAdam(of, N_MEMBERS, learning_rate=0.01)


ACTIVE = [np.array(row, dtype=bool) for row in ((1, 0, 1), (1, 1, 0), (1, 0, 0), (1, 1, 1), (1, 0, 1))]


def test_each_member_steps_as_with_an_adam_of_its_own() -> None:
    """Torch's, stepped only where the member is active, bias correction included."""
    stacked = parameters()
    fused = optimizer(stacked)
    alone = [[nn.Parameter(own(p, member).clone()) for p in stacked] for member in range(N_MEMBERS)]
    references = [torch.optim.Adam(parameters, lr=0.01) for parameters in alone]
    for step, active in enumerate(ACTIVE * 4):
        give_gradients(stacked, step)
        for member in np.flatnonzero(active).tolist():
            for parameter, whole in zip(alone[member], stacked, strict=True):
                assert whole.grad is not None
                parameter.grad = own(whole.grad, member).clone()
            references[member].step()
        fused.step(active)
    assert fused.n_steps.tolist() == [20, 8, 12]
    for member in range(N_MEMBERS):
        for parameter, whole in zip(alone[member], stacked, strict=True):
            torch.testing.assert_close(own(whole, member), parameter.detach(), rtol=1e-4, atol=1e-6)


def test_a_member_that_waits_stays_to_the_bit() -> None:
    stacked = parameters()
    fused = optimizer(stacked)
    give_gradients(stacked, 0)
    fused.step(np.ones(3, dtype=bool))
    before, kept = [p.detach().clone() for p in stacked], fused.state()
    give_gradients(stacked, 1)
    fused.step(np.array([True, False, True]))
    after = fused.state()
    for index, (old, new) in enumerate(zip(before, stacked, strict=True)):
        assert torch.equal(own(old, 1), own(new, 1))
        assert not torch.equal(own(old, 0), own(new, 0))
        for name in (f"{index}.exp_avg", f"{index}.exp_avg_sq"):
            np.testing.assert_array_equal(
                after[name].reshape(N_MEMBERS, -1)[1], kept[name].reshape(N_MEMBERS, -1)[1]
            )
    assert after["steps"].tolist() == [2, 1, 2]


def test_gradients_are_forgotten() -> None:
    stacked = parameters()
    give_gradients(stacked, 0)
    optimizer(stacked).zero_grad()
    assert [parameter.grad for parameter in stacked] == [None, None]


def test_it_goes_on_from_its_state() -> None:
    straight, resumed = parameters(), parameters()
    first, second = optimizer(straight), optimizer(resumed)
    for step, active in enumerate(ACTIVE):
        give_gradients(straight, step)
        first.step(active)
    state = first.state()
    second.restore({name: array.copy() for name, array in state.items()})
    for mine, theirs in zip(resumed, straight, strict=True):
        mine.data.copy_(theirs.data)
    for parameters_, fused in ((straight, first), (resumed, second)):
        give_gradients(parameters_, 9)
        fused.step(np.array([True, False, True]))
    for mine, theirs in zip(resumed, straight, strict=True):
        assert torch.equal(mine, theirs)
    assert state["steps"].tolist() == [5, 2, 3], "a state does not change after it was taken"


@pytest.mark.parametrize("name", ["steps", "0.exp_avg", "1.exp_avg_sq"])
def test_a_state_that_does_not_fit_is_named(name: str) -> None:
    fused = optimizer(parameters())
    state = fused.state()
    for damaged in ({k: v for k, v in state.items() if k != name}, state | {name: state[name][:1]}):
        with pytest.raises(RewardModelError, match=rf"`{name}` in the state of the reward's optimiser must have"):
            fused.restore(damaged)
