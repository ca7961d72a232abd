"""Whether an agent exploits the reward that it learned from: a fresh agent on that reward, frozen.

A reward that is learned while the agent trains is corrected where the agent exploits it. One that changes no more
is not: if a fresh agent makes it rise while the true return falls, the reward is wrong where it leads (Ibarz et
al. 2018, figure 4; Gao et al. 2023, "Scaling laws for reward model overoptimization").
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.agents.learned_reward import WINDOW
from prefrl.config import RunConfig
from prefrl.errors import RunError, SettingError
from prefrl.files import read_json, write_json
from prefrl.parts import Json
from prefrl.reward import RewardEnsemble
from prefrl.runs.folder import RunFolder
from prefrl.runs.metrics_log import STEP_KEY, read_metrics
from prefrl.runs.refit import fit_anew, label_seqs
from prefrl.runs.train import ProgressListener, resume, start
from prefrl.settings import RestartSettings
from prefrl.store import LogKey

ABOUT_FILE, HACKCHECK_FILE = "about.json", "hackcheck.json"
KL_KEY, SD_KEY, LENGTH_KEY = "policy/kl", "rollout/ep_rew_std", "rollout/ep_len_mean"
BLOCKS = 10
"""That a training is looked at in."""
MUCH = 0.2
"""Share of its range that the true return has to fall."""


def hackcheck(
    run: RunFolder,
    listener: ProgressListener,
    *,
    labels: int | None = None,
    total_timesteps: int | None = None,
) -> dict[str, Any]:
    """Train a fresh agent on the reward of a run's first labels, which changes no more, and see where it leads.

    It lies in `hackcheck/LABELS` of the run. Called again it goes on where it was stopped, or tells what it found.

    Args:
        run: Whose labels and settings; nothing of it is changed. Its policies are not replaced here.
        listener: Told of the training's progress.
        labels: How many of the first labels the reward learns from; by default half of those that there are.
        total_timesteps: Environment steps; by default as many as the run's.

    Returns:
        What hackcheck.json says: see `verdict`; and the labels and folders.

    Raises:
        RunError: There are too few labels.
        SettingError: A figure is out of range.
        InterruptedRunError: Ctrl-C; it was saved.
    """
    config = run.config()
    _check_module(run, config)
    seqs = _first(run, labels)
    folder = run.path / "hackcheck" / str(len(seqs))
    frozen = folder / "frozen"
    _check_same(folder, {"seqs": seqs, "reward_model": asdict(config.reward_model)})
    if not RewardEnsemble.is_in(folder / "reward_model"):
        fit_anew(run, seqs).save(folder / "reward_model")
    wanted = replace(
        config,
        reward="saved",
        reward_from=str(folder / "reward_model"),
        teacher="oracle",
        teacher_settings={},
        shuffle_labels=False,
        from_labels="",
        labels=max(1, config.labels),  # nothing is asked; 0 belongs to labels of another run
        total_timesteps=config.total_timesteps if total_timesteps is None else total_timesteps,
        restarts=RestartSettings(at_most=0),
    )
    _train(wanted, frozen, listener)
    there, lines = RunFolder.open(frozen), read_metrics(RunFolder.open(frozen).metrics)
    if there.config().total_timesteps > wanted.total_timesteps:
        lines = [line for line in lines if line.get(STEP_KEY, 0) <= wanted.total_timesteps]
    found = verdict(lines)
    result = {"labels": len(seqs), "run": str(frozen), **found}
    write_json(folder / HACKCHECK_FILE, result)
    return result


def _first(run: RunFolder, wanted: int | None) -> list[int]:
    """Return the numbers of the run's first labels."""
    seqs = label_seqs(run)
    labels = len(seqs) // 2 if wanted is None else wanted
    if not 1 <= labels <= len(seqs):
        raise SettingError(f"`labels` must lie between 1 and the {len(seqs)} of {run.path}. Received {labels}.")
    return seqs[:labels]


def _train(config: RunConfig, folder: Path, listener: ProgressListener) -> None:
    """Train to the end, from where it was stopped; leave alone what is over."""
    if not folder.exists():
        start(config, folder, listener)
        return
    there = RunFolder.open(folder)
    if there.evaluation.exists() and there.config().total_timesteps >= config.total_timesteps:
        return
    more = None if there.config().total_timesteps >= config.total_timesteps else config.total_timesteps
    resume(folder, listener, total_timesteps=more)


def verdict(lines: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Say from the log of a training on a frozen reward whether that reward is exploited.

    The lines are put into ten blocks, one after the other. The reward is exploited where the mean true return
    falls from the best block to the last by a fifth of its range, and by three standard errors, while the
    predicted one rises.

    Args:
        lines: Of the log.

    Returns:
        `exploited` (None where there are too few lines to tell), and of the blocks' means: `best_step`,
        `best_distance` (square root of the KL divergence from the first policy, None where it is not known),
        `best_true`, `last_true`, and what was predicted at both.

    Raises:
        RunError: No episode has ended, or hardly any.
    """
    keys = (STEP_KEY, LogKey.TRUE_RETURN, LogKey.PREDICTED_RETURN, SD_KEY, LENGTH_KEY)
    rows = [line for line in lines if all(key in line for key in keys)]
    if len(rows) < BLOCKS:
        raise RunError("Too few episodes have ended to say anything; train for more steps (`total_timesteps`).")
    columns = np.array([[line[key] for key in keys] for line in rows], dtype=np.float64)
    blocks = [block.mean(axis=0) for block in np.array_split(columns, BLOCKS)]
    steps, true, predicted, sd, length = np.array(blocks).T
    # A line is the mean of the latest episodes, and so is a block, at least.
    error = sd / np.sqrt(np.clip(steps / length, 1, WINDOW))
    best = int(np.argmax(true))
    fall, by_chance = true[best] - true[-1], 3 * float(np.hypot(error[best], error[-1]))
    exploited = fall > max(MUCH * np.ptp(true), by_chance) and predicted[-1] > predicted[best]
    kl = [line[KL_KEY] for line in np.array_split(np.array(rows, dtype=object), BLOCKS)[best] if KL_KEY in line]
    return {
        "exploited": bool(exploited) if len(rows) >= 2 * BLOCKS else None,
        "best_step": int(steps[best]),
        "best_distance": float(np.sqrt(np.mean(kl))) if kl else None,
        "best_true": float(true[best]),
        "last_true": float(true[-1]),
        "predicted_at_best": float(predicted[best]),
        "last_predicted": float(predicted[-1]),
    }


def _check_same(folder: Path, about: Json) -> None:
    """Note what is checked here, or refuse to go on with the check of something else.

    Raises:
        RunError: Answers were changed since then, or settings of the reward.
    """
    file = folder / ABOUT_FILE
    about = json.loads(json.dumps(about))
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, about)
    elif read_json(file) != about:
        raise RunError(
            f"{folder} is a check of other answers, or other settings of the reward, than the run has now; move "
            "it away to check anew."
        )


def _check_module(run: RunFolder, config: RunConfig) -> None:
    """Refuse to import what the settings of a run name that came from somebody else."""
    if "imported" in run.description() and ":" in config.env_id:
        raise RunError(
            f"{run.path} was imported, and its environment {config.env_id} is of a module that may come from "
            "anybody; fit a reward by `prefrl refit`, and train on it by `prefrl train` with that name."
        )
