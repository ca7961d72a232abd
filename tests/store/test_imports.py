import subprocess
import sys

_USE = """
import sys
import prefrl.feedback, prefrl.segments, prefrl.settings, prefrl.store
prefrl.store.Store().counts()
loaded = [name for name in ("torch", "stable_baselines3", "gymnasium.envs.mujoco") if name in sys.modules]
print(loaded)
"""


def test_the_store_works_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", _USE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
