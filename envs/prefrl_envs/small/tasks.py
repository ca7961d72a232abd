"""The small tasks."""

from prefrl_envs.task import Task

TASKS: tuple[Task, ...] = (
    Task(
        name="pendulum",
        family="small",
        env_id="prefrl/Pendulum-v0",
        description="A pendulum too heavy to be lifted at once swings up and stands still.",
        question="In which clip is the pendulum closer to standing upright and still?",
        oracle="Minus the squares of angle from upright, speed (times 0.1) and torque (times 0.001).",
        horizon=200,
    ),
    Task(
        name="cartpole",
        family="small",
        env_id="prefrl/CartPole-v0",
        description="A cart balances a pole, and gets it up again when it has fallen.",
        question="In which clip does the pole stand more upright, with the cart on the grey part of the track?",
        oracle="1 while the pole is within 12 degrees of upright and the cart on the track.",
        horizon=200,
    ),
    Task(
        name="moving-dot",
        family="small",
        env_id="prefrl/MovingDot-v0",
        description="Move a dot to the middle of the picture; seen as pixels.",
        question="In which clip is the dot closer to the middle?",
        oracle="Closeness to the middle, from 0 at the border to 1.",
        horizon=50,
    ),
    Task(
        name="gridworld",
        family="small",
        env_id="prefrl/GridWorld-v0",
        description="Walk to the green cell of a small grid by the best way, and stay there.",
        question="Which walk is better? Green is best, coins are good, sand is bad, mud worse, bumping bad.",
        oracle="1 for the green cell, less for others, less still for bumping.",
        horizon=20,
    ),
)
