"""A table's rows as Markdown: the long form for docs/benchmarks.md, and the short one for the README."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median

from benchmarks.tables.peers import is_peer
from benchmarks.tables.plans import ABLATIONS, GOALS, PENDULUM_SOLVED, PLANS, QUERIES, TEACHERS
from benchmarks.tables.rows import Row, Run
from benchmarks.tables.shares import interval, iqm, shares
from prefrl.registry import ALGORITHMS, OFF_POLICY

NOT_RUN = "Not run yet"
NAMES = {
    "preferences": "{} labels",
    "true": "true reward",
    "shuffled": "{} labels, shuffled",
    "constant": "constant reward",
}

PUBLISHED = {
    ("walker-walk", 500): "PEBBLE 0.955 of true reward",
    ("walker-walk", 1000): "PEBBLE 0.975 of true reward",
    ("walker-walk", 100): "PEBBLE 453, SURF 661, QPA 796, PPE 908",
    ("cheetah-run", 100): "after 1,000,000 steps: PEBBLE 546, SURF 557, QPA 579, PPE 645",
}
"""By task and labels, with an oracle: shares of B-Pref (Lee et al. 2021, ten seeds, interquartile mean), returns
of PPE's re-runs of the methods' own code (NeurIPS 2025, five seeds, mean). Walkers had 500,000 steps in both."""
PACKAGES = {"stable_baselines3": "Stable-Baselines3", "sb3_contrib": "sb3-contrib", "prefrl": "prefrl"}


def page(name: str, rows: Sequence[Row]) -> str:
    """Return a table with a line below it that says how complete it is, and of what."""
    return f"{FORMS[name](rows)}\n\n*{note(name, rows)}.*" if rows else f"{NOT_RUN}."


def note(name: str, rows: Sequence[Row]) -> str:
    """Return how many of a table's runs are there, with which code they were made, and whether alike."""
    if not rows:
        return NOT_RUN.lower()
    n_runs = len(PLANS[name]())
    made = f"{len(rows)} runs" if len(rows) == n_runs else f"{len(rows)} of {n_runs} runs so far"
    own, others = [row for row in rows if not is_peer(row)], [row for row in rows if is_peer(row)]
    said = [_of_revisions(own)] if own else []
    said += [f"imitation's {_of_revisions(others)}"] if others else []
    stepped = Counter(row.stepping for row in rows)
    if len(stepped.keys() - {None}) > 1:
        ways = ", ".join(f"{n} by {way}" if way else f"{n} unknown" for way, n in stepped.items())
        said.append(f"not all stepped in the same way: {ways}")
    return f"{made}, {'; '.join(said)}"


def _of_revisions(rows: Sequence[Row]) -> str:
    counts = Counter(row.revision for row in rows)
    if len(counts) == 1:
        return f"at revision {rows[0].revision}"
    return f"not all with the same code: {', '.join(f'{n} at {revision}' for revision, n in counts.items())}"


def flagship(rows: Sequence[Row]) -> str:
    """Return a line per behaviour and arm: who made it, how well, how soon."""
    share = shares(rows)
    lines = []
    for arm in _arms(rows):
        goal = GOALS[arm[0].task]
        values = [row.metric for row in arm if row.metric is not None]
        lines.append(
            [
                arm[0].task,
                _arm_name(arm[0]),
                f"{_n_made(arm)} of {len(arm)}",
                f"{goal.metric.replace('_', ' ')} {_range(values)}",
                _mean_or_empty([share[row.run] for row in arm if row.run in share]),
                f"{median(row.training_s for row in arm) / 60:.1f}",
                _soon([(row.half_labels, row.half_minutes) for row in arm]),
                _soon([(row.goal_labels, row.goal_minutes) for row in arm]),
                f"{median(row.policies for row in arm):g}",
            ]
        )
    head = ["task", "learns from", "made it", "median (lowest – highest)", "share of true reward", "minutes"]
    return _table([*head, "half of the goal after", "the goal after", "policies"], lines)


def paper(rows: Sequence[Row]) -> str:
    """Return a line per task with its shares of the true reward by number of labels, and one over all tasks."""
    share = shares(rows)
    sections = []
    for algo in dict.fromkeys(row.algo for row in rows):
        own = [row for row in rows if row.algo == algo]
        columns = _columns(own)
        lines = []
        for task in dict.fromkeys(row.task for row in own):
            cells = [[row for row in own if row.task == task and _column(row) == column] for column in columns]
            lines.append([task, *(_share_cell(cell, share) for cell in cells)])
        overall = [_overall([row for row in own if _column(row) == c], share) for c in columns]
        lines.append(["**interquartile mean**", *overall])
        sections += [f"**{algo.upper()}**", _table(["", *(NAMES[r].format(f"{n:,}") for r, n in columns)], lines)]
    return "\n\n".join(sections)


def reliability(rows: Sequence[Row]) -> str:
    """Return a line per task and arm: median, worst, and how many runs fall below half of the median."""
    lines = []
    for arm in _arms(rows):
        returns = [row.true_return for row in arm]
        n_failed = sum(value < median(returns) / 2 for value in returns)
        figures = [f"{median(returns):,.0f}", f"{min(returns):,.0f}", f"{max(returns):,.0f}"]
        lines.append([arm[0].task, _arm_name(arm[0]), *figures, f"{n_failed} of {len(arm)}"])
    return _table(["task", "learns from", "median", "lowest", "highest", "below half of the median"], lines)


def ablations(rows: Sequence[Row]) -> str:
    """Return a line per variant with its share of the true reward on each task."""
    share = shares(rows)
    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = []
    for variant in ABLATIONS:
        cells = [
            [row for row in rows if (row.task, row.variant, row.reward) == (task, variant, "preferences")]
            for task in tasks
        ]
        if any(cells):
            lines.append([variant or "the preset", *(_share_cell(cell, share) for cell in cells)])
    return _table(["", *tasks], lines)


def label_efficiency(rows: Sequence[Row]) -> str:
    """Return a line per number of labels with the share of the true reward, and who reached the goal."""
    share = shares(rows)
    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = []
    for labels in sorted({row.labels for row in rows if row.reward == "preferences"}):
        cells = [[row for row in rows if (row.task, row.labels) == (task, labels)] for task in tasks]
        lines.append([f"{labels}", *("; ".join(filter(None, [_share_cell(c, share), _made(c)])) for c in cells)])
    return _table(["labels", *tasks], lines)


def imitation(rows: Sequence[Row]) -> str:
    """Return a line per task, system and arm: true return, share of its own true reward, steps, time, memory."""
    share = shares(rows)
    lines = []
    for arm in _arms(rows):
        returns, own = [row.true_return for row in arm], [share[row.run] for row in arm if row.run in share]
        lines.append(
            [
                arm[0].task,
                arm[0].variant if is_peer(arm[0]) else "prefrl",
                _arm_name(arm[0]),
                f"{mean(returns):,.0f} ({min(returns):,.0f} – {max(returns):,.0f})",
                _mean_or_empty(own),
                _median_or_empty([row.agent_steps for row in arm]),
                _median_or_empty([row.training_s for row in arm]),
                _median_or_empty([row.refit_s for row in arm]),
                _median_or_empty([row.peak_mb for row in arm]),
            ]
        )
    head = ["task", "by", "learns from", "true return (lowest – highest)", "share of its own true reward"]
    return _table([*head, "steps", "seconds", "of these for the reward", "MB"], lines)


def pendulum(rows: Sequence[Row]) -> str:
    """Return a line per number of labels: the mean, and how many runs are solved."""
    lines = []
    for arm in _arms(rows):
        returns = [row.true_return for row in arm]
        n_solved = sum(value > PENDULUM_SOLVED for value in returns)
        figures = [f"{mean(returns):.1f}", f"{median(returns):.1f}", f"{min(returns):.1f}"]
        lines.append([_arm_name(arm[0]), *figures, f"{n_solved} of {len(arm)}"])
    lines.append(["imitation, as published", "-196.5", "", "", "79 of 100"])
    return _table(["", "mean return", "median", "lowest", f"above {PENDULUM_SOLVED:.0f}"], lines)


def algorithms(rows: Sequence[Row]) -> str:
    """Return a line per algorithm and task: true returns from labels and from the true reward, and seconds."""
    share = shares(rows)
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.task, row.algo].append(row)
    lines = []
    for (task, algo), own in groups.items():
        learned, true = ([row for row in own if row.reward == reward] for reward in ("preferences", "true"))
        returns = [_range([row.true_return for row in arm]) if arm else "" for arm in (learned, true)]
        seconds = [_median_or_empty([row.training_s for row in arm]) for arm in (learned, true)]
        of_true = _mean_or_empty([share[row.run] for row in learned if row.run in share])
        lines.append([task, f"`{algo}`", f"{own[0].steps:,}", *returns, of_true, *seconds])
    head = ["task", "algorithm", "steps", "from labels: median (lowest – highest)", "from the true reward"]
    return _table([*head, "share", "seconds", "with the true reward"], lines)


def bpref(rows: Sequence[Row]) -> str:
    """Return a line per task and arm: true returns, shares of the true reward, and what others published."""
    share = shares(rows)
    lines = []
    for arm in _arms(rows):
        returns, own = [row.true_return for row in arm], [share[row.run] for row in arm if row.run in share]
        lines.append(
            [
                arm[0].task,
                _arm_name(arm[0]),
                f"{arm[0].steps:,}",
                f"{mean(returns):,.0f} ({min(returns):,.0f} – {max(returns):,.0f})",
                _mean_or_empty(own),
                PUBLISHED.get((arm[0].task, arm[0].labels), ""),
                _median_or_empty([row.training_s for row in arm]),
            ]
        )
    head = ["task", "learns from", "steps", "mean return (lowest – highest)", "share of true reward"]
    return _table([*head, "published", "seconds"], lines)


def feedback(rows: Sequence[Row]) -> str:
    """Return a line per kind of feedback and number of labels."""
    lines = []
    for arm in _arms(rows):
        returns = _range([row.true_return for row in arm])
        lines.append(
            [arm[0].task, arm[0].variant.removeprefix("erring "), f"{arm[0].labels}", returns, f"{len(arm)}"]
        )
    return _table(["task", "feedback", "labels", "true return: median (lowest – highest)", "runs"], lines)


def teachers(rows: Sequence[Row]) -> str:
    """Return a line per teacher: shares of the true reward by task and budget, and over both tasks."""
    return _variants(rows, {"": "oracle"} | {name: name.removeprefix("B-Pref's ") for name in TEACHERS})


def asking(rows: Sequence[Row]) -> str:
    """Return a line per way of asking, and the like: shares of the true reward, and who reached the goal."""
    return _variants(rows, {"": "the preset"} | {name: name.removesuffix(" queries") for name in QUERIES})


def _variants(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """Return a line per variant: a column for each task and number of labels, and over tasks for each number."""
    share = shares(rows)
    learned = [row for row in rows if row.reward == "preferences"]
    tasks = list(dict.fromkeys(row.task for row in learned))
    budgets = sorted({row.labels for row in learned})
    lines = []
    for variant, name in names.items():
        own = [row for row in learned if row.variant == variant]
        cells = []
        for labels in budgets:
            for task in tasks:
                cell = [row for row in own if (row.task, row.labels) == (task, labels)]
                cells.append("; ".join(filter(None, [_share_cell(cell, share), _made(cell)])))
            cells.append(_overall([row for row in own if row.labels == labels], share))
        if own:
            lines.append([name, *cells])
    head = [f"{column}, {labels}" for labels in budgets for column in (*tasks, "**interquartile mean**")]
    return _table(["", *head], lines)


FORMS: dict[str, Callable[[Sequence[Row]], str]] = {
    form.__name__: form
    for form in (
        flagship,
        paper,
        reliability,
        imitation,
        ablations,
        label_efficiency,
        pendulum,
        algorithms,
        bpref,
        feedback,
        teachers,
        asking,
    )
}


def short(behaviours: Sequence[Row], tasks: Sequence[Row]) -> str:
    """Return the README's table: each behaviour, and together those of the paper's tasks that have a share."""
    lines = []
    share = shares(behaviours)
    for arm in _arms(behaviours):
        if arm[0].reward != "preferences":
            continue
        own = [share[row.run] for row in arm if row.run in share]
        minutes = f"{median(row.training_s for row in arm) / 60:.1f}"
        made = f"{_n_made(arm)} of {len(arm)}"
        lines.append([f"`{arm[0].task}`", f"{arm[0].labels:,}", minutes, made, _mean_or_empty(own)])
    share = shares(tasks)
    for labels in sorted({row.labels for row in tasks if row.reward == "preferences"}):
        arm = [row for row in tasks if (row.labels, row.algo, row.reward) == (labels, "ppo", "preferences")]
        arm = [row for row in arm if row.run in share]
        if not arm:
            continue
        minutes = f"{median(row.training_s for row in arm) / 60:.1f}"
        n_tasks = len({row.task for row in arm})
        lines.append([f"{n_tasks} of the paper's MuJoCo tasks", f"{labels:,}", minutes, "", _overall(arm, share)])
    table = _table(["task", "labels", "minutes", "seeds that made it", "share of true reward"], lines)
    return f"{table}\n\n*Behaviours: {note('flagship', behaviours)}. The paper's tasks: {note('paper', tasks)}.*"


def algorithms_there_are(rows: Sequence[Row]) -> str:
    """Return the README's list of algorithms: each with the returns it came to, where it was run."""
    tasks = list(dict.fromkeys(run.task for run in PLANS["algorithms"]()))
    lines = []
    for algo, where in ALGORITHMS.items():
        module, _, name = where.partition(":")
        package = PACKAGES[module.partition(".")[0]]
        learns = "a replay buffer" if algo in OFF_POLICY else "rollouts"
        cells = [[row for row in rows if (row.algo, row.task) == (algo, task)] for task in tasks]
        lines.append([f"`{algo}`", f"{package}'s {name}", learns, *map(_both_returns, cells)])
    heads = [f"`{task}`: labels / true reward" for task in tasks]
    return _table(["`--algo`", "is", "learns from", *heads], lines)


def _both_returns(cell: Sequence[Row]) -> str:
    """Return the median true returns from labels and from the true reward."""
    arms = [[row.true_return for row in cell if row.reward == reward] for reward in ("preferences", "true")]
    return " / ".join(f"{median(arm):,.0f}" if arm else "–" for arm in arms) if cell else ""


def _arms(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows in groups that differ in the seed only, a task's together and its controls last."""
    groups: dict[tuple[str, str, str, int, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.task, row.algo, row.reward, row.labels, row.variant, row.steps].append(row)
    tasks = list(dict.fromkeys(row.task for group in groups.values() for row in group))
    rewards = list(NAMES)
    return sorted(
        groups.values(), key=lambda g: (tasks.index(g[0].task), rewards.index(g[0].reward), -g[0].labels)
    )


def _arm_name(row: Row) -> str:
    return NAMES[row.reward].format(f"{row.labels:,}")


def _column(row: Row) -> tuple[str, int]:
    return row.reward, row.labels


def _columns(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Return the arms of the paper's table: from few labels to many, then the controls."""
    return sorted({_column(row) for row in rows}, key=lambda column: (list(NAMES).index(column[0]), column[1]))


def _n_made(arm: Sequence[Row]) -> int:
    return sum(row.metric is not None and row.metric >= GOALS[row.task].value for row in arm)


def _made(cell: Sequence[Row]) -> str:
    """Return how many runs of an arm made it, where their task has a goal."""
    return f"{_n_made(cell)} of {len(cell)} made it" if cell and cell[0].metric_name else ""


def _share_cell(cell: Sequence[Row], share: Mapping[Run, float]) -> str:
    """Return the mean share of an arm's runs, with the lowest and the highest."""
    values = [share[row.run] for row in cell if row.run in share]
    return f"{mean(values):.2f} ({min(values):.2f} – {max(values):.2f})" if values else ""


def _overall(rows: Sequence[Row], share: Mapping[Run, float]) -> str:
    """Return the interquartile mean over tasks and seeds; with its interval, where each task has several seeds."""
    by_task: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.run in share:
            by_task[row.task].append(share[row.run])
    if not by_task:
        return ""
    middle = f"{iqm([value for values in by_task.values() for value in values]):.2f}"
    if min(map(len, by_task.values())) < 2:
        return middle
    low, high = interval(by_task)
    return f"{middle} (95 %: {low:.2f} – {high:.2f})"


def _mean_or_empty(values: Sequence[float]) -> str:
    return f"{mean(values):.2f}" if values else ""


def _median_or_empty(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):,.0f}" if known else ""


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} – {max(values):.2f})"


def _soon(reached: Sequence[tuple[int | None, float | None]]) -> str:
    """Return the median labels and minutes of those runs that got there, and how many did if not all."""
    there = [(labels, minutes) for labels, minutes in reached if labels is not None and minutes is not None]
    if not there:
        return "never"
    labels, minutes = (median(values) for values in zip(*there, strict=True))
    said = f"{labels:.0f} labels, {minutes:.1f} min" if labels else f"{minutes:.1f} min"
    return said if len(there) == len(reached) else f"{said} ({len(there)} of {len(reached)})"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])
