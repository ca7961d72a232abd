"""The small tasks."""

from prefrl_envs.task import Task

TASKS: tuple[Task, ...] = (
    Task(
        name="pendulum",
        env_name="Pendulum",
        family="small",
        entry_point="prefrl_envs.small.pendulum:Pendulum",
        horizon=200,
        description="A pendulum too heavy to be lifted at once swings up and stands still.",
        question="In which clip is the pendulum closer to standing upright and still?",
        oracle="Minus the squares of angle from upright, speed (times 0.1) and torque (times 0.001).",
    ),
    Task(
        name="cartpole",
        env_name="CartPole",
        family="small",
        entry_point="prefrl_envs.small.cartpole:CartPole",
        horizon=200,
        description="A cart balances a pole, and gets it up again when it has fallen.",
        question="In which clip does the pole stand more upright, with the cart on the grey part of the track?",
        oracle="1 while the pole is within 12 degrees of upright and the cart on the track.",
    ),
    Task(
        name="moving-dot",
        env_name="MovingDot",
        family="small",
        entry_point="prefrl_envs.small.moving_dot:MovingDot",
        horizon=50,
        description="Move a dot to the middle of the picture; seen as pixels.",
        question="In which clip is the dot closer to the middle?",
        oracle="Closeness to the middle, from 0 at the border to 1.",
    ),
    Task(
        name="gridworld",
        env_name="GridWorld",
        family="small",
        entry_point="prefrl_envs.small.gridworld:GridWorld",
        horizon=20,
        description="Walk to the green cell of a small grid by the best way, and stay there.",
        question="Which walk is better? Green is best, coins are good, sand is bad, mud worse, bumping bad.",
        oracle="1 for the green cell, less for others, less still for bumping.",
    ),
)
