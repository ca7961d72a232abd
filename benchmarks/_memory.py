"""What the recorder takes in memory, measured in a process of its own so that nothing freed before is reused."""

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import gymnasium
import numpy as np

import prefrl_envs  # noqa: F401  registers the tasks
from prefrl.segments import SegmentRecorder
from prefrl_envs.simulator_state import render_state_size

N_ENVS = 16


def bytes_per_step(env_id: str, *, render_states: bool, capacity: int) -> tuple[float, float]:
    """Fill a recorder of `capacity` steps for each of 16 environments.

    Returns:
        Bytes per step of its arrays, and bytes per step by which the process grew.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        return pool.submit(_fill, env_id, render_states, capacity).result()


def _fill(env_id: str, render_states: bool, capacity: int) -> tuple[float, float]:
    env = gymnasium.make(env_id)
    observations = np.tile(env.observation_space.sample(), (N_ENVS, 1))
    actions = np.tile(env.action_space.sample(), (N_ENVS, 1))
    states = np.ones((N_ENVS, render_state_size(env))) if render_states else None
    before = resident_bytes()
    recorder = SegmentRecorder(env.observation_space, env.action_space, N_ENVS, capacity=capacity)
    for _ in range(capacity):
        recorder.record(observations, actions, np.ones(N_ENVS), np.ones(N_ENVS, dtype=bool), render_states=states)
    grown, n_steps = resident_bytes() - before, capacity * N_ENVS
    env.close()
    return recorder.n_bytes / n_steps, grown / n_steps


def resident_bytes() -> int:
    """Memory that this process has resident now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
