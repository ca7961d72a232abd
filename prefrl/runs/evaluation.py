"""What a policy does: true return, task metrics, and a clip of it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save
from stable_baselines3.common.vec_env import DummyVecEnv

from prefrl.agents import ALGORITHMS, LearnedRewardVecEnv
from prefrl.config import RunConfig
from prefrl.errors import RunError, SettingError
from prefrl.reward import RewardEnsemble
from prefrl.runs.checkpoint import Checkpoint, checkpoints, unprefixed
from prefrl.runs.environments import make_environments
from prefrl.runs.folder import RunFolder, write_json, write_whole
from prefrl.runs.training import load_normalizer, make_normalizer
from prefrl.seeding import Streams
from prefrl.segments import as_array
from prefrl_envs.clips import encode_clip
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer

MAX_ENVS = 10
CLIP_FPS = 30
CLIP_SECONDS = 10
# Of a step whose environment does not say how long it is: such worlds are turn by turn.
DEFAULT_STEP_SECONDS = 0.25
CLIP_SIZE = (400, 400)
# Half of real speed, where the simulation has frames enough for it.
CLIP_SPEED = 0.5

Array = npt.NDArray[Any]


def evaluate(
    folder: RunFolder, *, episodes: int | None = None, seed: int = 0, video: Path | None = None
) -> dict[str, Any]:
    """Run the policy of the last checkpoint without exploration, and write down what came of it.

    Args:
        folder: The run.
        episodes: How many; by default as in the run's settings.
        seed: Of the episodes; another stream than the training's.
        video: Where the clip goes; `clip.mp4` in the run by default.

    Returns:
        What `evaluation.json` holds: `true_return` with mean, std and episodes, and `metrics`.

    Raises:
        RunError: There is no checkpoint, or it is damaged.
        SettingError: `episodes` is below 1.
    """
    config = folder.config()
    n_episodes = config.evaluation_episodes if episodes is None else episodes
    if n_episodes < 1:
        raise SettingError(f"`episodes` must be at least 1. Received {n_episodes}.")
    saved = checkpoints(folder.checkpoints)
    if not saved:
        raise RunError(f"{folder.path} has no checkpoint yet; go on with `prefrl resume {folder.path}`.")
    checkpoint = Checkpoint(saved[-1])
    n_envs = min(MAX_ENVS, n_episodes)
    environments = make_environments(config, n_envs=n_envs, seed=Streams(seed).integer("evaluation"))
    returns, metrics, arrays = _run_policy(config, checkpoint, environments, n_episodes)
    step_seconds = float(getattr(environments.envs[0].unwrapped, "dt", DEFAULT_STEP_SECONDS))
    environments.close()
    preferences = checkpoint.state.get("preferences")
    result: dict[str, Any] = {
        "task": config.task,
        "algo": config.algo,
        "reward": config.reward,
        "seed": config.seed,
        "num_timesteps": checkpoint.state["num_timesteps"],
        "labels": len(checkpoint.arrays["trainer.draws"][0]) if preferences else 0,
        "training_seconds": round(checkpoint.state["seconds"], 1),
        "refit_seconds": round(preferences["refit_seconds"], 1) if preferences else 0.0,
        "true_return": {
            "mean": float(np.mean(returns)),
            "std": float(np.std(returns)),
            "episodes": len(returns),
        },
        "metrics": {f"{name}_per_episode": float(np.mean(values)) for name, values in metrics.items()},
    }
    write_json(folder.evaluation, result)
    if config.reward == "preferences" and folder.reward_model.is_dir():
        ensemble = RewardEnsemble.load(folder.reward_model)
        arrays["predicted_rewards"] = ensemble.predict(arrays["observations"], arrays["actions"])
    write_whole(folder.evaluation_states, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
    draw_clip(folder, config, arrays.get("render_states"), step_seconds, video or folder.clip)
    return result


def draw_clip(
    folder: RunFolder, config: RunConfig, render_states: Array | None, step_seconds: float, video: Path
) -> None:
    """Draw an episode as a clip; where that cannot be done, say why in `clip_error.txt`.

    A clip that was there goes away in any case: it shows another episode.

    Args:
        folder: The run.
        config: Its settings.
        render_states: Simulator states, shape [T, S]; None where the environment has none.
        step_seconds: Simulated time of one step.
        video: The file to write.
    """
    for earlier in (folder.clip_error, video):
        earlier.unlink(missing_ok=True)
    if render_states is None:
        folder.clip_error.write_text(f"{config.env_id} cannot be drawn from a stored state.\n")
        return
    try:
        with StateRenderer(config.env_id, *CLIP_SIZE, env_kwargs=config.env_kwargs) as renderer:
            stride = max(1, round(CLIP_SPEED / (CLIP_FPS * step_seconds)))
            fps = CLIP_FPS if stride > 1 else min(CLIP_FPS, 1 / step_seconds)
            encode_clip(renderer.frames(render_states[::stride][: int(CLIP_SECONDS * fps)]), video, fps)
    except (RenderingUnavailableError, TypeError) as error:
        folder.clip_error.write_text(f"{error}\n")


def _run_policy(
    config: RunConfig, checkpoint: Checkpoint, environments: DummyVecEnv, n_episodes: int
) -> tuple[list[float], dict[str, list[float]], dict[str, Array]]:
    """Return true returns and task metrics of episodes, and the steps of one of them."""
    n_envs = environments.num_envs
    rewarded = LearnedRewardVecEnv(environments, None)
    normalizer = make_normalizer(config, rewarded)
    load_normalizer(normalizer, unprefixed("normalizer", checkpoint.arrays))
    normalizer.training = False
    normalizer.norm_reward = False
    agent = ALGORITHMS[config.algo].load(checkpoint.agent, device=config.agent.device)
    # Each environment plays its share, so that short episodes are not counted more often than long ones.
    shares = np.array([n_episodes // n_envs + (env < n_episodes % n_envs) for env in range(n_envs)])
    returns: list[float] = []
    metrics: dict[str, list[float]] = {}
    steps: dict[str, list[Array]] = {}
    first_runs = True
    seen: Any = normalizer.reset()
    while shares.any():
        raw, render_states = rewarded.last_observations, rewarded.render_states
        actions, _ = agent.predict(seen, deterministic=True)
        seen, env_rewards, dones, infos = normalizer.step(actions)
        if first_runs:
            _keep(steps, "observations", as_array(rewarded.observation_space, raw)[0])
            _keep(steps, "actions", actions[0])
            _keep(steps, "env_rewards", env_rewards[0])
            if render_states is not None:
                _keep(steps, "render_states", render_states[0])
            first_runs = not dones[0]
        for env in np.flatnonzero(dones & (shares > 0)):
            shares[env] -= 1
            returns.append(float(infos[env]["episode"]["r"]))
            for name, value in infos[env].get("task_metrics", {}).items():
                metrics.setdefault(name, []).append(float(value))
    return returns, metrics, {name: np.stack(values) for name, values in steps.items()}


def _keep(steps: dict[str, list[Array]], name: str, value: Any) -> None:
    steps.setdefault(name, []).append(np.array(value))
