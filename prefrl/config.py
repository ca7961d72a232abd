"""The settings of a run: one source for the command line, the presets, the docs and the file in the run folder.

A resolved configuration comes from, later wins: the defaults here, the settings of the algorithm
(`presets/_algorithms.yaml`), the preset of the task, with what it says for this algorithm (or for all that are
off-policy) and teacher, a `--config` file, the command line.
"""

import copy
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from prefrl.errors import SettingError
from prefrl.registry import ALGORITHMS, OFF_POLICY
from prefrl.settings import (
    AgentSettings,
    AlgorithmName,
    FeedbackSettings,
    RestartSettings,
    RewardSettings,
    TeacherName,
    check_numbers,
    shown,
)

RewardSource = Literal["preferences", "saved", "true", "constant"]

CHANGEABLE = (
    "labels",
    "total_timesteps",
    "checkpoint_every",
    "evaluation_episodes",
    "tensorboard",
    "wandb",
    "question",
    "device",
    "n_threads",
    "agent.device",
    "feedback.slack",
    "feedback.stock",
    "feedback.stale_after",
)
"""Settings that may change after a run began: how long it goes on, how it is watched, where it computes."""

BEFORE_THEY_WERE = {"reward_model": {"bootstrap": True}}
"""What runs did before there were these settings, where that is not the default: their files lack them."""


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
    algo: AlgorithmName = "ppo"
    """The algorithm."""
    reward: RewardSource = "preferences"
    """What the agent learns from: comparisons, a reward that was learned before and changes no more
    (`reward_from`), or, as controls, the true reward or a constant one."""
    reward_from: str = ""
    """With reward=saved the folder of that reward: a run, or what `prefrl refit` or `RewardEnsemble.save` wrote.
    The run keeps a copy."""
    teacher: TeacherName = "oracle"
    """Who compares: "oracle" knows the true return, "boltzmann" sees it with noise, "simulated" has the faults
    that `teacher_settings` give it, "bpref" those with B-Pref's thresholds, "drifting" changes, "slow" answers
    late, "mixture" is several people, "human" opens the labelling page; "regret:RUN" goes by what a clip has lost,
    as the critic of a run on the true reward sees it, "like:RUN" is a simulated one that answers as those did who
    answered in that run."""
    teacher_settings: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)
    """Fields of the teacher's class, in a file only."""
    oracle: Literal["gymnasium", "paper"] | None = None
    """Which of its two true rewards a MuJoCo task of the paper has; all other tasks have one."""
    question: str = ""
    """What people are asked about the clips; the task knows a question of its own."""
    shuffle_labels: bool = False
    """Control: answers that carry no information."""
    from_labels: str = ""
    """Folder of a run whose labels the reward learns before the first step. This run keeps a copy of them, and
    asks only the `labels` that are said to come on top: none by default."""
    labels: int = 700
    """Comparisons in all; "can't tell" costs none."""
    total_timesteps: int = 1_000_000
    """Environment steps of the training, over all environments."""
    seed: int = 0
    """Decides every random choice of the run."""
    checkpoint_every: int = 200_000
    """Environment steps between checkpoints; one is also written on Ctrl-C and at the end."""
    evaluation_episodes: int = 20
    """Episodes of the final evaluation."""
    tensorboard: bool = False
    """Write the log for TensorBoard too, with pictures of what the reward says; it lies in RUN/log/tensorboard."""
    wandb: bool = False
    """Send the same to Weights & Biases, to the project `prefrl` or what WANDB_PROJECT says."""
    device: str = "auto"
    """Where the reward networks live: auto, cpu, cuda, …."""
    n_threads: int = 1
    """Threads of torch on the CPU; more are slower for networks this small."""
    stepping: Literal["auto", "sb3", "envpool", "ale"] = "auto"
    """What steps the environments: SB3 one after another, EnvPool (MuJoCo) or ale-py (Atari) many at once; "auto"
    is the fastest that is installed and gives the same trajectories."""
    feedback: FeedbackSettings = field(default_factory=FeedbackSettings)
    """When and about what the teacher is asked."""
    reward_model: RewardSettings = field(default_factory=RewardSettings)
    """The reward networks and their training."""
    agent: AgentSettings = field(default_factory=AgentSettings)
    """The agent and its environments."""
    restarts: RestartSettings = field(default_factory=RestartSettings)
    """When a policy that gets no better is replaced by a fresh one."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot be."""
        own = asdict(self)
        for name in ("env_kwargs", "seed"):  # an environment's limits may be infinite
            own.pop(name)
        check_numbers(flat(own))
        for name in (
            "total_timesteps",
            "checkpoint_every",
            "evaluation_episodes",
            "n_threads",
        ):
            if getattr(self, name) < 1:
                raise SettingError(f"`{name}` must be at least 1. Received {getattr(self, name)}.")
        self._check_labels()
        if (
            self.reward == "preferences"
            and self.labels
            and self.total_timesteps <= self.feedback.initial_timesteps
        ):
            raise SettingError(
                f"`total_timesteps` must exceed the {self.feedback.initial_timesteps} steps before the first "
                f"questions (feedback.initial_timesteps). Received {self.total_timesteps}."
            )
        if self.reward == "preferences" and self.labels > self.total_timesteps:
            raise SettingError(
                f"`labels` must not exceed the {self.total_timesteps} steps of the training (total_timesteps). "
                f"Received {self.labels}."
            )
        if not 0 <= self.seed < 2**63:
            raise SettingError(f"`seed` must lie between 0 and 2**63 - 1. Received {shown(self.seed)}.")
        self._settle_environment()
        self._check_people()
        self._check_replay()
        if (self.reward == "saved") != bool(self.reward_from):
            raise SettingError(
                "`reward_from`, the folder of a reward, and reward=saved belong together. Received "
                f"{self.reward_from!r} and reward={self.reward}."
            )
        if self.shuffle_labels and self.reward != "preferences":
            raise SettingError(f"`shuffle_labels` needs reward=preferences. Received reward={self.reward}.")

    @property
    def segment_length(self) -> int:
        """Steps of a clip."""
        return self.feedback.segment_length

    def _settle_environment(self) -> None:
        """Make `time_limit` the one place for the limit: `max_episode_steps` in `env_kwargs` becomes it."""
        said = self.env_kwargs.get("max_episode_steps", self.time_limit or None)
        if self.time_limit and said != self.time_limit:
            raise SettingError(
                "`time_limit` and `max_episode_steps` in `env_kwargs` say the same. Received "
                f"{self.time_limit} and {said}; leave the latter out."
            )
        if said is not None and (not isinstance(said, int) or said < 1):
            raise SettingError(f"`time_limit` must be at least 0. Received {said!r}.")
        others = {key: value for key, value in self.env_kwargs.items() if key != "max_episode_steps"}
        object.__setattr__(self, "env_kwargs", others)
        object.__setattr__(self, "time_limit", said or 0)

    @property
    def make_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of `gymnasium.make`: `env_kwargs`, the time limit and the oracle."""
        limit = {"max_episode_steps": self.time_limit} if self.time_limit else {}
        oracle = (
            {"oracle": "paper"} if self.oracle == "paper" else {}
        )  # gymnasium's is what environments do anyway
        return {**self.env_kwargs, **limit, **oracle}

    def _check_labels(self) -> None:
        least = 0 if self.from_labels else 1
        if self.labels < least:
            raise SettingError(f"`labels` must be at least {least}. Received {self.labels}.")
        if self.from_labels and (self.reward != "preferences" or self.shuffle_labels):
            raise SettingError(
                "`from_labels` needs reward=preferences, and no shuffled labels: those that are there are right. "
                f"Received reward={self.reward}, shuffle_labels={self.shuffle_labels}."
            )

    def _check_people(self) -> None:
        if self.teacher == "human" and (self.reward != "preferences" or self.shuffle_labels):
            raise SettingError("`teacher=human` needs reward=preferences, and no shuffled labels.")
        if self.teacher == "human" and not self.labels:
            raise SettingError("`teacher=human` needs questions: say by `labels` how many. Received 0.")

    def _check_replay(self) -> None:
        """Refuse what an agent with a replay buffer cannot have."""
        if self.algo not in OFF_POLICY:
            return
        if self.restarts.first_policies:
            raise SettingError(
                f"`restarts.first_policies` must be 0 with algo={self.algo}: it learns from a replay buffer, and "
                f"its policy is not replaced. Received {self.restarts.first_policies}."
            )
        if self.agent.normalize_rewards:
            raise SettingError(
                f"`agent.normalize_rewards` must be false with algo={self.algo}: the replay buffer keeps rewards "
                "for long, and a learned reward has a standard deviation of its own."
            )
        if self.agent.log_std_init:
            raise SettingError(
                f"`agent.log_std_init` must be 0 with algo={self.algo}, whose first actions are drawn otherwise. "
                f"Received {self.agent.log_std_init}."
            )
        own = self.agent.settings
        starts, n_updates = own.get("learning_starts", 0), own.get("gradient_steps", 1)
        if starts >= self.total_timesteps or n_updates == 0:
            raise SettingError(
                "Nothing would be learned: `learning_starts` of the agent must be below the "
                f"{self.total_timesteps} steps of the training, and `gradient_steps` not 0. Received {starts} and "
                f"{n_updates}."
            )
        if isinstance(own.get("train_freq"), list | tuple) and self.agent.n_envs > 1:
            raise SettingError(
                f"`train_freq` of the agent counts episodes with one environment only (agent.n_envs). Received "
                f"{own['train_freq']} with {self.agent.n_envs}."
            )

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
            return TypeAdapter(cls).validate_python(upgraded(values))
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
                f"The setting `{where}` is wrong: {first['msg']}. Received {reprlib.repr(first['input'])}."
            ) from error

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Return the configuration that a run wrote down, whole; what an earlier version lacks is as it was then.

        Raises:
            SettingError: As `from_json`.
        """
        return cls.from_json(_merged(BEFORE_THEY_WERE, upgraded(values)))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their full names, such as `agent.settings.gamma`."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            named |= flat(value, f"{prefix}{name}.")
        else:
            named[prefix + name] = list(value) if isinstance(value, tuple) else value
    return named


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the names and in the places that they have now.

    Earlier versions wrote `label` for `feedback`, `selection` for its `strategy`, and the length of segments
    beside it; there it may still be written, as it is the setting that most tasks have of their own.
    """
    renamed = dict(values)
    if "label" in renamed and "feedback" not in renamed:
        renamed["feedback"] = renamed.pop("label")
    feedback = renamed.get("feedback", {})
    if not isinstance(feedback, Mapping):
        return renamed
    feedback = {"strategy" if name == "selection" else name: value for name, value in feedback.items()}
    if "segment_length" in renamed:
        feedback["segment_length"] = renamed.pop("segment_length")
    return renamed | {"feedback": feedback}


def preset_names() -> list[str]:
    """Return the names of the tasks that have a preset."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _preset_files())


def load_preset(
    task: str,
    algo: str | None = None,
    config_file: Path | None = None,
    *,
    teacher: str | None = None,
    from_labels: str | None = None,
) -> RunConfig:
    """Return the configuration of a task before the command line has its say.

    Args:
        task: Name of a preset, or a gymnasium id.
        algo: The algorithm; by default the one of the file, or PPO.
        config_file: YAML with settings that win over the preset's.
        teacher: Who compares; by default the one of the file, or the oracle.
        from_labels: Folder of a run whose labels are learned first; nothing more is asked then, unless somebody
            says so. By default the one of the file, or none.

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
    if chosen not in ALGORITHMS:
        raise SettingError(f"`algo` must be one of {', '.join(ALGORITHMS)}. Received {chosen!r}.")
    by_algo: dict[str, Any] = values.pop("by_algo", {})
    by_teacher: dict[str, Any] = values.pop("by_teacher", {})
    if chosen in OFF_POLICY:  # policies are replaced where they learn from rollouts only
        values.pop("restarts", None)
    answers = teacher or own.get("teacher") or values.get("teacher", "oracle")
    resolved: dict[str, Any] = {"task": task, "algo": chosen}
    family = by_algo.get("off-policy", {}) if chosen in OFF_POLICY else {}
    by_algo = _merged(family, by_algo.get(chosen, {}))
    for layer in (algorithms.get(chosen, {}), values, by_algo, by_teacher.get(answers, {}), own):
        resolved = _merged(resolved, upgraded(layer))
    resolved["algo"], resolved["teacher"] = chosen, answers
    if old := from_labels or own.get("from_labels"):
        # Who asks people wants to ask: a preset's budget is then how much. (An oracle would have to be told to.)
        resolved["from_labels"] = old
        if "labels" not in own and answers != "human":
            resolved["labels"] = 0
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
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
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
