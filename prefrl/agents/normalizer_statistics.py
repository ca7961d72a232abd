"""Running statistics of SB3's `VecNormalize`: what observations are normalised by, and rewards divided by."""

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.parts import Arrays


def running_statistics(normalizer: VecNormalize) -> dict[str, RunningMeanStd]:
    """Return the running statistics by name; those of observations only where they are normalised."""
    statistics = {"return": normalizer.ret_rms}
    if normalizer.norm_obs:
        own = normalizer.obs_rms
        named = own if isinstance(own, dict) else {"": own}
        statistics |= {f"observation:{key}": value for key, value in named.items()}
    return statistics


def packed_statistics(normalizer: VecNormalize) -> Arrays:
    """Return copies of all statistics."""
    arrays: Arrays = {}
    for name, running in running_statistics(normalizer).items():
        arrays[f"{name}.mean"] = np.array(running.mean)
        arrays[f"{name}.var"] = np.array(running.var)
        arrays[f"{name}.count"] = np.array([running.count], dtype=np.float64)
    return arrays


def put_statistics(normalizer: VecNormalize, arrays: Arrays) -> None:
    """Take statistics over from `packed_statistics`; those that are not among them stay as they are."""
    for name, running in running_statistics(normalizer).items():
        if f"{name}.mean" in arrays:
            running.mean = arrays[f"{name}.mean"].copy()
            running.var = arrays[f"{name}.var"].copy()
            running.count = float(arrays[f"{name}.count"][0])


def begin_statistics(normalizer: VecNormalize) -> None:
    """Forget what was seen, as at the beginning of a training; nothing where the statistics are frozen."""
    if not normalizer.training:
        return
    for running in running_statistics(normalizer).values():
        first = RunningMeanStd(shape=np.shape(running.mean))
        running.mean, running.var, running.count = first.mean, first.var, first.count
