import numpy as np
import pytest
import torch
from torch import nn

from prefrl.reward.members import Members
from prefrl.reward.mlp import BatchedMLP, NumpyMLP

SEEDS = [11, 12, 13]


def as_layers(network: BatchedMLP, member: int) -> nn.Sequential:
    """One member as torch's own layers."""
    layers: list[nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2])
        linear.weight = nn.Parameter(weight[member].detach().T.clone())
        linear.bias = nn.Parameter(bias[member, 0].detach().clone())
        layers += [linear, nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("hidden_sizes", [(), (5,), (64, 64), (7, 3, 9)])
def test_it_equals_networks_of_their_own(hidden_sizes: tuple[int, ...]) -> None:
    network = BatchedMLP(4, hidden_sizes, SEEDS)
    features = torch.randn(3, 10, 5, 4, generator=torch.Generator().manual_seed(0))
    own, shared = network(features), network(features[0])
    assert own.shape == shared.shape == (3, 10, 5)
    for member in range(3):
        layers = as_layers(network, member)
        torch.testing.assert_close(own[member], layers(features[member]).squeeze(-1))
        torch.testing.assert_close(shared[member], layers(features[0]).squeeze(-1))


def test_by_hand() -> None:
    """One input x, two hidden units 2x + 1 and -x, output 3 h1 + 5 h2 - 4."""
    network = BatchedMLP(1, (2,), [0])
    values = [[[2.0, -1.0]], [[3.0], [5.0]]], [[[1.0, 0.0]], [[-4.0]]]
    for parameters, numbers in zip((network.weights, network.biases), values, strict=True):
        for parameter, number in zip(parameters, numbers, strict=True):
            parameter.data[0] = torch.tensor(number)
    # x = 1: h = (3, -0.01), 9 - 0.05 - 4; x = -1: h = (-0.01, 1), -0.03 + 5 - 4.
    outputs = network(torch.tensor([[[1.0], [-1.0]]]))
    torch.testing.assert_close(outputs, torch.tensor([[[4.95, 0.97]]]))
    assert network.squared_norms().item() == pytest.approx(4 + 1 + 9 + 25 + 1 + 0 + 16)


def test_gradients_of_a_member_do_not_reach_another() -> None:
    network = BatchedMLP(4, (5,), SEEDS)
    network(torch.ones(3, 2, 1, 4))[1].sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert not parameter.grad[[0, 2]].any()
        assert parameter.grad[1].any()


def test_squared_norms_are_per_member() -> None:
    network = BatchedMLP(4, (5, 6), SEEDS)
    for member, norm in enumerate(network.squared_norms()):
        expected = sum(p.square().sum() for p in as_layers(network, member).parameters())
        torch.testing.assert_close(norm, expected)


def test_a_member_depends_on_its_own_seed_only() -> None:
    few, more, other = BatchedMLP(4, (5,), [11, 12]), BatchedMLP(4, (5,), SEEDS), BatchedMLP(4, (5,), [11, 99])
    for a, b, c in zip(few.parameters(), more.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b[:2])
        assert torch.equal(a[0], c[0])
        assert not torch.equal(a[1], c[1])
        assert not torch.equal(a[0], a[1])


def test_first_weights_are_spread_as_torch_spreads_them() -> None:
    """Uniform within 1 / sqrt(inputs): sd 1 / sqrt(3 inputs)."""
    network = BatchedMLP(100, (400,), [0])
    bound = 0.1
    weight = network.weights[0].detach()
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert network.biases[0].detach().abs().max() <= bound


@pytest.mark.parametrize("hidden_sizes", [(), (5,), (64, 64)])
def test_in_numpy_it_is_the_same(hidden_sizes: tuple[int, ...], rng: np.random.Generator) -> None:
    network = BatchedMLP(4, hidden_sizes, SEEDS)
    features = rng.normal(size=(30, 1, 4)).astype(np.float32)
    expected = network(torch.as_tensor(features)).detach().numpy()[..., 0]
    outputs = network.predictor()(features)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    # What a device other than the CPU, and a network without anything faster, predict with.
    np.testing.assert_allclose(Members.predictor(network)(features), expected, atol=1e-6)


def test_numpy_follows_training(rng: np.random.Generator) -> None:
    network = BatchedMLP(4, (8,), SEEDS)
    fast, features = NumpyMLP(network), rng.normal(size=(30, 1, 4)).astype(np.float32)
    inputs = torch.as_tensor(features)
    before = fast(features)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        network(inputs).square().sum().backward()
        optimizer.step()
    assert not np.allclose(fast(features), before)
    np.testing.assert_allclose(fast(features), network(inputs).detach().numpy()[..., 0], atol=1e-6)


def test_numpy_leaves_its_input_alone(rng: np.random.Generator) -> None:
    features = rng.normal(size=(30, 1, 4)).astype(np.float32)
    kept = features.copy()
    NumpyMLP(BatchedMLP(4, (), SEEDS))(features)
    NumpyMLP(BatchedMLP(4, (5,), SEEDS))(features)
    np.testing.assert_array_equal(features, kept)


def test_numpy_predicts_on_the_cpu_only() -> None:
    network = BatchedMLP(4, (5,), SEEDS)
    assert isinstance(network.predictor(), NumpyMLP)
    assert not isinstance(network.to("meta").predictor(), NumpyMLP)
