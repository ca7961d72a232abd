"""The learned reward: an ensemble of networks with the normalisation of their inputs and outputs.

Christiano et al. 2017, section 2.2.3: the reward is the mean of the members' outputs after each was normalised by
itself. Both normalisers change only when `RewardTrainer` refits, so that one rollout sees one reward.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from prefrl.errors import RewardModelError, SettingError
from prefrl.reward.cnn import BatchedCNN, FoldedCNN
from prefrl.reward.devices import resolve_device
from prefrl.reward.inputs import FeatureInputs, PixelInputs, make_inputs
from prefrl.reward.mlp import BatchedMLP, NumpyMLP
from prefrl.seeding import Streams
from prefrl.segments import Segment, space_from_json, space_to_json

FORMAT_VERSION = 1
WEIGHTS_FILE, DESCRIPTION_FILE = "reward_model.safetensors", "reward_model.json"

FloatArray = npt.NDArray[np.float32]


class RewardEnsemble:
    """A reward r(observation, action) learned from comparisons.

    Until the first fit it predicts 0 for everything. Images are read by convolutional networks, which see the
    observation only; anything else, with the action, by multilayer perceptrons.

    Args:
        observation_space: Space of raw observations.
        action_space: Space of actions as the environment gets them.
        n_members: Networks E in the ensemble.
        hidden_sizes: Units of each hidden layer of perceptrons; the convolutional network is the paper's.
        frame_stack: Number K of frames that an image is a stack of, along its last axis; segments have each once.
        dropout: Share of filters left out when a convolutional network is trained.
        reward_sd: Standard deviation of each member's output over the labelled segments; 1 for MuJoCo and 0.05
            for Atari in the paper.
        seed: Decides the first weights; member e of two ensembles with one seed starts the same.
        device: "auto", "cpu", "cuda", ….

    Raises:
        SpaceError: A space is not Box, Discrete, MultiDiscrete, MultiBinary or Dict.
        SettingError: A number is out of range.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        n_members: int = 3,
        hidden_sizes: Sequence[int] = (64, 64),
        frame_stack: int = 1,
        dropout: float = 0.0,
        reward_sd: float = 1.0,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        """Check the arguments and draw the first weights."""
        if n_members < 1 or reward_sd <= 0 or not 0 <= dropout < 1:
            raise SettingError(
                "`n_members` must be at least 1, `reward_sd` above 0 and `dropout` from 0 to below 1. Received "
                f"{n_members}, {reward_sd} and {dropout}."
            )
        self.observation_space = observation_space
        self.action_space = action_space
        self.n_members = n_members
        self.hidden_sizes = tuple(hidden_sizes)
        self.frame_stack = frame_stack
        self.dropout = dropout
        self.reward_sd = reward_sd
        self.seed = seed
        self.device = resolve_device(device)
        self.inputs = make_inputs(observation_space, action_space, frame_stack, self.device)
        streams = Streams(seed)
        seeds = [streams.integer(f"reward-member-{member}") for member in range(n_members)]
        self.network = self._network(seeds).to(self.device)
        self._fast: NumpyMLP | None = None
        if isinstance(self.network, BatchedMLP) and self.device.type == "cpu":
            self._fast = NumpyMLP(self.network)
        self._folded: FoldedCNN | None = None
        self.output_mean = np.zeros(n_members)
        self.output_sd = np.ones(n_members)
        self.fitted = False
        self._refresh()

    def predict(self, observations: Any, actions: npt.NDArray[Any]) -> FloatArray:
        """Return the learned reward of a batch of steps.

        Args:
            observations: As an environment hands them out, shape [N, *obs] (a mapping for `Dict`).
            actions: Shape [N, *act].

        Returns:
            Shape [N]: the mean of the members' normalised outputs; 0 before the first fit.
        """
        if not self.fitted:
            return np.zeros(len(actions), dtype=np.float32)
        # Normalising and averaging in one product: this runs at every step of the environments.
        rewards: FloatArray = self._mean_scale @ self._raw(self.inputs.of_steps(observations, actions))
        rewards += self._mean_shift
        return rewards

    def predict_members(self, observations: Any, actions: npt.NDArray[Any]) -> FloatArray:
        """Return each member's normalised reward, shape [E, N]; arguments as in `predict`."""
        if not self.fitted:
            return np.zeros((self.n_members, len(actions)), dtype=np.float32)
        return self._normalised(self._raw(self.inputs.of_steps(observations, actions)))

    def predict_segment(self, segment: Segment) -> FloatArray:
        """Return the learned reward of every step of a segment, shape [T]."""
        if not self.fitted:
            return np.zeros(segment.n_steps, dtype=np.float32)
        rewards: FloatArray = self._normalised(self._raw(self.inputs.of_segment(segment)[None])).mean(axis=0)
        return rewards

    def returns(self, segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        """Return each member's raw return of each segment, shape [E, n]; 0 before the first fit.

        Raw, that is not normalised, because differences of these are the logits of preferences.
        """
        if not self.fitted:
            return np.zeros((self.n_members, len(segments)))
        reads = (self.inputs.of_segment(segment)[None] for segment in segments)
        if isinstance(self.inputs, PixelInputs):  # one segment after the other, for they are large
            raw = np.concatenate([self._raw(read) for read in reads], axis=1).astype(np.float64)
        else:
            raw = self._raw(np.concatenate(list(reads), axis=1)).astype(np.float64)
        ends = np.cumsum([s.n_steps for s in segments])
        sums = np.cumsum(raw, axis=1)[:, ends - 1]
        return np.diff(sums, axis=1, prepend=0.0)

    def set_output_moments(self, mean: npt.NDArray[np.float64], sd: npt.NDArray[np.float64]) -> None:
        """Fix the normalisation of the members' outputs, each of shape [E], and start predicting."""
        self.output_mean, self.output_sd = mean, sd
        self.fitted = True
        self._refresh()

    def save(self, folder: Path | str) -> None:
        """Write weights and normalisers (safetensors) and their description (JSON) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.state_arrays(), folder / WEIGHTS_FILE)
        description = {
            "format_version": FORMAT_VERSION,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "n_members": self.n_members,
            "hidden_sizes": list(self.hidden_sizes),
            "frame_stack": self.frame_stack,
            "dropout": self.dropout,
            "reward_sd": self.reward_sd,
            "seed": self.seed,
            "fitted": self.fitted,
        }
        (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu") -> "RewardEnsemble":
        """Read what `save` wrote.

        Raises:
            RewardModelError: A file is missing or damaged, or from a later format.
            DeviceError: The device is not there.
        """
        folder = Path(folder)
        try:
            description = json.loads((folder / DESCRIPTION_FILE).read_text())
            arrays = load_file(folder / WEIGHTS_FILE)
            version = description.pop("format_version")
            if version > FORMAT_VERSION:
                raise RewardModelError(
                    f"The reward model in {folder} has format {version}; this prefrl reads up to "
                    f"{FORMAT_VERSION}: update prefrl."
                )
            fitted = description.pop("fitted")
            description["observation_space"] = space_from_json(description["observation_space"])
            description["action_space"] = space_from_json(description["action_space"])
            ensemble = cls(**description, device=device)
            ensemble.load_state_arrays(arrays)
        except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise RewardModelError(f"There is no readable reward model in {folder}: {error}.") from error
        ensemble.fitted = fitted
        return ensemble

    def state_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights and normalisers as arrays."""
        weights = self.network.state_dict()
        arrays: dict[str, npt.NDArray[Any]] = {name: t.cpu().numpy() for name, t in weights.items()}
        arrays |= self.inputs.state_arrays()
        arrays["output_mean"] = self.output_mean
        arrays["output_sd"] = self.output_sd
        return arrays

    def load_state_arrays(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what `state_arrays` returned.

        Raises:
            RewardModelError: An array has another shape than this ensemble's.
        """
        for name, own in self.state_arrays().items():
            if arrays[name].shape != own.shape:
                raise RewardModelError(
                    f"`{name}` of the reward model has shape {arrays[name].shape}. Expected {own.shape}."
                )
        for name, parameter in self.network.state_dict().items():
            parameter.copy_(torch.as_tensor(arrays[name]))
        self.inputs.load_state_arrays(arrays)
        self.output_mean, self.output_sd = arrays["output_mean"], arrays["output_sd"]
        self._refresh()

    def _network(self, seeds: Sequence[int]) -> BatchedMLP | BatchedCNN:
        if isinstance(self.inputs, FeatureInputs):
            return BatchedMLP(self.inputs.n_features, self.hidden_sizes, seeds)
        assert isinstance(self.inputs, PixelInputs)
        return BatchedCNN(self.inputs.shape, self.frame_stack, seeds, dropout=self.dropout)

    def _refresh(self) -> None:
        """Bring what is used at every step up to date with the normalisation of outputs and the weights."""
        if isinstance(self.network, BatchedCNN):
            self._folded = FoldedCNN(self.network)
        scale = self.reward_sd / np.maximum(self.output_sd, 1e-8)
        self._output_scale = scale[:, None].astype(np.float32)
        self._output_shift = (-self.output_mean * scale)[:, None].astype(np.float32)
        self._mean_scale = (scale / self.n_members).astype(np.float32)
        self._mean_shift = np.float32((-self.output_mean * scale).mean())

    def _normalised(self, raw: FloatArray) -> FloatArray:
        result: FloatArray = raw * self._output_scale + self._output_shift
        return result

    def _raw(self, read: npt.NDArray[Any]) -> FloatArray:
        """Members' outputs for every step of some segments: [m, K−1 + T, *shape] to [E, m·T]."""
        if self._fast is not None:
            assert isinstance(self.inputs, FeatureInputs)
            return self._fast(self.inputs.normalise_array(read.reshape(-1, *self.inputs.shape)))
        read = np.require(read, requirements="W")  # segments are read-only, which torch warns about
        if isinstance(self.inputs, PixelInputs) and read.shape[1] == 1 + self.inputs.n_before:
            assert self._folded is not None
            stacks = torch.as_tensor(self.inputs.stacked(read), device=self.device)
            return self._folded(stacks).cpu().numpy()
        with torch.no_grad():
            rewards = self.evaluate(torch.as_tensor(read, device=self.device))
        raw: FloatArray = rewards.flatten(1).cpu().numpy()
        return raw

    def evaluate(self, read: Tensor) -> Tensor:
        """Return members' raw rewards of the same segments: [m, K−1 + T, *shape] to [E, m, T]."""
        inputs = self.inputs.normalise(read)
        if isinstance(self.network, BatchedCNN):
            rewards: Tensor = self.network(inputs)
            return rewards
        flat = inputs.flatten(0, 1).expand(self.n_members, -1, -1)
        rewards = self.network(flat).unflatten(1, tuple(read.shape[:2]))
        return rewards
