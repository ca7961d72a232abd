"""The learned reward: an ensemble of networks with the normalisation of their inputs and outputs.

Christiano et al. 2017, section 2.2.3: the reward is the mean of the members' outputs after each was normalised by
itself. Both normalisers change only when `RewardTrainer` refits, so that one rollout sees one reward.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from prefrl.errors import RewardModelError
from prefrl.files import write_whole
from prefrl.parts import Arrays, Json, State
from prefrl.reward.devices import resolve_device
from prefrl.reward.inputs import make_inputs
from prefrl.reward.members import FloatArray, Predictor
from prefrl.reward.networks import make_network
from prefrl.seeding import Streams
from prefrl.segments import Segment, space_from_json, space_to_json
from prefrl.settings import RewardSettings

FORMAT_VERSION = 2
WEIGHTS_FILE, DESCRIPTION_FILE = "reward_model.safetensors", "reward_model.json"
# What format 1 kept of the settings, beside the rest.
SETTINGS_OF_FORMAT_1 = ("n_members", "hidden_sizes", "dropout", "reward_sd")
SD_FLOOR = 1e-8


class RewardEnsemble:
    """A reward r(observation, action, next observation) learned from comparisons.

    Until the first fit it predicts 0 for everything. Images are read by convolutional networks, which see the
    observation only; anything else by multilayer perceptrons, with the action and, as the settings say, what is
    observed after it.

    Args:
        observation_space: Space of raw observations.
        action_space: Space of actions as the environment gets them.
        settings: Of networks and reward; a `RewardTrainer` reads its own from them, too.
        frame_stack: Number K of frames that an image is a stack of, along its last axis; segments have each once.
        seed: Decides the first weights; member e of two ensembles with one seed starts the same.
        device: "auto", "cpu", "cuda", ….

    Raises:
        SpaceError: A space is not Box, Discrete, MultiDiscrete, MultiBinary or Dict, or the stack is not one of
            images.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        settings: RewardSettings | None = None,
        frame_stack: int = 1,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self.settings = settings if settings is not None else RewardSettings()
        self.frame_stack = frame_stack
        self.device = resolve_device(device)
        self.inputs = make_inputs(
            observation_space,
            action_space,
            frame_stack=frame_stack,
            action=self.settings.action,
            next_observation=self.settings.next_observation,
            device=self.device,
        )
        streams = Streams(seed)
        self.seed = streams.seed
        seeds = [streams.integer(f"reward-member-{member}") for member in range(self.n_members)]
        self.network = make_network(self.inputs, self.settings, seeds).to(self.device)
        self.output_mean = np.zeros(self.n_members)
        self.output_sd = np.ones(self.n_members)
        self.fitted = False
        self._refresh()

    @property
    def n_members(self) -> int:
        """Networks E."""
        return self.settings.n_members

    def predict(
        self,
        observations: Any,
        actions: npt.NDArray[Any],
        next_observations: Any = None,
        *,
        sd_weight: float | None = None,
    ) -> FloatArray:
        """Return the learned reward of a batch of steps.

        Args:
            observations: As an environment hands them out, shape [N, *obs] (a mapping for `Dict`).
            actions: Shape [N, *act].
            next_observations: Those after the actions, at the end of an episode the terminal ones; as
                `observations`. Not needed where the settings' `next_observation` is false, or for images.
            sd_weight: Multiple of the standard deviation over members that is paid; by default what the settings
                say for when the last label is in, without a bonus for exploration: so a saved reward pays.

        Returns:
            Shape [N]: the members' normalised outputs, put together as the settings' `aggregation` says; 0 before
            the first fit.

        Raises:
            RewardModelError: The next observations are needed and missing.
        """
        self._check_following(next_observations)
        if not self.fitted:
            return np.zeros(len(actions), dtype=np.float32)
        raw = self._of_steps(observations, actions, next_observations)
        weight = self._sd_weight(sd_weight)
        if self.settings.aggregation != "mean" or weight:
            return self.aggregate(self._normalised(raw), sd_weight=weight)
        # Normalising and averaging in one product: this runs at every step of the environments.
        rewards: FloatArray = self._mean_scale @ raw
        rewards += self._mean_shift
        return rewards

    def predict_members(
        self, observations: Any, actions: npt.NDArray[Any], next_observations: Any = None
    ) -> FloatArray:
        """Return each member's normalised reward, shape [E, N]; arguments and errors as in `predict`."""
        self._check_following(next_observations)
        if not self.fitted:
            return np.zeros((self.n_members, len(actions)), dtype=np.float32)
        return self._normalised(self._of_steps(observations, actions, next_observations))

    def predict_segment(self, segment: Segment) -> FloatArray:
        """Return the learned reward of every step of a segment, shape [T], put together as in `predict`."""
        if not self.fitted:
            return np.zeros(segment.n_steps, dtype=np.float32)
        return self.aggregate(self._normalised(self._of_segments([segment])[:, 0]))

    def returns(self, segments: Sequence[Segment]) -> npt.NDArray[np.float64]:
        """Return each member's raw return of each segment, shape [E, n]; 0 before the first fit.

        Raw, that is not normalised, because differences of these are the logits of preferences.
        """
        returns = np.zeros((self.n_members, len(segments)))
        if self.fitted:
            for places in self._chunks(segments):
                raw = self._of_segments([segments[place] for place in places])
                returns[:, places] = raw.sum(axis=2, dtype=np.float64)
        return returns

    def aggregate(self, members: FloatArray, *, sd_weight: float | None = None) -> FloatArray:
        """Return one reward of the members' normalised ones, [E, n] to [n]; `sd_weight` as in `predict`."""
        if self.settings.aggregation == "min":
            smallest: FloatArray = members.min(axis=0)
            return smallest
        rewards: FloatArray = members.mean(axis=0)
        weight = self._sd_weight(sd_weight)
        if weight:
            rewards += np.float32(weight) * members.std(axis=0)
        return rewards

    def raw(self, read: Tensor, *, mask: Tensor | None = None, rng: np.random.Generator | None = None) -> Tensor:
        """Return raw rewards of segments as `inputs` reads them; arguments and result as of `Members.forward`."""
        rewards: Tensor = self.network(self.inputs.normalise(read), mask=mask, rng=rng)
        return rewards

    def set_output_moments(self, mean: npt.NDArray[np.float64], sd: npt.NDArray[np.float64]) -> None:
        """Fix the normalisation of the members' outputs, each of shape [E], and start predicting."""
        self.output_mean, self.output_sd = mean, sd
        self.fitted = True
        self._refresh()

    def save(self, folder: Path | str) -> None:
        """Write weights and normalisers (safetensors) and their description (JSON) into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays, values = self.state()
        save_file(arrays, folder / WEIGHTS_FILE)
        description = {
            "format_version": FORMAT_VERSION,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "frame_stack": self.frame_stack,
            "seed": self.seed,
            "settings": asdict(self.settings),
            "state": values,
        }
        # Last, and whole or not there: then there is a reward, see `is_in`.
        write_whole(folder / DESCRIPTION_FILE, (json.dumps(description, indent=2) + "\n").encode())

    @staticmethod
    def is_in(folder: Path | str) -> bool:
        """Return whether a folder holds what `save` wrote to its end."""
        return (Path(folder) / DESCRIPTION_FILE).is_file()

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu") -> "RewardEnsemble":
        """Read what `save` wrote, today or in an earlier version.

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
            if version == 1:
                description["settings"] = {name: description.pop(name) for name in SETTINGS_OF_FORMAT_1}
                description["state"] = {"fitted": description.pop("fitted")}
            values, settings = description.pop("state"), description.pop("settings")
            settings["hidden_sizes"] = tuple(settings["hidden_sizes"])
            observed, acted = (
                space_from_json(description.pop(f"{name}_space")) for name in ("observation", "action")
            )
            ensemble = cls(observed, acted, settings=RewardSettings(**settings), device=device, **description)
            ensemble.restore(arrays, values)
        except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise RewardModelError(f"There is no readable reward model in {folder}: {error}.") from error
        return ensemble

    def state(self) -> State:
        """Return weights and normalisers as arrays, and whether there was a fit."""
        arrays: Arrays = {name: tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        arrays |= self.inputs.state_arrays()
        arrays["output_mean"] = self.output_mean.copy()
        arrays["output_sd"] = self.output_sd.copy()
        return arrays, {"fitted": self.fitted}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Take over what `state` returned.

        Raises:
            RewardModelError: An array is missing, unknown, or of another shape than this ensemble's.
        """
        own, _ = self.state()
        _check_names(own.keys(), arrays.keys())
        for name, array in own.items():
            if arrays[name].shape != array.shape:
                raise RewardModelError(
                    f"`{name}` of the reward model has shape {arrays[name].shape}. Expected {array.shape}; the "
                    "model is damaged, or of other settings or spaces."
                )
            if not np.isfinite(arrays[name]).all():
                raise RewardModelError(f"`{name}` of the reward model is not finite: it pays nothing but NaN.")
        if not isinstance(values.get("fitted"), bool):
            raise RewardModelError(
                "The state of the reward model does not say whether it is fitted: it is damaged."
            )
        for name, parameter in self.network.state_dict().items():
            parameter.copy_(torch.as_tensor(arrays[name]))
        self.inputs.load_state_arrays(arrays)
        self.output_mean = np.array(arrays["output_mean"], dtype=np.float64)
        self.output_sd = np.array(arrays["output_sd"], dtype=np.float64)
        self.fitted = values["fitted"]
        self._refresh()

    def _refresh(self) -> None:
        """Bring what is used at every step up to date with the normalisation of outputs and the weights."""
        self._predictor: Predictor = self.network.predictor()
        scale = self.settings.reward_sd / np.maximum(self.output_sd, SD_FLOOR)
        self._output_scale = scale[:, None].astype(np.float32)
        self._output_shift = (-self.output_mean * scale)[:, None].astype(np.float32)
        self._mean_scale = (scale / self.n_members).astype(np.float32)
        self._mean_shift = np.float32((-self.output_mean * scale).mean())

    def _sd_weight(self, wanted: float | None) -> float:
        return self.settings.sd_weight_at(0.0) if wanted is None else wanted

    def _normalised(self, raw: FloatArray) -> FloatArray:
        result: FloatArray = raw * self._output_scale + self._output_shift
        return result

    def _check_following(self, next_observations: Any) -> None:
        if self.inputs.next_observation and next_observations is None:
            raise RewardModelError(
                "This reward reads the observation after the action, too: give `next_observations`, or make the "
                "reward with `next_observation` false."
            )

    def _of_steps(self, observations: Any, actions: npt.NDArray[Any], next_observations: Any) -> FloatArray:
        """Members' raw rewards of single steps, shape [E, N]."""
        read = self.inputs.of_steps(observations, actions, next_observations)
        return self._predictor(self.inputs.normalise_array(read))

    @torch.no_grad()
    def _of_segments(self, segments: Sequence[Segment]) -> FloatArray:
        """Members' raw rewards of the steps of segments of equal length, shape [E, m, T]."""
        read = np.stack([self.inputs.of_segment(segment) for segment in segments])
        rewards: FloatArray = self.raw(torch.as_tensor(read, device=self.device)).cpu().numpy()
        return rewards

    def _chunks(self, segments: Sequence[Segment]) -> Iterable[list[int]]:
        """Which segments to evaluate together: of equal length, and few enough for the memory."""
        by_length: dict[int, list[int]] = {}
        for place, segment in enumerate(segments):
            by_length.setdefault(segment.n_steps, []).append(place)
        for n_steps, places in by_length.items():
            n_at_once = max(1, self.network.steps_at_once // n_steps)
            for start in range(0, len(places), n_at_once):
                yield places[start : start + n_at_once]


def _check_names(expected: Iterable[str], received: Iterable[str]) -> None:
    missing, unknown = sorted(set(expected) - set(received)), sorted(set(received) - set(expected))
    if missing or unknown:
        raise RewardModelError(
            f"The state of the reward model lacks {', '.join(missing) or 'nothing'} and has "
            f"{', '.join(unknown) or 'nothing'} that is not known; it is damaged, or of other settings or spaces."
        )
