import json
from pathlib import Path
from typing import Any

import pytest

from prefrl_labeling_gui.curves import MAX_POINTS, read_curves


def write(path: Path, lines: list[dict[str, Any]], end: str = "") -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    return path


def test_before_there_is_a_log_there_is_an_axis(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "metrics.jsonl") == {"num_timesteps": []}


def test_curves_are_named_and_have_gaps_where_nothing_was_logged(tmp_path: Path) -> None:
    lines = [
        {"time/total_timesteps": 10, "rollout/ep_rew_mean": 1.0, "train/loss": 5.0},
        {
            "time/total_timesteps": 20,
            "rollout/ep_predicted_rew_mean": 2.0,
            "task/backflips": 0.5,
            "labels/total": 3,
        },
        {"time/total_timesteps": 30, "rollout/ep_rew_mean": float("nan"), "reward_model/accuracy": 0.75},
    ]
    assert read_curves(write(tmp_path / "metrics.jsonl", lines)) == {
        "num_timesteps": [10, 20, 30],
        "true_return": [1.0, None, None],
        "predicted_return": [None, 2.0, None],
        "backflips": [None, 0.5, None],
        "labels": [None, 3.0, None],
        "accuracy": [None, None, 0.75],
    }


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.jsonl", [{"time/total_timesteps": 10}], end='{"time/total_time')
    assert read_curves(path) == {"num_timesteps": [10]}
    path = write(tmp_path / "metrics.jsonl", [{"time/total_timesteps": 10}], end='[1]\n{"a": 1}\n')
    assert read_curves(path) == {"num_timesteps": [10]}


@pytest.mark.parametrize("n", [MAX_POINTS, MAX_POINTS + 1, 3 * MAX_POINTS + 7])
def test_a_long_log_is_thinned_out_and_keeps_its_end(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "metrics.jsonl", [{"time/total_timesteps": i} for i in range(n)])
    axis = read_curves(path)["num_timesteps"]
    assert MAX_POINTS / 2 <= len(axis) <= MAX_POINTS
    assert axis[-1] == n - 1
