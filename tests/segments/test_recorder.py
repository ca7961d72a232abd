from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefrl.errors import NotEnoughExperienceError, SettingError, SpaceError
from prefrl.segments import Segment, SegmentRecorder

SPACE = spaces.Box(-np.inf, np.inf, (2,), np.float32)
ACTIONS = spaces.Discrete(100_000)


class Step(NamedTuple):
    """One transition as the slow recomputation keeps it."""

    number: int
    env: int
    episode: int
    episode_step: int
    done: bool


def record(
    recorder: SegmentRecorder, dones: npt.NDArray[np.bool_], *, first: int = 0, states: bool = True
) -> None:
    """Record rows of `dones`, shape [n, N]; every value tells which step and environment it is of."""
    envs = np.arange(recorder.n_envs)
    for number, row in enumerate(dones, start=first):
        observations = np.stack([np.full(recorder.n_envs, number), envs], axis=1).astype(np.float32)
        render_states = np.stack([10.0 * number + envs] * 3, axis=1) if states else None
        recorder.record(observations, 100 * number + envs, number + 0.25 * envs, row, render_states=render_states)


def episodes_of(dones: npt.NDArray[np.bool_]) -> list[list[Step]]:
    """The history of every environment as a list, shape [N][n]."""
    histories = []
    for env in range(dones.shape[1]):
        history, episode, episode_step = [], 0, 0
        for number, done in enumerate(dones[:, env]):
            history.append(Step(number, env, episode, episode_step, bool(done)))
            episode_step += 1
            if done:
                episode, episode_step = episode + 1, 0
        histories.append(history)
    return histories


def drawable_segments(
    dones: npt.NDArray[np.bool_], *, capacity: int, length: int, recent_steps: int | None
) -> set[tuple[Step, ...]]:
    """All segments, step by step: whole lengths within an episode, and short episodes whole."""
    found = set()
    for history in episodes_of(dones):
        kept = history[-capacity:]
        first = 0 if recent_steps is None else max(0, len(kept) - recent_steps)
        for start in range(first, len(kept)):
            steps = []
            for step in kept[start:]:
                steps.append(step)
                if step.done or len(steps) == length:
                    break
            short_episode = steps[-1].done and steps[0].episode_step == 0
            if len(steps) == length or short_episode:
                found.add(tuple(steps))
    return found


def content(segment: Segment) -> tuple[Step, ...]:
    """Read off every array which steps a segment holds, and check that they agree."""
    numbers = segment.observations[:, 0].astype(int)
    env = segment.env_index
    np.testing.assert_array_equal(segment.observations[:, 1], env)
    np.testing.assert_array_equal(segment.actions, 100 * numbers + env)
    np.testing.assert_array_equal(segment.env_rewards, (numbers + 0.25 * env).astype(np.float32))
    assert segment.render_states is not None
    np.testing.assert_array_equal(segment.render_states, np.stack([10.0 * numbers + env] * 3, axis=1))
    return tuple(
        Step(int(number), env, segment.episode, segment.start + i, False) for i, number in enumerate(numbers)
    )


def without_done(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(step._replace(done=False) for step in steps)


class InOrder(np.random.Generator):
    """Draws 0, 1, 2, ... instead of at random, so that every start is seen once."""

    def integers(  # type: ignore[override]
        self, low: Any, high: Any = None, size: Any = None, **_: Any
    ) -> Any:
        return np.arange(size) % low


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_it_draws_exactly_the_segments_of_a_slow_recomputation(data: st.DataObject) -> None:
    """Across wrap-around and ends of episodes, for every length; and nothing else."""
    n_envs = data.draw(st.integers(1, 3), label="n_envs")
    capacity = data.draw(st.integers(1, 12), label="capacity")
    n = data.draw(st.integers(0, 30), label="steps")
    share = data.draw(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]), label="share of ends")
    dones = np.random.default_rng(data.draw(st.integers(0, 1000))).random((n, n_envs)) < share
    recent_steps = data.draw(st.one_of(st.none(), st.integers(1, 14)), label="recent_steps")
    recorder = SegmentRecorder(SPACE, ACTIONS, n_envs, capacity=capacity)
    record(recorder, dones)
    assert recorder.n_steps == min(n, capacity)
    assert recorder.num_timesteps == n * n_envs
    for length in range(1, 8):
        whole = drawable_segments(dones, capacity=capacity, length=length, recent_steps=None)
        assert recorder.n_starts(length) == len(whole)
        expected = drawable_segments(dones, capacity=capacity, length=length, recent_steps=recent_steps)
        rng = InOrder(np.random.PCG64(0))
        if not expected:
            with pytest.raises(NotEnoughExperienceError, match=f"No segment of {length} steps"):
                recorder.sample(1, length=length, rng=rng, recent_steps=recent_steps)
            continue
        drawn = recorder.sample(len(expected), length=length, rng=rng, recent_steps=recent_steps)
        assert {content(segment) for segment in drawn} == {without_done(steps) for steps in expected}
        assert all(segment.num_timesteps == n * n_envs for segment in drawn)


# --- the same by example ----------------------------------------------------------------------------------


def ends_at(n: int, *ends: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(n), ends)[:, None]


def drawn(recorder: SegmentRecorder, length: int, **settings: Any) -> list[tuple[int, ...]]:
    """Step numbers of all segments, each once, in order."""
    segments = recorder.sample(500, length=length, rng=np.random.default_rng(0), **settings)
    return sorted({tuple(s.observations[:, 0].astype(int).tolist()) for s in segments})


def test_no_segment_crosses_the_end_of_an_episode() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=100)
    record(recorder, ends_at(8, 3))
    assert drawn(recorder, 3) == [(0, 1, 2), (1, 2, 3), (4, 5, 6), (5, 6, 7)]


def test_a_short_episode_is_one_shorter_segment_and_an_unfinished_one_is_none() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=100)
    record(recorder, ends_at(10, 4, 6))
    # Episodes 0-4 and 5-6, and 7-9 under way.
    assert drawn(recorder, 4) == [(0, 1, 2, 3), (1, 2, 3, 4), (5, 6)]


def test_the_rest_of_an_episode_whose_start_was_overwritten_is_no_short_episode() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=4)
    record(recorder, ends_at(6, 4))
    # Kept are 2, 3, 4 of an episode of five steps, and 5.
    assert drawn(recorder, 3) == [(2, 3, 4)]
    with pytest.raises(NotEnoughExperienceError, match="No segment of 4 steps can be cut from the 4 steps"):
        drawn(recorder, 4)


def test_recent_steps_are_those_in_which_a_segment_starts() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=100)
    record(recorder, ends_at(10))
    assert drawn(recorder, 3, recent_steps=4) == [(6, 7, 8), (7, 8, 9)]


def test_every_start_is_equally_likely() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=50)
    record(recorder, np.random.default_rng(1).random((80, 2)) < 0.1)
    n_starts = recorder.n_starts(5)
    segments = recorder.sample(20_000, length=5, rng=np.random.default_rng(0))
    places = [(s.env_index, s.episode, s.start) for s in segments]
    counts = np.array([places.count(place) for place in set(places)])
    assert len(counts) == n_starts
    # Chi-squared has mean n - 1 and sd sqrt(2 (n - 1)); five sd are allowed.
    expected = 20_000 / n_starts
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_squared - (n_starts - 1)) < 5 * np.sqrt(2 * (n_starts - 1))


# --- memory -----------------------------------------------------------------------------------------------


def test_memory_is_the_same_from_the_first_step_to_the_last() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=10)
    record(recorder, np.zeros((1, 2), dtype=bool))
    n_bytes = recorder.n_bytes
    record(recorder, np.zeros((95, 2), dtype=bool), first=1)
    assert recorder.n_bytes == n_bytes
    assert recorder.n_steps == 10
    assert recorder.num_timesteps == 192
    # Observations 8, actions 8, reward 4, done 1, episode 4, its step 4, states 24 bytes.
    assert n_bytes == 10 * 2 * 53


def test_what_was_recorded_and_cut_is_a_copy() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=5)
    arrays: list[npt.NDArray[Any]] = [
        np.zeros((1, 2), np.float32),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.zeros(1, bool),
        np.zeros((1, 3)),
    ]
    for _ in range(5):
        recorder.record(*arrays[:4], render_states=arrays[4])
    for array in arrays:
        array[:] = True
    (segment,) = recorder.sample(1, length=5, rng=np.random.default_rng(0))
    record(recorder, np.ones((5, 1), dtype=bool), first=7)
    assert segment.render_states is not None
    cut = (segment.observations, segment.actions, segment.env_rewards, segment.render_states)
    assert not any(kept.any() for kept in cut)


def test_latest_steps_come_oldest_first() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=5)
    assert recorder.latest_observations(3).shape == (0, 2)
    record(recorder, np.zeros((7, 2), dtype=bool))
    assert recorder.latest_observations(2)[:, 0].tolist() == [5, 5, 6, 6]
    assert recorder.latest_actions(2).tolist() == [500, 501, 600, 601]
    assert recorder.latest_actions(99).tolist() == [100 * i + env for i in range(2, 7) for env in range(2)]
    assert recorder.latest_actions(0).shape == (0,)


@pytest.mark.parametrize("n", [0, 3, 7, 23])
@pytest.mark.parametrize("states", [True, False])
def test_going_on_from_a_state_equals_never_stopping(n: int, states: bool) -> None:
    dones = np.random.default_rng(0).random((40, 2)) < 0.2
    straight, resumed = (SegmentRecorder(SPACE, ACTIONS, 2, capacity=7) for _ in range(2))
    record(straight, dones[:n], states=states)
    resumed.restore(*straight.state())
    for more in (0, 1, 15):
        for recorder in (straight, resumed):
            record(recorder, dones[n : n + more], first=n, states=states)
        n += more
        assert resumed.num_timesteps == straight.num_timesteps == 2 * n
        (ours, our_values), (theirs, their_values) = resumed.state(), straight.state()
        assert ours.keys() == theirs.keys()
        assert our_values == their_values
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array, err_msg=name)
        if straight.n_starts(3):
            ids = [
                [s.id for s in r.sample(5, length=3, rng=np.random.default_rng(0))] for r in (straight, resumed)
            ]
            assert ids[0] == ids[1]


def test_same_random_numbers_same_segments_other_numbers_other_segments() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=100)
    record(recorder, np.zeros((90, 2), dtype=bool))
    first, again, other = (
        [s.id for s in recorder.sample(10, length=4, rng=np.random.default_rng(seed))] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_observations_of_several_parts_are_kept_flat() -> None:
    space = spaces.Dict({"gear": spaces.Discrete(3), "speed": spaces.Box(-1, 1, (2,), np.float32)})
    recorder = SegmentRecorder(space, ACTIONS, 2, capacity=4)
    observations = {"gear": np.array([2, 0]), "speed": np.array([[0.5, 0.25], [-1.0, 1.0]], np.float32)}
    recorder.record(observations, np.zeros(2), np.zeros(2), np.zeros(2, bool))
    assert recorder.latest_observations(1).tolist() == [[0, 0, 1, 0.5, 0.25], [1, 0, 0, -1, 1]]


def test_compressed_frames_are_kept_as_bytes_and_survive_a_resumption() -> None:
    frames = np.random.default_rng(0).integers(0, 256, size=(6, 2, 4096), dtype=np.uint8)
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    without = recorder.n_bytes
    for states in frames:
        recorder.record(np.zeros((2, 2)), np.zeros(2), np.zeros(2), np.zeros(2, bool), render_states=states)
    assert recorder.n_bytes - without == 6 * 2 * 4096  # float64 would take eight times that
    resumed = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    resumed.restore(*recorder.state())
    for one in (recorder, resumed):
        segment = one.sample(1, length=6, rng=np.random.default_rng(0))[0]
        assert segment.render_states is not None
        assert segment.render_states.dtype == np.uint8
        np.testing.assert_array_equal(segment.render_states, frames[:, segment.env_index])


# --- stacks of frames -------------------------------------------------------------------------------------


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_of_stacked_frames_each_is_kept_once_and_every_stack_can_be_put_together(data: st.DataObject) -> None:
    """Against stacks made by hand: the last K frames of the episode, zeros from before it began."""
    n_frames, capacity = data.draw(st.integers(1, 4)), data.draw(st.integers(3, 12))
    dones = np.array(data.draw(st.lists(st.booleans(), min_size=3, max_size=30)))[:, None]
    recorder = SegmentRecorder(
        spaces.Box(0, 255, (2, 2, n_frames), np.uint8), ACTIONS, 1, capacity=capacity, frame_stack=n_frames
    )
    assert recorder.state()[0]["observations"].shape[2:] == (2, 2, 1)
    stacks: list[npt.NDArray[np.uint8]] = []
    stack = np.zeros((2, 2, n_frames), dtype=np.uint8)
    for number, done in enumerate(dones):
        stack = np.concatenate([stack[..., 1:], np.full((2, 2, 1), number + 1, dtype=np.uint8)], axis=-1)
        stacks.append(stack)
        recorder.record(stack[None], np.array([number]), np.zeros(1), done)
        if done:
            stack = np.zeros_like(stack)
    if recorder.n_starts(3) == 0:
        return
    for segment in recorder.sample(20, length=3, rng=np.random.default_rng(0)):
        frames = segment.observations
        if n_frames == 1:
            assert segment.lead_in is None
        else:
            assert segment.lead_in is not None
            frames = np.concatenate([segment.lead_in, segment.observations])
        for step, number in enumerate(segment.actions):
            together = np.concatenate(list(frames[step : step + n_frames]), axis=-1)
            np.testing.assert_array_equal(together, stacks[number])


def test_a_segment_whose_earlier_frames_were_overwritten_is_not_drawn() -> None:
    recorder = SegmentRecorder(spaces.Box(0, 255, (1, 1, 3), np.uint8), ACTIONS, 1, capacity=6, frame_stack=3)
    for number in range(10):
        recorder.record(np.zeros((1, 1, 1, 3), np.uint8), np.array([number]), np.zeros(1), np.zeros(1, bool))
    starts = {int(s.actions[0]) for s in recorder.sample(200, length=2, rng=np.random.default_rng(0))}
    assert starts == {6, 7, 8}  # 4 and 5 are kept, but not the two before each of them


# --- what cannot be ---------------------------------------------------------------------------------------


def test_nothing_recorded_is_an_error_that_says_so() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=10)
    assert recorder.n_starts(3) == 0
    with pytest.raises(NotEnoughExperienceError, match=r"from the 0 steps recorded.*record more steps first"):
        recorder.sample(1, length=3, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("capacity", "n_envs", "frame_stack"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_no_room_no_environment_or_no_frame_is_an_error(capacity: int, n_envs: int, frame_stack: int) -> None:
    with pytest.raises(SettingError, match=rf"at least 1\. Received {capacity}, {n_envs} and {frame_stack}"):
        SegmentRecorder(SPACE, ACTIONS, n_envs, capacity=capacity, frame_stack=frame_stack)


@pytest.mark.parametrize("space", [spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(4)])
def test_what_is_no_stack_of_frames_is_an_error(space: spaces.Space[Any]) -> None:
    with pytest.raises(SpaceError, match=r"stacks 2 frames must be a Box whose last axis they share\. Received"):
        SegmentRecorder(space, ACTIONS, 1, capacity=1, frame_stack=2)


def test_a_length_below_one_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"`length` must be at least 1\. Received 0\."):
        SegmentRecorder(SPACE, ACTIONS, 1, capacity=1).n_starts(0)


def test_a_space_that_cannot_be_kept_is_an_error() -> None:
    with pytest.raises(SpaceError, match="The observation space is Text"):
        SegmentRecorder(spaces.Text(3), ACTIONS, 1, capacity=1)
    with pytest.raises(SpaceError, match="The action space is Text"):
        SegmentRecorder(SPACE, spaces.Text(3), 1, capacity=1)
