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
from prefrl.reward.devices import resolve_device
from prefrl.reward.networks import BatchedMLP, NumpyMLP
from prefrl.reward.normalization import RunningMoments
from prefrl.seeding import Streams
from prefrl.segments import Segment, as_array, encode, n_features, space_from_json, space_to_json
from prefrl.segments.spaces import check_space

FORMAT_VERSION = 1
WEIGHTS_FILE, DESCRIPTION_FILE = "reward_model.safetensors", "reward_model.json"
# Normalised inputs are kept within this many standard deviations: a simulator that explodes must not take the
# reward with it.
INPUT_CLIP = 10.0
SD_FLOOR = 1e-3

FloatArray = npt.NDArray[np.float32]


class RewardEnsemble:
    """A reward r(observation, action) learned from comparisons.

    Until the first fit it predicts 0 for everything.

    Args:
        observation_space: Space of raw observations.
        action_space: Space of actions as the environment gets them.
        n_members: Networks E in the ensemble.
        hidden_sizes: Units of each hidden layer.
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
        reward_sd: float = 1.0,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        """Check the arguments and draw the first weights."""
        check_space(observation_space, what="observation space")
        check_space(action_space, what="action space")
        if n_members < 1 or reward_sd <= 0:
            raise SettingError(
                f"`n_members` must be at least 1 and `reward_sd` above 0. Received {n_members} and {reward_sd}."
            )
        self.observation_space = observation_space
        self.action_space = action_space
        self.n_members = n_members
        self.hidden_sizes = tuple(hidden_sizes)
        self.reward_sd = reward_sd
        self.seed = seed
        self.device = resolve_device(device)
        self.n_features = n_features(observation_space) + n_features(action_space)
        streams = Streams(seed)
        seeds = [streams.integer(f"reward-member-{member}") for member in range(n_members)]
        self.network = BatchedMLP(self.n_features, self.hidden_sizes, seeds).to(self.device)
        self._fast = NumpyMLP(self.network) if self.device.type == "cpu" else None
        self.input_moments = RunningMoments.of_size(self.n_features)
        self.output_mean = np.zeros(n_members)
        self.output_sd = np.ones(n_members)
        self.fitted = False
        self._refresh()

    def features(self, observations: Any, actions: npt.NDArray[Any], *, batch_dims: int = 1) -> FloatArray:
        """Return what the networks read, before normalisation.

        Args:
            observations: As `as_array` keeps them, shape [*batch, *obs].
            actions: Shape [*batch, *act].
            batch_dims: Number of leading batch dimensions.

        Returns:
            Shape [*batch, F].
        """
        parts = (
            encode(self.observation_space, observations, batch_dims=batch_dims),
            encode(self.action_space, actions, batch_dims=batch_dims),
        )
        return np.concatenate(parts, axis=-1)

    def predict(self, observations: Any, actions: npt.NDArray[Any]) -> FloatArray:
        """Return the learned reward of a batch of steps.

        Args:
            observations: As an environment hands them out, shape [N, *obs] (a mapping for `Dict`).
            actions: Shape [N, *act].

        Returns:
            Shape [N]: the mean of the members' normalised outputs; 0 before the first fit.
        """
        observations = as_array(self.observation_space, observations)
        actions = as_array(self.action_space, actions)
        if not self.fitted:
            return np.zeros(len(actions), dtype=np.float32)
        # Normalising and averaging in one product: this runs at every step of the environments.
        rewards: FloatArray = self._mean_scale @ self._raw(self.features(observations, actions))
        rewards += self._mean_shift
        return rewards

    def predict_members(self, observations: Any, actions: npt.NDArray[Any]) -> FloatArray:
        """Return each member's normalised reward, shape [E, N]; arguments as in `predict`."""
        observations = as_array(self.observation_space, observations)
        actions = as_array(self.action_space, actions)
        if not self.fitted:
            return np.zeros((self.n_members, len(actions)), dtype=np.float32)
        return self._normalised(self.features(observations, actions))

    def returns(self, segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        """Return each member's raw return of each segment, shape [E, n]; 0 before the first fit.

        Raw, that is not normalised, because differences of these are the logits of preferences.
        """
        if not self.fitted:
            return np.zeros((self.n_members, len(segments)))
        features = [self.features(s.observations, s.actions) for s in segments]
        raw = self._raw(np.concatenate(features)).astype(np.float64)
        ends = np.cumsum([s.n_steps for s in segments])
        sums = np.cumsum(raw, axis=1)[:, ends - 1]
        return np.diff(sums, axis=1, prepend=0.0)

    def normalise_inputs(self, features: Tensor) -> Tensor:
        """Centre, scale and clip features of shape [..., F]; differentiable."""
        scaled = (features - self._input_mean_tensor) * self._input_scale_tensor
        return scaled.clamp(-INPUT_CLIP, INPUT_CLIP)

    def set_output_moments(self, mean: npt.NDArray[np.float64], sd: npt.NDArray[np.float64]) -> None:
        """Fix the normalisation of the members' outputs, each of shape [E], and start predicting."""
        self.output_mean, self.output_sd = mean, sd
        self.fitted = True
        self._refresh()

    def update_inputs(self, features: FloatArray) -> None:
        """Merge features of shape [n, F] into the normalisation of inputs."""
        self.input_moments.update(features)
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
        arrays["input_mean"] = self.input_moments.mean
        arrays["input_variance"] = self.input_moments.variance
        arrays["input_count"] = np.array([self.input_moments.count], dtype=np.int64)
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
        self.input_moments = RunningMoments(
            mean=arrays["input_mean"], variance=arrays["input_variance"], count=int(arrays["input_count"][0])
        )
        self.output_mean, self.output_sd = arrays["output_mean"], arrays["output_sd"]
        self._refresh()

    def _refresh(self) -> None:
        """Bring the constants used at every step up to date with the normalisers."""
        sd = np.maximum(np.sqrt(self.input_moments.variance), SD_FLOOR)
        # A one-hot feature stays as it is: scaling a rare state's indicator would blow it up.
        kept = np.concatenate([_is_one_hot(self.observation_space), _is_one_hot(self.action_space)])
        self._input_mean = np.where(kept, 0.0, self.input_moments.mean).astype(np.float32)
        self._input_scale = np.where(kept, 1.0, 1.0 / sd).astype(np.float32)
        self._input_mean_tensor = torch.as_tensor(self._input_mean, device=self.device)
        self._input_scale_tensor = torch.as_tensor(self._input_scale, device=self.device)
        scale = self.reward_sd / np.maximum(self.output_sd, 1e-8)
        self._output_scale = scale[:, None].astype(np.float32)
        self._output_shift = (-self.output_mean * scale)[:, None].astype(np.float32)
        self._mean_scale = (scale / self.n_members).astype(np.float32)
        self._mean_shift = np.float32((-self.output_mean * scale).mean())

    def _normalised(self, features: FloatArray) -> FloatArray:
        result: FloatArray = self._raw(features) * self._output_scale + self._output_shift
        return result

    def _raw(self, features: FloatArray) -> FloatArray:
        """Members' outputs for the same rows: [n, F] to [E, n]."""
        if self._fast is not None:
            scaled = (features - self._input_mean) * self._input_scale
            return self._fast(scaled.clip(-INPUT_CLIP, INPUT_CLIP, out=scaled))
        with torch.no_grad():
            inputs = self.normalise_inputs(torch.as_tensor(features, device=self.device))
            raw: FloatArray = self.network(inputs.expand(self.n_members, -1, -1)).cpu().numpy()
            return raw


def _is_one_hot(space: spaces.Space[Any]) -> npt.NDArray[np.bool_]:
    """Which features of a space are indicators rather than numbers, shape [F]."""
    if isinstance(space, spaces.Dict):
        return np.concatenate([_is_one_hot(inner) for inner in space.spaces.values()])
    return np.full(n_features(space), not isinstance(space, spaces.Box))
