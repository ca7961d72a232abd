"""Writes the tables of benchmark results between their markers in README.md and docs, or checks them."""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.tables.markdown import algorithms_there_are, page, short  # noqa: E402  the path comes first
from benchmarks.tables.plans import PLANS  # noqa: E402
from benchmarks.tables.table import Table  # noqa: E402

PAGES = ("README.md", "docs/benchmarks.md")
RESULTS = ROOT / "benchmarks" / "results"
EARLIER = "benchmarks/results/learning.csv"

Line = dict[str, str]


def learning_page(name: str, results: Path = RESULTS) -> str:
    """Return one of the tables of learning quality, with its learning curves where they are drawn."""
    picture = ROOT / "docs" / "pictures" / f"{name}.svg"
    curves = f"![Learning curves: medians over seeds, in bands from quartile to quartile](pictures/{name}.svg)\n\n"
    return (curves if picture.exists() else "") + page(name, Table(name, results).rows())


def short_page(results: Path = RESULTS) -> str:
    """Return the README's table; as long as there are no runs for it, the earlier results."""
    behaviours, tasks = Table("flagship", results).rows(), Table("paper", results).rows()
    return (
        short(behaviours, tasks) if behaviours or tasks else f"Earlier, {earlier_origin()}:\n\n{earlier_table()}"
    )


def algorithms_page(results: Path = RESULTS) -> str:
    """Return the README's list of algorithms."""
    return algorithms_there_are(Table("algorithms", results).rows())


def earlier_page(results: Path = RESULTS) -> str:
    """Return the earlier results as a section, as long as the tables that take their place are not complete."""
    if not any(Table(name, results).missing() for name in ("flagship", "paper")):
        return ""
    return f"## Earlier results\n\nMade {earlier_origin()}.\n\n{earlier_table()}"


def earlier_origin() -> str:
    """Return where the earlier results come from."""
    revisions = {line["git_revision"] for line in _earlier_lines()}
    return f"with {len(revisions)} states of the code (`git_revision` in `{EARLIER}`), seeds from 0 on in order"


def earlier_table() -> str:
    """Return the table of the earlier results: means over seeds, and the seeds in brackets."""
    groups: dict[tuple[str, str, int, str], list[Line]] = defaultdict(list)
    for line in _earlier_lines():
        groups[line["task"], line["algo"], int(line["total_timesteps"]), line["arm"]].append(line)
    head = "| task | algo | steps | arm | labels | true return (seeds) | share | metrics | seconds |"
    lines = [head, "|---" * 9 + "|"]
    for (task, algo, steps, arm), group in sorted(groups.items()):
        returns = [float(line["true_return"]) for line in group]
        true = [float(line["true_return"]) for line in groups.get((task, algo, steps, "true"), [])]
        share = f"{mean(returns) / mean(true):.2f}" if true else ""
        seconds = mean(float(line["training_seconds"]) for line in group)
        seeds = ", ".join(f"{value:.0f}" for value in returns)
        figures = (
            f"{group[0]['labels']} | {mean(returns):.0f} ({seeds}) | {share} | {_metrics(group)} | {seconds:.0f}"
        )
        lines.append(f"| {task} | {algo} | {steps:,} | {arm} | {figures} |")
    return "\n".join(lines)


def _earlier_lines() -> list[Line]:
    with (ROOT / EARLIER).open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda line: int(line["seed"]))


def _metrics(group: Sequence[Line]) -> str:
    parsed = [json.loads(line["metrics"]) for line in group]
    parts = []
    for name in parsed[0]:
        values = [metrics[name] for metrics in parsed]
        label = name.removesuffix("_per_episode")
        parts.append(f"{label} {mean(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})")
    return "; ".join(parts)


def tables_of(benchmark: str) -> str:
    """Return a table for each section of a benchmark: a line per case, a column per measure."""
    sections: dict[str, dict[str, dict[str, str]]] = {}
    with (RESULTS / f"{benchmark}.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            cases = sections.setdefault(line["section"], {})
            cases.setdefault(line["case"], {})[line["measure"]] = _short(float(line["value"]))
    return "\n".join(_table(section, cases) for section, cases in sections.items())


def _table(section: str, cases: dict[str, dict[str, str]]) -> str:
    measures = list(dict.fromkeys(measure for row in cases.values() for measure in row))
    lines = [f"\n**{section}**\n", f"| | {' | '.join(measures)} |", f"|---{'|---' * len(measures)}|"]
    for case, row in cases.items():
        lines.append(f"| {case} | {' | '.join(row.get(measure, '') for measure in measures)} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


TABLES: dict[str, Callable[[], str]] = {
    "short": short_page,
    "short algorithms": algorithms_page,
    **{name: partial(learning_page, name) for name in PLANS},
    "earlier": earlier_page,
    "speed": partial(tables_of, "speed"),
    "stepping": partial(tables_of, "stepping"),
    "atari": partial(tables_of, "atari"),
}


def with_tables(text: str) -> str:
    """Return a page with what stands between its markers replaced by the tables; without markers, as it is."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} results: start -->", f"<!-- {name} results: end -->"
        if start in text:
            before, rest = text.split(start, 1)
            text = f"{before}{start}\n{table()}\n{end}{rest.split(end, 1)[1]}"
    return text


def main() -> int:
    """Write the pages; with `--check` only compare, and return 1 if one is out of date."""
    stale = []
    for name in PAGES:
        page = ROOT / name
        found = page.read_text(encoding="utf-8")
        wanted = with_tables(found)
        if found != wanted:
            stale.append(name)
            if sys.argv[1:] != ["--check"]:
                page.write_text(wanted, encoding="utf-8")
    if stale and sys.argv[1:] == ["--check"]:
        print(
            f"The benchmark tables in {', '.join(stale)} are out of date; `make docs` writes them.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
