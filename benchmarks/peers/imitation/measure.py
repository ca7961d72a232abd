"""Time imitation's reward training and its PPO loop; run with the Python of `make -C benchmarks/peers/imitation`.

Prints one JSON object. Nothing here imports prefrl: the two cannot share an environment. The defaults are those of
imitation's script train_preference_comparisons and its reward ingredient; benchmarks/README.md lists them and says
what departs from them. The caller fixes what is the same for both sides: sizes, PPO's settings, the labels.
"""

import argparse
import contextlib
import json
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
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

TASKS = {"hopper": "Hopper-v4", "halfcheetah": "HalfCheetah-v4", "walker2d": "Walker2d-v4"}
ENDS_EARLY = ("hopper", "walker2d")
WALKER_FRICTION = 1.9
"""Of both feet in Walker2d-v5, which prefrl has; in v4 the right one has 0.9, and nothing else is unlike."""
N_MEMBERS = 3
N_EPISODES = 20
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PACKAGES = ("imitation", "gymnasium", "mujoco", "stable-baselines3", "torch", "numpy")


def reward_ensemble(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], hidden_size: int
) -> Any:
    """Return an ensemble of networks as the script has a single one by default: inputs and output normalised."""
    sizes = (hidden_size, hidden_size)
    members = []
    for _ in range(N_MEMBERS):
        network = BasicRewardNet(
            observation_space, action_space, hid_sizes=sizes, normalize_input_layer=RunningNorm
        )
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
    if args.reward == "true":
        # As imitation's train_rl has it.
        agent = _agent(args, VecNormalize(venv, norm_obs=False, norm_reward=True, gamma=args.gamma))
        start = clock()
        agent.learn(args.total_timesteps)
        return _steps(agent, venv, clock() - start, args)
    agent = _agent(args, venv)
    ensemble = reward_ensemble(venv.observation_space, venv.action_space, args.hidden_size)
    agent_trainer = pc.AgentTrainer(agent, ensemble, venv, rng, custom_logger=logger)
    if args.reward == "learned":
        start = clock()
        agent_trainer.train(args.total_timesteps)
        return _steps(agent, venv, clock() - start, args)
    comparisons = _comparisons(agent_trainer, ensemble, args, rng, logger)
    refits = _Timed(comparisons.reward_trainer.train, clock)
    comparisons.reward_trainer.train = refits
    start = clock()
    comparisons.train(asked_timesteps(args), args.n_comparisons)
    return _steps(agent, venv, clock() - start, args) | {"refit_seconds": refits.seconds}


def asked_timesteps(args: argparse.Namespace) -> int:
    """Return what to ask PreferenceComparisons for, so that the agent learns from about `total_timesteps`.

    It trains the agent once more than it has iterations, each time for that divided by the iterations, and SB3
    rounds up to whole rollouts.
    """
    rollout = args.n_envs * args.n_steps
    n_rollouts = max(1, round(args.total_timesteps / (args.n_refits + 1) / rollout))
    return int(n_rollouts * rollout * args.n_refits)


def _comparisons(
    agent_trainer: Any, ensemble: Any, args: argparse.Namespace, rng: np.random.Generator, logger: Any
) -> Any:
    """Return imitation's preference learning, with a teacher that makes no errors."""
    return pc.PreferenceComparisons(
        agent_trainer,
        ensemble,
        num_iterations=args.n_refits,
        fragmenter=pc.RandomFragmenter(rng=rng, warning_threshold=0, custom_logger=logger),
        preference_gatherer=pc.SyntheticGatherer(temperature=0, rng=rng, custom_logger=logger),
        reward_trainer=reward_trainer(ensemble, args, logger),
        fragment_length=args.segment_steps,
        initial_comparison_frac=args.initial_share,
        initial_epoch_multiplier=args.first_fit_multiplier,
        custom_logger=logger,
    )


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
    if args.task == "walker2d":
        for env in venv.get_attr("unwrapped"):
            env.model.geom("foot_geom").friction[0] = WALKER_FRICTION
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
        gamma=args.gamma,
        gae_lambda=args.gae_lambda,
        seed=args.seed,
        device="cpu",
        policy_kwargs={
            "log_std_init": args.log_std_init,
            "features_extractor_class": NormalizeFeaturesExtractor,
            "features_extractor_kwargs": {"normalize_class": RunningNorm},
        },
    )


def _evaluation(agent: PPO, args: argparse.Namespace) -> dict[str, Any]:
    """Return the true return of the policy without exploration."""
    venv = _tasks(args, np.random.default_rng(args.seed + 10_000), 1)
    returns, _ = evaluate_policy(agent, venv, N_EPISODES, return_episode_rewards=True)
    told = {"mean": float(np.mean(returns)), "std": float(np.std(returns)), "episodes": N_EPISODES}
    return {"true_return": told}


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
    ppo.add_argument("--gamma", type=float, default=0.99)
    ppo.add_argument("--gae-lambda", type=float, default=0.95)
    ppo.add_argument("--n-refits", type=int, default=5, help="iterations after the first fit")
    ppo.add_argument("--initial-share", type=float, default=0.1)
    ppo.add_argument("--first-fit-multiplier", type=float, default=200.0, help="of the passes")
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
