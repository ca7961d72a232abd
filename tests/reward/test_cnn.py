from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from prefrl.reward.cnn import BatchedCNN, FoldedCNN

SEEDS = [11, 12, 13]
SHAPE = (48, 44, 2)


def some_frames(*leading: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.integers(256, size=(*leading, *SHAPE), dtype=np.uint8))


def as_layers(network: BatchedCNN, member: int) -> nn.Sequential:
    """One member as torch's own layers, which read stacks [n, K·C, height, width] of numbers from 0 to 1."""
    layers: list[nn.Module] = []
    own = slice(16 * member, 16 * member + 16)
    for index, (size, stride) in enumerate(((7, 3), (5, 2), (3, 1), (3, 1))):
        kernel = network.kernels[index].detach()[own]
        if index == 0:
            kernel = torch.cat([kernel[:, :, k] for k in range(kernel.shape[2])], dim=1)
        conv = nn.Conv2d(kernel.shape[1], 16, size, stride, bias=False)
        conv.weight = nn.Parameter(kernel.clone())
        norm = nn.BatchNorm2d(16)
        norm.weight = nn.Parameter(network.gains[index].detach()[own].clone())
        norm.bias = nn.Parameter(network.shifts[index].detach()[own].clone())
        norm.running_mean = network.get_buffer(f"running_mean_{index}")[own].clone()
        norm.running_var = network.get_buffer(f"running_variance_{index}")[own].clone()
        layers += [conv, norm, nn.LeakyReLU(0.01)]
    layers.append(nn.Flatten())
    for weight, bias in zip(network.head.weights, network.head.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2])
        linear.weight = nn.Parameter(weight[member].detach().T.clone())
        linear.bias = nn.Parameter(bias[member, 0].detach().clone())
        layers += [linear, nn.LeakyReLU(0.01)]
    return nn.Sequential(*layers[:-1])


def stacks_of(segment: torch.Tensor, frame_stack: int) -> torch.Tensor:
    """Every step's frames put together one by one: [K−1 + T, H, W, C] to [T, K·C, H, W]."""
    steps = range(len(segment) - frame_stack + 1)
    stacks = [torch.cat(list(segment[t : t + frame_stack]), dim=-1) for t in steps]
    return torch.stack(stacks).permute(0, 3, 1, 2) / 255


def trained(network: BatchedCNN) -> BatchedCNN:
    """Give batch norm something to do in evaluation."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for index in range(4):
            network.gains[index].uniform_(0.5, 2.0, generator=generator)
            network.shifts[index].normal_(generator=generator)
            network.get_buffer(f"running_mean_{index}").normal_(generator=generator)
            network.get_buffer(f"running_variance_{index}").uniform_(0.5, 2.0, generator=generator)
    return network


@pytest.mark.parametrize("frame_stack", [1, 4])
def test_it_equals_networks_of_their_own_on_stacks(frame_stack: int) -> None:
    """Torch's own layers on every stack for itself, one member after the other."""
    network = trained(BatchedCNN(SHAPE, frame_stack, SEEDS))
    frames = some_frames(3, 2, frame_stack + 4)
    rewards = network(frames)
    assert rewards.shape == (3, 2, 5)
    for member in range(3):
        layers = as_layers(network, member).eval()
        for segment in range(2):
            expected = layers(stacks_of(frames[member, segment], frame_stack)).squeeze(-1)
            torch.testing.assert_close(rewards[member, segment], expected, atol=1e-4, rtol=1e-4)


def test_members_may_read_the_same_segments() -> None:
    network = trained(BatchedCNN(SHAPE, 3, SEEDS))
    frames = some_frames(2, 7)
    torch.testing.assert_close(network(frames), network(frames.expand(3, *frames.shape)), atol=1e-4, rtol=1e-4)


def test_in_training_it_equals_networks_of_their_own(rng: np.random.Generator) -> None:
    """Outputs, gradients and running statistics, with batch norm over the steps of the batch."""
    network = BatchedCNN(SHAPE, 2, SEEDS, dropout=0.0)
    members = [as_layers(network, member).train() for member in range(3)]
    frames = some_frames(3, 4, 4)
    rewards = network(frames, rng=rng)
    rewards.square().sum().backward()
    for member, layers in enumerate(members):
        stacks = torch.cat([stacks_of(segment, 2) for segment in frames[member]])
        expected = layers(stacks).squeeze(-1)
        torch.testing.assert_close(rewards[member].flatten(), expected, atol=1e-4, rtol=1e-3)
        expected.square().sum().backward()
        norm = layers[1]
        assert isinstance(norm, nn.BatchNorm2d)
        own = slice(16 * member, 16 * member + 16)
        torch.testing.assert_close(network.get_buffer("running_mean_0")[own], norm.running_mean)
        torch.testing.assert_close(network.get_buffer("running_variance_0")[own], norm.running_var)
        gradient, second = network.kernels[1].grad, layers[3]
        assert gradient is not None
        assert isinstance(second, nn.Conv2d)
        torch.testing.assert_close(gradient[own], second.weight.grad, atol=1e-3, rtol=1e-2)


def unpadded(frames: torch.Tensor, lengths: Sequence[int], frame_stack: int) -> torch.Tensor:
    """The stacks of the steps that exist, of segments one after the other."""
    stacks = [stacks_of(frames[i, : n + frame_stack - 1], frame_stack) for i, n in enumerate(lengths)]
    return torch.cat(stacks)


def test_padding_does_not_enter_the_statistics(rng: np.random.Generator) -> None:
    """Outputs, gradients and running statistics are those of segments that nothing was added to."""
    network, lengths = BatchedCNN(SHAPE, 2, SEEDS), ([4, 1, 3], [2, 4, 4], [4, 4, 4])
    members = [as_layers(network, member).train() for member in range(3)]
    frames = some_frames(3, 3, 5)
    mask = torch.stack([torch.arange(4) < torch.tensor(own)[:, None] for own in lengths]).float()
    rewards = network(frames, mask=mask, rng=rng)
    (rewards * mask).square().sum().backward()
    for member, layers in enumerate(members):
        expected = layers(unpadded(frames[member], lengths[member], 2)).squeeze(-1)
        received = rewards[member][mask[member] > 0]
        torch.testing.assert_close(received, expected, atol=1e-3, rtol=1e-3)
        expected.square().sum().backward()
        own = slice(16 * member, 16 * member + 16)
        for index in range(4):
            norm = layers[3 * index + 1]
            assert isinstance(norm, nn.BatchNorm2d)
            for name, reference in (("mean", norm.running_mean), ("variance", norm.running_var)):
                mine = network.get_buffer(f"running_{name}_{index}")[own]
                torch.testing.assert_close(mine, reference, atol=1e-4, rtol=1e-3)
        gradient, second = network.kernels[1].grad, layers[3]
        assert gradient is not None
        assert isinstance(second, nn.Conv2d)
        torch.testing.assert_close(gradient[own], second.weight.grad, atol=1e-2, rtol=1e-2)


def test_a_mask_of_ones_changes_nothing(rng: np.random.Generator) -> None:
    one, other = BatchedCNN(SHAPE, 2, SEEDS), BatchedCNN(SHAPE, 2, SEEDS)
    frames = some_frames(3, 2, 5)
    masked, plain = one(frames, mask=torch.ones(3, 2, 4), rng=rng), other(frames, rng=rng)
    assert torch.equal(masked, plain)


def test_a_member_that_is_not_trained_remembers_nothing(rng: np.random.Generator) -> None:
    network = trained(BatchedCNN(SHAPE, 1, SEEDS))
    before = {name: value.clone() for name, value in network.named_buffers()}
    mask = torch.ones(3, 2, 3)
    mask[1] = 0
    rewards = network(some_frames(3, 2, 3), mask=mask, rng=rng)
    (rewards * mask).sum().backward()
    for name, value in network.named_buffers():
        first, own, last = value.split(16)
        assert torch.equal(own, before[name][16:32]), name
        assert not torch.equal(first, before[name][:16]), name
        assert not torch.equal(last, before[name][32:]), name
    for kernel in network.kernels:
        assert kernel.grad is not None
        assert kernel.grad.isfinite().all()
        assert not kernel.grad[16:32].any()


def test_without_dropout_all_filters_stay(rng: np.random.Generator) -> None:
    network = BatchedCNN(SHAPE, 1, SEEDS)
    network.shifts[0].data[:] = 1.0
    assert network._after(0, torch.zeros(5, 48, 2, 2), rng).unique().tolist() == [1.0]


def test_gradients_of_a_member_do_not_reach_another(rng: np.random.Generator) -> None:
    network = BatchedCNN(SHAPE, 1, SEEDS)
    network(some_frames(3, 2, 3), rng=rng)[1].sum().backward()
    for parameter in [*network.kernels, *network.gains, *network.shifts]:
        assert parameter.grad is not None
        first, own, last = parameter.grad.split(16)
        assert not first.any()
        assert not last.any()
        assert own.any()


def test_dropout_takes_half_of_the_filters_and_keeps_the_mean(rng: np.random.Generator) -> None:
    network = BatchedCNN(SHAPE, 1, SEEDS, dropout=0.5)
    ones = torch.ones(400, 48, 2, 2)
    dropped = network._after(0, torch.zeros_like(ones), rng)  # batch norm of a constant is its shift: 0
    assert not dropped.any()
    network.shifts[0].data[:] = 1.0
    dropped = network._after(0, torch.zeros_like(ones), rng)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[:, :, :1, :1]).all(), "a filter is left out everywhere or nowhere"
    share = (dropped[:, :, 0, 0] == 0).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.02)  # 19,200 draws: sd 0.0036


def test_without_a_generator_nothing_is_drawn_or_remembered() -> None:
    network = trained(BatchedCNN(SHAPE, 2, SEEDS))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    frames = some_frames(2, 6)
    first, second = network(frames), network(frames)
    torch.testing.assert_close(first, second, atol=0.0, rtol=0.0)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_folded_it_is_the_same() -> None:
    network = trained(BatchedCNN(SHAPE, 4, SEEDS))
    frames = some_frames(6, 4)
    folded = network.predictor()
    assert isinstance(folded, FoldedCNN)
    expected = network(frames)[..., 0].detach().numpy()
    np.testing.assert_allclose(folded(frames.numpy()), expected, atol=1e-4, rtol=1e-4)


def test_a_member_depends_on_its_own_seed_only() -> None:
    one, other = BatchedCNN(SHAPE, 4, [1, 2]), BatchedCNN(SHAPE, 4, [3, 2, 1])
    frames = some_frames(2, 6)
    torch.testing.assert_close(one(frames)[1], other(frames)[1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one(frames)[0], other(frames)[2], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(one(frames)[0], other(frames)[0])


def test_squared_norms_are_per_member() -> None:
    network = trained(BatchedCNN(SHAPE, 4, SEEDS))
    for member, norm in enumerate(network.squared_norms()):
        layers = as_layers(network, member)
        weights = [m for m in layers if isinstance(m, nn.Conv2d | nn.Linear)]
        expected = sum(p.square().sum() for layer in weights for p in layer.parameters())
        torch.testing.assert_close(norm, expected)


def test_the_papers_network_has_the_papers_size() -> None:
    """84 x 84 x 4: 26, 11, 9 and 7 pixels a side after the convolutions, 64 units, one number."""
    network = BatchedCNN((84, 84, 1), 4, [0])
    shapes = [tuple(kernel.shape) for kernel in network.kernels]
    assert shapes == [(16, 1, 4, 7, 7), (16, 16, 5, 5), (16, 16, 3, 3), (16, 16, 3, 3)]
    assert [tuple(weight.shape[1:]) for weight in network.head.weights] == [(16 * 7 * 7, 64), (64, 1)]
    assert network(torch.zeros((1, 4, 84, 84, 1), dtype=torch.uint8)).shape == (1, 1, 1)
