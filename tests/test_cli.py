"""The command line as its user sees it: exit codes, stdout and stderr."""

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import pytest

from prefrl import __version__, cli
from prefrl.config import RunConfig, load_preset
from prefrl.errors import InterruptedRunError, SettingError
from prefrl.registry import ALGORITHMS
from prefrl.segments import Answer, Query
from prefrl.store import NewAnswer, RunAbout, Store
from prefrl_envs.extras import ATARI
from prefrl_envs.machine import Check
from prefrl_envs.tasks import TASKS

Prefrl = Callable[..., tuple[int, str, str]]

SETTINGS = """
total_timesteps: 512
labels: 12
segment_length: 8
evaluation_episodes: 3
feedback: {initial_timesteps: 128, labels_per_round: 4}
reward_model: {hidden_sizes: [16], first_epochs: 2, epochs: 1}
agent: {n_envs: 4, hidden_sizes: [16], settings: {n_steps: 32, batch_size: 64, n_epochs: 1}}
"""


@pytest.fixture
def prefrl(capsys: pytest.CaptureFixture[str]) -> Prefrl:
    """Run a command; return exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code: int | str | None = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return int(code or 0), out, err

    return run


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(SETTINGS)
    return path


def test_whole_way(prefrl: Prefrl, settings: Path, tmp_path: Path) -> None:
    """Train, resume, evaluate and report; with --json one object on stdout and nothing else."""
    run = tmp_path / "run"
    code, out, err = prefrl("train", "gridworld", "--config", settings, "--seed", "7", "--out", run, "--json")
    assert code == 0
    result = json.loads(out)
    assert out == json.dumps(result) + "\n"
    expected = {"task": "gridworld", "algo": "ppo", "reward": "preferences", "seed": 7, "labels": 12}
    assert expected.items() <= result.items()
    assert result["num_timesteps"] == 512
    assert set(result["true_return"]) == {"mean", "std", "episodes"}
    assert result["true_return"]["episodes"] == 3
    assert result["metrics"] == {}
    assert "512 steps" in err
    assert "gridworld, ppo" in err

    code, out, err = prefrl("resume", run)
    assert (code, out) == (2, "")
    assert err == (
        f"prefrl: {run} is complete; its report is {run / 'report.html'} "
        f"(`prefrl resume {run} --total-timesteps N` trains it further).\n"
    )
    code, out, _ = prefrl("resume", run, "--total-timesteps", "640", "--labels", "15", "--json")
    assert code == 0
    assert (json.loads(out)["num_timesteps"], json.loads(out)["labels"]) == (640, 15)

    code, out, _ = prefrl("evaluate", run, "--episodes", "5", "--json", "--video", tmp_path / "video.mp4")
    assert code == 0
    assert json.loads(out)["true_return"]["episodes"] == 5
    assert (tmp_path / "video.mp4").stat().st_size > 0
    code, out, _ = prefrl("evaluate", run)
    assert code == 0
    assert re.match(r"true return -?\d+\.\d ± \d+\.\d over 3 episodes, 15 labels, 640 steps in \d+ s\n", out)
    assert out.endswith(f"clip: {run / 'clip.mp4'}\n")
    assert prefrl("evaluate", run, "--episodes", "0")[0] == 2

    code, out, _ = prefrl("report", run, "--json", "--out", tmp_path / "page.html")
    assert code == 0
    assert json.loads(out) == {"report": str(tmp_path / "page.html")}
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_tasks(prefrl: Prefrl) -> None:
    code, out, err = prefrl("tasks")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for task in TASKS.values():
        first = lines.index(
            f"{task.name}: {task.description} {task.horizon} steps."
            + (f" Counts {', '.join(task.metrics)}." if task.metrics else "")
        )
        facts = [f"    asked:  {task.question}", f"    oracle: {task.oracle}"]
        facts += [f"    paper:  {task.paper_oracle}"] if task.paper_oracle else []
        facts += [f"    needs:  {task.extra.package}: {task.extra.command}"] if task.extra else []
        assert lines[first + 1 : first + 1 + len(facts)] == facts
    code, out, _ = prefrl("tasks", "--json")
    tasks = json.loads(out)
    assert list(tasks) == list(TASKS)
    assert tasks["hopper-backflip"]["metrics"] == ["backflips"]
    assert tasks["pong"]["install"] == ATARI.command


def test_tasks_say_what_is_not_installed(prefrl: Prefrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefrl_envs.extras.find_spec", lambda name: None)
    _, out, _ = prefrl("tasks")
    assert out.count("    needs:  ale-py, which is not installed: pip install 'prefrl[atari]'") == 9
    assert "envpool" not in out, "nothing is missing without it"


def test_doctor(prefrl: Prefrl, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefrl.runs import doctor

    found = [
        Check("GL", True, "here", ""),
        Check("codec", False, "none", "pip install av"),
        Check("ale-py", False, "absent", "pip install it", needed=False),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: found)
    code, out, err = prefrl("doctor")
    assert (code, err) == (1, "")
    assert [line.split() for line in out.splitlines()] == [
        ["ok", "GL", "here"],
        ["LACKS", "codec", "none"],
        ["mend:", "pip", "install", "av"],
        ["lacks", "ale-py", "absent"],
        ["mend:", "pip", "install", "it"],
    ]
    monkeypatch.setattr(doctor, "examine", lambda: found[::2])
    code, out, _ = prefrl("doctor", "--json")
    assert code == 0
    checks = json.loads(out)["checks"]
    assert checks[0] == {"name": "GL", "ok": True, "detail": "here", "mend": "", "needed": True}
    assert [check["needed"] for check in checks] == [True, False], "what is not needed makes no failure"


def test_label_hands_its_arguments_and_exit_code_through(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "prefrl", "label", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere is no run" in done.stderr


def test_labels_go_out_and_come_in(prefrl: Prefrl, make_query: Callable[..., Query], tmp_path: Path) -> None:
    space = gymnasium.spaces.Box(-1, 1, (3,))
    about = RunAbout.of(space, gymnasium.spaces.Discrete(5), segment_length=4, task="gridworld")
    with Store(tmp_path / "run") as store:
        store.begin_run(about)
        queries = store.add_queries([make_query(number) for number in range(3)])
        said = (Answer.FIRST, Answer.EQUAL, Answer.CANNOT_TELL)
        store.add_answers(
            [
                NewAnswer(query_id=query.id, answer=answer, labeler="Ann", id=query.id)
                for query, answer in zip(queries, said, strict=True)
            ]
        )
    (tmp_path / "run" / "config.json").write_text(json.dumps({"config": {"task": "gridworld"}}))
    out = {name: tmp_path / name for name in ("export", "imported", "pairs")}
    code, text, err = prefrl("data", "export", tmp_path / "run", "--out", out["export"], "--json")
    counts = {"queries": 3, "answers": 3, "comparisons": 2}
    assert (code, err) == (0, "")
    assert json.loads(text) == {"out": str(out["export"]), "segments": 6, "people": 1} | counts
    assert json.loads((out["export"] / "about.json").read_text())["question"] == TASKS["gridworld"].question
    code, text, _ = prefrl("data", "import", out["export"], "--out", out["imported"], "--json")
    assert json.loads(text) == {"out": str(out["imported"])} | counts
    code, text, _ = prefrl("data", "export", out["imported"], "--out", out["pairs"], "--format", "trl")
    assert text == f'{out["pairs"]}: 1 pairs; left out: 1 ties, 1 "can\'t tell", 0 ratings\n'
    code, text, err = prefrl("data", "import", out["export"], "--out", out["imported"])
    assert (code, text) == (2, "")
    assert err == f"prefrl: {out['imported']} exists already; choose another --out.\n"


def test_data_says_what_it_can_do(prefrl: Prefrl) -> None:
    for arguments in ((), ("--help",)):
        code, out, _ = prefrl("data", *arguments)
        assert code == 0
        assert [line.split("  ")[1] for line in out.splitlines()] == ["data export", "data import"]
    code, _, err = prefrl("data", "burn")
    assert (code, err.partition(";")[0]) == (2, "prefrl: There is no command 'data burn'")


def test_help(prefrl: Prefrl) -> None:
    code, out, err = prefrl("--help")
    assert (code, err) == (0, "")
    assert prefrl()[:2] == (0, out)
    assert prefrl("-h")[:2] == (0, out)
    texts = cli.help_texts()
    for name in cli.COMMANDS:
        assert f"\n  {name} " in out
        assert f"usage: prefrl {name}" in texts[name]
    assert prefrl("--version") == (0, f"prefrl {__version__}\n", "")


def test_help_of_a_task_shows_its_settings(prefrl: Prefrl) -> None:
    _, out, _ = prefrl("train", "gridworld", "--help")
    assert "--segment-length" in out
    assert "prefrl/GridWorld-v0" in out


def test_help_needs_no_torch() -> None:
    script = (
        "import sys\n"
        "from prefrl.cli import main\n"
        "for arguments in (['--help'], ['train', '--help'], ['resume', '--help'], ['tasks']):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "heavy = {'torch', 'stable_baselines3', 'matplotlib', 'mujoco', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def no_package(**arguments: object) -> gymnasium.Env[object, object]:
    raise gymnasium.error.DependencyNotInstalled("Wings is not installed, run `pip install wings`.")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            "nonsense",
            "There is no command 'nonsense'; there are train, label, resume, evaluate, refit, hackcheck, "
            "rewardcheck, report, compare, data export, data import, tasks, doctor",
        ),
        ("train --labels 3", "The task comes first: prefrl train TASK"),
        ("train hoper", "There is no environment 'hoper'; did you mean hopper?"),
        ("train Hoper-v5", "There is no environment 'Hoper-v5'; did you mean Hopper-v5"),
        (
            "train Zzz-v0",
            "There is no environment 'Zzz-v0' (Environment `Zzz` doesn't exist); `prefrl tasks`",
        ),
        (
            "train no_such_pkg:X-v0",
            "The module of 'no_such_pkg:X-v0' cannot be imported: No module named 'no_such_pkg'; install its",
        ),
        ("train NeedsWings-v0", "NeedsWings-v0 needs a package: Wings is not installed, run `pip install wings`."),
        ("train Blackjack-v1", "The observation space of Blackjack-v1 is Tuple("),
        ("train pendulum --algo dq", f"`algo` must be one of {', '.join(ALGORITHMS)}. Received 'dq'"),
        ("train pendulum --algo dqn", "dqn cannot act in Box(-2.0, 2.0, (1,), float32); it acts in Discrete."),
        (
            "train hopper-backflip --algo sac --restarts.first-policies 2",
            "`restarts.first_policies` must be 0 with algo=sac",
        ),
        (
            "train pendulum --algo sac --agent.normalize-rewards",
            "`agent.normalize_rewards` must be false with algo=sac",
        ),
        (
            "train pendulum --algo sac --agent.log-std-init -1",
            "`agent.log_std_init` must be 0 with algo=sac",
        ),
        ("train pendulum --labels 0", "`labels` must be at least 1. Received 0"),
        ("train pendulum --labels -5", "`labels` must be at least 1. Received -5"),
        ("train pendulum --labels 2000000", "`labels` must not exceed the 50000 steps"),
        ("train pendulum --total-timesteps 0", "`total_timesteps` must be at least 1. Received 0"),
        ("train pendulum --total-timesteps 2000", "`total_timesteps` must exceed the 2048 steps"),
        (
            "train pendulum --total-timesteps 9000 --feedback.initial-timesteps 8500",
            "Nothing would be asked: the last rollout of 2048 steps begins at step 8,192",
        ),
        ("train pendulum --segment-length 201", "`segment_length` must not exceed the episode of 200 steps"),
        (
            "train pendulum --device nonsense",
            "`device` must be auto, cpu, cuda, cuda:N or mps. Received",
        ),
        ("train pendulum --device cuda:99", "`device` is 'cuda:99', but this machine has none; use auto or cpu."),
        ("train pendulum --agent.device cuda:99", "`device` is 'cuda:99', but this machine has none"),
        ("train pendulum --seed -1", "`seed` must lie between 0 and 2**63 - 1. Received -1"),
        ("train pendulum --feedback.asking-share 7", "Expected 0 < `asking_share` <= 1"),
        (
            "train pendulum --oracle paper",
            "`oracle` is a choice of the paper's MuJoCo tasks only (hopper, halfcheetah",
        ),
        ("train pendulum --oracle gymnasium", "`oracle` is a choice of the paper's MuJoCo tasks only"),
        ("train pendulum --config no.yaml", "The configuration file no.yaml cannot be read"),
        ("train pendulum --config kwargs.yaml", "The environment 'prefrl/Pendulum-v0' cannot be made: "),
        ("train pendulum --config settings.yaml", "ppo does not take these settings: "),
        ("train pendulum --out empty", "empty exists already and is no run; choose another --out."),
        ("train pendulum --out kwargs.yaml", "kwargs.yaml exists and is a file; choose another --out."),
        ("train pendulum --out a/b/c --segment-length 201", "`segment_length` must not exceed the episode"),
        ("train pendulum --config inf.yaml", "`learning_rate` of the agent must be a finite number. Received inf"),
        (
            f"train pendulum --labels 1{400 * '0'}",
            "`labels` must not exceed 999,999,999,999. Received a number of 401",
        ),
        (f"train pendulum --seed 1{400 * '0'}", "`seed` must lie between 0 and 2**63 - 1. Received a number of"),
        (
            "train pendulum --agent.log-std-init nan",
            "`log_std_init` of the agent must be a finite number. Received nan",
        ),
        ("train pendulum --reward-model.learning-rate inf", "`learning_rate`"),
        ("train pendulum --out kwargs.yaml/run", "The run folder kwargs.yaml/run cannot be made: "),
        ("resume empty", "empty is no run: it has no config.json; give the folder that `train` made."),
        ("evaluate empty", "empty is no run: "),
        ("report empty", "empty is no run: "),
        ("refit empty", "empty is no run: "),
        ("hackcheck empty", "empty is no run: "),
        ("report", "A report needs at least one run; give the folder that `train` made."),
    ],
)
def test_mistake_is_one_sentence(
    command: str, sentence: str, prefrl: Prefrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        gymnasium.registry,
        "NeedsWings-v0",
        gymnasium.envs.registration.EnvSpec("NeedsWings-v0", entry_point=no_package),
    )
    (tmp_path / "empty").mkdir()
    (tmp_path / "kwargs.yaml").write_text("env_kwargs: {colour: red}")
    (tmp_path / "settings.yaml").write_text("agent: {settings: {n_stepz: 3}}")
    (tmp_path / "inf.yaml").write_text("agent: {settings: {learning_rate: .inf}}")
    code, out, err = prefrl(*command.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"prefrl: {sentence}")
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"empty", "inf.yaml", "kwargs.yaml", "settings.yaml"}


@pytest.mark.parametrize("flag", ["--tensorboard", "--wandb"])
def test_a_log_without_its_package_is_one_sentence(
    flag: str, prefrl: Prefrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefrl_envs.extras.find_spec", lambda name: None)
    code, out, err = prefrl("train", "pendulum", flag, "--out", tmp_path / "run")
    name = flag.removeprefix("--")
    assert (code, out) == (2, "")
    assert err == f"prefrl: `{name}` needs the package {name}; install it by `pip install 'prefrl[{name}]'`.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], (True, False)),
        (["--no-tensorboard"], (False, False)),
        (["--wandb", "--labels", "9"], (True, True)),
        (["--tensorboard", "--no-wandb"], (True, False)),
    ],
)
def test_a_resumed_run_logs_where_it_did_unless_told_otherwise(
    flags: list[str],
    expected: tuple[bool, bool],
    prefrl: Prefrl,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefrl import runs

    told: dict[str, object] = {}

    def resume(path: Path, listener: object, **settings: object) -> None:
        told.update(settings, path=path)
        raise SettingError("Enough.")

    monkeypatch.setattr(runs, "resume", resume)
    runs.RunFolder.create(tmp_path / "run", replace(load_preset("pendulum"), tensorboard=True))
    assert prefrl("resume", tmp_path / "run", *flags)[2].endswith("prefrl: Enough.\n")
    assert told["path"] == tmp_path / "run"
    assert (told["tensorboard"], told["wandb"]) == expected
    assert told["labels"] == (9 if "--labels" in flags else None)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train pendulum --colour red", "Unrecognized options: --colour"),
        ("train pendulum --labels many", "Error parsing --labels: invalid literal for int"),
        ("train pendulum --reward fame", "invalid choice 'fame'"),
        ("train pendulum --config", "Missing value for argument '--config'"),
        ("resume", "Folder of the run. (required)"),
        ("tasks extra", "Unrecognized options: extra"),
    ],
)
def test_mistake_in_the_arguments(command: str, words: str, prefrl: Prefrl) -> None:
    code, out, err = prefrl(*command.split())
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_debug_shows_where_it_came_from(prefrl: Prefrl) -> None:
    code, out, err = prefrl("train", "pendulum", "--labels", "0", "--debug")
    assert (code, out) == (2, "")
    assert err.startswith("Traceback (most recent call last):")
    assert err.endswith("prefrl: `labels` must be at least 1. Received 0.\n")


def test_faults_of_ours_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setitem(cli.COMMANDS, "tasks", ("", broken))
    with pytest.raises(KeyError, match="a fault"):
        cli.main(["tasks"])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InterruptedRunError("Stopped and saved."), 130, "prefrl: Stopped and saved.\n"),
        (KeyboardInterrupt(), 130, "prefrl: Stopped.\n"),
        (SettingError("A mistake."), 2, "prefrl: A mistake.\n"),
        (
            OSError(28, "No space left on device", "x.html"),
            2,
            "prefrl: [Errno 28] No space left on device",
        ),
    ],
)
def test_exit_codes(
    error: BaseException, code: int, words: str, prefrl: Prefrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object) -> None:
        raise error

    monkeypatch.setitem(cli.COMMANDS, "tasks", ("", failing))
    found, out, err = prefrl("tasks")
    assert (found, out) == (code, "")
    assert err.startswith(words)
    assert err.count("\n") == 1


def test_command_line_wins_over_file_and_preset(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefrl: Prefrl
) -> None:
    monkeypatch.chdir(tmp_path)
    started: list[tuple[RunConfig, Path]] = []

    def start(config: RunConfig, out: Path, listener: object, *, opened: object) -> None:
        started.append((config, out))
        raise SettingError("enough")

    monkeypatch.setattr("prefrl.runs.start", start)
    monkeypatch.setattr("prefrl_envs.ids.find_spec", lambda env_id: None)  # there is no my_pkg
    common = ("train", "pendulum", "--config", settings)
    (tmp_path / "runs" / "pendulum-ppo-0").mkdir(parents=True)
    prefrl(*common)
    prefrl(
        *common, "--labels", "11", "--algo=a2c", "--feedback.labels-per-round", "3", "--out", "x", "--seed", "4"
    )
    prefrl("train", "my_pkg:My/Env-v0", "--seed", "3")
    (by_file, first), (by_line, second), (_, third) = started
    assert (by_file.labels, by_file.algo, by_file.feedback.labels_per_round, by_file.seed) == (12, "ppo", 4, 0)
    assert by_file.agent.settings["n_steps"] == 32
    assert by_file.env_id == "prefrl/Pendulum-v0"
    assert (by_line.labels, by_line.algo, by_line.feedback.labels_per_round, by_line.seed) == (11, "a2c", 3, 4)
    assert by_line.feedback.initial_timesteps == 128
    # Without --out a folder that is not there yet.
    assert [str(path) for path in (first, second, third)] == [
        "runs/pendulum-ppo-0-2",
        "x",
        "runs/my_pkg-My-Env-v0-ppo-3",
    ]


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """`prefrl tasks | head -0`: no traceback about the broken pipe."""
    command = [sys.executable, "-c", "import time; time.sleep(0.5); from prefrl.cli import main; main(['tasks'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert "Traceback" not in err


def test_a_warning_is_one_line_without_places_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    try:
        cli.main(["tasks"])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("Something to know.", stacklevel=1)
    finally:
        warnings.showwarning = before
    assert capsys.readouterr().err == "prefrl: warning: Something to know.\n"
