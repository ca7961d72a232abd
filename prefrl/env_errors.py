"""What can go wrong where an environment is made, in sentences. Starts without torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

import gymnasium as gym

from prefrl.config import RunConfig, preset_names
from prefrl.errors import MissingDependencyError, PrefRLError, SettingError


@contextmanager
def explain_env_errors(config: RunConfig) -> Iterator[None]:
    """Turn whatever the making of an environment raises into a sentence; it may be the code of others.

    Raises:
        SettingError: gymnasium knows no such id, or the environment cannot be made.
        MissingDependencyError: It needs a package that is not installed.
    """
    try:
        yield
    except PrefRLError:
        raise
    except gym.error.DependencyNotInstalled as error:
        raise MissingDependencyError(f"{config.env_id} needs a package: {error_text(error)}.") from error
    except ModuleNotFoundError as error:
        # gymnasium adds words of its own.
        raise SettingError(
            f"The module of {config.env_id!r} cannot be imported: {str(error).split('. ')[0]}; install its "
            "package, or run prefrl where the module lies."
        ) from error
    except gym.error.UnregisteredEnv as error:
        raise SettingError(f"There is no environment {config.env_id!r}{_advice(config.task, error)}") from error
    except Exception as error:
        raise SettingError(
            f"The environment {config.env_id!r} cannot be made: {error_text(error)} (--debug shows where)."
        ) from error


def error_text(error: Exception) -> str:
    """Return what an error says, fit for the middle of a sentence; its kind where it says nothing."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _advice(task: str, error: Exception) -> str:
    """Say which tasks and environments have a name like this one, or what gymnasium says."""
    close = get_close_matches(task, [*preset_names(), *gym.registry])
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f" ({error_text(error)}); `prefrl tasks` lists what there is."
