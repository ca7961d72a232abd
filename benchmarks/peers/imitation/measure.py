"""Time imitation's reward training and its PPO loop; run with the Python of `make -C benchmarks/peers/imitation`.

Prints one JSON object. Nothing here imports prefrl: the two cannot share an environment. What imitation's
documentation sets is the default (reward networks of two layers of 32, batches of 32, RunningNorm on outputs and,
for the policy, on observations; 5 iterations, 3 passes each, a tenth of the labels before the first). The caller
fixes what is the same for both sides: sizes, PPO's settings, the number of labels.
"""

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from imitation.algorithms import preference_comparisons as pc  # type: ignore[import-not-found, unused-ignore]
from imitation.data.types import TrajectoryWithRew  # type: ignore[import-not-found, unused-ignore]
from imitation.policies.base import (  # type: ignore[import-not-found, unused-ignore]
    NormalizeFeaturesExtractor,
)
from imitation.rewards.reward_nets import (  # type: ignore[import-not-found, unused-ignore]
    BasicRewardNet,
    NormalizedRewardNet,
    RewardEnsemble,
)
from imitation.util import logger as imitation_logger  # type: ignore[import-not-found, unused-ignore]
from imitation.util.networks import RunningNorm  # type: ignore[import-not-found, unused-ignore]
from imitation.util.util import make_vec_env  # type: ignore[import-not-found, unused-ignore]
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import get_linear_fn
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

TASKS = {"hopper": "Hopper-v4", "halfcheetah": "HalfCheetah-v4", "walker2d": "Walker2d-v4"}
ENDS_EARLY = ("hopper", "walker2d")
N_MEMBERS = 3
N_EPISODES = 20
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PACKAGES = ("imitation", "gymnasium", "mujoco", "stable-baselines3", "torch", "numpy")


def reward_ensemble(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], hidden_size: int
) -> Any:
    """Return an ensemble built as imitation's named config `reward.reward_ensemble` builds it."""
    members = []
    for _ in range(N_MEMBERS):
        network = BasicRewardNet(observation_space, action_space, hid_sizes=(hidden_size, hidden_size))
        members.append(NormalizedRewardNet(network, RunningNorm))
    return RewardEnsemble(observation_space, action_space, members)


def reward_trainer(ensemble: Any, args: argparse.Namespace, logger: Any) -> Any:
    """Return imitation's ensemble trainer with its default loss, optimiser and learning rate."""
    return pc.EnsembleTrainer(
        pc.PreferenceModel(ensemble),
        pc.CrossEntropyRewardLoss(),
        rng=np.random.default_rng(args.seed),
        batch_size=args.reward_batch_size,
        epochs=args.reward_epochs,
        custom_logger=logger,
    )


def random_comparisons(n: int, n_steps: int, n_observed: int, n_acted: int, seed: int) -> Any:
    """Return a data set of `n` pairs of segments of noise, the better one by a linear reward."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=n_observed)

    def segment() -> Any:
        observations = rng.normal(size=(n_steps + 1, n_observed)).astype(np.float32)
        actions = rng.uniform(-1, 1, size=(n_steps, n_acted)).astype(np.float32)
        rewards = (observations[:-1] @ weights).astype(np.float32)
        return TrajectoryWithRew(observations, actions, infos=None, terminal=False, rews=rewards)

    pairs = [(segment(), segment()) for _ in range(n)]
    preferences = np.array([float(a.rews.sum() > b.rews.sum()) for a, b in pairs], dtype=np.float32)
    dataset = pc.PreferenceDataset()
    dataset.push(pairs, preferences)
    return dataset


def measure_reward(args: argparse.Namespace, logger: Any) -> dict[str, Any]:
    """Time whole passes over a fixed set of comparisons.

    comparisons_per_s = comparisons in the set x passes / seconds; one comparison seen by all members counts once.
    """
    observation_space = spaces.Box(-np.inf, np.inf, (args.n_observed,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (args.n_acted,), np.float32)
    trainer = reward_trainer(reward_ensemble(observation_space, action_space, args.hidden_size), args, logger)
    sizes = (args.segment_steps, args.n_observed, args.n_acted, args.seed)
    trainer.train(random_comparisons(64, *sizes))  # warms torch up
    dataset = random_comparisons(args.n_comparisons, *sizes)
    clock = CLOCKS[args.clock]
    n_passes, start, seconds = 0, clock(), 0.0
    while seconds < args.min_seconds:
        trainer.train(dataset)
        n_passes += args.reward_epochs
        seconds = clock() - start
    rate = args.n_comparisons * n_passes / seconds
    return {"comparisons_per_s": rate, "passes": n_passes, "seconds": seconds}


class StepCounter(VecEnvWrapper):
    """Counts the steps of all environments: imitation takes some that the agent does not learn from."""

    def __init__(self, venv: VecEnv) -> None:
        """Start at zero."""
        super().__init__(venv)
        self.n_steps = 0

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Count and pass on."""
        self.n_steps += self.num_envs
        return self.venv.step_wait()


def measure_ppo(args: argparse.Namespace, logger: Any) -> dict[str, Any]:
    """Time PPO on a MuJoCo task with a fixed horizon; construction is left out.

    `true`: SB3's PPO alone. `learned`: the same under imitation's reward wrapper, never refitted. `preferences`:
    PreferenceComparisons from start to end.
    """
    rng, clock = np.random.default_rng(args.seed), CLOCKS[args.clock]
    venv = StepCounter(_tasks(args, rng, args.n_envs))
    agent = _agent(args, venv)
    if args.reward == "true":
        start = clock()
        agent.learn(args.total_timesteps)
        return _steps(agent, venv, clock() - start, args)
    ensemble = reward_ensemble(venv.observation_space, venv.action_space, args.hidden_size)
    agent_trainer = pc.AgentTrainer(agent, ensemble, venv, rng, custom_logger=logger)
    if args.reward == "learned":
        start = clock()
        agent_trainer.train(args.total_timesteps)
        return _steps(agent, venv, clock() - start, args)
    comparisons = pc.PreferenceComparisons(
        agent_trainer,
        ensemble,
        num_iterations=args.n_refits,
        fragmenter=pc.RandomFragmenter(rng=rng, warning_threshold=0, custom_logger=logger),
        preference_gatherer=pc.SyntheticGatherer(rng=rng, custom_logger=logger),
        reward_trainer=reward_trainer(ensemble, args, logger),
        fragment_length=args.segment_steps,
        initial_comparison_frac=args.initial_share,
        initial_epoch_multiplier=args.first_reward_epochs / args.reward_epochs,
        custom_logger=logger,
    )
    refits = _Timed(comparisons.reward_trainer.train, clock)
    comparisons.reward_trainer.train = refits
    start = clock()
    comparisons.train(args.total_timesteps, args.n_comparisons)
    return _steps(agent, venv, clock() - start, args) | {"refit_seconds": refits.seconds}


class _Timed:
    """A function that counts the seconds spent in it."""

    def __init__(self, function: Any, clock: Any) -> None:
        self.seconds = 0.0
        self._function, self._clock = function, clock

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = self._clock()
        result = self._function(*args, **kwargs)
        self.seconds += self._clock() - start
        return result


def _tasks(args: argparse.Namespace, rng: np.random.Generator, n_envs: int) -> VecEnv:
    """Return environments of the task, whose episodes always last for 1,000 steps."""
    options = {"terminate_when_unhealthy": False} if args.task in ENDS_EARLY else {}
    venv: VecEnv = make_vec_env(TASKS[args.task], rng=rng, n_envs=n_envs, env_make_kwargs=options)
    return venv


def _agent(args: argparse.Namespace, venv: VecEnv) -> PPO:
    rate = args.learning_rate
    return PPO(
        "MlpPolicy",
        venv,
        learning_rate=get_linear_fn(rate, 0.0, 1.0) if args.falling_rate else rate,
        n_steps=args.n_steps,
        batch_size=args.batch_size,
        n_epochs=args.n_epochs,
        seed=args.seed,
        device="cpu",
        policy_kwargs={
            "log_std_init": args.log_std_init,
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
    )


def _evaluation(agent: PPO, args: argparse.Namespace) -> dict[str, Any]:
    """Return the true return of the policy without exploration, and the most memory that was taken before."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    venv = _tasks(args, np.random.default_rng(args.seed + 10_000), 1)
    returns, _ = evaluate_policy(agent, venv, N_EPISODES, return_episode_rewards=True)
    told = {"mean": float(np.mean(returns)), "std": float(np.std(returns)), "episodes": N_EPISODES}
    return {"true_return": told, "peak_mb": peak}


def _steps(agent: PPO, venv: StepCounter, seconds: float, args: argparse.Namespace) -> dict[str, Any]:
    """steps_per_s counts what the agent learned from; env_steps also counts what was stepped for segments."""
    evaluation = _evaluation(agent, args) if args.evaluate else {}
    return evaluation | {
        "steps_per_s": agent.num_timesteps / seconds,
        "agent_steps": agent.num_timesteps,
        "env_steps": venv.n_steps,
        "seconds": seconds,
    }


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    reward, ppo = parts.add_parser("reward"), parts.add_parser("ppo")
    for part in (reward, ppo):
        part.add_argument("--seed", type=int, default=0)
        part.add_argument("--clock", choices=list(CLOCKS), default="wall", help="which seconds are counted")
        part.add_argument("--n-comparisons", type=int, default=1000)
        part.add_argument("--segment-steps", type=int, default=50)
        part.add_argument("--hidden-size", type=int, default=32)
        part.add_argument("--reward-batch-size", type=int, default=32)
        part.add_argument("--reward-epochs", type=int, default=3, help="passes per call of the trainer")
    reward.add_argument("--n-observed", type=int, default=17)
    reward.add_argument("--n-acted", type=int, default=6)
    reward.add_argument("--min-seconds", type=float, default=3.0, help="time whole passes until this long")
    ppo.add_argument("--reward", choices=["true", "learned", "preferences"], required=True)
    ppo.add_argument("--task", choices=list(TASKS), default="hopper")
    ppo.add_argument("--learning-rate", type=float, default=3e-4)
    ppo.add_argument("--falling-rate", action="store_true", help="down to 0 over the training")
    ppo.add_argument("--log-std-init", type=float, default=0.0)
    ppo.add_argument("--evaluate", action="store_true", help="the true return of what was learned, too")
    ppo.add_argument("--total-timesteps", type=int, default=16_384)
    ppo.add_argument("--n-envs", type=int, default=8)
    ppo.add_argument("--n-steps", type=int, default=256)
    ppo.add_argument("--batch-size", type=int, default=256)
    ppo.add_argument("--n-epochs", type=int, default=8)
    ppo.add_argument("--n-refits", type=int, default=5)
    ppo.add_argument("--initial-share", type=float, default=0.1)
    ppo.add_argument("--first-reward-epochs", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for and print it."""
    args = parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    # imitation prints, and standard output is for the result alone.
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as folder:
        logger = imitation_logger.configure(folder, ["csv"])
        result = measure_reward(args, logger) if args.part == "reward" else measure_ppo(args, logger)
    versions = {package: version(package) for package in PACKAGES}
    print(json.dumps({**vars(args), **result, "versions": versions}))


if __name__ == "__main__":
    main()
