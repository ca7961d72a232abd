"""Writes the tables of benchmark results between their markers in README.md and docs, or checks them."""

import csv
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.learning import read, summary  # noqa: E402  the path comes first

PAGES = ("README.md", "docs/benchmarks.md")
RESULTS = ROOT / "benchmarks" / "results"


def learning_table() -> str:
    """Return the table of what agents have learned."""
    return summary(read())


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
    "learning": learning_table,
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
