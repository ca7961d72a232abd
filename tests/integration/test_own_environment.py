"""The example of docs/own-environment.md, as a user runs it: the page's own code, in a folder of its own."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "own-environment.md"
SETTINGS = """
labels: 12
segment_length: 10
total_timesteps: 1024
evaluation_episodes: 2
feedback: {initial_timesteps: 256, labels_per_round: 4, recorder_steps: 100}
reward_model: {hidden_sizes: [16], first_epochs: 2, epochs: 1}
agent: {n_envs: 4, hidden_sizes: [16], settings: {n_steps: 32, batch_size: 64, n_epochs: 1}}
"""

pytestmark = pytest.mark.skipif(importlib.util.find_spec("minigrid") is None, reason="MiniGrid is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which somebody has saved the page's code: the environment, and the check of it."""
    environment, check = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / re.findall(r"^# (\w+\.py)$", environment, re.MULTILINE)[0]).write_text(environment)
    (tmp_path / "check.py").write_text(check)
    (tmp_path / "small.yaml").write_text(SETTINGS)
    return tmp_path


def in_folder(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_page_checks_its_own_example(folder: Path) -> None:
    done = in_folder(folder, sys.executable, "check.py")
    assert done.returncode == 0, done.stderr


def test_a_check_of_the_page_notices_another_picture(folder: Path) -> None:
    environment = (folder / "my_grid.py").read_text()
    assert "(x, y), direction)" in environment
    (folder / "my_grid.py").write_text(environment.replace("(x, y), direction)", "(x, y), 0)"))
    assert "AssertionError" in in_folder(folder, sys.executable, "check.py").stderr


@pytest.mark.slow
def test_the_page_trains_its_example(folder: Path) -> None:
    (line,) = re.findall(r"^(prefrl train my_grid:.*)$", PAGE.read_text(), re.MULTILINE)
    small = re.sub(r" --(labels|total-timesteps) \d+", "", line).split()
    small[0] = str(Path(sys.executable).with_name("prefrl"))
    done = in_folder(folder, *small, "--config", "small.yaml", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    evaluation = json.loads(done.stdout)
    assert (evaluation["task"], evaluation["labels"]) == ("my_grid:MyGrid-v0", 12)
    assert (folder / "run" / "clip.mp4").stat().st_size > 1000
    report = (folder / "run" / "report.html").read_text()
    assert "No clips" not in report
    assert report.count("data:video/mp4") >= 2, "the policy, and the labelled pairs"
