"""Results as a few lines of text."""

from collections.abc import Mapping
from typing import Any

_FIGURES = {
    "accuracy": "accuracy",
    "log_loss": "log-loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}


def refit_table(result: Mapping[str, Any]) -> str:
    """Return how another reward compares with the run's; see `prefrl.runs.refit`."""
    held_out, changes = result["held_out"], result["changes"]
    lines = [f"{name}: {change['run']} in the run, {change['refit']} here" for name, change in changes.items()]
    lines.append(f"{result['labels']} labels, each held out once in {result['folds']} parts:")
    if not changes:
        lines += [f"{words:20}{_figure(held_out['refit'][name])}" for name, words in _FIGURES.items()]
        lines.append("All settings are the run's, so there is nothing to compare.")
    else:
        lines.append(f"{'':20}{'run':>8}{'refit':>8}   difference")
        for name, words in _FIGURES.items():
            row = f"{words:20}{_figure(held_out['run'][name])}{_figure(held_out['refit'][name])}"
            lines.append(f"{row}   {_difference(result['difference'].get(name))}".rstrip())
    if result["epic_distance"] is not None:
        lines.append(
            f"EPIC distance from the run's reward: {result['epic_distance']:.3f} (0 the same, 1 opposite)"
        )
    lines.append(f"reward: {result['reward_model']}")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return f"{'–' if value is None else format(value, '.3f'):>8}"


def _difference(found: Mapping[str, float | None] | None) -> str:
    if found is None or found["low"] is None:
        return ""
    return f"{found['mean']:+.3f} (95 %: {found['low']:+.3f} to {found['high']:+.3f})"


def reward_check_table(result: Mapping[str, Any]) -> str:
    """Return how well a reward agrees with the true one; see `prefrl.runs.reward_check`."""
    lines = [f"{'':10}{'true return':>12}{'steps':>10}{'clips':>10}{'same order':>12}"]
    for name, found in result["policies"].items():
        figures = [found["step_correlation"], found["clip_correlation"], found["same_order"]]
        shown = ["–" if value is None else f"{value:.2f}" for value in figures]
        lines.append(f"{name:10}{found['true_return']:>12.1f}{shown[0]:>10}{shown[1]:>10}{shown[2]:>12}")
    lines.append(
        f"Correlation of learned and true reward, of steps and of clips of {result['segment_length']} steps, and "
        "the share of pairs of clips that both put in the same order."
    )
    return "\n".join(lines)


def hackcheck_words(result: Mapping[str, Any]) -> str:
    """Say what came of an agent on a frozen reward; see `prefrl.runs.hackcheck`."""
    far = result["best_distance"]
    apart = "" if far is None else f" (√KL {far:.1f} from the first policy)"
    before, after = f"{result['predicted_at_best']:.1f}", f"{result['last_predicted']:.1f}"
    course = (
        f"On the reward of the first {result['labels']} labels, true return was best at step "
        f"{result['best_step']:,}{apart}, {result['best_true']:.1f}, and is {result['last_true']:.1f} at the end; "
        f"predicted return went from {before} to {after}."
    )
    if result["exploited"] is None:
        return f"{course}\nToo few lines of the log to tell whether the reward is exploited; train for more steps."
    if result["exploited"]:
        return f"{course}\nThe reward is exploited: it rises while the true one falls."
    return f"{course}\nNo sign that the reward is exploited."
