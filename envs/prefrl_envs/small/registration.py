"""The ids of the small tasks."""

from prefrl_envs.ids import register as register_id


def register() -> None:
    """Register the ids of this family."""
    register_id("CartPole", "prefrl_envs.small.cartpole:CartPole", 200)
    register_id("MovingDot", "prefrl_envs.small.moving_dot:MovingDot", 50)
    register_id("Pendulum", "prefrl_envs.small.pendulum:Pendulum", 200)
    register_id("GridWorld", "prefrl_envs.small.gridworld:GridWorld", 20)
