"""What the recorder keeps beside the rows: what came after, actions as drawn, cuts; and its state."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.errors import NotEnoughExperienceError, SegmentError
from prefrl.segments import Segment, SegmentRecorder

SPACE = spaces.Box(-np.inf, np.inf, (2,), np.float32)
ACTIONS = spaces.Box(-1.0, 1.0, (1,), np.float32)


class Step(NamedTuple):
    """One transition of one environment, written down a second time."""

    number: int
    env: int
    episode: int
    episode_step: int
    done: bool
    ends: bool
    """Whether the episode ended here, with a done or by a cut."""


def observation(number: float, n_envs: int) -> npt.NDArray[np.float32]:
    """Shape [N, 2]: which step, which environment."""
    return np.stack([np.full(n_envs, number), np.arange(n_envs)], axis=1).astype(np.float32)


def after(number: int, dones: npt.NDArray[np.bool_], resets: bool = False) -> npt.NDArray[np.float32]:
    """What was observed after a step: the next observation, and at ends one of its own."""
    following = observation(number + 1, len(dones))
    following[dones | resets, 0] = number + 0.5
    return following


def drawn(number: int, n_envs: int) -> npt.NDArray[np.float32]:
    """Actions as drawn: beyond the bounds at every third step."""
    return np.full((n_envs, 1), 3.0 if number % 3 == 0 else 0.25, dtype=np.float32)


def record(
    recorder: SegmentRecorder, number: int, dones: npt.NDArray[np.bool_], *, cut: bool = False, note: bool = True
) -> None:
    n = recorder.n_envs
    actions = np.clip(drawn(number, n), -1, 1)
    following = after(number, dones, cut)
    recorder.record(observation(number, n), actions, np.zeros(n), dones, next_observations=following)
    if note:
        recorder.note_drawn_actions(drawn(number, n))
    if cut:
        recorder.cut()


def histories(dones: npt.NDArray[np.bool_], cuts: npt.NDArray[np.bool_]) -> list[list[Step]]:
    found = []
    for env in range(dones.shape[1]):
        steps, episode, episode_step = [], 0, 0
        for number, (done, cut) in enumerate(zip(dones[:, env], cuts, strict=True)):
            steps.append(Step(number, env, episode, episode_step, bool(done), bool(done or cut)))
            episode_step += 1
            if done or cut:
                episode, episode_step = episode + 1, 0
        found.append(steps)
    return found


def segments_of(history: list[Step], length: int) -> set[tuple[int, int, int, int]]:
    """Environment, first step, number of steps and episode of all that may be drawn."""
    found = set()
    for start, first in enumerate(history):
        steps: list[Step] = []
        for step in history[start:]:
            steps.append(step)
            if step.ends or len(steps) == length:
                break
        whole_episode = steps[-1].done and first.episode_step == 0
        if len(steps) == length or whole_episode:
            found.add((first.env, first.number, len(steps), first.episode))
    return found


class InOrder(np.random.Generator):
    """Draws 0, 1, 2, ... instead of at random, so that every start is seen once."""

    def integers(  # type: ignore[override]
        self, low: Any, high: Any = None, size: Any = None, **_: Any
    ) -> Any:
        return np.arange(size) % low


def all_segments(recorder: SegmentRecorder, length: int, **options: Any) -> list[Segment]:
    n = recorder.n_starts(length)
    return recorder.sample(n, length=length, rng=InOrder(np.random.PCG64(0)), **options) if n else []


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_next_observations_cuts_and_drawn_actions_are_those_of_a_slow_recomputation(data: st.DataObject) -> None:
    n_envs, capacity = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    n = data.draw(st.integers(0, 25))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    dones = rng.random((n, n_envs)) < data.draw(st.sampled_from([0.0, 0.2, 0.6]))
    cuts = rng.random(n) < data.draw(st.sampled_from([0.0, 0.3]))
    stop = data.draw(st.integers(0, n))
    recorder = SegmentRecorder(SPACE, ACTIONS, n_envs, capacity=capacity)
    for number in range(n):
        record(recorder, number, dones[number], cut=bool(cuts[number]))
        if number == stop:
            arrays, values = recorder.state()
            recorder = SegmentRecorder(SPACE, ACTIONS, n_envs, capacity=capacity)
            recorder.restore(arrays, values)
    for length in (1, 2, 4):
        expected = set()
        for history in histories(dones, cuts):
            expected |= segments_of(history[-capacity:], length)
        drawable = all_segments(recorder, length)
        places = {(s.env_index, int(s.observations[0, 0]), s.n_steps, s.episode) for s in drawable}
        assert places == expected
        assert len(drawable) == len(expected)
        for segment in drawable:
            last = int(segment.observations[-1, 0])
            following = after(last, dones[last], bool(cuts[last]))[segment.env_index]
            np.testing.assert_array_equal(segment.next_observation, following)
            sent_otherwise = any(int(number) % 3 == 0 for number in segment.observations[:, 0])
            assert (segment.drawn_actions is not None) == sent_otherwise
            if segment.drawn_actions is not None:
                kept = [drawn(int(number), 1)[0] for number in segment.observations[:, 0]]
                np.testing.assert_array_equal(segment.drawn_actions, kept)


def test_a_segment_is_the_same_whether_it_was_cut_when_newest_or_later() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=10)
    for number in range(3):
        record(recorder, number, np.array([False]))
    newest = recorder.latest(3)
    record(recorder, 3, np.array([True]))
    later = all_segments(recorder, 3)[0]
    assert newest is not None
    assert newest.start == later.start == 0
    assert newest.id == later.id


def test_memory_does_not_double() -> None:
    """One observation is kept aside for each end of an episode that is kept, and dropped with its row."""
    recorder = SegmentRecorder(spaces.Box(0, 255, (32, 32, 3), np.uint8), ACTIONS, 2, capacity=50)
    row = np.zeros((2, 32, 32, 3), np.uint8)
    before = recorder.n_bytes
    for number in range(500):
        dones = np.array([number % 10 == 9, False])
        recorder.record(row, np.zeros((2, 1)), np.zeros(2), dones, next_observations=row)
    assert recorder.n_bytes == before
    arrays, _ = recorder.state()
    assert len(arrays["next_ends"]) == 5, "of the 50 ends there were, those within the capacity"
    assert sum(a.nbytes for name, a in arrays.items() if name.startswith("next_")) < 0.1 * before


def test_of_stacked_frames_the_newest_alone_comes_after() -> None:
    space = spaces.Box(0, 255, (2, 2, 3), np.uint8)
    recorder = SegmentRecorder(space, ACTIONS, 1, capacity=6, frame_stack=3)
    for number in range(4):
        frames = np.broadcast_to(np.arange(number, number + 3, dtype=np.uint8), (1, 2, 2, 3))
        done = np.array([number == 3])
        recorder.record(frames, np.zeros((1, 1)), np.zeros(1), done, next_observations=frames + 1)
    segment = recorder.latest(2)
    assert segment is not None
    assert segment.next_observation is not None
    np.testing.assert_array_equal(segment.next_observation, np.full((2, 2, 1), 6, np.uint8))


def test_what_came_after_is_unknown_where_nobody_says_it() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=10)
    for number in range(4):
        recorder.record(observation(number, 1), np.zeros((1, 1)), np.zeros(1), np.array([False]))
    assert {s.next_observation is None for s in all_segments(recorder, 2)} == {True}
    record(recorder, 4, np.array([False]))  # as in a run that an older version began
    known = {s.start: s.next_observation is not None for s in all_segments(recorder, 2)}
    assert known == {0: False, 1: False, 2: False, 3: True}
    recorder.record(observation(5, 1), np.zeros((1, 1)), np.zeros(1), np.array([False]))
    assert {s.next_observation is None for s in all_segments(recorder, 2)} == {True}


def test_drawn_actions_are_those_of_the_newest_step_and_must_be_known_for_all() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=3)
    with pytest.raises(NotEnoughExperienceError, match="none has been recorded yet"):
        recorder.note_drawn_actions(np.ones((1, 1)))
    n_bytes = recorder.n_bytes
    for number in range(5):
        record(recorder, number, np.array([False]), note=number != 3)
    # Kept are 2 (as sent), 3 (clipped, but nobody said so) and 4 (as sent).
    assert recorder.n_bytes == n_bytes + 3 * 4 + 3
    assert [s.drawn_actions for s in all_segments(recorder, 1)] == [None] * 3
    recorder.note_drawn_actions(np.array([[2.0]], np.float32))
    assert [s.drawn_actions is not None for s in all_segments(recorder, 1)] == [False, False, True]
    assert [s.drawn_actions is not None for s in all_segments(recorder, 2)] == [False, False]


def test_a_cut_ends_all_episodes_once() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=20)
    recorder.cut()
    record(recorder, 0, np.array([False, True]))
    recorder.cut()
    recorder.cut()
    record(recorder, 1, np.array([False, False]))
    record(recorder, 2, np.array([True, False]))
    found = {(s.env_index, s.episode, s.start, s.n_steps) for s in all_segments(recorder, 5)}
    # Whole short episodes only: env 0 was cut after its first step, env 1 was done by itself there.
    assert found == {(1, 0, 0, 1), (0, 1, 0, 2)}
    assert {(s.env_index, s.episode) for s in all_segments(recorder, 1)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


# --- exact boundaries -------------------------------------------------------------------------------------


def test_recent_steps_at_the_boundary() -> None:
    """A segment is recent when its first step is within the latest `recent_steps`, the newest counted."""
    recorder = SegmentRecorder(SPACE, ACTIONS, 1, capacity=8)
    for number in range(13):
        record(recorder, number, np.array([False]))
    rng = np.random.default_rng(0)
    starts = {int(s.observations[0, 0]) for s in recorder.sample(200, length=3, rng=rng, recent_steps=5)}
    assert starts == {8, 9, 10}
    only = recorder.sample(20, length=3, rng=rng, recent_steps=3)
    assert {int(s.observations[0, 0]) for s in only} == {10}
    with pytest.raises(NotEnoughExperienceError, match="No segment of 3 steps"):
        recorder.sample(1, length=3, rng=rng, recent_steps=2)


def test_latest_at_the_boundary() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=5)
    for number in range(4):
        record(recorder, number, np.array([number == 0, False]))
        newest = recorder.latest(number + 1, env=1)
        assert newest is not None, "all that there is"
        assert recorder.latest(number + 2, env=1) is None
    after_the_end = recorder.latest(3, env=0)
    assert after_the_end is not None
    assert after_the_end.observations[:, 0].tolist() == [1, 2, 3]
    assert recorder.latest(4, env=0) is None
    for n in range(6):
        assert recorder.latest_observations(n)[:, 0].tolist() == sorted(2 * list(range(max(0, 4 - n), 4)))
        assert len(recorder.latest_actions(n)) == 2 * min(n, 4)


# --- state ------------------------------------------------------------------------------------------------


def recorded() -> SegmentRecorder:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    for number in range(9):
        record(recorder, number, np.array([number % 4 == 3, False]), cut=number == 6)
    return recorder


def test_a_state_is_not_changed_by_what_is_recorded_later() -> None:
    recorder = recorded()
    arrays, values = recorder.state()
    copies = {name: array.copy() for name, array in arrays.items()}
    for number in range(9, 20):
        record(recorder, number, np.array([True, False]))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, copies[name], err_msg=name)
    assert values == {"n_recorded": 9, "num_timesteps": 18, "capacity": 6}


def test_a_state_of_the_first_version_is_read() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    for number in range(9):
        recorder.record(observation(number, 2), np.zeros((2, 1)), np.zeros(2), np.array([False, number == 5]))
    arrays, values = recorder.state()
    arrays["counters"] = np.array([values["n_recorded"], values["num_timesteps"]])
    again = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    again.restore(arrays, {})
    assert (again.n_recorded, again.num_timesteps) == (9, 18)
    assert [s.id for s in all_segments(again, 2)] == [s.id for s in all_segments(recorder, 2)]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"capacity": 7}, "capacity of 6 steps, but this one has 7"),
        ({"n_envs": 3}, r"needs `observations` as float32 of shape \(6, 3, 2\)\. Received .*\(6, 2, 2\)"),
        ({"space": spaces.Box(0, 1, (3,), np.float32)}, r"needs `observations` as .*\(6, 2, 3\)"),
        ({"space": spaces.Box(0, 1, (2,), np.float64)}, r"needs `observations` as float64"),
        ({"actions": spaces.Discrete(3)}, r"needs `actions` as int64"),
    ],
)
def test_a_state_of_another_recorder_is_an_error_of_one_sentence(other: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"space": SPACE, "actions": ACTIONS, "n_envs": 2, "capacity": 6} | other
    recorder = SegmentRecorder(
        options["space"], options["actions"], options["n_envs"], capacity=options["capacity"]
    )
    with pytest.raises(SegmentError, match=message) as caught:
        recorder.restore(*recorded().state())
    assert "\n" not in str(caught.value)
    assert recorder.n_recorded == 0


@pytest.mark.parametrize(
    "name", ["observations", "dones", "episode", "has_drawn", "next_newest", "next_rows", "next_ends"]
)
def test_a_state_that_lacks_an_array_or_has_it_cut_short_is_an_error(name: str) -> None:
    arrays, values = recorded().state()
    with pytest.raises(SegmentError, match="The state of this recorder needs `"):
        SegmentRecorder(SPACE, ACTIONS, 2, capacity=6).restore({**arrays, name: arrays[name][1:]}, values)
    if name != "next_newest":  # without it nothing is known of what came after
        del arrays[name]
        with pytest.raises(SegmentError, match="The state of this recorder needs `"):
            SegmentRecorder(SPACE, ACTIONS, 2, capacity=6).restore(arrays, values)


@pytest.mark.parametrize(
    "values", [{}, {"n_recorded": -1, "num_timesteps": 0, "capacity": 6}, {"n_recorded": "9"}]
)
def test_a_state_without_its_counters_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(SegmentError, match="The state of a recorder needs whole numbers"):
        SegmentRecorder(SPACE, ACTIONS, 2, capacity=6).restore(recorded().state()[0], values)


def test_next_observations_of_another_shape_are_an_error_and_nothing_is_recorded() -> None:
    recorder = SegmentRecorder(SPACE, ACTIONS, 2, capacity=6)
    with pytest.raises(SegmentError, match=r"shape of the observations, \(2, 2\)\. Received \(1, 2\)"):
        recorder.record(
            np.zeros((2, 2)),
            np.zeros((2, 1)),
            np.zeros(2),
            np.zeros(2, bool),
            next_observations=np.zeros((1, 2)),
        )
    assert recorder.n_recorded == 0
