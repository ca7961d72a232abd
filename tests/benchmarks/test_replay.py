"""What a replay buffer costs is measured of both kinds of observations."""

import pytest

from benchmarks import replay

N_STEPS = 800


@pytest.mark.parametrize("make", [replay.numbers, replay.screens])
def test_every_figure_is_measured(make: replay.Make) -> None:
    figures = {row.measure: row.value for row in replay.measure("small", make, N_STEPS)}
    assert {name for name in figures if name.endswith(", s")} == {
        "first checkpoint, s",
        "next, 5 % new, s",
        "paid anew, s",
        "read, s",
    }
    assert all(figures[name] > 0 for name in figures if name.endswith(", s"))
    bytes_per_step = 2 * 17 * 4 if make is replay.numbers else 4 * 84 * 84
    assert figures["on disk, MB"] > N_STEPS * bytes_per_step / 1e6
