"""Writes the tables of benchmark results between their markers in README.md and docs, or checks them."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.learning import read, summary  # noqa: E402  the path comes first

PAGES = ("README.md", "docs/benchmarks.md")
START, END = "<!-- learning results: start -->", "<!-- learning results: end -->"


def with_table(text: str) -> str:
    """Return a page with what stands between its markers replaced by the table; without markers, as it is."""
    if START not in text:
        return text
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{START}\n{summary(read())}\n{END}{after}"


def main() -> int:
    """Write the pages; with `--check` only compare, and return 1 if one is out of date."""
    stale = []
    for name in PAGES:
        page = ROOT / name
        found = page.read_text(encoding="utf-8")
        wanted = with_table(found)
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
