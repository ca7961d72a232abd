"""Tasks for learning from preferences: fixed horizons, task metrics, simulator states and their pictures.

Importing this package registers the ids `prefrl/...-v0` with gymnasium and imports neither MuJoCo nor any
environment. It knows nothing of learning.

>>> import gymnasium
>>> import prefrl_envs
>>> env = gymnasium.make("prefrl/HopperBackflip-v0")
"""

from prefrl_envs.gl import choose_backend
from prefrl_envs.registration import register_all

__version__ = "0.1.0"

choose_backend()
register_all()
