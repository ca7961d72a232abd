"""What is not ours and has state (SB3's agent, the random streams), as parts that a checkpoint can keep."""

import io
import random
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

from prefrl.agents import PreferenceLearning, algorithm
from prefrl.agents.algorithms import Agent, use_channels_last
from prefrl.agents.restarts import PolicyRestarts
from prefrl.errors import RunError
from prefrl.parts import Arrays, Json, State


def saved_agent(algo: str, content: bytes, device: str) -> BaseAlgorithm:
    """Return an agent as it was saved, to look at or to act: without environments, and without a replay buffer.

    Args:
        algo: Its name in the registry.
        content: The zip of SB3, which runs code when it is loaded.
        device: Where it computes.
    """
    # A buffer would be as large as it was, and empty.
    return _loaded(algorithm(algo), content, device=device, custom_objects={"buffer_size": 1})


def _loaded(kind: type[BaseAlgorithm], content: bytes, **arguments: Any) -> BaseAlgorithm:
    with warnings.catch_warnings():
        # SB3 takes the buffer of n-step returns that it chose itself for one of the user's.
        warnings.filterwarnings("ignore", message="`n_steps=")
        return kind.load(io.BytesIO(content), **arguments)


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

    def __init__(self, agent: Agent, normalizer: VecNormalize) -> None:
        self.agent = agent
        self._normalizer = normalizer
        _hide_idle(normalizer, agent)

    def state(self) -> State:
        """Return the zip that SB3 writes, as bytes, and what a recurrent policy remembers, which is not in it."""
        buffer = io.BytesIO()
        self.agent.save(buffer)
        arrays: Arrays = {"zip": np.frombuffer(buffer.getvalue(), dtype=np.uint8)}
        if isinstance(self.agent, RecurrentPPO):
            remembered = self.agent._last_lstm_states
            arrays |= {f"{net}.{name}": state.cpu().numpy().copy() for net, name, state in _each(remembered)}
        return arrays, {}

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Load the agent; its environments go on where they are, and its replay buffer is empty."""
        agent = _loaded(
            type(self.agent),
            arrays["zip"].tobytes(),
            env=self._normalizer,
            device=self.agent.device,
            force_reset=False,
        )
        assert isinstance(agent, type(self.agent))
        if isinstance(agent, RecurrentPPO):
            for net, name, state in _each(agent._last_lstm_states):
                state[...] = torch.as_tensor(arrays[f"{net}.{name}"])
        self.agent = agent
        _hide_idle(self._normalizer, agent)
        use_channels_last(agent)


def _hide_idle(normalizer: VecNormalize, agent: BaseAlgorithm) -> None:
    """Have SB3's replay buffer filled without a normaliser that normalises nothing.

    With one SB3 takes what it keeps from there, which fails for discrete observations and for images whose
    channels it moves above.
    """
    if isinstance(agent, OffPolicyAlgorithm) and not (normalizer.norm_obs or normalizer.norm_reward):
        agent._vec_normalize_env = None


def _each(states: Any) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield the states of the two networks that remember: of the policy's and of the critic's."""
    for net in ("pi", "vf"):
        for name, state in zip(("hidden", "cell"), getattr(states, net), strict=True):
            yield net, name, state


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
    """The generators that SB3 draws from (torch's, NumPy's, Python's, the action space's), and gSDE's noise.

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
            "actions": self._saved.agent.action_space.np_random.bit_generator.state,
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
        source = _noise_source(agent)
        if source is not None:
            for key in _NOISE:
                setattr(source, key, torch.as_tensor(arrays[f"noise.{key}"], device=agent.device))
        name, position, has_gauss, gauss = values["numpy"]
        np.random.set_state((name, arrays["numpy"], position, has_gauss, gauss))  # noqa: NPY002
        version, internal, python_gauss = values["python"]
        random.setstate((version, tuple(internal), python_gauss))
        if "actions" in values:  # checkpoints of before are of agents that draw none from their space
            agent.action_space.np_random.bit_generator.state = values["actions"]
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
        self.waited_seconds = 0.0
        """Wall time that the agent has waited for people, over all processes that took part."""

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
            "labels_before": preferences.n_learned_first if preferences else 0,
            "refit_seconds": preferences.refit_seconds if preferences else 0.0,
            "waited_seconds": self.waited_seconds,
            "policies": self._restarts.n_policies,
            "notes": [note._asdict() for note in self._restarts.notes],
            "logged": {key: float(value) for key, value in self._saved.agent.logger.name_to_value.items()},
        }

    def restore(self, arrays: Arrays, values: Json) -> None:
        """Keep the numbers until `begin`."""
        self._seconds_before = values["seconds"]
        self.waited_seconds = values.get("waited_seconds", 0.0)  # earlier versions did not keep it
        self._logged = values["logged"]


_NOISE = ("exploration_mat", "exploration_matrices")


def _noise_source(agent: BaseAlgorithm) -> StateDependentNoiseDistribution | None:
    """Return what draws exploration noise once per rollout and not step by step (gSDE), where something does."""
    actor = getattr(agent.policy, "actor", agent.policy)  # off-policy it is a network of its own
    distribution = getattr(actor, "action_dist", None)
    return distribution if isinstance(distribution, StateDependentNoiseDistribution) else None


def _noise(agent: BaseAlgorithm) -> Arrays:
    """Return the exploration noise of the rollout that begins."""
    source = _noise_source(agent)
    return {} if source is None else {key: getattr(source, key).detach().cpu().numpy() for key in _NOISE}


def _cuda_states() -> list[Any]:
    """States of all CUDA devices; none where CUDA has not been used: asking would take memory on each of them."""
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
