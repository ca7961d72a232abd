"""A grid world of 14 cells: small enough to know its optimum, rich enough that one can miss it.

The reward of a step is a function of cell and action alone (moves are certain), so a reward network that sees
observation and action can represent it. From every cell there is exactly one optimal action, the
same for discount factors from 0.5 to 0.995; from 0.9 on it is better than the next best by at least 0.45.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

LAYOUT = (".G.c", ".m~m", ".#.#", "c~..")
"""One character per cell, row by row from the top; `#` is a wall."""

CELL_REWARDS = {".": 0.0, "~": -0.25, "m": -0.5, "c": 0.25, "G": 1.0}
"""Reward for a step that ends in such a cell: plain floor, sand, mud, coin, goal."""

BUMP_REWARD = -0.25
"""Added when a wall or the border stops the move and the agent stays where it is."""

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Change of (row, column) by each action: up, right, down, left."""

CELLS = tuple((r, c) for r, row in enumerate(LAYOUT) for c, kind in enumerate(row) if kind != "#")
"""Row and column of each observation."""


def _tables() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the next cell and the reward of each cell and action, both of shape [14, 4]."""
    index = {cell: number for number, cell in enumerate(CELLS)}
    successors = np.zeros((len(CELLS), len(MOVES)), dtype=np.int64)
    rewards = np.zeros((len(CELLS), len(MOVES)))
    for (row, column), number in index.items():
        for action, (down, right) in enumerate(MOVES):
            target = (row + down, column + right)
            stopped = target not in index
            row_, column_ = (row, column) if stopped else target
            successors[number, action] = index[row_, column_]
            rewards[number, action] = CELL_REWARDS[LAYOUT[row_][column_]] + BUMP_REWARD * stopped
    return successors, rewards


SUCCESSORS, REWARDS = _tables()
SUCCESSORS.setflags(write=False)
REWARDS.setflags(write=False)


def action_values(gamma: float, rewards: npt.NDArray[np.float64] = REWARDS) -> npt.NDArray[np.float64]:
    """Return the optimal action values by value iteration, exact to 1e-10 of the largest reward.

    Args:
        gamma: Discount factor, at least 0 and below 1.
        rewards: Reward of each cell and action, shape [14, 4]; the true one, or a learned one.

    Returns:
        Q* of the endless task (no time limit), shape [14, 4].

    Raises:
        ValueError: `gamma` lies outside [0, 1), or `rewards` has another shape.
    """
    if not 0.0 <= gamma < 1.0:
        raise ValueError(f"`gamma` must be at least 0 and below 1. Received {gamma}.")
    if rewards.shape != SUCCESSORS.shape:
        raise ValueError(f"`rewards` must have shape {SUCCESSORS.shape}. Received {rewards.shape}.")
    tolerance = 1e-10 * (1.0 - gamma) * max(float(np.abs(rewards).max()), 1e-300)
    values = np.zeros(len(CELLS))
    while True:
        q_values = rewards + gamma * values[SUCCESSORS]
        improved = q_values.max(axis=1)
        if np.abs(improved - values).max() <= tolerance:
            return np.asarray(q_values)
        values = improved


def optimal_actions(gamma: float, rewards: npt.NDArray[np.float64] = REWARDS) -> list[set[int]]:
    """Return the set of optimal actions in every cell; several where they tie.

    Args:
        gamma: Discount factor, at least 0 and below 1.
        rewards: Reward of each cell and action, shape [14, 4].
    """
    q_values = action_values(gamma, rewards)
    margin = 1e-8 * max(float(np.abs(q_values).max()), 1e-300)
    best = q_values.max(axis=1, keepdims=True)
    return [set(np.flatnonzero(row).tolist()) for row in q_values >= best - margin]


class GridWorld(gymnasium.Env[np.int64, np.int64]):
    """Walk on the grid of `LAYOUT`; start anywhere; nothing ends an episode but the time limit.

    Observation: the number of the cell (`Discrete(14)`, see `CELLS`). Actions: up, right, down, left
    (`Discrete(4)`). The way to stay on the goal is to push against the border, for 0.75 a step.

    Args:
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - gymnasium's own convention

    def __init__(self, *, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Discrete(len(CELLS))
        self.action_space = spaces.Discrete(len(MOVES))
        self.render_mode = render_mode
        self._cell = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Start in a cell drawn uniformly."""
        super().reset(seed=seed)
        self._cell = int(self.np_random.integers(len(CELLS)))
        return np.int64(self._cell), {}

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Move one cell, or stay where a wall is in the way."""
        reward = float(REWARDS[self._cell, action])
        self._cell = int(SUCCESSORS[self._cell, action])
        return np.int64(self._cell), reward, False, False, {}

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Return a picture of 256 x 256 pixels if `render_mode` is "rgb_array"."""
        return None if self.render_mode is None else self.draw_state(self.render_state(), 256, 256)

    def render_state(self) -> npt.NDArray[np.float64]:
        """Return the number of the cell, shape [1]."""
        return np.array([float(self._cell)])

    def draw_state(self, state: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[np.uint8]:
        """Draw the grid and the agent in it; see `prefrl_envs.redrawing`."""
        from prefrl_envs.small.drawing import draw_gridworld

        return draw_gridworld(state, width, height)
