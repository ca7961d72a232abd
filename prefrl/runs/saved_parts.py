"""What is not ours and has state (SB3's agent, the random streams), as parts that a checkpoint can keep."""

import io
import random
import time
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.agents import PreferenceLearning
from prefrl.agents.algorithms import use_channels_last
from prefrl.agents.restarts import PolicyRestarts
from prefrl.errors import RunError
from prefrl.parts import Arrays, Json, State


def check_agent_fits(agent: BaseAlgorithm, venv: VecEnv) -> None:
    """Refuse an agent whose environment is not what it was: it may be in another version by now.

    Args:
        agent: As it was saved.
        venv: The environments of now.

    Raises:
        RunError: Their observations or actions are of another shape or kind.
    """
    for what in ("observation_space", "action_space"):
        before, now = getattr(agent, what), getattr(venv, what)
        if _layout(before) != _layout(now):
            raise RunError(
                f"The environment has changed since this run was trained: its {what.replace('_', ' ')} was "
                f"{before} and is {now}. Go back to the version of it that was there then, or train anew; "
                "`prefrl report` still works."
            )


def _layout(space: spaces.Space[Any]) -> Any:
    """Return what has to be the same; SB3 moves the channels of images, and bounds play no part."""
    if isinstance(space, spaces.Box):
        return "Box", sorted(space.shape)
    if isinstance(space, spaces.Dict):
        return {name: _layout(part) for name, part in space.spaces.items()}
    return space


class SavedAgent:
    """An agent of SB3: networks, optimiser, counters, latest episodes. `agent` is another object after a restore.

    Args:
        agent: The agent.
        normalizer: The environments it learns in.
    """

    def __init__(self, agent: OnPolicyAlgorithm, normalizer: VecNormalize) -> None:
        self.agent = agent
        self._normalizer = normalizer

    def state(self) -> State:
        """Return the zip that SB3 writes, as bytes."""
        buffer = io.BytesIO()
        self.agent.save(buffer)
        return {"zip": np.frombuffer(buffer.getvalue(), dtype=np.uint8)}, {}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Load the agent; its environments go on where they are."""
        self.agent = type(self.agent).load(
            io.BytesIO(arrays["zip"].tobytes()),
            env=self._normalizer,
            device=self.agent.device,
            force_reset=False,
        )
        use_channels_last(self.agent)


class SavedFrames:
    """The frames that `VecFrameStack` has stacked; nothing where there is none."""

    def __init__(self, stack: VecFrameStack | None) -> None:
        self._stack = stack

    def state(self) -> State:
        """Return the stacked frames, shape [N, *obs]."""
        return ({} if self._stack is None else {"frames": self._stack.stacked_obs.stacked_obs.copy()}), {}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Stack the same frames."""
        if self._stack is not None:
            self._stack.stacked_obs.stacked_obs[...] = arrays["frames"]


class RandomStreams:
    """The global generators that SB3 draws from (torch on CPU and CUDA, NumPy, Python), and gSDE's noise.

    What is restored is put in place when the next rollout begins: until then SB3 draws, which the run that was not
    stopped did not.

    Args:
        saved: Whose agent draws.
    """

    def __init__(self, saved: SavedAgent) -> None:
        self._saved = saved
        self._restored: State | None = None

    def state(self) -> State:
        """Return the state of all generators."""
        if self._restored is not None:
            return self._restored
        name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
        version, internal, python_gauss = random.getstate()
        arrays: Arrays = {"torch": torch.get_rng_state().numpy(), "numpy": np.asarray(keys)}
        arrays |= {f"cuda{index}": state.numpy() for index, state in enumerate(_cuda_states())}
        arrays |= {f"noise.{key}": value for key, value in _noise(self._saved.agent).items()}
        values: Json = {
            "numpy": [str(name), int(position), int(has_gauss), float(gauss)],
            "python": [version, list(internal), python_gauss],
        }
        return arrays, values

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Keep what is to be put in place when the next rollout begins."""
        self._restored = ({name: array.copy() for name, array in arrays.items()}, values)

    def begin_rollout(self) -> None:
        """Put in place what was restored, the first time; to be called when a rollout begins."""
        if self._restored is None:
            return
        (arrays, values), self._restored = self._restored, None
        agent = self._saved.agent
        for key in _NOISE:
            if f"noise.{key}" in arrays:
                noise = torch.as_tensor(arrays[f"noise.{key}"], device=agent.device)
                setattr(agent.policy.action_dist, key, noise)
        name, position, has_gauss, gauss = values["numpy"]
        np.random.set_state((name, arrays["numpy"], position, has_gauss, gauss))  # noqa: NPY002
        version, internal, python_gauss = values["python"]
        random.setstate((version, tuple(internal), python_gauss))
        torch.set_rng_state(torch.as_tensor(arrays["torch"]))
        if torch.cuda.is_available():  # a run may go on without: then its numbers are others anyway
            for index in range(torch.cuda.device_count()):
                if f"cuda{index}" in arrays:
                    torch.cuda.set_rng_state(torch.as_tensor(arrays[f"cuda{index}"]), index)


class Progress:
    """How far a run has come, and what of it is shown: labels, wall times, values logged since the last line.

    Args:
        saved: The agent.
        preferences: The labels; None where nobody is asked.
        restarts: The policies that were tried.
    """

    def __init__(
        self, saved: SavedAgent, preferences: PreferenceLearning | None, restarts: PolicyRestarts
    ) -> None:
        self._saved = saved
        self._preferences = preferences
        self._restarts = restarts
        self._seconds_before = 0.0
        self._started = time.perf_counter()
        self._logged: dict[str, float] = {}

    def begin(self) -> None:
        """Start the clock; the agent has its logger now, and gets what was logged since the last line."""
        self._started = time.perf_counter()
        for key, value in self._logged.items():
            self._saved.agent.logger.record(key, value)

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, over all processes that took part."""
        return self._seconds_before + time.perf_counter() - self._started

    def state(self) -> State:
        """Return the numbers."""
        preferences = self._preferences
        return {}, {
            "seconds": self.seconds,
            "labels": preferences.labels.n_labels if preferences else 0,
            "refit_seconds": preferences.refit_seconds if preferences else 0.0,
            "policies": self._restarts.n_policies,
            "notes": [note._asdict() for note in self._restarts.notes],
            "logged": {key: float(value) for key, value in self._saved.agent.logger.name_to_value.items()},
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Keep the numbers until `begin`."""
        self._seconds_before = values["seconds"]
        self._logged = values["logged"]


_NOISE = ("exploration_mat", "exploration_matrices")


def _noise(agent: OnPolicyAlgorithm) -> Arrays:
    """Return the exploration noise of the rollout that begins, where it is not drawn step by step (gSDE)."""
    distribution = agent.policy.action_dist
    if not isinstance(distribution, StateDependentNoiseDistribution):
        return {}
    return {key: getattr(distribution, key).detach().cpu().numpy() for key in _NOISE}


def _cuda_states() -> list[Any]:
    """States of all CUDA devices; none where CUDA has not been used: asking would take memory on each of them."""
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
