"""What vector environments must be like for a reward to be learned on them."""

from collections.abc import Iterator

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecNormalize,
    unwrap_vec_wrapper,
)

from prefrl.agents.gymnasium_vec_env import GymnasiumVecEnv
from prefrl.errors import SettingError
from prefrl.reward.inputs import has_channels_first, is_image

TIME_LIMIT = "_max_episode_steps"
CHANGES_REWARD = "changes_reward"
"""What our layers that pay another reward than they get have as an attribute."""


def check_venv(venv: object) -> None:
    """Refuse what cannot lie below a learned reward.

    Raises:
        SettingError: It is no VecEnv, normalises observations by statistics that still change, or hands out
            another reward than the environments', by which comparisons would then go.
    """
    if not isinstance(venv, VecEnv):
        raise SettingError(
            "`venv` must be a VecEnv of Stable-Baselines3, as `make_vec_env` makes them. Received "
            f"{type(venv).__name__}; for a single gymnasium environment use make_vec_env(lambda: env)."
        )
    for layer in layers(venv):
        if isinstance(layer, VecNormalize) and layer.training:
            raise SettingError(
                "VecNormalize lies below the learned reward, which must see raw observations: clips would be kept "
                "in a frame that drifts. Wrap it around `prefs.venv` instead."
            )
        scales = isinstance(layer, VecNormalize) and layer.norm_reward
        if scales or getattr(type(layer), CHANGES_REWARD, False):
            raise SettingError(
                f"{type(layer).__name__} lies below the learned reward and changes the true one, which must come "
                "as the environments pay it. Give the environments as they are, and wrap it around `prefs.venv`."
            )
    inner = venv.unwrapped
    if not isinstance(inner, DummyVecEnv | SubprocVecEnv):
        return
    for name, is_there in (
        ("NormalizeReward", any(inner.env_is_wrapped(gym.wrappers.NormalizeReward))),
        ("LearnedReward", inner.has_attr(CHANGES_REWARD)),
    ):
        if is_there:
            raise SettingError(
                f"{name} lies around an environment below the learned reward and changes the true one, by which "
                "comparisons go. Make the environments without it; what the agent is paid is changed around "
                "`prefs.venv`."
            )


def check_segment_length(venv: VecEnv, segment_length: int) -> None:
    """Refuse segments that are longer than an episode can be.

    Raises:
        SettingError: They are.
    """
    horizon = horizon_of(venv)
    if horizon is not None and segment_length > horizon:
        raise SettingError(
            f"`segment_length` must not exceed the episode of {horizon} steps. Received {segment_length}."
        )


def horizon_of(venv: VecEnv) -> int | None:
    """Return the time limit of the episodes; None where there is none that gymnasium knows of."""
    inner = venv.unwrapped
    if isinstance(inner, GymnasiumVecEnv):
        return None if inner.vector.spec is None else inner.vector.spec.max_episode_steps
    # Of gymnasium's TimeLimit, which `make` and a user put around an environment, in this process or another.
    if isinstance(inner, DummyVecEnv | SubprocVecEnv) and inner.has_attr(TIME_LIMIT):
        limit = inner.get_attr(TIME_LIMIT, 0)[0]
        return limit if isinstance(limit, int) else None
    return None


def frame_stack_of(venv: VecEnv) -> int:
    """Return how many frames SB3's `VecFrameStack` stacks into an image; 1 where there is none.

    Each of them is then recorded once only. Stacks of anything but images with channels last are left as they are.
    """
    space = venv.observation_space
    if not isinstance(space, spaces.Box) or not is_image(space) or has_channels_first(space):
        return 1
    stack = unwrap_vec_wrapper(venv, VecFrameStack)
    return stack.stacked_obs.n_stack if isinstance(stack, VecFrameStack) else 1


def layers(venv: VecEnv) -> Iterator[VecEnv]:
    """Yield a vector environment and all that it wraps, outermost first."""
    yield venv
    while isinstance(venv, VecEnvWrapper):
        venv = venv.venv
        yield venv
