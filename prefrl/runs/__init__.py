"""One run, from start to end: train, checkpoint and resume, evaluate."""

from prefrl.runs.evaluation import evaluate
from prefrl.runs.folder import RunFolder
from prefrl.runs.hackcheck import hackcheck
from prefrl.runs.refit import refit
from prefrl.runs.reward_check import reward_check
from prefrl.runs.train import TrainingProgress, resume, start

__all__ = ["RunFolder", "TrainingProgress", "evaluate", "hackcheck", "refit", "resume", "reward_check", "start"]
