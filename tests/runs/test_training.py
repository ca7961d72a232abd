"""How a training is put together: which random stream decides what."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from prefrl.config import RunConfig
from prefrl.runs import RunFolder
from prefrl.runs.training import Training
from prefrl.seeding import Streams

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def first_observations(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., npt.NDArray[Any]]:
    """Return what a new training sees first, with other seeds in place of those of the named streams."""

    def observe(**seeds: int) -> npt.NDArray[Any]:
        own = Streams.integer
        with monkeypatch.context() as patch:
            patch.setattr(Streams, "integer", lambda self, name: seeds.get(name, own(self, name)))
            folder = RunFolder.create(tmp_path / f"{len(list(tmp_path.iterdir()))}", small_config())
            training = Training(folder.config(), folder)
            training.normalizer.reset()
            training.close()
        observations: npt.NDArray[Any] = training.rewarded.last_observations
        return observations

    return observe


def test_the_environments_have_a_random_stream_of_their_own(
    first_observations: Callable[..., npt.NDArray[Any]],
) -> None:
    """SB3 gave them the agent's seed, and the stream decided nothing."""
    usual = first_observations()
    np.testing.assert_array_equal(first_observations(agent=5), usual)
    assert not np.array_equal(first_observations(environments=5), usual)
    assert not np.array_equal(usual[0], usual[1]), "each environment has its own"
