"""What a run logs is what docs/logging.md says, key by key."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from prefrl.config import RunConfig
from prefrl.registry import ALGORITHMS
from prefrl.runs import TrainingProgress, start, training
from prefrl.runs.metrics_log import read_metrics
from prefrl.runs.refit_pictures import CLIP_KEY, TRACE_KEY

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]

pytestmark = pytest.mark.usefixtures("train_only")
ONE_OF_A_KIND = ("ppo", "a2c", "trpo", "sac", "dqn")
"""Together they log every key; the others log those of SAC or DQN."""
PEOPLE_ONLY = {"time/waited_seconds"}
FILTER_ONLY = {"reward_model/distrusted"}


@pytest.fixture
def documented() -> set[str]:
    page = Path(__file__).parents[2] / "docs" / "logging.md"
    rows = re.findall(r"^\| (`\w+/.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+/\w+|task/…)`", row)}


@pytest.fixture
def logged(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], set[str]]:
    """Train by an algorithm; return the keys of its log."""
    monkeypatch.setattr(training, "LOG_EVERY", 128)
    monkeypatch.setattr(training, "LINES_AT_LEAST", 1)

    def train(algo: str) -> set[str]:
        task = {"dqn": "cartpole", "qrdqn": "cartpole", "ppo": "hopper-backflip"}.get(algo, "pendulum")
        config = small_config(
            task,
            algo,
            time_limit=50,
            restarts={"window_share": 0.1, "patience": 1},
            reward_model={"bonus": 0.1, "pseudo_weight": 1.0} if algo == "a2c" else {},
        )
        start(config, tmp_path / algo, quiet)
        lines = read_metrics(tmp_path / algo / "log" / "metrics.jsonl")
        return {re.sub(r"^task/.*", "task/…", key) for line in lines for key in line}

    return train


def test_every_key_is_in_the_documents_and_no_other(
    documented: set[str], logged: Callable[[str], set[str]]
) -> None:
    found = set().union(*map(logged, ONE_OF_A_KIND))
    assert found == documented - PEOPLE_ONLY - FILTER_ONLY - {CLIP_KEY, TRACE_KEY}


@pytest.mark.slow
@pytest.mark.parametrize("algo", sorted(set(ALGORITHMS) - set(ONE_OF_A_KIND)))
def test_no_algorithm_logs_a_key_that_the_documents_lack(
    algo: str, documented: set[str], logged: Callable[[str], set[str]]
) -> None:
    assert logged(algo) <= documented


def test_the_documents_have_the_pictures_and_the_waiting_for_people(documented: set[str]) -> None:
    assert documented >= PEOPLE_ONLY | {CLIP_KEY, TRACE_KEY}
    assert '"time/waited_seconds"' in (Path(training.__file__).with_name("pace.py")).read_text(encoding="utf-8")
