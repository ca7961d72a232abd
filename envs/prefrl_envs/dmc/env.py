"""An environment of the DeepMind Control Suite as gymnasium and `prefrl_envs` want it."""

from types import SimpleNamespace
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from prefrl_envs.extras import DMC
from prefrl_envs.gl import choose_backend
from prefrl_envs.mujoco.deprecations import hide_deprecations

FloatArray = npt.NDArray[np.floating[Any]]


class ControlSuite(gymnasium.Env[npt.NDArray[np.float32], FloatArray]):
    """A task of the suite with MuJoCo's model and data where gymnasium's environments have them.

    Steps, observations and rewards are the suite's own (Tassa et al. 2018, arXiv 1801.00690), one control step a
    step. As in B-Pref (Lee et al. 2021, arXiv 2111.03026) observations are one vector, all parts in the suite's
    order, and actions go from -1 to 1 whatever the actuators' ranges are. An episode has no end of its own.

    Args:
        domain: Name of the domain in the suite, such as "walker".
        task: Name of the task in that domain, such as "walk".
        default_camera_config: How it is drawn, as in gymnasium's MuJoCo environments.
        render_mode: As in gymnasium; frames are drawn by `prefrl_envs.rendering`.

    Raises:
        gymnasium.error.DependencyNotInstalled: dm_control is not installed.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's convention

    def __init__(
        self,
        domain: str,
        task: str,
        default_camera_config: dict[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self._random = np.random.RandomState(0)
        suite = control_suite()
        with hide_deprecations():
            loaded = suite.load(domain, task, task_kwargs={"random": self._random})
        self._physics, self._task = loaded.physics, loaded.task
        self._n_substeps = round(loaded.control_timestep() / self._physics.timestep())
        self.dt = float(loaded.control_timestep())
        """Simulated time of a step [s]."""
        self.model: mujoco.MjModel = self._physics.model.ptr
        self.data: mujoco.MjData = self._physics.data.ptr
        self.mujoco_renderer = SimpleNamespace(default_cam_config=default_camera_config)
        actuators = loaded.action_spec()
        self._middle = (actuators.maximum + actuators.minimum) / 2
        self._reach = (actuators.maximum - actuators.minimum) / 2
        size = sum(int(np.prod(part.shape)) for part in loaded.observation_spec().values())
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, actuators.shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin an episode as the suite does."""
        super().reset(seed=seed)
        # For this episode alone, so that gymnasium's generator is all that a snapshot has to keep.
        self._random.seed(int(self.np_random.integers(2**32)))
        with self._physics.reset_context():
            self._task.initialize_episode(self._physics)
        return self._observation(), {}

    def step(self, action: FloatArray) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one control step."""
        self._task.before_step(self._middle + self._reach * np.asarray(action, np.float64), self._physics)
        self._physics.step(self._n_substeps)
        self._task.after_step(self._physics)
        return self._observation(), float(self._task.get_reward(self._physics)), False, False, {}

    def simulator_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return nothing besides the simulation itself, which `prefrl_envs.snapshot` keeps."""
        return {}

    def restore_simulator(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Compute what a step begins with: the suite steps from contacts that the step before has found."""
        mujoco.mj_step1(self.model, self.data)

    def _observation(self) -> npt.NDArray[np.float32]:
        parts = self._task.get_observation(self._physics).values()
        return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def control_suite() -> Any:
    """Return the suite, with what MuJoCo has dropped since taken out of its list of fields.

    dm_control lists the fields of MuJoCo's structures and fails at the first that is there no more: dm_control
    1.0.50 at fields of flexible bodies, which MuJoCo 4 has renamed and which the suite's tasks do not have.

    Raises:
        gymnasium.error.DependencyNotInstalled: dm_control is not installed.
    """
    choose_backend()
    handler = mujoco.get_mju_user_warning()
    try:
        import dm_control.mujoco.wrapper.mjbindings as bindings
    except ImportError as error:
        raise gymnasium.error.DependencyNotInstalled(
            f"The DeepMind Control Suite needs {DMC.package}; install it by `{DMC.command}`"
        ) from error
    mujoco.set_mju_user_warning(handler)  # dm_control has put its own in place, for all of the process

    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    for name, struct in (("mjmodel", model), ("mjdata", mujoco.MjData(model))):
        fields = bindings.sizes.array_sizes[name]
        for field in [field for field in fields if not hasattr(struct, field)]:
            del fields[field]
    from dm_control import suite

    return suite
