"""imitation's figures, measured by `peers/imitation/measure.py` in the environment that it needs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "peers" / "imitation"


def install() -> None:
    """Make imitation's environment if it is not there yet; downloads a gigabyte the first time."""
    subprocess.run(["make", "--silent", "-C", str(FOLDER)], check=True)


def measure(part: str, **options: str | float) -> dict[str, Any]:
    """Run one measurement in a process of its own.

    Args:
        part: "reward" or "ppo".
        **options: Options of `measure.py`, with underscores.
    """
    command = [str(FOLDER / ".venv" / "bin" / "python"), str(FOLDER / "measure.py"), part]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
