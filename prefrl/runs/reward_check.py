"""How well a learned reward agrees with the true one, on what several policies do.

A reward is learned from what its own agent did. What it says of anything else, of chance or of an agent that is
far better, is another question, and the one that decides whether an agent gets there.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from prefrl.config import RunConfig
from prefrl.errors import RunError, SettingError
from prefrl.files import write_json
from prefrl.reward import RewardEnsemble
from prefrl.runs.environments import make_environments
from prefrl.runs.folder import RunFolder
from prefrl.runs.playing import Played, play, play_at_random
from prefrl.runs.serial_vec_env import SerialVecEnv
from prefrl.runs.settings_changes import latest_checkpoint
from prefrl.seeding import Streams

REWARD_CHECK_FILE = "reward_check.json"
MAX_ENVS = 4
MOST_STEPS = 50_000
"""Steps of one policy that are looked at, where episodes are long."""
SHOWN = 200
"""Clips of one policy that are kept to be shown."""
N_PAIRS = 10_000
"""Pairs of clips that are drawn to see whether both rewards put them in the same order."""

FloatArray = npt.NDArray[np.float64]


def reward_check(
    folder: RunFolder,
    *,
    expert: RunFolder | None = None,
    episodes: int = 4,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Compare the learned reward of a run with the true one, and write down what came of it.

    Args:
        folder: The run.
        expert: Another run in the same environment, such as one on the true reward, whose policy plays too.
        episodes: How many each policy plays.
        seed: Of the episodes.
        told: Called with how many policies have played, and how many there are.

    Returns:
        What `reward_check.json` holds: by policy (`random`, `current`, and `expert` where there is one) what
        `agreement` returns.

    Raises:
        RunError: Nothing was learned, a run has no checkpoint, or the expert is of another environment.
        SettingError: `episodes` is below 1.
    """
    if episodes < 1:
        raise SettingError(f"`episodes` must be at least 1. Received {episodes}.")
    config = folder.config()
    if config.reward not in ("preferences", "saved"):
        raise RunError(
            f"{folder.path} has no learned reward, as its reward is {config.reward!r}; such a run can be the "
            "`expert` of another check."
        )
    if not RewardEnsemble.is_in(folder.reward_model):
        raise RunError(
            f"{folder.path} has no learned reward yet: it is saved with a checkpoint, once there are labels."
        )
    ensemble = RewardEnsemble.load(folder.reward_model)
    players: dict[str, Callable[[SerialVecEnv], Iterator[Played]]] = {
        "random": lambda envs: play_at_random(config, envs, Streams(seed).integer("random-actions")),
        "current": _player(folder),
    }
    if expert is not None:
        _check_same_environment(config, expert)
        players["expert"] = _player(expert)
    found = {}
    for number, (name, player) in enumerate(players.items()):
        told(number, len(players))
        n_envs = min(MAX_ENVS, episodes)
        environments = make_environments(config, n_envs=n_envs, seed=Streams(seed).integer(f"check-{name}"))
        rewards = _rewards(player(environments), ensemble, episodes, n_envs)
        environments.close()
        found[name] = agreement(*rewards, config.segment_length, np.random.default_rng(seed))
    told(len(players), len(players))
    result = {
        "task": config.task,
        "seed": config.seed,
        "expert": None if expert is None else str(expert.path),
        "segment_length": config.segment_length,
        "policies": found,
    }
    write_json(folder.path / REWARD_CHECK_FILE, result)
    return result


def agreement(
    true: list[FloatArray], predicted: list[FloatArray], length: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return how well two rewards agree on episodes.

    Args:
        true: True rewards of each episode, shape [T].
        predicted: Predicted ones.
        length: Steps of a clip.
        rng: Draws pairs of clips.

    Returns:
        `steps` and `clips` looked at; `step_correlation` and `clip_correlation`, Pearson's of rewards of steps,
        and of returns of clips that do not overlap; `same_order`, the share of pairs of clips which both put in
        the same order, of those that the true reward tells apart. None where there is too little to tell. Returns
        of some of the clips are in `shown`.
    """
    true_clips, predicted_clips = _clips(true, length), _clips(predicted, length)
    some = slice(None, None, 1 + len(true_clips) // (SHOWN + 1))
    all_true, all_predicted = np.concatenate(true), np.concatenate(predicted)
    return {
        "episodes": len(true),
        "steps": len(all_true),
        "clips": len(true_clips),
        "true_return": float(np.mean([episode.sum() for episode in true])),
        "predicted_return": float(np.mean([episode.sum() for episode in predicted])),
        "step_correlation": correlation(all_true, all_predicted),
        "clip_correlation": correlation(true_clips, predicted_clips),
        "same_order": _same_order(true_clips, predicted_clips, rng),
        "shown": {"true": true_clips[some].tolist(), "predicted": predicted_clips[some].tolist()},
    }


def correlation(first: FloatArray, second: FloatArray) -> float | None:
    """Return Pearson's correlation of two rows of numbers; None where one is all the same, but for rounding."""
    for row in (first, second):
        if len(row) < 3 or row.std() <= 1e-6 * max(1.0, float(np.abs(row).max())):
            return None
    return float(np.corrcoef(first, second)[0, 1])


def _clips(episodes: list[FloatArray], length: int) -> FloatArray:
    """Return the returns of segments that lie one after another, shape [n], without what is left of an episode."""
    parts = [one[: len(one) // length * length].reshape(-1, length).sum(axis=1) for one in episodes]
    return np.concatenate(parts)


def _same_order(true: FloatArray, predicted: FloatArray, rng: np.random.Generator) -> float | None:
    if len(true) < 2:
        return None
    first, second = rng.integers(len(true), size=(2, N_PAIRS))
    differs = true[first] - true[second]
    is_told = np.abs(differs) > 1e-6 * max(1.0, float(np.abs(true).max()))
    if not is_told.any():
        return None
    right = np.sign(differs) == np.sign(predicted[first] - predicted[second])
    return float(right[is_told].mean())


def _rewards(
    steps: Iterator[Played], ensemble: RewardEnsemble, episodes: int, n_envs: int
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return true and predicted rewards of whole episodes, each environment playing its share."""
    shares = np.array([episodes // n_envs + (env < episodes % n_envs) for env in range(n_envs)])
    running: list[list[tuple[float, float]]] = [[] for _ in range(n_envs)]
    done: list[FloatArray] = []
    n_steps = 0
    for step in steps:
        predicted = ensemble.predict(step.observations, step.actions, step.next_observations)
        n_steps += n_envs
        for env in np.flatnonzero(shares > 0):
            running[env].append((float(step.env_rewards[env]), float(predicted[env])))
            if step.dones[env]:
                done.append(np.array(running[env], dtype=np.float64))
                running[env], shares[env] = [], shares[env] - 1
        if not shares.any() or n_steps >= MOST_STEPS:
            break
    done += [np.array(running[env]) for env in np.flatnonzero(shares > 0) if running[env]]  # the steps were enough
    return [one[:, 0] for one in done], [one[:, 1] for one in done]


def _player(folder: RunFolder) -> Callable[[SerialVecEnv], Iterator[Played]]:
    """Return what has the policy of a run play.

    Raises:
        RunError: It has no checkpoint.
    """
    config, checkpoint = folder.config(), latest_checkpoint(folder)
    if checkpoint is None:
        raise RunError(f"{folder.path} has no checkpoint yet; go on with `prefrl resume {folder.path}`.")
    return lambda environments: play(config, environments, checkpoint)


def _check_same_environment(config: RunConfig, expert: RunFolder) -> None:
    other = expert.config()
    stacks = config.agent.frame_stack, other.agent.frame_stack
    if stacks[0] != stacks[1]:  # the reward reads what the policy sees
        raise RunError(f"`expert` {expert.path} sees {stacks[1]} stacked frames, and the run {stacks[0]}.")
    for name in ("env_id", "env_kwargs", "time_limit", "hide_termination"):
        own, theirs = getattr(config, name), getattr(other, name)
        if own != theirs:
            raise RunError(
                f"`expert` {expert.path} learned in another environment: `{name}` is {theirs} there, and {own} in "
                "the run."
            )
