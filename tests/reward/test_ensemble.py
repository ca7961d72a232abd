import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gymnasium import spaces
from safetensors.numpy import load_file, save_file

from prefrl.errors import DeviceError, RewardModelError, SpaceError
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.reward.ensemble import DESCRIPTION_FILE, WEIGHTS_FILE
from prefrl.reward.inputs import CLIP as INPUT_CLIP
from prefrl.reward.members import BYTES_AT_ONCE
from prefrl.segments import Comparison, Segment, SegmentRecorder
from prefrl.settings import RewardSettings

MakeComparisons = Callable[..., list[Comparison]]
MakeEnsemble = Callable[..., RewardEnsemble]
Array = npt.NDArray[np.float64]

OBSERVATIONS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-np.inf, np.inf, (3,), np.float64),
    "image": spaces.Box(0, 255, (4, 4, 3), np.uint8),
    "discrete": spaces.Discrete(5),
    "discrete-from": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 2, 4]),
    "multi-discrete-from": spaces.MultiDiscrete([3, 2], start=[1, -1]),
    "multi-binary": spaces.MultiBinary(4),
    "dict": spaces.Dict(
        {
            "speed": spaces.Box(-1, 1, (2,), np.float32),
            "gear": spaces.Discrete(3, start=1),
            "inside": spaces.Dict({"flags": spaces.MultiBinary(2), "dial": spaces.MultiDiscrete([2, 3])}),
        }
    ),
}
ACTIONS: dict[str, spaces.Space[Any]] = {
    "box": spaces.Box(-1, 1, (2,), np.float32),
    "discrete": spaces.Discrete(3, start=1),
    "multi-discrete": spaces.MultiDiscrete([2, 2]),
    "multi-binary": spaces.MultiBinary(2),
}


def batch(space: spaces.Space[Any], samples: list[Any]) -> Any:
    """Samples as a vectorised environment hands them out: arrays, and mappings of them."""
    if isinstance(space, spaces.Dict):
        return {key: batch(inner, [s[key] for s in samples]) for key, inner in space.spaces.items()}
    return np.stack(samples)


def flattened(space: spaces.Space[Any], samples: list[Any]) -> npt.NDArray[Any]:
    return np.stack([np.asarray(spaces.flatten(space, sample)) for sample in samples])


def steps(n: int, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    observations = rng.normal(2.0, 3.0, size=(n, 3)).astype(np.float32)
    return observations, rng.uniform(-1, 1, size=(n, 2)).astype(np.float32)


@pytest.fixture
def fitted(make_ensemble: MakeEnsemble, make_comparisons: MakeComparisons) -> RewardEnsemble:
    ensemble = make_ensemble()
    ensemble.inputs.update(*steps(100))
    trainer = RewardTrainer(ensemble)
    trainer.add(make_comparisons(20))
    trainer.fit(5)
    return ensemble


def normalised_by_hand(ensemble: RewardEnsemble, features: Array) -> Array:
    arrays, _ = ensemble.state()
    return np.clip((features - arrays["input_mean"]) / np.sqrt(arrays["input_variance"]), -10, 10)


def predicted_by_hand(ensemble: RewardEnsemble, inputs: Array) -> Array:
    """Each member's normalised output in float64, one matrix after the other, shape [E, n]."""
    arrays = {name: array.astype(np.float64) for name, array in ensemble.state()[0].items()}
    rewards = []
    for member in range(ensemble.n_members):
        hidden = inputs
        for layer in range(3):
            hidden = hidden @ arrays[f"weights.{layer}"][member] + arrays[f"biases.{layer}"][member]
            if layer < 2:
                hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
        raw = hidden[:, 0]
        rewards.append((raw - arrays["output_mean"][member]) / arrays["output_sd"][member])
    return np.stack(rewards) * ensemble.settings.reward_sd


# --- the reward -------------------------------------------------------------------------------------------


def test_the_reward_is_the_mean_of_the_members_each_normalised(fitted: RewardEnsemble) -> None:
    observations, actions = steps(40, seed=1)
    features = np.concatenate([observations, actions], axis=1).astype(np.float64)
    members = predicted_by_hand(fitted, normalised_by_hand(fitted, features))
    # float32 against float64.
    np.testing.assert_allclose(fitted.predict_members(observations, actions), members, atol=1e-5)
    np.testing.assert_allclose(fitted.predict(observations, actions), members.mean(axis=0), atol=1e-5)
    assert fitted.predict(observations, actions).dtype == np.float32
    assert fitted.predict(observations, actions).shape == (40,)


def test_the_reward_of_a_step_does_not_depend_on_its_batch(fitted: RewardEnsemble) -> None:
    observations, actions = steps(10)
    together = fitted.predict(observations, actions)
    alone = [fitted.predict(observations[i : i + 1], actions[i : i + 1])[0] for i in range(10)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_before_the_first_fit_the_reward_is_0(make_ensemble: MakeEnsemble) -> None:
    ensemble = make_ensemble()
    assert not ensemble.fitted
    assert not ensemble.predict(*steps(5)).any()
    members = ensemble.predict_members(*steps(5))
    assert members.shape == (3, 5)
    assert not members.any()
    observations, actions = steps(5)
    segment = Segment(observations=observations, actions=actions, env_rewards=np.ones(5, np.float32))
    assert ensemble.returns([segment] * 2).tolist() == [[0.0, 0.0]] * 3


def test_returns_are_raw_sums_of_each_member(fitted: RewardEnsemble, make_comparisons: MakeComparisons) -> None:
    """Raw, so that their differences are the logits of preferences; of segments of several lengths at once."""
    segments = [s for c in make_comparisons(10, seed=3, lengths=(1, 2, 7)) for s in c.segments]
    returns = fitted.returns(segments)
    assert returns.shape == (3, 20)
    assert returns.dtype == np.float64
    for i, segment in enumerate(segments):
        members = fitted.predict_members(segment.observations, segment.actions).astype(np.float64)
        raw = members * fitted.output_sd[:, None] + fitted.output_mean[:, None]
        np.testing.assert_allclose(returns[:, i], raw.sum(axis=1), atol=1e-4)


def test_reward_sd_scales_the_reward(fitted: RewardEnsemble, make_ensemble: MakeEnsemble) -> None:
    small = make_ensemble(reward_sd=0.05)
    small.restore(*fitted.state())
    np.testing.assert_allclose(small.predict(*steps(9)), 0.05 * fitted.predict(*steps(9)), rtol=1e-4, atol=1e-7)


def test_steps_and_segments_are_computed_alike(fitted: RewardEnsemble) -> None:
    """Single steps go through NumPy, segments through torch."""
    observations, actions = steps(30)
    segment = Segment(observations=observations, actions=actions, env_rewards=np.zeros(30, np.float32))
    np.testing.assert_allclose(fitted.predict_segment(segment), fitted.predict(observations, actions), atol=1e-5)


def test_the_smallest_member_may_be_the_reward(fitted: RewardEnsemble, make_ensemble: MakeEnsemble) -> None:
    careful = make_ensemble(aggregation="min")
    observations, actions = steps(20)
    assert not careful.predict(observations, actions).any(), "0 until the first fit"
    careful.restore(*fitted.state())
    members = fitted.predict_members(observations, actions)
    assert len(set(members.argmin(axis=0))) > 1
    rewards = careful.predict(observations, actions)
    np.testing.assert_allclose(rewards, members.min(axis=0), atol=1e-6)
    assert rewards.dtype == np.float32
    segment = Segment(observations=observations, actions=actions, env_rewards=np.zeros(20, np.float32))
    np.testing.assert_allclose(careful.predict_segment(segment), rewards, atol=1e-5)


@pytest.mark.parametrize("sd_weight", [-1.5, 0.5])
def test_disagreement_may_be_taken_off_or_added(
    fitted: RewardEnsemble, make_ensemble: MakeEnsemble, sd_weight: float
) -> None:
    other = make_ensemble(sd_weight=sd_weight)
    observations, actions = steps(20)
    assert not other.predict(observations, actions).any(), "0 until the first fit"
    other.restore(*fitted.state())
    members = fitted.predict_members(observations, actions)
    rewards = other.predict(observations, actions)
    np.testing.assert_allclose(rewards, members.mean(axis=0) + sd_weight * members.std(axis=0), atol=1e-5)
    assert rewards.dtype == np.float32
    segment = Segment(observations=observations, actions=actions, env_rewards=np.zeros(20, np.float32))
    np.testing.assert_allclose(other.predict_segment(segment), rewards, atol=1e-5)


def test_many_segments_are_evaluated_a_few_at_a_time(
    fitted: RewardEnsemble, make_comparisons: MakeComparisons, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = [s for c in make_comparisons(30, seed=3, lengths=(2, 5)) for s in c.segments]
    expected = fitted.returns(segments)
    sizes, raw = [], fitted.raw

    def seen(read: torch.Tensor) -> torch.Tensor:
        sizes.append(read.shape[0] * read.shape[1])
        return raw(read)

    monkeypatch.setattr(fitted, "raw", seen)
    fitted.network.bytes_per_step = BYTES_AT_ONCE // 11
    np.testing.assert_allclose(fitted.returns(segments), expected, rtol=1e-4, atol=1e-5)
    assert max(sizes) == 10
    assert sum(sizes) == sum(segment.n_steps for segment in segments)


def test_returns_of_nothing_are_none(fitted: RewardEnsemble) -> None:
    assert fitted.returns([]).shape == (3, 0)


# --- inputs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("action_is_read", [True, False])
def test_every_kind_of_space_is_read_as_gymnasium_flattens_it(
    observation: str, action: str, action_is_read: bool
) -> None:
    """From the batch of a step, and from the segments of a recorder."""
    kinds = OBSERVATIONS[observation], ACTIONS[action]
    for kind in kinds:
        kind.seed(0)
    samples = [[kind.sample() for _ in range(6)] for kind in kinds]
    observations, actions = (batch(kind, values) for kind, values in zip(kinds, samples, strict=True))
    settings = RewardSettings(hidden_sizes=(8, 8), n_members=2, action=action_is_read, next_observation=True)
    ensemble = RewardEnsemble(*kinds, settings=settings)
    observed, acted = (flattened(k, values) for k, values in zip(kinds, samples, strict=True))
    parts = [observed, acted, observed] if action_is_read else [observed, observed]
    flat = np.concatenate(parts, axis=1)  # nothing moves: what follows is what was before
    assert ensemble.inputs.shape == flat.shape[1:]
    assert not ensemble.predict(observations, actions, observations).any()

    recorder = SegmentRecorder(*kinds, 6, capacity=4)
    for _ in range(4):
        recorder.record(
            observations, actions, np.zeros(6), np.zeros(6, dtype=bool), next_observations=observations
        )
    segments = recorder.sample(20, length=4, rng=np.random.default_rng(0))
    for segment in segments:
        features = ensemble.inputs.of_segment(segment)
        np.testing.assert_allclose(features, flat[[segment.env_index] * 4], rtol=1e-6)

    trainer = RewardTrainer(ensemble)
    trainer.add([Comparison(segments=(a, b), preferences=(1.0,)) for a, b in itertools.pairwise(segments)])
    trainer.fit(2)
    rewards = ensemble.predict(observations, actions, observations)
    assert rewards.shape == (6,)
    inputs = ensemble.inputs.normalise_array(flat.astype(np.float32))
    np.testing.assert_allclose(
        rewards, predicted_by_hand(ensemble, inputs.astype(np.float64)).mean(axis=0), atol=1e-4
    )


def test_numbers_are_normalised_and_indicators_are_not() -> None:
    """A state that was seen once in a thousand must not be blown up."""
    space = spaces.Dict({"speed": spaces.Box(-np.inf, np.inf, (1,), np.float32), "state": spaces.Discrete(2)})
    ensemble = RewardEnsemble(space, spaces.Discrete(2), settings=RewardSettings(next_observation=True))
    observations = np.zeros((1000, 3), dtype=np.float32)
    observations[:, 0] = np.arange(1000)
    observations[0, 1] = 1.0
    ensemble.inputs.update(observations, np.zeros(1000, dtype=np.int64))
    rows = torch.tensor([[499.5, 1.0, 0.0, 1.0, 0.0, 788.175, 0.0, 1.0], [788.175, 0, 1, 0, 1, 499.5, 1, 0]])
    normalised = ensemble.inputs.normalise(rows)
    # The sd of 0, 1, ... 999 is 288.675. What follows is normalised as what was before.
    expected = [[0, 1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 1, 0]]
    np.testing.assert_allclose(normalised.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(ensemble.inputs.normalise_array(rows.numpy()), normalised.numpy())


def test_a_simulator_that_explodes_does_not_take_the_reward_with_it(fitted: RewardEnsemble) -> None:
    observations, actions = steps(1)
    rewards = []
    for size in (1e4, 1e8, 1e30):
        rewards.append(fitted.predict(np.full_like(observations, size), actions)[0])
    assert np.isfinite(rewards).all()
    assert rewards[0] == rewards[1] == rewards[2]
    inputs = fitted.inputs.normalise(torch.full((1, 5), -1e30))
    assert inputs.tolist() == [[-INPUT_CLIP] * 5]


def test_an_input_that_never_changed_does_not_explode(make_ensemble: MakeEnsemble) -> None:
    ensemble = make_ensemble()
    ensemble.inputs.update(np.full((50, 3), 3.0, dtype=np.float32), np.full((50, 2), 3.0, dtype=np.float32))
    assert ensemble.inputs.normalise(torch.full((1, 5), 3.0)).abs().max() == 0.0
    assert ensemble.inputs.normalise(torch.full((1, 5), 3.001)).abs().max() < 1.1


def test_inputs_are_frozen_until_they_are_updated(fitted: RewardEnsemble) -> None:
    before = fitted.predict(*steps(5))
    fitted.inputs.of_steps(*steps(5, seed=9), None)
    fitted.predict(*steps(1000, seed=9))
    np.testing.assert_array_equal(fitted.predict(*steps(5)), before)
    observations, actions = steps(1000, seed=9)
    fitted.inputs.update(100 * observations, 100 * actions)
    assert not np.allclose(fitted.predict(*steps(5)), before)


# --- same and other seeds ---------------------------------------------------------------------------------


def test_same_seed_same_weights_other_seed_other_weights(make_ensemble: MakeEnsemble) -> None:
    first, again, other = (make_ensemble(seed=seed).state()[0] for seed in (0, 0, 1))
    for name in ("weights.0", "biases.0", "weights.2"):
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_a_member_starts_the_same_in_every_size_of_ensemble(make_ensemble: MakeEnsemble) -> None:
    few, more = (make_ensemble(n_members=n).state()[0] for n in (2, 5))
    np.testing.assert_array_equal(few["weights.1"], more["weights.1"][:2])


def test_global_random_numbers_are_neither_used_nor_moved(make_ensemble: MakeEnsemble) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = make_ensemble()
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(make_ensemble().state()[0]["weights.0"], first.state()[0]["weights.0"])


# --- on disk ----------------------------------------------------------------------------------------------


def test_saved_and_loaded_it_is_the_same_to_the_bit(fitted: RewardEnsemble, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = RewardEnsemble.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(*steps(50)), fitted.predict(*steps(50)))
    (ours, _), (theirs, _) = loaded.state(), fitted.state()
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
        assert ours[name].dtype == array.dtype
    assert loaded.settings == fitted.settings
    assert (loaded.fitted, loaded.seed) == (True, 0)
    loaded.save(tmp_path / "again")
    for file in (WEIGHTS_FILE, DESCRIPTION_FILE):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "model" / file).read_bytes()


def test_an_ensemble_that_was_never_fitted_stays_so(make_ensemble: MakeEnsemble, tmp_path: Path) -> None:
    make_ensemble().save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    assert not loaded.fitted
    assert not loaded.predict(*steps(5)).any()


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("action", ["discrete", "multi-discrete"])
def test_every_kind_of_space_comes_back_from_disk(tmp_path: Path, observation: str, action: str) -> None:
    kinds = OBSERVATIONS[observation], ACTIONS[action]
    ensemble = RewardEnsemble(*kinds, settings=RewardSettings(hidden_sizes=(8,), next_observation=True))
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    ensemble.save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    for kind in kinds:
        kind.seed(0)
    observations, actions = (batch(kind, [kind.sample() for _ in range(5)]) for kind in kinds)
    args = observations, actions, observations
    np.testing.assert_array_equal(loaded.predict(*args), ensemble.predict(*args))


def test_training_goes_on_after_loading(
    fitted: RewardEnsemble, make_comparisons: MakeComparisons, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    loaded = RewardEnsemble.load(tmp_path)
    before = loaded.predict(*steps(5))
    trainer = RewardTrainer(loaded)
    trainer.add(make_comparisons(20))
    trainer.fit(5)
    assert not np.allclose(loaded.predict(*steps(5)), before)


def spoil_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    arrays = load_file(folder / WEIGHTS_FILE)
    change(arrays)
    save_file(arrays, folder / WEIGHTS_FILE)


def spoil_description(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    description = json.loads((folder / DESCRIPTION_FILE).read_text())
    change(description)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description))


def truncate(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda f: (f / WEIGHTS_FILE).unlink(), id="no_weights"),
        pytest.param(lambda f: (f / DESCRIPTION_FILE).unlink(), id="no_description"),
        pytest.param(lambda f: truncate(f / WEIGHTS_FILE), id="weights_cut_short"),
        pytest.param(lambda f: truncate(f / DESCRIPTION_FILE), id="description_cut_short"),
        pytest.param(lambda f: (f / WEIGHTS_FILE).write_bytes(b""), id="weights_empty"),
        pytest.param(lambda f: (f / DESCRIPTION_FILE).write_bytes(b"\xff\xfe"), id="description_no_text"),
        pytest.param(lambda f: (f / DESCRIPTION_FILE).write_text("[1]"), id="description_is_a_list"),
        pytest.param(lambda f: (f / DESCRIPTION_FILE).write_text("7"), id="description_is_a_number"),
        pytest.param(lambda f: spoil_weights(f, lambda a: a.pop("weights.1")), id="a_layer_is_missing"),
        pytest.param(lambda f: spoil_weights(f, lambda a: a.pop("input_count")), id="a_count_is_missing"),
        pytest.param(
            lambda f: spoil_weights(f, lambda a: a.update({"weights.1": np.zeros((3, 8, 1))})),
            id="a_layer_that_would_be_broadcast",
        ),
        pytest.param(
            lambda f: spoil_weights(f, lambda a: a.update(output_sd=np.ones(2))), id="moments_of_two_members"
        ),
        pytest.param(lambda f: spoil_description(f, lambda d: d["state"].pop("fitted")), id="key_is_missing"),
        pytest.param(lambda f: spoil_description(f, lambda d: d.update(colour=1)), id="key_is_unknown"),
        pytest.param(
            lambda f: spoil_description(f, lambda d: d["settings"].update(n_members=4)), id="other_members"
        ),
        pytest.param(lambda f: spoil_description(f, lambda d: d["settings"].update(n_members=0)), id="no_members"),
        pytest.param(
            lambda f: spoil_description(f, lambda d: d["settings"].update(hidden_sizes=[8, 9])), id="other_sizes"
        ),
        pytest.param(
            lambda f: spoil_description(f, lambda d: d.update(action_space={"kind": "Text"})), id="other_kind"
        ),
        pytest.param(lambda f: spoil_description(f, lambda d: d.update(action_space=None)), id="no_space"),
    ],
)
def test_a_damaged_model_is_one_error(
    fitted: RewardEnsemble, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    fitted.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(RewardModelError, match=r"reward model") as caught:
        RewardEnsemble.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RewardModelError, match=r"There is no readable reward model in .*nowhere"):
        RewardEnsemble.load(tmp_path / "nowhere")


def test_a_later_format_asks_for_an_update(fitted: RewardEnsemble, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    spoil_description(tmp_path, lambda d: d.update(format_version=3, what_we_know_not_yet=True))
    with pytest.raises(RewardModelError, match=r"has format 3; this prefrl reads up to 2: update prefrl"):
        RewardEnsemble.load(tmp_path)


# --- arguments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (spaces.Text(5), r"Text\(1, 5, .*\)"),
        (spaces.Tuple([spaces.Discrete(2)]), r"Tuple\(Discrete\(2\)\)"),
        (spaces.Sequence(spaces.Discrete(2)), r"Sequence\(Discrete\(2\), stack=False\)"),
        (spaces.Graph(spaces.Discrete(2), None), r"Graph\(.*\)"),
    ],
)
def test_a_space_that_no_network_reads_is_named(space: spaces.Space[Any], name: str) -> None:
    box = ACTIONS["box"]
    for kinds, role in (((space, box), "observation"), ((box, space), "action")):
        with pytest.raises(SpaceError, match=rf"^The {role} space is {name}, but rewards are learned on Box"):
            RewardEnsemble(*kinds)
    within = spaces.Dict({"a": box, "b": spaces.Dict({"c": space})})
    with pytest.raises(SpaceError, match=rf"space \(key 'b'\) \(key 'c'\) is {name}"):
        RewardEnsemble(within, box)


def test_an_absent_device_is_an_error(
    fitted: RewardEnsemble,
    make_ensemble: MakeEnsemble,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"`device` is 'cuda', but this machine has none"):
        make_ensemble(device="cuda")
    fitted.save(tmp_path)
    with pytest.raises(DeviceError, match=r"`device` is 'cuda', but this machine has none"):
        RewardEnsemble.load(tmp_path, device="cuda")
