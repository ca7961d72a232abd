"""The grid world against hand-computed moves, and its value iteration against a linear solve."""

import itertools

import numpy as np
import pytest

from prefrl_envs.small.gridworld import CELLS, REWARDS, SUCCESSORS, GridWorld, action_values, optimal_actions

UP, RIGHT, DOWN, LEFT = range(4)
CELL = {cell: number for number, cell in enumerate(CELLS)}

# The unique best action in every cell of
#   . G . c        > ^ < <
#   . m ~ m        ^ ^ ^ ^
#   . # . #        ^ # ^ #
#   c ~ . .        ^ < ^ <
BEST = {
    (0, 0): RIGHT, (0, 1): UP, (0, 2): LEFT, (0, 3): LEFT,
    (1, 0): UP, (1, 1): UP, (1, 2): UP, (1, 3): UP,
    (2, 0): UP, (2, 2): UP,
    (3, 0): UP, (3, 1): LEFT, (3, 2): UP, (3, 3): LEFT,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "action", "target", "reward"),
    [
        ((0, 0), RIGHT, (0, 1), 1.0),  # onto the goal
        ((0, 1), UP, (0, 1), 0.75),  # stay on the goal by pushing against the border
        ((0, 1), DOWN, (1, 1), -0.5),  # into mud
        ((1, 1), DOWN, (1, 1), -0.75),  # a wall: stay in the mud, and bump
        ((1, 1), RIGHT, (1, 2), -0.25),  # onto sand
        ((3, 1), LEFT, (3, 0), 0.25),  # onto a coin
        ((0, 3), RIGHT, (0, 3), 0.0),  # stay on a coin: 0.25 - 0.25
        ((3, 3), UP, (3, 3), -0.25),  # a wall above plain floor
    ],
)
def test_moves_and_rewards_by_hand(
    cell: tuple[int, int], action: int, target: tuple[int, int], reward: float
) -> None:
    assert SUCCESSORS[CELL[cell], action] == CELL[target]
    assert REWARDS[CELL[cell], action] == reward


def test_the_environment_follows_its_tables() -> None:
    env = GridWorld()
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    for action in rng.integers(4, size=200):
        following, reward, terminated, truncated, _ = env.step(action)
        assert (following, reward) == (SUCCESSORS[observation, action], REWARDS[observation, action])
        assert (terminated, truncated) == (False, False)
        observation = following


def test_every_cell_is_a_start() -> None:
    env = GridWorld()
    env.reset(seed=0)
    starts = [int(env.reset()[0]) for _ in range(1400)]
    counts = np.bincount(starts, minlength=14)
    # Binomial(1400, 1/14): mean 100, sd 9.6; five deviations either way
    assert counts.min() > 52
    assert counts.max() < 148


def exact_values(policy: dict[int, int], gamma: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Solve V = r + gamma P V for a policy."""
    cells = np.arange(len(CELLS))
    actions = np.array([policy[cell] for cell in range(len(CELLS))])
    transitions = np.zeros((len(CELLS), len(CELLS)))
    transitions[cells, SUCCESSORS[cells, actions]] = 1.0
    solution: np.ndarray[tuple[int], np.dtype[np.float64]] = np.linalg.solve(
        np.eye(len(CELLS)) - gamma * transitions, REWARDS[cells, actions]
    )
    return solution


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.95, 0.99, 0.995])
def test_value_iteration_agrees_with_the_policys_linear_system(gamma: float) -> None:
    policy = {CELL[cell]: action for cell, action in BEST.items()}
    values = exact_values(policy, gamma)
    q_values = REWARDS + gamma * values[SUCCESSORS]
    np.testing.assert_allclose(action_values(gamma), q_values, atol=1e-9)
    # Bellman's condition: no other action is better anywhere, so the policy is the optimum
    assert {cell: int(q_values[cell].argmax()) for cell in range(14)} == policy


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.95, 0.99, 0.995])
def test_one_action_is_best_in_every_cell_and_by_far(gamma: float) -> None:
    assert optimal_actions(gamma) == [{BEST[cell]} for cell in CELLS]
    ordered = np.sort(action_values(gamma), axis=1)
    gap = (ordered[:, -1] - ordered[:, -2]).min()
    assert gap > (0.45 if gamma >= 0.9 else 0.07)


def test_the_optimum_reaches_the_goal_from_everywhere_within_a_segment() -> None:
    for start in CELLS:
        cell = CELL[start]
        for _ in range(8):
            cell = int(SUCCESSORS[cell, BEST[CELLS[cell]]])
        assert CELLS[cell] == (0, 1)


def test_ties_are_all_reported() -> None:
    assert optimal_actions(0.9, np.zeros((14, 4))) == [{0, 1, 2, 3}] * 14
    goal_only = np.equal(SUCCESSORS, CELL[0, 1]).astype(np.float64)
    # from the cell (1, 0) both ways around to the goal take two steps
    assert optimal_actions(0.9, goal_only)[CELL[1, 0]] == {UP, RIGHT}


def test_scale_and_offset_of_a_reward_do_not_change_the_optimum() -> None:
    for scale, offset in itertools.product([1e-3, 1.0, 1e3], [-5.0, 0.0, 5.0]):
        assert optimal_actions(0.9, scale * REWARDS + scale * offset) == optimal_actions(0.9)


@pytest.mark.parametrize("gamma", [-0.1, 1.0, float("nan")])
def test_a_discount_that_cannot_be_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="`gamma` must be at least 0 and below 1"):
        action_values(gamma)


def test_rewards_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`rewards` must have shape \(14, 4\)"):
        action_values(0.9, np.zeros(14))


def test_render_gives_a_picture_where_the_agent_is_seen() -> None:
    env = GridWorld(render_mode="rgb_array")
    start, _ = env.reset(seed=0)
    before = env.render()
    action = next(action for action in range(4) if SUCCESSORS[start, action] != start)
    env.step(np.int64(action))
    after = env.render()
    assert before is not None
    assert after is not None
    assert before.shape == (256, 256, 3)
    assert (before != after).any()
    assert GridWorld().render() is None
