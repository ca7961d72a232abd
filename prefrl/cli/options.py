"""What each command takes: one dataclass per command, from which tyro makes its options and its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prefrl.config import RunConfig
from prefrl.settings import RewardSettings


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Where a training reads and writes, besides the settings of the run."""

    config: Path | None = None
    """YAML file with settings, as in the run's config.json; they win over the preset's."""

    out: Path | None = None
    """Folder of the run; by default runs/TASK-ALGO-SEED, with a number where that exists."""
    page: bool = True
    """Serve the labelling page where people are the teachers; else `prefrl label` does."""
    port: int = 0
    """Where the labelling page is served; 0 takes a free port."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ResumeCommand:
    """Go on with a run after a stop, a crash or a kill; with more labels or steps also after its end."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    labels: int | None = None
    """Comparisons in all, from now on; by default as the run's settings say."""
    total_timesteps: int | None = None
    """Environment steps in all, from now on; by default as the run's settings say."""
    tensorboard: bool = False
    """Write the log for TensorBoard too, from now on; by default as the run's settings say."""
    wandb: bool = False
    """Send the log to Weights & Biases, from now on; by default as the run's settings say."""
    page: bool = True
    """Serve the labelling page where people are the teachers; else `prefrl label` does."""
    port: int = 0
    """Where the labelling page is served; 0 takes a free port."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand:
    """Measure the true return of a run's policy, and its task metrics."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    episodes: int | None = None
    """Episodes to play; by default as many as the run's settings say."""
    seed: int = 0
    """Decides the episodes."""
    video: Path | None = None
    """Where the clip of one episode goes (MP4); by default clip.mp4 in the run."""
    json: bool = False
    """Print the evaluation as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class RefitCommand:
    """Fit another reward to the labels that a run has, and compare it with the run's settings."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run; nothing of it is changed."""
    reward_model: RewardSettings = RewardSettings()
    """The other reward; what is not given is as in the run. `first_epochs` passes over the labels are made."""
    folds: int = 5
    """Parts of the labels; each is judged by a reward that was trained on the others."""
    seed: int = 0
    """Decides parts, first weights and orders."""
    out: Path | None = None
    """Folder for the reward; by default refits/N in the run."""
    json: bool = False
    """Print the comparison as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class HackcheckCommand:
    """Train a fresh agent on the reward of a run's first labels, frozen, and see whether it is exploited."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run; nothing of it is changed. What is trained goes to hackcheck/LABELS in it."""
    labels: int | None = None
    """How many of the first labels the reward learns from; by default half of those that there are."""
    total_timesteps: int | None = None
    """Environment steps of the fresh agent; by default as many as the run's."""
    json: bool = False
    """Print what was found as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class RewardCheckCommand:
    """See how well a run's reward agrees with the true one, on what its policy and others do."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run; reward_check.json in it is written, which the report shows."""
    expert: Path | None = None
    """Folder of a run in the same environment, such as one with reward=true, whose policy is looked at, too."""
    episodes: int = 4
    """Episodes that each policy plays; one draws its actions at random."""
    seed: int = 0
    """Decides the episodes."""
    json: bool = False
    """Print what was found as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write one HTML page with plots and clips, of one run or of several side by side."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of the runs."""
    out: Path | None = None
    """The page; by default report.html in the (first) run."""
    json: bool = False
    """Print the page's path as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write the labels of a run, with the clips they are about, into a folder for others to use."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    out: Path
    """The folder; it must not exist yet."""
    format: Literal["prefrl", "trl"] = "prefrl"
    """Parquet and safetensors, which `prefrl data import` reads, or a preference data set for TRL, with clips as
    text."""
    names: bool = False
    """Give people's names and what they wrote in their own words; else they are person-1, person-2, …."""
    number: int | None = None
    """Only the labels of the run with this number in the store; by default all that are in it."""
    json: bool = False
    """Print what was written as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Make a run's folder of exported labels, to be looked at, added to and learned from."""

    source: Annotated[Path, tyro.conf.Positional]
    """Folder that `prefrl data export` wrote, or the zip that the Uni-RLHF platform exports."""
    out: Path
    """Folder of the run; it must not exist yet."""
    trajectories: Path | None = None
    """With Uni-RLHF: the data set that was compared, as safetensors with observations and actions."""
    options: tuple[Literal["first", "second", "equal", "cannot_tell"], ...] = ("first", "second", "equal")
    """With Uni-RLHF: what the options of its question mean, in their order."""
    json: bool = False
    """Print what came in as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare runs, synthetic and human, by who answered: returns, errors, speed, and the teacher that fits."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of the runs."""
    out: Path | None = None
    """The page; by default comparison.html in the run, and for several in the folder that holds the first."""
    json: bool = False
    """Print all numbers as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class TasksCommand:
    """List the tasks that have a preset."""

    json: bool = False
    """Print them as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class DoctorCommand:
    """Try what prefrl needs of this machine, and say what is missing and how to mend it."""

    json: bool = False
    """Print the findings as one JSON object on stdout, and nothing else there."""


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Train an agent, evaluate it and write the report. The task comes first and decides the defaults."""

    options: Annotated[TrainOptions, tyro.conf.arg(name="")]
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
