import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError
from prefrl.runs import RunFolder, TrainingProgress, resume, start, train
from prefrl.runs.training import Training

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]


def test_nothing_of_the_training_is_left_when_its_policy_is_evaluated(
    small_config: MakeConfig, tmp_path: Path, quiet: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings: list[weakref.ref[Any]] = []
    left = []

    def remembered(*arguments: Any) -> Any:
        training = made(*arguments)
        trainings.append(weakref.ref(training))
        return training

    def finish(folder: RunFolder) -> dict[str, Any]:
        gc.collect()
        left.append([training() for training in trainings if training() is not None])
        return {}

    def stop(progress: TrainingProgress) -> None:
        raise KeyboardInterrupt

    made = Training
    monkeypatch.setattr(train, "Training", remembered)
    monkeypatch.setattr(train, "_finish", finish)
    config = small_config("pendulum", total_timesteps=256)
    start(config, tmp_path / "run", quiet)
    with pytest.raises(InterruptedRunError):
        start(config, tmp_path / "resumed", stop)
    resume(tmp_path / "resumed", quiet)
    assert len(trainings) == 3
    assert left == [[], []]
