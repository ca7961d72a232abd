"""A learned reward beside the true one, on what several policies do."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file

from prefrl.config import RunConfig
from prefrl.errors import PrefRLError
from prefrl.report import write_report
from prefrl.reward import RewardEnsemble
from prefrl.runs import RunFolder, TrainingProgress, reward_check, start
from prefrl.runs.reward_check import agreement, correlation
from tests.runs.conftest import small_config_of

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]
FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("checked") / "run"
    start(small_config_of("pendulum", time_limit=40), run, lambda progress: None)
    return run


def found_of(true: list[FloatArray], predicted: list[FloatArray], length: int = 2) -> dict[str, Any]:
    return agreement(true, predicted, length, np.random.default_rng(0))


def test_a_worked_example() -> None:
    """Two episodes of 5 and 4 steps in clips of 2: the fifth step is of no clip."""
    true = [np.array([1.0, 0, 2, 1, 9]), np.array([0.0, 0, 1, 0])]
    predicted = [np.array([1.0, 1, 1, 1, 1]), np.array([0.0, 0, 3, 0])]
    found = found_of(true, predicted)
    assert (found["episodes"], found["steps"], found["clips"]) == (2, 9, 4)
    assert found["shown"] == {"true": [1.0, 3.0, 0.0, 1.0], "predicted": [2.0, 2.0, 0.0, 3.0]}
    assert (found["true_return"], found["predicted_return"]) == (7.0, 4.0)
    assert found["clip_correlation"] == pytest.approx(np.corrcoef([1, 3, 0, 1], [2, 2, 0, 3])[0, 1])
    assert found["step_correlation"] == pytest.approx(
        np.corrcoef([1, 0, 2, 1, 9, 0, 0, 1, 0], [1, 1, 1, 1, 1, 0, 0, 3, 0])[0, 1]
    )
    # Of the five pairs that differ truly, (1, 3) and (3, 1) are not told apart or turned round; three are right.
    assert found["same_order"] == pytest.approx(3 / 5, abs=0.02)


def test_scale_and_shift_change_nothing_and_a_sign_changes_all() -> None:
    rng = np.random.default_rng(1)
    true = [rng.normal(size=60) for _ in range(3)]
    same = found_of(true, [3 * one + 2 for one in true])
    opposite = found_of(true, [-one for one in true])
    keys = ("step_correlation", "clip_correlation")
    assert [same[key] for key in keys] == pytest.approx([1, 1])
    assert [opposite[key] for key in keys] == pytest.approx([-1, -1])
    assert (same["same_order"], opposite["same_order"]) == (1.0, 0.0)


def test_where_there_is_nothing_to_tell_nothing_is_told() -> None:
    flat = found_of([np.ones(10)], [np.arange(10.0)])
    assert [flat[key] for key in ("step_correlation", "clip_correlation", "same_order")] == [None] * 3
    short = found_of([np.array([1.0])], [np.array([2.0])])
    assert [short[key] for key in ("clips", "step_correlation", "same_order")] == [0, None, None]
    assert correlation(np.arange(5.0), np.full(5, 1e6) + 1e-7 * np.arange(5)) is None


def test_chance_and_the_policy_are_looked_at_and_the_report_shows_it(learned: Path) -> None:
    told: list[tuple[int, int]] = []
    result = reward_check(RunFolder(learned), episodes=3, told=lambda done, of: told.append((done, of)))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert list(result["policies"]) == ["random", "current"]
    for found in result["policies"].values():
        assert (found["episodes"], found["steps"], found["clips"]) == (3, 120, 15)
        assert -1 <= found["clip_correlation"] <= 1
    assert json.loads((learned / "reward_check.json").read_text()) == json.loads(json.dumps(result))
    assert reward_check(RunFolder(learned), episodes=3, seed=1)["policies"] != result["policies"]
    assert reward_check(RunFolder(learned), episodes=3)["policies"] == result["policies"]
    page = write_report([learned]).read_text()
    assert "Learned and true return of clips" in page
    assert f"actions at random {result['policies']['random']['clip_correlation']:.2f}" in page


def test_what_the_reward_says_of_the_policy_is_what_it_says_elsewhere(learned: Path) -> None:
    """The predicted return of an evaluation is the sum of what its steps were worth to the same reward."""
    found = reward_check(RunFolder(learned), episodes=1)["policies"]["current"]
    states = load_file(learned / "evaluation_states.safetensors")
    assert states["env_rewards"].shape == (40,)
    # Another episode of the same policy: their sizes are alike, and both are made of 40 steps.
    assert found["steps"] == 40
    ensemble = RewardEnsemble.load(learned / "reward_model")
    again = ensemble.predict(states["observations"], states["actions"], states["observations"])
    assert states["predicted_rewards"] == pytest.approx(again, abs=1e-4)


def test_an_expert_plays_too(learned: Path, tmp_path: Path, quiet: Listener) -> None:
    start(small_config_of("pendulum", "sac", reward="true", time_limit=40), tmp_path / "expert", quiet)
    result = reward_check(RunFolder(learned), expert=RunFolder(tmp_path / "expert"), episodes=1)
    assert list(result["policies"]) == ["random", "current", "expert"]
    assert result["policies"]["expert"]["true_return"] != result["policies"]["current"]["true_return"]
    assert "an expert" in write_report([learned]).read_text()


def test_a_step_limit_cuts_long_episodes(learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["prefrl.runs.reward_check"], "MOST_STEPS", 60)
    found = reward_check(RunFolder(learned), episodes=8)["policies"]["current"]
    assert (found["episodes"], found["steps"]) == (4, 60)


@pytest.mark.parametrize("algo", ["ppo", "dqn"])
def test_discrete_actions(algo: str, tmp_path: Path, quiet: Listener) -> None:
    start(small_config_of("gridworld", algo), tmp_path / "run", quiet)
    found = reward_check(RunFolder(tmp_path / "run"), episodes=2)["policies"]
    assert found["random"]["steps"] > 0
    assert found["random"]["predicted_return"] != 0


def test_what_cannot_be_checked_says_why(learned: Path, tmp_path: Path, quiet: Listener) -> None:
    with pytest.raises(PrefRLError, match="`episodes` must be at least 1"):
        reward_check(RunFolder(learned), episodes=0)
    start(small_config_of("pendulum", reward="true", time_limit=40), tmp_path / "true", quiet)
    with pytest.raises(PrefRLError, match="has no learned reward, as its reward is"):
        reward_check(RunFolder(tmp_path / "true"))
    start(replace(small_config_of("pendulum", reward="true"), time_limit=32), tmp_path / "other", quiet)
    with pytest.raises(PrefRLError, match="learned in another environment: `time_limit` is 32 there, and 40"):
        reward_check(RunFolder(learned), expert=RunFolder(tmp_path / "other"))


def test_a_damaged_check_costs_the_report_only_its_chart(learned: Path) -> None:
    (learned / "reward_check.json").write_text('{"policies": {"random": {"shown": 3}}}')
    assert "The check of the reward" in write_report([learned]).read_text()
    (learned / "reward_check.json").unlink()
