"""Where the log of a run goes: to a file of its own, and to TensorBoard or Weights & Biases where wanted."""

from stable_baselines3.common.logger import KVWriter, Logger

from prefrl.agents import PreferenceLearning
from prefrl.config import RunConfig
from prefrl.errors import MissingDependencyError
from prefrl.runs.folder import RunFolder
from prefrl.runs.illustrated_log import IllustratedLog, untouched_randomness
from prefrl.runs.metrics_log import MetricsLog, read_metrics
from prefrl.runs.refit_pictures import RefitPictures
from prefrl.runs.tensorboard_log import TensorBoardLog
from prefrl.runs.wandb_log import WandbLog
from prefrl_envs.extras import Extra

TENSORBOARD = Extra(name="tensorboard", package="tensorboard", module="tensorboard", purpose="`--tensorboard`")
WANDB = Extra(name="wandb", package="wandb", module="wandb", purpose="`--wandb`")
LOG_EXTRAS = (TENSORBOARD, WANDB)
"""Every optional package that a run can log to; a setting of the same name switches it on."""


def check_log_writers(config: RunConfig) -> None:
    """Refuse a log that needs a package which is not there; nothing is imported or written.

    Raises:
        MissingDependencyError: It names the command that installs it.
    """
    for extra in LOG_EXTRAS:
        if getattr(config, extra.name) and not extra.is_installed:
            raise MissingDependencyError(
                f"`{extra.name}` needs the package {extra.package}; install it by `{extra.command}`."
            )


def make_logger(
    config: RunConfig, folder: RunFolder, preferences: PreferenceLearning | None, *, until: int
) -> Logger:
    """Return the logger of a training.

    Args:
        config: The settings.
        folder: Where the log lies.
        preferences: What is drawn where the reward was refitted; None where there is none.
        until: Environment steps so far: what was logged of later ones belongs to what a crash undid.

    Raises:
        MissingDependencyError: As `check_log_writers`.
        RunError: Weights & Biases cannot be reached, or knows no user.
    """
    check_log_writers(config)
    writers: list[KVWriter] = [MetricsLog(folder.metrics, until=until)]
    looked_at: list[KVWriter] = []
    if config.tensorboard:
        looked_at.append(TensorBoardLog(folder.tensorboard, until=until))
    if config.wandb:
        with untouched_randomness():  # the agent has its seed by now
            looked_at.append(WandbLog(folder, config))
    if looked_at:
        pictures = None if preferences is None else RefitPictures(config, preferences)
        earlier = read_metrics(folder.metrics)
        writers.append(IllustratedLog(looked_at, pictures, config.total_timesteps, earlier))
    return Logger(None, writers)
