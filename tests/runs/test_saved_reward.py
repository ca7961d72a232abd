"""A new agent on a reward that was learned before."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from safetensors.numpy import load_file

from prefrl.config import RunConfig
from prefrl.errors import InterruptedRunError, PrefRLError, SettingError
from prefrl.report import write_report
from prefrl.reward import RewardEnsemble, RewardTrainer
from prefrl.runs import TrainingProgress, resume, start
from prefrl.runs.metrics_log import read_metrics
from prefrl.segments import Comparison, Segment
from prefrl.settings import RewardSettings

MakeConfig = Callable[..., RunConfig]
Listener = Callable[[TrainingProgress], None]


def segment(rng: np.random.Generator) -> Segment:
    observations = rng.uniform(-1, 1, size=(8, 3)).astype(np.float32)
    actions = rng.uniform(-2, 2, size=(8, 1)).astype(np.float32)
    return Segment(observations=observations, actions=actions, env_rewards=observations[:, 1])


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a run with a reward: it pays for the second number observed of a pendulum."""
    env = gymnasium.make("prefrl/Pendulum-v0")
    settings = RewardSettings(hidden_sizes=(16,), n_members=2)
    trainer = RewardTrainer(RewardEnsemble(env.observation_space, env.action_space, settings=settings))
    env.close()
    rng = np.random.default_rng(0)
    for seq in range(40):
        both = segment(rng), segment(rng)
        preference = float(both[0].env_return > both[1].env_return)
        trainer.add([Comparison(segments=both, preferences=(preference,), query_id=f"{seq}", seq=seq)])
    trainer.fit(20)
    run = tmp_path_factory.mktemp("learned") / "run"
    trainer.ensemble.save(run / "reward_model")
    return run


@pytest.mark.parametrize("algo", ["ppo", "sac"])
@pytest.mark.parametrize("names_the_run", [True, False])
def test_the_agent_is_paid_by_the_copy_of_the_run(
    algo: str, names_the_run: bool, learned: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    source = shutil.copytree(learned, tmp_path / "source")
    said = source if names_the_run else source / "reward_model"
    config = small_config("pendulum", algo, reward="saved", reward_from=str(said), time_limit=32)
    run = tmp_path / "run"

    def stop(progress: TrainingProgress) -> None:
        if progress.num_timesteps >= 320:
            raise InterruptedRunError("enough")

    with pytest.raises(InterruptedRunError):
        start(config, run, stop)
    shutil.rmtree(source)
    result = resume(run, quiet)
    assert (result["reward"], result["labels"]) == ("saved", 0)
    assert not (run / "store.sqlite").exists()
    ours, theirs = (RewardEnsemble.load(folder / "reward_model") for folder in (run, learned))
    (mine, _), (original, _) = ours.state(), theirs.state()
    assert mine.keys() == original.keys()
    assert all(np.array_equal(mine[name], original[name]) for name in mine)
    assert load_file(run / "evaluation_states.safetensors")["predicted_rewards"].std() > 0
    lines = read_metrics(run / "log" / "metrics.jsonl")
    predicted = [line["rollout/ep_predicted_rew_mean"] for line in lines if "rollout/ep_rew_mean" in line]
    assert len(set(predicted)) > 1
    page = write_report([run]).read_text()
    assert "a reward that was learned before" in page
    assert "Predicted return over steps" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reward_from": "nowhere/at/all"}, "`reward_from` is nowhere/at/all, which is no folder"),
        ({"reward_from": "."}, "reward_model.json"),
        ({"task": "cartpole"}, "was made for other observations than this environment has"),
    ],
)
def test_a_reward_that_cannot_pay_is_refused_and_nothing_is_left(
    changes: dict[str, str], words: str, learned: Path, small_config: MakeConfig, tmp_path: Path, quiet: Listener
) -> None:
    config = small_config(changes.get("task", "pendulum"), reward="saved", reward_from=str(learned))
    config = replace(config, reward_from=changes.get("reward_from", str(learned)))
    with pytest.raises(PrefRLError, match=words):
        start(config, tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes", [{"reward": "saved"}, {"reward_from": "x"}, {"reward": "true", "reward_from": "x"}]
)
def test_source_and_folder_belong_together(changes: dict[str, str], small_config: MakeConfig) -> None:
    with pytest.raises(
        SettingError, match="`reward_from`, the folder of a reward, and reward=saved belong together"
    ):
        small_config("pendulum", **changes)


def test_people_cannot_be_asked_beside_it(learned: Path, small_config: MakeConfig) -> None:
    with pytest.raises(SettingError, match="`teacher=human` needs reward=preferences"):
        small_config("pendulum", reward="saved", reward_from=str(learned), teacher="human")
