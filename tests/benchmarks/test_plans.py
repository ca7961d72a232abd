"""The runs of the published tables."""

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.tables.markdown import FORMS, PUBLISHED
from benchmarks.tables.peers import is_peer
from benchmarks.tables.plans import (
    ABLATIONS,
    CHOOSES,
    FIRST_PAPER_SEEDS,
    FIRST_SEEDS,
    GOALS,
    ONE_BY_ONE,
    PAPER_TASKS,
    PLANS,
    QUERIES,
    TEACHERS,
    VARIANTS,
    options,
)
from benchmarks.tables.rows import Run
from prefrl.cli.parsing import train_settings
from prefrl.registry import ALGORITHMS, STRATEGIES
from prefrl_envs.tasks import TASKS


@pytest.mark.parametrize("name", PLANS)
def test_no_run_is_planned_twice(name: str) -> None:
    runs = PLANS[name]()
    assert len(set(runs)) == len(runs) > 0


@pytest.mark.parametrize("name", PLANS)
def test_seeds_are_none_of_those_that_settings_were_chosen_on(name: str) -> None:
    for run in PLANS[name]():
        assert FIRST_SEEDS.get(run.task, 100) <= run.seed < 300
    assert min(FIRST_SEEDS.values()) == 100


def test_a_preset_that_was_changed_after_it_was_shown_is_shown_on_other_seeds() -> None:
    """Hoppers had been shown on 110 to 124, Walkers on 110 to 116, Pendulums on 100 to 134, double ones on 110."""
    for name in ("paper", "reliability", "imitation", "ablations", "label_efficiency"):
        for run in PLANS[name]():
            first = {"hopper": 130, "walker2d": 120, "inverted-double-pendulum": 120}
            assert run.seed >= first.get(run.task, 110)
    assert {run.seed for run in PLANS["algorithms"]() if run.task == "pendulum"} == {200, 201, 202}
    seeds = [run.seed for run in PLANS["pendulum"]()]
    assert (min(seeds), max(seeds)) == (200, 299)
    assert seeds[:100] == sorted(set(seeds)), "a run from 200 labels for each, before those from fewer"


def test_every_table_has_a_form() -> None:
    assert list(FORMS) == list(PLANS)


def arms(name: str, task: str) -> Counter[tuple[str, str, int]]:
    return Counter((run.algo, run.reward, run.labels) for run in PLANS[name]() if run.task == task)


def test_the_flagship_has_ten_seeds_and_its_controls() -> None:
    assert arms("flagship", "hopper-backflip") == {
        ("ppo", "preferences", 300): 10,
        ("ppo", "preferences", 100): 10,
        ("ppo", "true", 0): 10,
        ("ppo", "shuffled", 300): 5,
    }
    assert arms("flagship", "ant-turning") == {
        ("ppo", "preferences", 900): 5,
        ("ppo", "true", 0): 3,
        ("ppo", "shuffled", 900): 2,
    }
    assert {run.task for run in PLANS["flagship"]()} == set(GOALS) == set(FIRST_SEEDS)


def test_the_paper_table_has_eight_tasks_and_two_more_algorithms() -> None:
    assert len(PAPER_TASKS) == 8
    ppo = {("ppo", "preferences", n): 5 for n in (200, 700, 1400)} | {
        ("ppo", "true", 0): 5,
        ("ppo", "shuffled", 700): 2,
    }
    others = {(algo, *arm): 3 for algo in ("trpo", "a2c") for arm in (("true", 0), ("preferences", 700))}
    assert arms("paper", "ant") == ppo
    assert arms("paper", "hopper") == ppo | others
    assert {run.steps for run in PLANS["paper"]()} == {500_000}


def test_what_matters_most_comes_first() -> None:
    first = PLANS["paper"]()[:16]
    assert len({run.task for run in first}) == 8
    assert {run.seed for run in first} == {FIRST_PAPER_SEEDS[run.task] for run in first}
    assert {run.labels for run in first} == {0, 700}
    flagship = PLANS["flagship"]()
    assert [(run.labels, run.seed) for run in flagship[:20]] == [
        (labels, seed) for labels in (300, 100) for seed in range(130, 140)
    ]
    assert {run.reward for run in flagship[:45]} == {"preferences"}
    assert {run.task for run in flagship[20:25]} == set(GOALS) - {"hopper-backflip"}
    assert {run.reward for run in flagship[45:]} == {"true", "shuffled"}


def test_tables_share_what_they_have_in_common() -> None:
    paper = set(PLANS["paper"]())
    shared = [run for run in PLANS["reliability"]() if run in paper]
    assert len(shared) == 30  # 3 tasks, 2 arms, 5 seeds
    assert [run for run in PLANS["ablations"]() if run.variant == "" and run not in paper] == []
    assert {run.variant for run in PLANS["ablations"]()} == set(ABLATIONS)
    few = {run for run in PLANS["label_efficiency"]() if run.task == "hopper-backflip" and run.labels == 100}
    assert len(few) == 3
    assert few <= set(PLANS["flagship"]())


def test_imitation_makes_the_runs_that_we_make() -> None:
    theirs = [run for run in PLANS["imitation"]() if is_peer(run)]
    assert len(theirs) == 18
    ours = [run for run in PLANS["imitation"]() if not is_peer(run)]
    assert {replace(run, variant=ONE_BY_ONE) for run in theirs} == set(ours)
    assert {train_settings(options(run))[1].stepping for run in ours} == {"sb3"}


def test_kinds_of_feedback_have_one_teacher_and_the_same_seeds() -> None:
    runs = PLANS["feedback"]()
    settings = [train_settings(options(run))[1] for run in runs]
    assert {config.teacher for config in settings} == {"boltzmann"}
    arms = {(config.feedback.kind, config.labels) for config in settings}
    assert arms == {
        *(("pair", 700), ("strength", 700), ("strength", 560)),
        *(("ranking", 350), ("ranking", 140), ("rating", 700), ("rating", 1400)),
    }
    assert {arm: 3 for arm in arms} == Counter((config.feedback.kind, config.labels) for config in settings)
    assert len({config.seed for config in settings}) == 3


def test_goals_are_metrics_of_their_tasks() -> None:
    for task, goal in GOALS.items():
        assert goal.metric in TASKS[task].metrics


def test_the_command_line_makes_of_a_run_what_it_says() -> None:
    kinds: dict[tuple[str, str, str, int, str], Run] = {}
    for run in (run for plan in PLANS.values() for run in plan() if not is_peer(run)):
        kinds[run.task, run.algo, run.reward, run.labels, run.variant] = run
    assert {variant for *_, variant in kinds} == set(VARIANTS)
    chosen = [run for run in kinds.values() if run.task in ("hopper", "pendulum", "hopper-backflip")]
    for run in chosen:
        config = train_settings(options(run))[1]
        assert (config.task, config.algo, config.seed) == (run.task, run.algo, run.seed)
        assert config.total_timesteps == run.steps
        assert config.shuffle_labels == (run.reward == "shuffled")
        if run.labels:
            assert (config.reward, config.labels) == ("preferences", run.labels)
        else:
            assert config.reward == run.reward == "true"


@pytest.mark.parametrize(
    ("variant", "part", "name", "value"),
    [
        ("one network", "reward_model", "n_members", 1),
        ("by disagreement", "feedback", "strategy", "disagreement"),
        ("no L2", "reward_model", "l2", 0),
        ("single steps", "feedback", "segment_length", 1),
        ("all labels first", "feedback", "initial_share", 1),
        ("no errors assumed", "reward_model", "error_rate", 0),
    ],
)
def test_a_variant_changes_one_setting(variant: str, part: str, name: str, value: object) -> None:
    [run] = [run for run in PLANS["ablations"]() if (run.variant, run.task, run.seed) == (variant, "hopper", 130)]
    [plain] = [
        run
        for run in PLANS["ablations"]()
        if (run.variant, run.labels, run.task, run.seed) == ("", 700, "hopper", 130)
    ]
    config, preset = train_settings(options(run))[1].to_json(), train_settings(options(plain))[1].to_json()
    assert config[part][name] == value != preset[part][name]
    config[part][name] = preset[part][name]
    assert config == preset


def test_teachers_are_those_of_b_pref_at_two_budgets() -> None:
    runs = PLANS["teachers"]()
    arms = Counter((run.labels, run.variant) for run in runs if run.task == "hopper")
    assert arms == (
        {(labels, name): 5 for labels in (200, 700) for name in ("", *list(TEACHERS)[:5])}
        | {(700, name): 5 for name in list(TEACHERS)[5:]}
        | {(0, ""): 5}
    )
    found = {}
    for run in runs[:8]:
        config = train_settings(options(run))[1]
        found[run.variant] = (config.teacher, {**config.teacher_settings})
    settings = {name.removeprefix("B-Pref's "): own for name, (_, own) in found.items()}
    assert found[""][0] == "oracle"
    assert {teacher for name, (teacher, _) in found.items() if name} == {"bpref"}
    assert {name: own for name, own in settings.items() if name} == {
        "stoc": {"beta": 1.0},
        "myopic": {"discount": 0.9},
        "mistake": {"mistakes": 0.1},
        "skip": {"skip": 0.1},
        "equal": {"equal": 0.1},
        "skip-as-published": {"skip": 0.1, "as_published": True},
        "equal-as-published": {"equal": 0.1, "as_published": True},
    }


def test_what_is_asked_is_tried_on_three_tasks_at_two_budgets() -> None:
    runs = PLANS["asking"]()
    assert len(runs) == 3 * (2 * 3 * (1 + len(QUERIES)) + 2)
    for name in QUERIES:
        own = Counter((run.task, run.labels) for run in runs if run.variant == name)
        assert own == {(task, n): 3 for task in ("hopper", "halfcheetah", "hopper-backflip") for n in (100, 400)}
    asked = {train_settings(options(run))[1].feedback.strategy for run in runs if run.variant.endswith(" queries")}
    assert set(STRATEGIES) - asked == {"near-policy"}  # in a mixture


def test_every_algorithm_is_run_on_a_small_task_and_on_a_cheetah_if_it_can_act_there() -> None:
    for algo in ALGORITHMS:
        tasks = Counter((run.task, run.reward) for run in PLANS["algorithms"]() if run.algo == algo)
        small = "cartpole" if algo in CHOOSES else "pendulum"
        expected = {(small, "preferences"): 3, (small, "true"): 3}
        if algo not in CHOOSES:
            expected |= {("halfcheetah", "preferences"): 3, ("halfcheetah", "true"): 3}
        assert tasks == expected


def test_bpref_has_the_budgets_that_others_published_for() -> None:
    assert arms("bpref", "walker-walk") == {
        ("sac", "true", 0): 3,
        ("sac", "preferences", 100): 3,
        ("sac", "preferences", 500): 3,
        ("sac", "preferences", 1000): 3,
    }
    assert arms("bpref", "cheetah-run") == {("sac", "true", 0): 3, ("sac", "preferences", 100): 3}
    assert {run.steps for run in PLANS["bpref"]()} == {500_000}
    assert {(run.task, run.labels) for run in PLANS["bpref"]() if run.labels} == set(PUBLISHED)
