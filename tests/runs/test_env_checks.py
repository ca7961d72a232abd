"""Environments that are wrong: each way is one sentence, said before the training begins if it can be."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from prefrl.config import RunConfig
from prefrl.errors import FaultyEnvError, SettingError, SpaceError
from prefrl.runs import start
from prefrl.runs.env_checks import CheckedEnv, check_spaces, observation_fault
from prefrl.runs.environments import make_environments, try_environment
from prefrl_envs.snapshot import restore, snapshot
from prefrl_envs.testing import CountingEnv

MakeConfig = Callable[..., RunConfig]
Listener = Callable[..., None]

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
FINE = np.zeros(2, dtype=np.float32)
STEP = "gymnasium's `step` returns (observation, reward, terminated, truncated, info)"
RESET = "gymnasium's `reset` returns (observation, info)"


class Faulty(gym.Env[Any, Any]):
    """Returns what it is told to; exceptions are raised."""

    observation_space: spaces.Space[Any] = BOX
    action_space: spaces.Space[Any] = BOX
    closed = 0

    def __init__(self, reset: Any = (FINE, {}), step: Any = (FINE, 0.0, False, False, {}), after: int = 0) -> None:
        self.returned_by_reset, self.returned_by_step = reset, step
        self.after, self.n_steps = after, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.returned(self.returned_by_reset)

    def step(self, action: Any) -> Any:
        self.n_steps += 1
        return (
            (FINE, 0.0, False, False, {}) if self.n_steps <= self.after else self.returned(self.returned_by_step)
        )

    def close(self) -> None:
        Faulty.closed += 1

    @staticmethod
    def returned(result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result


STEPS: dict[str, tuple[Any, str]] = {
    "four values": ((FINE, 0.0, False, {}), STEP),
    "no tuple": (None, STEP),
    "info is no dict": ((FINE, 0.0, False, False, None), STEP),
    "raises": (KeyError("lost"), "raised KeyError in its `step`: 'lost' (--debug shows where)"),
    "reward is not a number": ((FINE, "much", False, False, {}), "returned 'much' as the reward"),
    "reward is nan": (
        (FINE, np.nan, False, False, {}),
        "returned nan as the reward, which must be a finite number",
    ),
    "reward is none": ((FINE, None, False, False, {}), "returned None as the reward"),
    "another shape": (
        (np.zeros(3, np.float32), 0.0, False, False, {}),
        "an observation has shape (3,), but its space has (2,)",
    ),
    "one number": ((np.float32(1), 0.0, False, False, {}), "an observation has shape (), but its space has (2,)"),
    "not numbers": ((np.array(["a", "b"]), 0.0, False, False, {}), "values that its space of float32 cannot hold"),
}
RESETS: dict[str, tuple[Any, str]] = {
    "no info": (FINE, RESET),
    "info is no dict": ((FINE, None), RESET),
    "raises": (OSError("The port is taken."), "raised OSError in its `reset`: The port is taken (--debug"),
    "another shape": (
        (np.zeros((2, 2), np.float32), {}),
        "an observation has shape (2, 2), but its space has (2,)",
    ),
}


@pytest.fixture
def faulty(small_config: MakeConfig) -> Iterator[Callable[..., RunConfig]]:
    """`faulty(limit=…, **arguments of Faulty)`: the settings of a run in it."""

    def config(**kwargs: Any) -> RunConfig:
        gym.registry.pop("Faulty-v0", None)
        gym.register("Faulty-v0", lambda **_: Faulty(**kwargs), max_episode_steps=50, disable_env_checker=True)
        return small_config("Faulty-v0")

    yield config
    gym.registry.pop("Faulty-v0", None)


@pytest.mark.parametrize(("result", "words"), STEPS.values(), ids=STEPS)
def test_a_step_that_is_wrong_is_a_sentence(result: Any, words: str, faulty: MakeConfig) -> None:
    with pytest.raises(FaultyEnvError) as raised:
        try_environment(faulty(step=result))
    assert words in str(raised.value)
    assert str(raised.value).startswith("The environment 'Faulty-v0' ")


@pytest.mark.parametrize(("result", "words"), RESETS.values(), ids=RESETS)
def test_a_reset_that_is_wrong_is_a_sentence(result: Any, words: str, faulty: MakeConfig) -> None:
    with pytest.raises(FaultyEnvError) as raised:
        try_environment(faulty(reset=result))
    assert words in str(raised.value)


@pytest.mark.parametrize("wrong", [{"reset": FINE}, {"step": STEPS["four values"][0]}])
def test_it_is_said_before_the_run_has_a_folder(
    wrong: dict[str, Any], faulty: MakeConfig, quiet: Listener, tmp_path: Path
) -> None:
    with pytest.raises(FaultyEnvError):
        start(faulty(**wrong), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["raises", "four values", "another shape", "reward is nan"])
def test_it_is_a_sentence_in_the_middle_of_a_training_too(
    name: str, faulty: MakeConfig, quiet: Listener, tmp_path: Path
) -> None:
    result, words = STEPS[name]
    with pytest.raises(FaultyEnvError) as raised:
        start(faulty(step=result, after=100), tmp_path / "run", quiet)
    assert words in str(raised.value)


def test_an_error_of_ours_stays_as_it_is(faulty: MakeConfig) -> None:
    for wrong in ({"step": SettingError("as it was")}, {"reset": SettingError("as it was")}):
        with pytest.raises(SettingError, match=r"^as it was$"):
            try_environment(faulty(**wrong))


def test_a_constructor_that_raises_is_a_sentence(faulty: MakeConfig) -> None:
    words = r"'Faulty-v0' cannot be made: .*unexpected keyword argument 'colour'.* \(--debug shows where\)"
    with pytest.raises(SettingError, match=words):
        try_environment(faulty(colour="red"))


def test_what_is_tried_is_closed_and_what_is_ours_is_not_tried(
    faulty: MakeConfig, small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Faulty.closed
    try_environment(faulty())
    assert Faulty.closed == before + 1
    monkeypatch.setattr("prefrl.runs.environments.gym.make", lambda *_, **__: pytest.fail("made"))
    try_environment(small_config("pendulum"))


def test_ours_are_not_checked_at_every_step(small_config: MakeConfig) -> None:
    env = make_environments(small_config("pendulum"), n_envs=1, seed=0).envs[0]
    assert "CheckedEnv" not in str(env)
    assert "CheckedEnv" in str(make_environments(small_config("Pendulum-v1"), n_envs=1, seed=0).envs[0])


def test_a_checked_environment_comes_back_from_a_snapshot_that_knows_of_no_checks() -> None:
    """So runs that began before there were checks go on."""
    plain, checked = CountingEnv((9,)), CheckedEnv(CountingEnv((9,)), "Counting-v0")
    for env in (plain, checked):
        env.reset(seed=0)
    plain.step(np.zeros(1, dtype=np.float32))
    restore(checked, snapshot(plain))
    assert checked.step(np.zeros(1, dtype=np.float32))[0].tolist() == [2.0]
    restore(plain, snapshot(checked))


# --- observations ------------------------------------------------------------------------------------------

IMAGE = spaces.Box(0, 255, (2, 2), np.uint8)
BOTH = spaces.Dict({"a": BOX, "n": spaces.Discrete(3)})


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (BOX, FINE),
        (BOX, FINE.astype(np.float64)),
        (BOX, [0.0, 1.0]),
        (BOX, np.array([0, 1])),
        (BOX, np.array([5.0, -9.0])),  # beyond the bounds: told nowhere, relied on nowhere
        (IMAGE, np.full((2, 2), 255)),
        (IMAGE, np.zeros((2, 2), dtype=bool)),
        (spaces.Discrete(3), 2),
        (spaces.Discrete(3), np.int64(0)),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 2])),
        (spaces.MultiBinary(2), np.array([1, 0], dtype=np.int8)),
        (BOTH, {"a": FINE, "n": 1}),
    ],
)
def test_observations_that_fit(space: spaces.Space[Any], observation: Any) -> None:
    assert observation_fault(space, observation) == ""


@pytest.mark.parametrize(
    ("space", "observation", "words"),
    [
        (IMAGE, np.full((2, 2), 256), "an observation has int64 values that its space of uint8 cannot hold"),
        (IMAGE, np.full((2, 2), -1), "cannot hold"),
        (IMAGE, np.full((2, 2), 0.5), "an observation has float64 values that its space of uint8 cannot hold"),
        (BOX, np.array([None, 1]), "object values"),
        (BOX, np.zeros(2, dtype=complex), "complex128 values"),
        (BOX, None, "an observation has shape ()"),
        (spaces.Discrete(3), 3, "an observation must be in Discrete(3), but is 3"),
        (spaces.Discrete(3), -1, "but is -1"),
        (spaces.Discrete(3), 1.5, "but is 1.5"),
        (spaces.MultiDiscrete([2, 3]), np.array([2, 0]), "MultiDiscrete([2 3])"),
        (spaces.MultiBinary(2), np.array([2, 0]), "MultiBinary(2)"),
        (BOTH, {"a": FINE}, "must have the keys a, n"),
        (BOTH, {"a": FINE, "n": 1, "more": 0}, "must have the keys a, n"),
        (BOTH, FINE, "must have the keys a, n"),
        (BOTH, {"a": FINE, "n": 7}, "an observation (key 'n') must be in Discrete(3), but is 7"),
        (BOTH, {"a": FINE[:1], "n": 0}, "an observation (key 'a') has shape (1,)"),
    ],
)
def test_observations_that_do_not_fit(space: spaces.Space[Any], observation: Any, words: str) -> None:
    assert words in observation_fault(space, observation)


def test_a_large_observation_does_not_fill_the_message() -> None:
    fault = observation_fault(spaces.MultiBinary(1000), np.full(1000, 2, dtype=np.int8))
    assert len(fault) < 300


# --- spaces ------------------------------------------------------------------------------------------------

ONE = spaces.Discrete(2)
ACTS = "but agents act in Box, Discrete, MultiDiscrete, MultiBinary"
READ = "but rewards are learned on Box, Discrete, MultiDiscrete, MultiBinary and Dict of these"
ODD: dict[str, spaces.Space[Any]] = {
    "text": spaces.Text(5),
    "graph": spaces.Graph(BOX, None),
    "sequence": spaces.Sequence(BOX),
    "tuple": spaces.Tuple([BOX, BOX]),
}
NESTED = {f"{name} in a dict": spaces.Dict({"a": BOX, "b": space}) for name, space in ODD.items()}
UNBOUNDED = spaces.Box(-np.inf, np.inf, (2,), np.float32)
HALF = spaces.Box(np.array([-1.0, -np.inf]), np.array([1.0, 1.0]), dtype=np.float64)


@pytest.mark.parametrize(
    ("observations", "actions", "words"),
    [
        *(pytest.param(space, ONE, READ, id=f"see {name}") for name, space in (ODD | NESTED).items()),
        *(pytest.param(BOX, space, READ, id=f"act in {name}") for name, space in ODD.items()),
        pytest.param(BOX, BOTH, ACTS, id="act in dict"),
        pytest.param(BOX, UNBOUNDED, "but agents need finite bounds of their actions; wrap", id="unbounded"),
        pytest.param(BOX, HALF, "but agents need finite bounds of their actions; wrap", id="half bounded"),
        pytest.param(BOX, spaces.Discrete(3, start=-1), "start at 0, not at -1", id="act from -1"),
        pytest.param(BOX, spaces.Discrete(3, start=2), "start at 0, not at 2", id="act from 2"),
        pytest.param(
            BOX, spaces.MultiDiscrete([2, 2], start=[0, 1]), "start at 0, not at [0 1]", id="act from 0, 1"
        ),
        pytest.param(spaces.Discrete(3, start=-1), ONE, "start at 0, not at -1", id="see from -1"),
        pytest.param(spaces.Dict({"a": spaces.Discrete(3, start=1)}), ONE, "not at 1", id="see from 1 in a dict"),
        pytest.param(BOX, spaces.MultiBinary((2, 2)), "but agents act in one row of numbers", id="binary square"),
        pytest.param(
            BOX, spaces.MultiDiscrete(np.array([[2, 2]])), "but agents act in one row of numbers", id="square"
        ),
        pytest.param(spaces.Dict({"a": spaces.Dict({"b": BOX})}), ONE, "is a Dict in a Dict", id="dict in a dict"),
    ],
)
def test_spaces_that_cannot_be_used_are_refused(
    observations: spaces.Space[Any], actions: spaces.Space[Any], words: str
) -> None:
    with pytest.raises(SpaceError) as raised:
        check_spaces("Own-v0", observations, actions)
    assert words in str(raised.value)
    assert "of Own-v0" in str(raised.value)


@pytest.mark.parametrize("observations", [BOX, IMAGE, ONE, BOTH, spaces.MultiBinary((2, 2)), UNBOUNDED])
@pytest.mark.parametrize("actions", [BOX, ONE, spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)])
def test_spaces_that_can_be_used_pass(observations: spaces.Space[Any], actions: spaces.Space[Any]) -> None:
    check_spaces("Own-v0", observations, actions)


@pytest.mark.parametrize("space", [*ODD.values(), *NESTED.values()], ids=[*ODD, *NESTED])
def test_spaces_are_looked_at_before_sb3_sees_them(
    space: spaces.Space[Any], faulty: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SB3's own vector environment fails on some of them."""
    monkeypatch.setattr(Faulty, "observation_space", space)
    with pytest.raises(SpaceError, match="The observation space of Faulty-v0"):
        make_environments(faulty(), n_envs=2, seed=0)
