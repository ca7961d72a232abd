from itertools import pairwise
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.errors import SettingError
from prefrl.feedback import (
    ConstantSchedule,
    HyperbolicSchedule,
    IncreasingSchedule,
    LabelSchedule,
    make_schedule,
)
from prefrl.registry import SCHEDULES
from prefrl.settings import FeedbackSettings

_NAMES = list(SCHEDULES)


@pytest.mark.parametrize(
    ("num_timesteps", "expected"),
    [(0, 175), (250_000, 224), (500_000, 269), (1_250_000, 378), (2_500_000, 515), (5_000_000, 700)],
)
def test_the_papers_mujoco_schedule(num_timesteps: int, expected: int) -> None:
    assert HyperbolicSchedule(700, 5_000_000).n_labels(num_timesteps) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 500), (0.05, 1345), (0.1, 1945), (0.25, 3112), (0.5, 4236), (1.0, 5500)]
)
def test_the_papers_atari_schedule(share: float, expected: int) -> None:
    schedule = HyperbolicSchedule(5500, 50_000_000, FeedbackSettings(initial_share=500 / 5500, time_constant=5e6))
    assert schedule.n_labels(int(share * 50_000_000)) == expected


def test_hyperbolic_is_the_integral_of_its_rate() -> None:
    schedule = HyperbolicSchedule(10_000, 3_000_000, FeedbackSettings(initial_share=0.1, time_constant=1e6))
    rate = [1e6 / ((k + 0.5) * 1_000 + 1e6) for k in range(3_000)]  # midpoint rule, steps of 1,000
    for n_parts in (500, 1_000, 2_000):
        numeric = 1_000 + 9_000 * sum(rate[:n_parts]) / sum(rate)
        assert schedule.n_labels(n_parts * 1_000) == pytest.approx(numeric, abs=1.0)  # rounding


def test_constant_and_increasing_by_hand() -> None:
    constant = ConstantSchedule(100, 1_000, FeedbackSettings(initial_share=0.2))
    assert [constant.n_labels(t) for t in (0, 250, 500, 1_000)] == [20, 40, 60, 100]
    increasing = IncreasingSchedule(100, 1_000, FeedbackSettings(initial_share=0.2))
    assert [increasing.n_labels(t) for t in (0, 250, 500, 1_000)] == [20, 25, 40, 100]


def test_a_long_time_constant_is_a_constant_rate_and_a_short_one_asks_early() -> None:
    constant = ConstantSchedule(700, 1_000_000)
    slow = HyperbolicSchedule(700, 1_000_000, FeedbackSettings(time_constant=1e12))
    assert [slow.n_labels(t) for t in range(0, 10**6, 9_999)] == [
        constant.n_labels(t) for t in range(0, 10**6, 9_999)
    ]
    early = HyperbolicSchedule(700, 1_000_000, FeedbackSettings(time_constant=1e4))
    assert early.n_labels(500_000) == round(175 + 525 * log(51) / log(101))


@given(
    name=st.sampled_from(_NAMES),
    n_labels=st.integers(0, 10_000),
    total=st.integers(1, 10**8),
    initial_share=st.floats(0, 1),
    time_constant=st.floats(1, 1e9),
    steps=st.lists(st.integers(0, 2 * 10**8), min_size=2),
)
@settings(deadline=None)
def test_every_schedule_grows_from_the_initial_share_to_the_budget(
    name: str,
    n_labels: int,
    total: int,
    initial_share: float,
    time_constant: float,
    steps: list[int],
) -> None:
    schedule: LabelSchedule = make_schedule(
        n_labels,
        total,
        FeedbackSettings(schedule=name, initial_share=initial_share, time_constant=time_constant),
    )
    assert schedule.n_labels(0) == round(initial_share * n_labels)
    assert schedule.n_labels(total) == schedule.n_labels(total + 1) == n_labels
    due = [schedule.n_labels(step) for step in sorted(steps)]
    assert all(earlier <= later for earlier, later in pairwise(due))
    assert all(round(initial_share * n_labels) <= n <= n_labels for n in due)


def test_make_schedule_passes_everything_on() -> None:
    made = [
        make_schedule(700, 10**6, FeedbackSettings(schedule=name, initial_share=0.5, time_constant=1e5))
        for name in ("hyperbolic", "constant", "increasing")
    ]
    direct: list[LabelSchedule] = [
        HyperbolicSchedule(700, 10**6, FeedbackSettings(initial_share=0.5, time_constant=1e5)),
        ConstantSchedule(700, 10**6, FeedbackSettings(initial_share=0.5)),
        IncreasingSchedule(700, 10**6, FeedbackSettings(initial_share=0.5)),
    ]
    values = [[schedule.n_labels(t) for t in range(0, 10**6, 50_000)] for schedule in made]
    assert values == [[schedule.n_labels(t) for t in range(0, 10**6, 50_000)] for schedule in direct]
    assert values[0] != values[1] != values[2]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match=r"`n_labels` must be at least 0. Received -1"):
        ConstantSchedule(-1, 10)
    with pytest.raises(SettingError, match=r"`total_timesteps` must be at least 1. Received 0"):
        IncreasingSchedule(1, 0)
    with pytest.raises(SettingError, match=r"0 <= `initial_share` <= 1 .* Received .*1\.5"):
        FeedbackSettings(initial_share=1.5)
    with pytest.raises(SettingError, match=r"`time_constant` must be above 0 and finite. Received 0"):
        FeedbackSettings(time_constant=0)
    with pytest.raises(SettingError, match=r"`schedule` must be one of hyperbolic, .* Received 'linear'"):
        make_schedule(1, 10, FeedbackSettings(schedule="linear"))
