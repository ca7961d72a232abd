"""What the documents say is so: links, files, names, examples that run, keys of the log, warnings."""

import ast
import contextlib
import json
import re
import runpy
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import KVWriter, Logger

from prefrl.agents import PreferenceLearning
from prefrl.feedback import OracleTeacher
from prefrl.registry import ALGORITHMS, FEEDBACK_KINDS, SCHEDULES, STRATEGIES, TEACHERS
from prefrl.reward import RewardEnsemble
from prefrl.settings import FeedbackSettings

ROOT = Path(__file__).parents[1]
ABOUT_CODE = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
OTHER_LIBRARIES = ROOT / "docs" / "other-libraries.md"
SCRIPTS = [
    ROOT / "README.md",
    ROOT / "docs" / "own-script.md",
    ROOT / "docs" / "logging.md",
    OTHER_LIBRARIES,
]
FOREIGN = ("optuna", "ray", "sbx")
"""Packages of examples that are none of ours; these run where the package is installed."""
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
FOLDERS = ("prefrl", "envs", "labeling_gui", "tests", "tools", "benchmarks", "docs")
EXAMPLES = {"prefrl/presets/NAME.yaml", "prefrl/store/migrations/versions/mNNNN_what.py"}
"""Files that are to be written."""


def source() -> str:
    """All code of the packages."""
    files = [
        path for folder in ("prefrl", "envs", "labeling_gui") for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def tool(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / name))


# --- for who changes it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ABOUT_CODE, ids=lambda page: page.stem)
def test_links_and_their_headings_are_there(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert links
    dead = []
    for link in links:
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (heading and heading not in headings(target)):
            dead.append(link)
    assert dead == []


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", ABOUT_CODE, ids=lambda page: page.stem)
def test_files_that_are_named_exist(page: Path) -> None:
    spans = set(SPAN.findall(FENCED.sub("", page.read_text(encoding="utf-8"))))
    files = {span for span in spans if span.split("/")[0] in FOLDERS and "/" in span} - EXAMPLES
    assert len(files) >= 5
    assert sorted(file for file in files if not (ROOT / file).exists()) == []


def test_names_in_the_architecture_are_names_of_the_code() -> None:
    text = FENCED.sub("", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    names = {
        name for span in SPAN.findall(text) for name in re.findall(r"^_?[A-Z]\w+(?:\.\w+)?$|^\w+\.\w+$", span)
    }
    own = {name for name in names if name.partition(".")[0] not in {"config", "pyproject"}}
    assert len(own) >= 40
    everything = source()
    foreign = {"OnPolicyAlgorithm", "VecNormalize", "N", "B", "K", "T", "E"}
    unknown = [name for name in own - foreign if not is_defined(name, everything)]
    assert unknown == []


def is_defined(name: str, code: str) -> bool:
    """Whether a class, a constant, or an attribute of a class or module of that name is in the code."""
    owner, _, attribute = name.partition(".")
    found = re.search(rf"^(class |def ){owner}\b|^{owner}(:|\b.* =)", code, re.MULTILINE)
    if found is None:
        found = re.search(rf"import {owner}\b|\b{owner}\.{attribute or owner}\b", code)
    return found is not None and (not attribute or re.search(rf"\b{attribute}\b", code) is not None)


@pytest.mark.parametrize("name", ["Nobody", "LabelPlan.nobody_at_all", "RewardEnsembl", "prefrl.nothing_there"])
def test_a_name_that_is_not_there_would_be_noticed(name: str) -> None:
    assert not is_defined(name, source())


def test_every_module_is_on_a_floor_of_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = [
        path for path in (ROOT / "prefrl").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    unsaid = {"__init__.py", "__main__.py", "console.py", "labeling_page.py", "env_errors.py"}
    missing = [p.name for p in parts if p.name not in unsaid and f"prefrl/{p.name}" not in text]
    assert missing == []


def test_registries_that_the_architecture_names_hold_what_it_says() -> None:
    for table in (ALGORITHMS, FEEDBACK_KINDS, SCHEDULES, STRATEGIES, TEACHERS):
        for place in table.values():
            module, _, name = place.partition(":")
            assert hasattr(import_module(module), name)


def test_examples_of_the_architecture_are_python_and_yaml() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    blocks = PYTHON.findall(text)
    assert len(blocks) >= 3
    for block in blocks:
        ast.parse(f"f(\n{block})" if "weight_norm=" in block else block)
    [preset] = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert yaml.safe_load(preset)["env_id"] == "prefrl/Pusher-v0"


def test_the_task_of_the_architecture_can_be_made() -> None:
    """Run in a process of its own, because it registers an id."""
    [block] = [b for b in PYTHON.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) if "Task(" in b]
    code = f"""
import gymnasium
from prefrl_envs.mujoco.tasks import _camera
from prefrl_envs.registration import register
from prefrl_envs.task import Task
register({block.strip()})
env = gymnasium.make("prefrl/Pusher-v0")
env.reset(seed=0)
print(sum(not any(env.step(env.action_space.sample())[2:4]) for _ in range(100)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["99"]


def test_the_teacher_of_the_architecture_errs_one_time_in_ten() -> None:
    [block] = [b for b in PYTHON.findall((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) if "Erring" in b]
    code = f"""
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
import numpy as np
from prefrl.errors import SettingError
from prefrl.feedback.teachers import OracleTeacher
from prefrl.segments import Answer, Query, Segment
{block}
def segment(reward, number):
    ones = np.ones(1, dtype=np.float32)
    return Segment(
        observations=ones[:, None] * number,
        actions=np.zeros(1, dtype=np.int64),
        env_rewards=ones * reward,
        env_index=0,
        episode=0,
        start=number,
        num_timesteps=0,
    )
pairs = [(segment(1, 2 * i), segment(0, 2 * i + 1)) for i in range(2000)]
queries = [Query(segments=pair, ordinal=i, num_timesteps=0) for i, pair in enumerate(pairs)]
for seed in (0, 1):
    print(*(int(ErringTeacher(seed=seed).answer(query) is Answer.SECOND) for query in queries), sep="")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.split()
    assert first != second
    assert all(0.07 < answers.count("1") / 2000 < 0.13 for answers in (first, second))


def test_continuous_integration_calls_what_runs_anywhere() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["check"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert job["timeout-minutes"] == 90
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert all(re.search(r"@v\d+$", step["uses"]) for step in job["steps"] if "uses" in step)
    assert "secrets" not in json.dumps(workflow)
    targets = re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert targets == ["check", "test", "wheel"]


def test_hooks_before_a_commit_download_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["entry"].split()[0] for hook in hooks} == {".venv/bin/ruff", "make"}


# --- for users --------------------------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_scripts_in_the_documents_run_to_their_end(tmp_path: Path) -> None:
    """Those of a page one after another in one folder; all they have less of is steps and labels."""
    files = []
    for page in SCRIPTS:
        blocks = PYTHON.findall(page.read_text(encoding="utf-8"))
        own = [block for block in blocks if not any(imports(block, package) for package in FOREIGN)]
        assert own
        (tmp_path / page.stem).mkdir()
        files += written(own, tmp_path / page.stem)
    run_scripts(files)
    assert all((tmp_path / page.stem / "reward_model").is_dir() for page in SCRIPTS)


def imports(block: str, package: str) -> bool:
    return re.search(rf"^(import|from) {package}\b", block, re.MULTILINE) is not None


SHORT = """
import inspect, os, runpy, sys
from stable_baselines3 import PPO
short = {"n_steps": 128, "n_epochs": 1}  # where a script says nothing else
known = inspect.signature(PPO.__init__).parameters.values()
given = [one for one in known if one.default is not inspect.Parameter.empty]
PPO.__init__.__defaults__ = tuple(short.get(one.name, one.default) for one in given)
from prefrl.settings import FeedbackSettings
FeedbackSettings.__init__.__kwdefaults__["initial_timesteps"] = 512
for path in sys.argv[1:]:
    os.chdir(os.path.dirname(path))
    runpy.run_path(path)
"""


def written(blocks: list[str], folder: Path) -> list[Path]:
    """Write scripts into files; one that begins with the name of its file gets that name."""
    files = []
    for number, block in enumerate(blocks):
        name = re.match(r"# (\w+\.py)\n", block)
        files.append(folder / (name[1] if name else f"block{number}.py"))
        files[-1].write_text(shortened(block), encoding="utf-8")
    return files


def run_scripts(files: list[Path]) -> None:
    """Run scripts one after another in one process, which takes long to start; each in its own folder."""
    warnings = ["-W", "error::UserWarning:__main__", "-W", "error::UserWarning:prefrl"]
    done = subprocess.run(
        [sys.executable, *warnings, "-c", SHORT, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def shortened(example: str) -> str:
    shorter = {
        "n_envs=16": "n_envs=2",
        "1_000_000": "2_048",
        "20_000": "2_048",
        "40_000": "4_096",
        "=2_560": "=256",
        "512": "128",
        "n_labels=700": "n_labels=70",
    }
    for long, short in shorter.items():
        example = example.replace(long, short)
    return example


@pytest.mark.slow
@pytest.mark.parametrize("package", FOREIGN)
def test_scripts_with_other_libraries_run_where_these_are_installed(package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    first, *blocks = PYTHON.findall(OTHER_LIBRARIES.read_text(encoding="utf-8"))
    run_scripts(written([first, *(block for block in blocks if imports(block, package))], tmp_path))


@pytest.mark.slow
def test_the_settings_of_rl_zoo_train_on_the_saved_reward(tmp_path: Path) -> None:
    pytest.importorskip("rl_zoo3")
    page = OTHER_LIBRARIES.read_text(encoding="utf-8")
    run_scripts(written([PYTHON.findall(page)[0]], tmp_path))
    [settings] = re.findall(r"^```yaml\n# learned.yml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "learned.yml").write_text(shortened(settings), encoding="utf-8")
    [command] = re.findall(r"^python (-m rl_zoo3\.train .*)$", page, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LearnedReward" in done.stdout
    assert list(tmp_path.glob("logs/ppo/Pendulum-v1_1/*.zip"))


def test_the_settings_of_rl_zoo_name_a_wrapper_and_its_arguments(tmp_path: Path) -> None:
    """As RL Zoo reads them: a path to a class, and keyword arguments."""
    [text] = re.findall(
        r"^```yaml\n# learned.yml\n(.*?)^```$",
        OTHER_LIBRARIES.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    settings = yaml.safe_load(text)["Pendulum-v1"]
    assert (settings["n_timesteps"], settings["n_envs"]) == (20_000, 4)
    [[(path, arguments)]] = [wrapper.items() for wrapper in settings["env_wrapper"]]
    module, _, name = path.rpartition(".")
    env = gymnasium.make("Pendulum-v1")
    ensemble = RewardEnsemble(env.observation_space, env.action_space)
    ensemble.set_output_moments(np.zeros(3), np.ones(3))
    ensemble.save(tmp_path / arguments["reward_model"])
    with contextlib.chdir(tmp_path):
        wrapped = getattr(import_module(module), name)(env, **arguments)
    assert isinstance(wrapped, gymnasium.Wrapper)
    assert (wrapped.class_name(), wrapped.env) == ("LearnedReward", env)


def test_what_was_tried_with_other_libraries_is_said_of_each() -> None:
    """Each has a line with its version, and a section."""
    page = OTHER_LIBRARIES.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!library|---)(.+?) \| (.+?) \| .*?\]\(#([\w-]+)\)", page, re.MULTILINE)
    assert len(rows) == 6
    for library, tried, section in rows:
        assert re.search(r"\d", tried), library
        assert section in headings(OTHER_LIBRARIES), library


class Keys(KVWriter):
    """Remembers under which names anything was logged."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        self.found |= set(key_values)

    def close(self) -> None:
        pass


def test_the_keys_of_the_log_are_those_in_the_documents() -> None:
    page = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`((?:rollout|labels|policy|reward_model)/\w+)`", page))
    prefs = PreferenceLearning(
        make_vec_env("Pendulum-v1", n_envs=2),
        teacher=OracleTeacher(),
        n_labels=40,
        feedback=FeedbackSettings(initial_timesteps=512, labels_per_round=5, segment_length=10),
    )
    model, keys = PPO("MlpPolicy", prefs.venv, n_steps=256, n_epochs=1), Keys()
    model.set_logger(Logger(None, [keys]))
    model.learn(6144, callback=prefs.callback())
    logged = {key for key in keys.found if key.split("/")[0] not in ("time", "train")}
    assert logged == said - {
        "rollout/exploration_rate",
        "rollout/ep_rew_std",
        "policy/kl",
        "reward_model/pseudo_labels",
        "reward_model/sd_weight",
        "reward_model/distrusted",
    }  # of others, of `prefrl train`, and of settings that are off


def test_warnings_in_the_documents_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "own-script.md").read_text(encoding="utf-8")
    said = re.findall(r'^\| "([^"]+)" \|', page, re.MULTILINE)
    assert len(said) >= 8
    texts = [
        "".join(str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant))
        for path in (ROOT / "prefrl" / "agents").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    ]
    assert [words for words in said if not any(words in text for text in texts)] == []


def test_the_api_page_has_every_public_name_and_field() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in ("agents", "feedback", "reward", "segments", "store", "runs"):
        section = page[page.index(f"## `prefrl.{name}`") :]
        section = section[: section.find("\n## ", 1)] if "\n## " in section else section
        for public in import_module(f"prefrl.{name}").__all__:
            assert re.search(rf"^### `{public}\b", section, re.MULTILINE), f"{name}.{public}"
    for field in ("segment_length: int = 50", "sd_weight: float = 0.0", "env_kwargs: dict[str, Any] = dict()"):
        assert f"- `{field}`: " in page
    assert "tyro" not in page
    assert "- `_" not in page


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("One line.", "One line.\n"),
        (
            "One.\n\n    Args:\n        a: It\n            is.\n        b, c: Two.\n\n    Raises:\n        E: No.",
            "One.\n\n*Args*\n\n- `a`: It\n  is.\n- `b`, `c`: Two.\n\n*Raises*\n\n- `E`: No.\n",
        ),
        ("First.\n\n    >>> 1 + 1\n    2\n\n    After.", "First.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nAfter.\n"),
    ],
)
def test_docstrings_become_markdown(docstring: str, markdown: str) -> None:
    assert tool("api_docs.py")["_text"](docstring) == markdown


# --- the wheel --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["none", "without_a_preset", "with_a_stray_file"])
def test_a_wheel_has_the_files_of_the_packages_and_no_others(tmp_path: Path, change: str) -> None:
    check = tool("wheel_check.py")
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "prefrl", "envs/prefrl_envs", "labeling_gui/prefrl_labeling_gui"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("This is no clone.")
    names = {re.sub("^(envs|labeling_gui)/", "", line) for line in listed.stdout.splitlines()}
    if change == "without_a_preset":
        names.remove("prefrl/presets/hopper.yaml")
    if change == "with_a_stray_file":
        names.add("prefrl/stray.py")
    wheel = tmp_path / "prefrl-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [*names, "prefrl-0.dist-info/METADATA"]:
            archive.writestr(name, "")
    if change == "none":
        check["check_content"](wheel)
    else:
        with pytest.raises(SystemExit, match="hopper.yaml" if change == "without_a_preset" else "stray"):
            check["check_content"](wheel)


def test_what_the_wheel_requires_is_followed_to_the_end_and_no_further() -> None:
    check = tool("wheel_check.py")
    names = {package.name.lower() for package in check["required"](check["Distribution"].from_name("prefrl"))}
    assert {"torch", "gymnasium", "cloudpickle", "pyyaml", "numpy", "starlette"} <= names
    assert not names & {"pytest", "ruff", "ale-py", "envpool", "hypothesis"}
