"""The settings of a run: one source for the command line, the presets, the docs and the file in the run folder.

A resolved configuration comes from, later wins: the defaults here, the settings of the algorithm
(`presets/_algorithms.yaml`), the preset of the task, with what it says for this algorithm and teacher, a
`--config` file, the command line.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from prefrl.errors import SettingError

Algo = Literal["ppo", "a2c", "trpo"]
RewardSource = Literal["preferences", "true", "constant"]


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """When and about what the teacher is asked."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    schedule: Literal["hyperbolic", "constant", "increasing"] = "hyperbolic"
    """How the labels are spread over the training; hyperbolic is the paper's."""
    time_constant: float = 2e6
    """Steps c of the hyperbolic schedule, whose rate is proportional to c / (steps + c)."""
    initial_timesteps: int = 4096
    """Environment steps before the first questions; until then the learned reward is 0."""
    initial_share: float = 0.25
    """Share of the labels asked first, about the initial policy (Christiano et al. 2017, A.1)."""
    asking_share: float = 0.9
    """Share of the training after which the last label has been asked."""
    labels_per_round: int = 25
    """Labels that must be due before a round of asking and fitting starts."""
    selection: Literal["uniform", "spread", "disagreement"] = "uniform"
    """Which pairs are asked: any; segments spread evenly over the range of predicted return; or, of ten
    times as many pairs, those on which the ensemble disagrees most (the paper's)."""
    recent_share: float = 0.0
    """Share of segments taken from the last `recent_steps` only; the rest comes from all recorded experience."""
    recent_steps: int = 256
    """Steps per environment that count as recent."""
    recorder_steps: int = 2560
    """Steps kept per environment to cut segments from."""
    slack: int = 10
    """Labels by which the agent may be ahead of people; then it waits for them."""
    stock: int = 12
    """Queries kept ready for people."""
    stale_after: int = 40_000
    """Environment steps after which an unanswered query is not put to people any more."""
    overlap: int = 1
    """People who should answer each query."""


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig:
    """The ensemble of reward networks and its training."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n_members: int = 3
    """Networks in the ensemble."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of each hidden layer; images are read by the paper's convolutional network instead."""
    dropout: float = 0.0
    """Share of filters left out while the convolutional network is trained (docs/method.md says why none)."""
    reward_sd: float = 1.0
    """Standard deviation of the learned reward over the labelled segments; 0.05 for Atari in the paper."""
    learning_rate: float = 1e-3
    """Of Adam."""
    batch_size: int = 64
    """Comparisons per gradient step and member."""
    error_rate: float = 0.1
    """Share of answers assumed to be a fair coin's."""
    l2: float = 1e-4
    """First L2 coefficient; adapted during the run."""
    first_epochs: int = 20
    """Passes over the comparisons in the first fit."""
    epochs: int = 4
    """Passes in every other fit."""
    memory: int = 0
    """Only so many latest comparisons are trained on; 0 for all."""

    def __post_init__(self) -> None:
        """Refuse figures that would stop the training at its first fit."""
        if min(self.first_epochs, self.epochs, *self.hidden_sizes) < 1:
            raise SettingError(
                "`first_epochs`, `epochs` and `hidden_sizes` of the reward model must be at least 1. Received "
                f"{self.first_epochs}, {self.epochs} and {self.hidden_sizes}."
            )


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """The agent and its environments."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n_envs: int = 16
    """Environments that step together."""
    hidden_sizes: tuple[int, ...] = (64, 64)
    """Units of each hidden layer of policy and value function; images have a convolutional network instead."""
    cnn: Literal["small", "nature"] = "small"
    """That network: small is the one of Mnih et al. 2013, nature the larger one of 2015."""
    frame_stack: int = 1
    """Frames that policy and reward network see at once, of environments that hand out one at a time."""
    log_std_init: float = 0.0
    """Logarithm of the first standard deviation of continuous actions."""
    normalize_observations: bool = True
    """Whether the policy sees normalised observations (the reward network always sees raw ones)."""
    clip_rewards: bool = False
    """Whether the agent gets no reward beyond ±1; the teacher and the returns that are shown have it unclipped."""
    normalize_rewards: bool = True
    """Whether rewards are divided by the running standard deviation of discounted returns."""
    device: str = "cpu"
    """Where the policy lives: cpu is faster for networks this small."""
    settings: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    """Keyword arguments of the algorithm in SB3's spelling, such as n_steps, gamma, learning_rate."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    task: Annotated[str, tyro.conf.Positional]
    """A preset (`prefrl tasks` lists them), atari/GAME, or a gymnasium id such as Hopper-v5 or my_pkg:MyEnv-v0."""
    env_id: str = ""
    """The gymnasium id; the preset knows it."""
    env_kwargs: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    """Keyword arguments of the environment."""
    time_limit: int = 0
    """Steps after which every episode is cut off; 0 for its own limit, or 1,000 where it has none."""
    hide_termination: bool = False
    """Go on where the environment says that an episode is over, so that only the time limit ends it."""
    algo: Algo = "ppo"
    """The algorithm."""
    reward: RewardSource = "preferences"
    """What the agent learns from; "true" and "constant" are the controls."""
    teacher: Literal["oracle", "human"] = "oracle"
    """Who compares: "oracle" prefers the clip with the higher true return, "human" opens the labelling page."""
    oracle: Literal["gymnasium", "paper"] | None = None
    """Which of its two true rewards a MuJoCo task of the paper has; all other tasks have one."""
    question: str = ""
    """What people are asked about two clips; the task knows a question of its own."""
    shuffle_labels: bool = False
    """Control: answers that carry no information."""
    labels: int = 700
    """Comparisons in all; "can't tell" costs none."""
    segment_length: int = 50
    """Steps of a clip."""
    total_timesteps: int = 1_000_000
    """Environment steps of the training, over all environments."""
    seed: int = 0
    """Decides every random choice of the run."""
    checkpoint_every: int = 200_000
    """Environment steps between checkpoints; one is also written on Ctrl-C and at the end."""
    evaluation_episodes: int = 20
    """Episodes of the final evaluation."""
    device: str = "auto"
    """Where the reward networks live: auto, cpu, cuda, …."""
    n_threads: int = 1
    """Threads of torch on the CPU; more are slower for networks this small."""
    stepping: Literal["auto", "sb3", "envpool", "ale"] = "auto"
    """What steps the environments: SB3 one after another, EnvPool (MuJoCo) or ale-py (Atari) many at once; "auto"
    is the fastest that is installed and gives the same trajectories."""
    label: LabelConfig = field(default_factory=LabelConfig)
    """When and about what the teacher is asked."""
    reward_model: RewardModelConfig = field(default_factory=RewardModelConfig)
    """The reward networks and their training."""
    agent: AgentConfig = field(default_factory=AgentConfig)
    """The agent and its environments."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        for name in (
            "labels",
            "segment_length",
            "total_timesteps",
            "checkpoint_every",
            "evaluation_episodes",
        ):
            if getattr(self, name) < 1:
                raise SettingError(f"`{name}` must be at least 1. Received {getattr(self, name)}.")
        if min(self.n_threads, self.agent.n_envs, self.agent.frame_stack) < 1:
            raise SettingError(
                "`n_threads`, `agent.n_envs` and `agent.frame_stack` must be at least 1. Received "
                f"{self.n_threads}, {self.agent.n_envs} and {self.agent.frame_stack}."
            )
        if self.reward == "preferences" and self.total_timesteps <= self.label.initial_timesteps:
            raise SettingError(
                f"`total_timesteps` must exceed the {self.label.initial_timesteps} steps before the first "
                f"questions (label.initial_timesteps). Received {self.total_timesteps}."
            )
        if self.reward == "preferences" and self.labels > self.total_timesteps:
            raise SettingError(
                f"`labels` must not exceed the {self.total_timesteps} steps of the training (total_timesteps). "
                f"Received {self.labels}."
            )
        if self.label.recent_share > 0 and self.label.recent_steps < self.segment_length:
            raise SettingError(
                f"`label.recent_steps` must hold a segment of {self.segment_length} steps. Received "
                f"{self.label.recent_steps}."
            )
        self._settle_environment()
        self._check_people()
        if self.shuffle_labels and self.reward != "preferences":
            raise SettingError(f"`shuffle_labels` needs reward=preferences. Received reward={self.reward}.")

    def _settle_environment(self) -> None:
        """Put what the environment is made with into `env_kwargs`."""
        if self.time_limit < 0:
            raise SettingError(f"`time_limit` must be at least 0. Received {self.time_limit}.")
        if self.oracle == "paper":  # gymnasium's is what its environments do anyway
            object.__setattr__(self, "env_kwargs", {**self.env_kwargs, "oracle": "paper"})
        if self.time_limit:
            object.__setattr__(self, "env_kwargs", {**self.env_kwargs, "max_episode_steps": self.time_limit})

    def _check_people(self) -> None:
        label = self.label
        if min(label.stock, label.stale_after, label.overlap, label.slack + 1) < 1:
            raise SettingError(
                "`label.stock`, `label.stale_after` and `label.overlap` must be at least 1, and `label.slack` at "
                f"least 0. Received {label.stock}, {label.stale_after}, {label.overlap} and {label.slack}."
            )
        if self.teacher == "human" and (self.reward != "preferences" or self.shuffle_labels):
            raise SettingError("`teacher=human` needs reward=preferences, and no shuffled labels.")

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Return the configuration that such values describe.

        Raises:
            SettingError: A key is unknown or a value has the wrong type or size.
        """
        try:
            return TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            # A check of ours arrives wrapped in pydantic's; its sentence is the better one.
            first = error.errors()[0]
            inner = first.get("ctx", {}).get("error")
            if isinstance(inner, SettingError):
                raise inner from error
            where = ".".join(str(part) for part in first["loc"])
            if first["type"] == "unexpected_keyword_argument":
                raise SettingError(f"There is no setting `{where}`; `prefrl train --help` lists them.") from error
            raise SettingError(
                f"The setting `{where}` is wrong: {first['msg']}. Received {first['input']!r}."
            ) from error


def preset_names() -> list[str]:
    """Return the names of the tasks that have a preset."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _preset_files())


def load_preset(
    task: str, algo: str | None = None, config_file: Path | None = None, *, teacher: str | None = None
) -> RunConfig:
    """Return the configuration of a task before the command line has its say.

    Args:
        task: Name of a preset, or a gymnasium id.
        algo: The algorithm; by default the one of the file, or PPO.
        config_file: YAML with settings that win over the preset's.
        teacher: Who compares; by default the one of the file, or the oracle.

    Raises:
        SettingError: A file cannot be read, or a setting in it is unknown or wrong.
    """
    name, _, game = task.partition("/")
    if name != "atari":
        name, game = task, ""
    values: dict[str, Any] = _read_preset(name) if name in preset_names() else {"env_id": task}
    if game:
        values["env_kwargs"] = {"game": game}
    own = _read_yaml(config_file) if config_file is not None else {}
    chosen = algo or own.get("algo") or values.get("algo", "ppo")
    algorithms = _read_preset("_algorithms")
    if chosen not in algorithms:
        raise SettingError(f"`algo` must be one of {', '.join(algorithms)}. Received {chosen!r}.")
    by_algo: dict[str, Any] = values.pop("by_algo", {})
    by_teacher: dict[str, Any] = values.pop("by_teacher", {})
    answers = teacher or own.get("teacher") or values.get("teacher", "oracle")
    resolved: dict[str, Any] = {"task": task, "algo": chosen}
    for layer in (algorithms[chosen], values, by_algo.get(chosen, {}), by_teacher.get(answers, {}), own):
        resolved = _merged(resolved, layer)
    resolved["algo"], resolved["teacher"] = chosen, answers
    return RunConfig.from_json(resolved)


def _preset_files() -> Iterator[Any]:
    for entry in files("prefrl").joinpath("presets").iterdir():
        if entry.name.endswith(".yaml") and not entry.name.startswith("_"):
            yield entry


def _read_preset(name: str) -> dict[str, Any]:
    """Read a preset on top of the one that it extends, if it does."""
    text = files("prefrl").joinpath("presets", f"{name}.yaml").read_text()
    values: dict[str, Any] = yaml.safe_load(text)
    extended = values.pop("extends", None)
    return values if extended is None else _merged(_read_preset(extended), values)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"The configuration file {path} cannot be read: {reason}.") from error
    if not isinstance(values, dict):
        raise SettingError(f"The configuration file {path} must hold settings as `name: value` lines.")
    if values.get("reward") is True:  # YAML reads the word `true` as a truth value
        values["reward"] = "true"
    return values


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`, nested mappings merged key by key."""
    result = copy.deepcopy(dict(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result
