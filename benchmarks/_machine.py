"""Where a benchmark ran: hardware, versions, git revision. Every results file carries it."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from prefrl.runs.folder import git_revision, versions


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge a figure by, ready for JSON."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version(), **versions()},
    }


def hardware() -> str:
    """Return one line such as "2 cores of an Intel Xeon, no GPU"."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} cores of {_processor()}, {gpu}"


def _processor() -> str:
    """Linux tells the model's name here; elsewhere the platform module has the architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
