"""What a policy does: true return, task metrics, and a clip of it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from prefrl.config import RunConfig
from prefrl.errors import PrefRLError, RunError, SettingError
from prefrl.files import write_json, write_whole
from prefrl.reward import RewardEnsemble
from prefrl.reward.inputs import is_image
from prefrl.runs.checkpoint import Checkpoint
from prefrl.runs.environments import OWN_ENVIRONMENT, make_environments
from prefrl.runs.folder import RunFolder
from prefrl.runs.playing import Played, play
from prefrl.runs.serial_vec_env import SerialVecEnv
from prefrl.runs.settings_changes import latest_checkpoint
from prefrl.seeding import Streams
from prefrl.segments import as_array
from prefrl_envs.clips import encode_clip
from prefrl_envs.errors import RenderingUnavailableError
from prefrl_envs.rendering import StateRenderer, step_seconds
from prefrl_envs.tasks import TASKS

MAX_ENVS = 10
CLIP_FPS = 30
CLIP_SECONDS = 10
CLIP_SIZE = (400, 400)
# Of an episode that is shown, so much is kept at most.
MAX_KEPT_STEPS = 2000
# Half of real speed, where the simulation has frames enough for it.
CLIP_SPEED = 0.5

COUNTS = frozenset(name for task in TASKS.values() for name in task.per_episode)
"""Task metrics that count what happens in an episode; all others are shares, speeds and the like."""

Array = npt.NDArray[Any]


def evaluate(
    folder: RunFolder, *, episodes: int | None = None, seed: int = 0, video: Path | None = None
) -> dict[str, Any]:
    """Run the policy of the last checkpoint, as `play` has it, and write down what came of it.

    Args:
        folder: The run.
        episodes: How many; by default as in the run's settings.
        seed: Of the episodes; another stream than the training's.
        video: Where the clip goes; `clip.mp4` in the run by default.

    Returns:
        What `evaluation.json` holds: `true_return` with mean, std and episodes, and `metrics`.

    Raises:
        RunError: There is no checkpoint, or it is damaged, or the environment has changed.
        SettingError: `episodes` is below 1.
    """
    config = folder.config()
    n_episodes = config.evaluation_episodes if episodes is None else episodes
    if n_episodes < 1:
        raise SettingError(f"`episodes` must be at least 1. Received {n_episodes}.")
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        raise RunError(f"{folder.path} has no checkpoint yet; go on with `prefrl resume {folder.path}`.")
    n_envs = min(MAX_ENVS, n_episodes)
    environments = make_environments(config, n_envs=n_envs, seed=Streams(seed).integer("evaluation"))
    learned = config.reward in ("preferences", "saved") and folder.reward_model.is_dir()
    ensemble = RewardEnsemble.load(folder.reward_model) if learned else None
    returns, metrics, arrays = _run_policy(config, checkpoint, environments, n_episodes, ensemble)
    seconds_per_step = step_seconds(environments.envs[0])
    environments.close()
    lacking = ""
    if "render_states" not in arrays and "rgb_array" in environments.envs[0].metadata.get("render_modes", ()):
        try:
            arrays = _watched(config, checkpoint, seed, ensemble)
        except PrefRLError as error:
            lacking = str(error)
    progress = checkpoint.progress
    result: dict[str, Any] = {
        "task": config.task,
        "algo": config.algo,
        "reward": config.reward,
        "seed": config.seed,
        "num_timesteps": checkpoint.num_timesteps,
        "labels": progress["labels"],
        "labels_before": progress.get("labels_before", 0),
        "policies": progress.get("policies", 1),
        "training_seconds": round(progress["seconds"], 1),
        "refit_seconds": round(progress["refit_seconds"], 1),
        "true_return": {
            "mean": float(np.mean(returns)),
            "std": float(np.std(returns)),
            "episodes": len(returns),
        },
        "metrics": {metric_key(name): float(np.mean(values)) for name, values in metrics.items()},
    }
    write_json(folder.evaluation, result)
    write_whole(folder.evaluation_states, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}))
    draw_clip(folder, config, arrays.get("render_states"), seconds_per_step, video or folder.clip)
    if lacking:
        folder.clip_error.write_text(f"{lacking}\n")
    return result


def metric_key(name: str) -> str:
    """Return the name that a task metric has in an evaluation: `backflips_per_episode`, but `drift`.

    Earlier versions said "per episode" of all of them, and their names are mended too.
    """
    name = name.removesuffix("_per_episode")
    return f"{name}_per_episode" if name in COUNTS else name


def draw_clip(
    folder: RunFolder, config: RunConfig, render_states: Array | None, step_seconds: float, video: Path
) -> None:
    """Draw an episode as a clip; where that cannot be done, say why in `clip_error.txt`.

    A clip that was there goes away in any case: it shows another episode.

    Args:
        folder: The run.
        config: Its settings.
        render_states: Simulator states or kept frames, shape [T, S]; None where there are none.
        step_seconds: Simulated time of one step.
        video: The file to write.
    """
    for earlier in (folder.clip_error, video):
        earlier.unlink(missing_ok=True)
    if render_states is None:
        folder.clip_error.write_text(
            f"{config.env_id} cannot be drawn from a stored state, and draws no frames; {OWN_ENVIRONMENT} shows "
            "what it takes.\n"
        )
        return
    try:
        with StateRenderer(config.env_id, *CLIP_SIZE, env_kwargs=config.env_kwargs) as renderer:
            stride = max(1, round(CLIP_SPEED / (CLIP_FPS * step_seconds)))
            fps = CLIP_FPS if stride > 1 else min(CLIP_FPS, 1 / step_seconds)
            shown = render_states[::stride][: int(CLIP_SECONDS * fps)]
            encode_clip(map(renderer.frame, shown), video, fps)  # one by one: together they are large
    except (RenderingUnavailableError, TypeError) as error:
        folder.clip_error.write_text(f"{error}\n")


def _watched(
    config: RunConfig, checkpoint: Checkpoint, seed: int, ensemble: RewardEnsemble | None
) -> dict[str, Array]:
    """Return the steps of the first episode, played once more to draw each of them.

    Raises:
        SettingError: Nothing comes out.
        MissingDependencyError: Drawing needs a package that is not installed.
    """
    environments = make_environments(config, n_envs=1, seed=Streams(seed).integer("evaluation"), keep_frames=True)
    _, _, arrays = _run_policy(config, checkpoint, environments, 1, ensemble)
    environments.close()
    return arrays


def _run_policy(
    config: RunConfig,
    checkpoint: Checkpoint,
    environments: SerialVecEnv,
    n_episodes: int,
    ensemble: RewardEnsemble | None,
) -> tuple[list[float], dict[str, list[float]], dict[str, Array]]:
    """Return true returns and task metrics of episodes, and the steps of one of them."""
    n_envs = environments.num_envs
    # Each environment plays its share, so that short episodes are not counted more often than long ones.
    shares = np.array([n_episodes // n_envs + (env < n_episodes % n_envs) for env in range(n_envs)])
    returns: list[float] = []
    metrics: dict[str, list[float]] = {}
    steps: dict[str, list[Array]] = {}
    first_runs = True
    for step in play(config, environments, checkpoint):
        if first_runs:
            _keep_first(steps, step, ensemble, environments)
            first_runs = not step.dones[0] and len(steps["env_rewards"]) < MAX_KEPT_STEPS
        for env in np.flatnonzero(step.dones & (shares > 0)):
            shares[env] -= 1
            returns.append(float(step.infos[env]["episode"]["r"]))
            for name, value in step.infos[env].get("task_metrics", {}).items():
                metrics.setdefault(name, []).append(float(value))
        if not shares.any():
            break
    return returns, metrics, {name: np.stack(values) for name, values in steps.items()}


def _keep_first(
    steps: dict[str, list[Array]], step: Played, ensemble: RewardEnsemble | None, environments: SerialVecEnv
) -> None:
    """Keep what the first environment did, and what the reward says of it."""
    space = environments.observation_space
    if not is_image(space):  # stacks of screens would fill the disk
        _keep(steps, "observations", as_array(space, step.observations)[0])
    _keep(steps, "actions", step.actions[0])
    _keep(steps, "env_rewards", step.env_rewards[0])
    if ensemble is not None:
        predicted = ensemble.predict(step.observations, step.actions, step.next_observations)
        _keep(steps, "predicted_rewards", predicted[0])
    if step.render_states is not None:
        _keep(steps, "render_states", step.render_states[0])


def _keep(steps: dict[str, list[Array]], name: str, value: Any) -> None:
    steps.setdefault(name, []).append(np.array(value))
