"""What a report says of a run in words and numbers: its headline, the numbers in front, its facts."""

from typing import Any

import numpy as np

from prefrl.report import panels
from prefrl.report.data import RunData

_LEARNS_FROM = {
    "preferences": "comparisons",
    "saved": "a reward that was learned before",
    "true": "the true reward",
    "constant": "a constant reward",
}


def headline(run: RunData) -> str:
    """Say in one line what happened."""
    what = task_name(run).capitalize()
    if not run.finished:
        what += ", not finished"
    elif run.config.get("shuffle_labels") or run.config.get("reward") == "constant":
        what += ", control"
    elif _does_it(run):
        what += " learned"
    result = _result(run)
    return f"{what}: {result} {_source(run)}" if result else f"{what}: nothing measured yet"


def status(run: RunData) -> str:
    """Say how far an unfinished run has come, and how it goes on."""
    total = run.config.get("total_timesteps", 0)
    return (
        f"This run is not finished: {run.num_timesteps:,} of {total:,} steps "
        f"({100 * run.num_timesteps / total:.0f} %). If nothing trains it any more, go on by "
        f"`prefrl resume {run.path}`."
    )


def cards(run: RunData) -> dict[str, tuple[str, str]]:
    """Return the numbers in front: value and small print by name."""
    cards: dict[str, tuple[str, str]] = {}
    if run.evaluation is not None:
        true_return = run.evaluation["true_return"]
        n_episodes = f"mean of {true_return['episodes']:,} episodes"
        for name, value in run.evaluation.get("metrics", {}).items():
            cards[panels.spaced(name).capitalize()] = (number(value), n_episodes)
        mean, std = number(true_return["mean"]), number(true_return["std"])
        cards["True return"] = (f"{mean} ± {std}", f"mean and standard deviation of {n_episodes.split(' of ')[1]}")
    elif (latest := run.last("rollout/ep_rew_mean")) is not None:
        cards["True return"] = (number(latest), "last 100 training episodes; not evaluated yet")
    if run.labels is not None:
        cards["Comparisons"] = (f"{run.labels:,}", _of_labels(run) + _teacher(run))
    if (accuracy := run.last("reward_model/accuracy")) is not None:
        cards["Held-out accuracy"] = (f"{100 * accuracy:.0f} %", "of comparisons not trained on, last fit")
    cards["Environment steps"] = (f"{run.num_timesteps:,}", f"of {run.config.get('total_timesteps', 0):,}")
    cards |= _time_cards(run)
    return cards


def facts(run: RunData) -> dict[str, Any]:
    """Return what is to be known of a run besides its settings."""
    config = run.config
    facts = {
        "Task": config.get("task"),
        "Environment": config.get("env_id"),
        "Algorithm": str(config.get("algo")).upper(),
        "Learns from": _LEARNS_FROM.get(str(config.get("reward")), str(config.get("reward"))),
        **{name: f"{value} ({small})" for name, (value, small) in cards(run).items()},
        "Seed": config.get("seed"),
        "Started": run.description.get("created"),
        "Code": run.description.get("git_revision") or "not from a git checkout",
        "Folder": str(run.path),
    }
    if run.labels is not None:
        facts["Steps of a clip"] = config.get("feedback", {}).get("segment_length")
    return facts


def task_name(run: RunData) -> str:
    """Return the task in words."""
    return str(run.config.get("task", "run")).removeprefix("prefrl/").replace("-", " ")


def number(value: float) -> str:
    """Return a number as a reader wants it: about three figures, thousands with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace("-", "−")
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".").replace("-", "−")


def _does_it(run: RunData) -> bool:
    """Return whether the policy does what the task counts, at least once per episode."""
    metrics = (run.evaluation or {}).get("metrics", {})
    counts = [value for name, value in metrics.items() if name.endswith("_per_episode")]
    return bool(counts) and min(counts) >= 1


def _result(run: RunData) -> str:
    """Return the most telling numbers: what the task counts, else how the true return grew."""
    counts = (run.evaluation or {}).get("metrics", {})
    if counts:
        return ", ".join(f"{number(value)} {panels.spaced(name)}" for name, value in counts.items())
    returns = run.tables.get("returns", {}).get("true_return", np.empty(0))
    returns = returns[np.isfinite(returns)]
    if run.evaluation is not None:
        returns = np.append(returns, run.evaluation["true_return"]["mean"])
    if len(returns) < 2:
        return f"true return {number(returns[0])}" if len(returns) else ""
    return f"true return from {number(returns[0])} to {number(returns[-1])}"


def _source(run: RunData) -> str:
    time = "" if run.seconds is None else f" in {_duration(run.seconds)}"
    if run.labels is not None:
        kind = "shuffled comparisons" if run.config.get("shuffle_labels") else "comparisons"
        own = f"{run.labels:,} {kind}"
        if run.labels_before:
            own = f"{own} and " if run.labels else ""
            own += f"{run.labels_before:,} {'' if run.labels else 'comparisons '}of another run"
        return f"{'from' if _does_it(run) else 'after'} {own}{time}"
    return f"on {_LEARNS_FROM.get(str(run.config.get('reward')), 'another reward')}{time}"


def _time_cards(run: RunData) -> dict[str, tuple[str, str]]:
    seconds = run.seconds
    if seconds is None:
        return {}
    cards = {"Training time": (_duration(seconds), f"{run.num_timesteps / seconds:,.0f} steps per second")}
    refit = run.last("time/refit_seconds")
    if run.labels is not None and refit is not None:
        cards["Asking and fitting"] = (
            f"{100 * refit / seconds:.1f} %",
            f"of the training time, {_duration(refit)}",
        )
    return cards


def _of_labels(run: RunData) -> str:
    """Return how many there were to be; where labels alone came in, nobody has said so."""
    if run.labels_before:
        return f"of {run.config['labels']:,}, after {run.labels_before:,} of {run.config['from_labels']}; "
    return f"of {run.config['labels']:,}; " if "labels" in run.config else ""


def _teacher(run: RunData) -> str:
    return f"{run.config.get('teacher', 'unknown')} teacher" + (
        ", answers shuffled" if run.config.get("shuffle_labels") else ""
    )


def _duration(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
