"""What all tests share: one torch thread, drawing without a display, and one stream of random numbers."""

import os
import sys

if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo when it is first imported

import hypothesis
import numpy as np
import pytest
import torch

torch.set_num_threads(1)

# The same examples every time, and no failure because the machine was busy.
hypothesis.settings.register_profile("prefrl", derandomize=True, deadline=None)
hypothesis.settings.load_profile("prefrl")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
