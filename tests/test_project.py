"""Promises about the project as a whole: its floors, its start-up, its documents."""

import ast
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import prefrl

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOREIGN = {"optuna", "ray", "sbx"}
"""What examples with other libraries import, and tests do without."""
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def run(*command: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def tool(name: str) -> str:
    """Return the path of a tool installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def code_blocks(language: str) -> list[str]:
    blocks = [match for page in PAGES for match in CODE_BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [code for name, code in blocks if name == language]


# --- floors -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the packages and of their contracts, to plant forbidden imports in."""
    folder = tmp_path_factory.mktemp("packages")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "prefrl", folder / "prefrl", ignore=ignored)
    shutil.copytree(ROOT / "envs" / "prefrl_envs", folder / "prefrl_envs", ignore=ignored)
    page = "prefrl_labeling_gui"
    shutil.copytree(ROOT / "labeling_gui" / page, folder / page, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken_contracts(packages: Path) -> set[str]:
    """Return the names of the contracts that import-linter reports as broken.

    It puts the working folder first on the path, so that it reads the copy and not what is installed.
    """
    report = run(tool("lint-imports"), "--no-cache", cwd=packages)
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", report.stdout, re.MULTILINE))
    assert len(verdicts) == 6, report.stdout + report.stderr
    assert report.returncode == int("BROKEN" in verdicts.values())
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


def test_the_floors_hold(packages: Path) -> None:
    assert broken_contracts(packages) == set()


FLOORS = "floors of prefrl"
ENVS = "the envs know nothing of learning"
TORCHLESS = "segments, store and feedback start without torch"
ONLY_RUNS = "only runs, the report and the command line know the envs package"
NO_PAGE = "the core does not know the labelling page"
NO_LEARNER = "the labelling page knows the store and the clips, not the learner"


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        pytest.param("prefrl/errors.py", "import prefrl.seeding", FLOORS, id="upward"),
        pytest.param("prefrl/segments/segment.py", "import prefrl.feedback", FLOORS, id="upward_one_floor"),
        pytest.param("prefrl/feedback/schedule.py", "import prefrl.reward", FLOORS, id="sideways"),
        pytest.param("prefrl/unnamed.py", "", FLOORS, id="module_without_a_floor"),
        pytest.param("prefrl_envs/registration.py", "import prefrl.errors", ENVS, id="envs_prefrl"),
        pytest.param("prefrl_envs/registration.py", "import stable_baselines3", ENVS, id="envs_sb3"),
        pytest.param("prefrl/feedback/store.py", "import torch", TORCHLESS, id="torch"),
        pytest.param("prefrl/errors.py", "import torch", TORCHLESS, id="torch_by_way_of_another_module"),
        pytest.param("prefrl/agents/__init__.py", "import prefrl_envs", ONLY_RUNS, id="agents_envs"),
        pytest.param("prefrl/runs/__init__.py", "import prefrl_labeling_gui", NO_PAGE, id="page"),
        pytest.param("prefrl_labeling_gui/app.py", "import prefrl.reward", NO_LEARNER, id="page_reward"),
        pytest.param("prefrl_labeling_gui/clips.py", "import torch", NO_LEARNER, id="page_torch"),
    ],
)
def test_a_forbidden_import_is_reported(packages: Path, module: str, statement: str, contract: str) -> None:
    path = packages / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{statement}\n", encoding="utf-8")
    try:
        assert contract in broken_contracts(packages)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


def test_the_parts_that_runs_may_import_are_not_reported(packages: Path) -> None:
    path = packages / "prefrl" / "runs" / "__init__.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\nimport prefrl_envs.registration\nimport torch\n", encoding="utf-8")
    try:
        assert broken_contracts(packages) == set()
    finally:
        path.write_text(before, encoding="utf-8")


# --- start-up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import prefrl.segments, prefrl.feedback", id="segments_and_feedback"),
        pytest.param("import prefrl.config", id="config"),
        pytest.param("import prefrl.data", id="data"),
        pytest.param("import prefrl_envs", id="envs"),
        pytest.param("import prefrl_labeling_gui.server", id="page"),
        pytest.param("import prefrl.cli; assert prefrl.cli.help_texts()", id="help_of_every_command"),
    ],
)
def test_starts_without_the_learner(code: str) -> None:
    heavy = "{'torch', 'stable_baselines3', 'sb3_contrib', 'matplotlib'}"
    result = run(sys.executable, "-c", f"{code}; import sys; print(sorted({heavy} & set(sys.modules)))")
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stdout + result.stderr


def test_the_command_line_starts_without_the_learner() -> None:
    result = run(sys.executable, "-X", "importtime", "-m", "prefrl", "--help")
    assert result.returncode == 0, result.stderr
    assert "train" in result.stdout
    imported = set(re.findall(r"\| +([\w.]+)$", result.stderr, re.MULTILINE))
    assert "prefrl.cli" in imported
    assert not imported & {"torch", "stable_baselines3", "mujoco", "matplotlib"}


# --- safety -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import pickle", "TID251"),
        ("from cloudpickle import load", "TID251"),
        ("import torch\n\ntorch.load('model.pt')", "TID251"),
        ("import numpy as np\n\nnp.load('a.npy', allow_pickle=True)", "TID251"),
        ("import yaml\n\nyaml.load('', yaml.Loader)", "TID251"),
        ("import envs.prefrl_envs", "TID251"),
        ("eval('1')", "S307"),
        ("exec('1')", "S102"),
        ("import subprocess\n\nsubprocess.run('ls', shell=True)", "S602"),
        ("import os\n\nos.system('ls')", "S605"),
    ],
)
def test_what_can_run_code_from_a_file_is_refused_by_ruff(tmp_path: Path, code: str, rule: str) -> None:
    path = tmp_path / "planted.py"
    path.write_text(f'"""Planted."""\n\n{code}\n', encoding="utf-8")
    config = str(ROOT / "pyproject.toml")
    result = run(tool("ruff"), "check", "--no-cache", "--config", config, "--output-format", "concise", str(path))
    assert rule in result.stdout, result.stdout + result.stderr


# --- documents --------------------------------------------------------------------------------------------


def test_the_documents_tell_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {prefrl.__version__}\n" in citation
    assert re.search(rf"^## \[(Unreleased|{re.escape(prefrl.__version__)})\]", changelog, re.MULTILINE)


def test_the_python_in_the_documents_parses_and_imports_what_is_there() -> None:
    blocks = code_blocks("python")
    assert blocks
    files = {name for block in blocks for name in re.findall(r"^# (\w+)\.py$", block, re.MULTILINE)}
    absent = files | {package for package in FOREIGN if find_spec(package) is None}
    lines: dict[str, None] = {}
    for block in blocks:
        imports = [node for node in ast.parse(block).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert imports
        lines |= {ast.unparse(node): None for node in imports if package_of(node) not in absent}
    result = run(sys.executable, "-c", "\n".join(lines))  # all in one process, because each takes seconds to begin
    assert result.returncode == 0, result.stderr


def package_of(node: ast.Import | ast.ImportFrom) -> str:
    name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    assert name is not None
    return name.partition(".")[0]


def test_the_commands_in_the_documents_are_there() -> None:
    from prefrl.cli import help_texts

    shell = "\n".join(code_blocks("bash") + code_blocks("sh") + code_blocks("console"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", shell, re.MULTILINE))
    assert used >= {"demo", "test"}
    assert used <= targets
    commands = set(re.findall(r"^(?:\$ )?prefrl ((?:data )?[a-z]+)", shell, re.MULTILINE))
    assert commands
    assert commands <= set(help_texts())


def test_every_preset_is_in_the_documents() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    presets = [path.stem for path in (ROOT / "prefrl" / "presets").glob("[!_]*.yaml")]
    assert presets
    assert [name for name in presets if f"`{name}`" not in text] == []


def test_links_between_the_documents_lead_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
