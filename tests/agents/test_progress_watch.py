from typing import Any

import numpy as np
import pytest

from prefrl.agents.progress_watch import ProgressWatch, Steps, Window, joined_windows, packed, thinned, unpacked
from prefrl.parts import State

N_ENVS, EPISODE = 4, 10


def play(watch: ProgressWatch, n_steps: int, *, start: int = 0, named: bool = False) -> list[Window]:
    """Take steps; observations say which step it was, rewards ten times that, actions which environment."""

    def seen(step: int) -> Any:
        observations = np.full((N_ENVS, 2), step, dtype=np.float32)
        return {"a": observations, "b": observations + 0.5} if named else observations

    windows = []
    for step in range(start, start + n_steps):
        environments, rewards = np.arange(N_ENVS, dtype=np.float32)[:, None], np.full(N_ENVS, 10.0 * step)
        steps = Steps(seen(step), environments, seen(step + 1), rewards)
        watch.record(steps, np.full(N_ENVS, step % EPISODE == EPISODE - 1), (step + 1) * N_ENVS)
        window = watch.take()
        if window is not None:
            windows.append(window)
    return windows


def nothing(n_envs: int = N_ENVS, size: int = 1) -> Steps:
    """Return a step in which nothing happens."""
    observations = np.zeros((n_envs, size), np.uint8)
    return Steps(observations, np.zeros((n_envs, 1)), observations, np.zeros(n_envs))


def watch_of(length: int, seed: int = 0) -> ProgressWatch:
    watch = ProgressWatch(N_ENVS, seed)
    watch.plan(length)
    return watch


def test_a_window_ends_with_the_episode_in_which_it_is_long_enough() -> None:
    windows = play(watch_of(25 * N_ENVS), 95)
    assert [window.until for window in windows] == [30 * N_ENVS, 60 * N_ENVS, 90 * N_ENVS]


def test_a_window_holds_all_environments_at_steps_of_its_own() -> None:
    first, second = play(watch_of(20 * N_ENVS), 40)
    for window, steps in ((first, range(20)), (second, range(20, 40))):
        np.testing.assert_array_equal(window.steps.observations[:, 0], np.repeat(steps, N_ENVS))
        np.testing.assert_array_equal(window.steps.rewards, 10 * window.steps.observations[:, 0])
        np.testing.assert_array_equal(window.steps.actions[:, 0], np.tile(range(N_ENVS), 20))
        np.testing.assert_array_equal(window.steps.next_observations, window.steps.observations + 1)


def test_of_long_windows_one_step_of_each_stretch_is_kept() -> None:
    length = 4096  # 1024 steps of the environments are kept, 256 of each: one of four
    (window,) = play(watch_of(length * N_ENVS), 4100)
    kept = window.steps.observations[::N_ENVS, 0].astype(int)
    np.testing.assert_array_equal(kept // 16, np.arange(len(kept)))
    assert len(set(kept % 16)) > 8


def test_of_large_observations_fewer_steps_are_kept() -> None:
    watch = ProgressWatch(1, 0)
    watch.plan(1000)
    for step in range(1000):
        watch.record(nothing(1, 2**16), np.array([step == 999]), step)
    window = watch.take()
    assert window is not None
    assert 64 <= len(window.steps.actions) < 80


def test_a_window_is_never_shorter_than_an_episode() -> None:
    """Else windows would be compared of which one has more beginnings than another."""
    windows = play(watch_of(1 * N_ENVS), 35)
    assert [window.until for window in windows] == [10 * N_ENVS, 20 * N_ENVS, 30 * N_ENVS]


def test_where_episodes_never_end_a_window_ends_some_time() -> None:
    watch = watch_of(8 * N_ENVS)
    for step in range(165):
        watch.record(nothing(), np.zeros(N_ENVS, bool), step)
    window = watch.take()
    assert window is not None
    assert window.until == 159


def test_another_policy_begins_with_the_next_episode() -> None:
    watch = watch_of(10 * N_ENVS)
    assert play(watch, 15)
    watch.begin()
    (window,) = play(watch, 15, start=15)
    np.testing.assert_array_equal(np.unique(window.steps.observations), np.arange(20, 30))


def test_another_policy_begins_some_time_where_episodes_never_end() -> None:
    watch = watch_of(2 * N_ENVS)
    watch.begin()
    for step in range(100):
        watch.record(nothing(), np.zeros(N_ENVS, bool), step)
    window = watch.take()
    assert window is not None
    assert window.until == 79
    assert window.episode_length == 40


def test_a_window_knows_how_long_its_episodes_are() -> None:
    """Of two environments one ends its episodes after two steps, the other after four."""
    watch = ProgressWatch(2, 0)
    watch.plan(16)
    for step in range(8):
        dones = np.array([step % 4 == 3, step % 2 == 1])
        watch.record(nothing(2), dones, step)
    window = watch.take()
    assert window is not None
    assert window.episode_length == pytest.approx(16 / 6)


def test_a_reset_in_the_middle_of_episodes_begins_the_window_anew() -> None:
    """Else it would have the steps of episodes that never end, and too long a mean of those that do."""
    watch = watch_of(20 * N_ENVS)
    assert not play(watch, 15)
    watch.cut()
    (window,) = play(watch, 30, start=20)
    assert (window.episode_length, window.until) == (10, 40 * N_ENVS)
    assert window.steps.observations.min() == 20


def test_after_a_reset_nothing_is_waited_for() -> None:
    watch = watch_of(10 * N_ENVS)
    watch.begin()
    watch.cut()
    assert len(play(watch, 10)) == 1


def test_without_a_plan_nothing_is_kept() -> None:
    assert not play(ProgressWatch(N_ENVS, 0), 50)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("stopped_after", [3, 20, 33, 47])
def test_a_watch_that_is_restored_goes_on_as_if_nothing_had_been(stopped_after: int, named: bool) -> None:
    whole = play(watch_of(2000 * N_ENVS // 100), 90, named=named)
    first = watch_of(2000 * N_ENVS // 100)
    windows = play(first, stopped_after, named=named)
    second = watch_of(2000 * N_ENVS // 100, seed=99)
    second.restore(*first.state())
    windows += play(second, 90 - stopped_after, start=stopped_after, named=named)
    assert len(windows) == len(whole) > 2
    for one, other in zip(windows, whole, strict=True):
        assert same(packed(one), packed(other))


def test_a_window_that_nobody_has_taken_is_kept_in_a_state() -> None:
    watch = watch_of(10 * N_ENVS)
    for step in range(10):
        seen = nothing()._replace(observations=np.full((N_ENVS, 1), step))
        watch.record(seen, np.full(N_ENVS, step == 9), step)
    other = watch_of(10 * N_ENVS)
    other.restore(*watch.state())
    taken, expected = other.take(), watch.take()
    assert taken is not None
    assert expected is not None
    assert same(packed(taken), packed(expected))


def test_packing_is_undone_by_unpacking() -> None:
    for named in (False, True):
        (window,) = play(watch_of(10 * N_ENVS), 10, named=named)
        arrays, values = packed(window)
        again = unpacked({f"x.{name}": array for name, array in arrays.items()}, "x.", values)
        assert same(packed(again), (arrays, values))
        assert isinstance(again.steps.observations, dict) == named


def test_windows_are_thinned_evenly_and_joined_in_their_order() -> None:
    first, second = play(watch_of(20 * N_ENVS), 40)
    thin = thinned(first, 15)
    np.testing.assert_array_equal(thin.steps.observations[:, 0], [0, 3, 7, 11, 15, 18])
    np.testing.assert_array_equal(thin.steps.actions[:, 0], [0, 3, 2, 1, 0, 3])
    both = joined_windows([thin, second])
    np.testing.assert_array_equal(both.steps.rewards, np.concatenate([thin.steps.rewards, second.steps.rewards]))
    assert both.until == second.until


def same(one: State, other: State) -> bool:
    (arrays, values), (others, other_values) = one, other
    return (
        values == other_values
        and arrays.keys() == others.keys()
        and all(np.array_equal(array, others[name]) for name, array in arrays.items())
    )
