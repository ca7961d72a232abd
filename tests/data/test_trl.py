"""Preference data sets: what TRL wants of one, what is left out, and that TRL itself reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pyarrow import parquet

from prefrl.data import ExportedPairs, export_pairs
from prefrl.data.trl import as_text
from prefrl.errors import RunError
from prefrl.segments import Segment, pairs_of
from prefrl.store import Store

MakeLabels = Callable[..., Path]

READER = Path(__file__).with_name("read_by_trl.py")
PYTHON = sys.executable if find_spec("trl") else os.environ.get("PREFRL_TRL_PYTHON")
"""A Python that has TRL, which wants a hundred packages and is no dependency of ours."""


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Read a data set as a library would that goes by its card."""
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    [config] = yaml.safe_load(head)["configs"]
    rows: list[dict[str, Any]] = parquet.read_table(folder / config["data_files"]).to_pylist()
    return rows


def returns_of(store: Store, row: dict[str, Any]) -> tuple[float, float]:
    chosen, rejected = (store.segment(row[f"{name}_segment"]) for name in ("chosen", "rejected"))
    return chosen.env_return, rejected.env_return


def test_what_trl_wants_of_a_row(make_labels: MakeLabels, tmp_path: Path) -> None:
    """Texts `prompt`, `chosen` and `rejected`, and no other column that TRL would make something of."""
    run = make_labels(tmp_path / "run")
    done = export_pairs(run, tmp_path / "pairs")
    rows = rows_of(tmp_path / "pairs")
    assert done.pairs == len(rows) > 0
    for row in rows:
        assert all(isinstance(row[name], str) and row[name] for name in ("prompt", "chosen", "rejected"))
        assert not {"margin", "images", "tools", "messages", "completion", "label"} & row.keys()
        assert row["prompt"] == "Which?\n"
    with Store(run) as store:
        for row in rows:
            for name in ("chosen", "rejected"):
                assert row[name] == as_text(store.segment(row[f"{name}_segment"]))
            if row["labeler"] == "oracle":
                chosen, rejected = returns_of(store, row)
                assert chosen > rejected
    assert {row["labeler"] for row in rows} <= {"oracle", "person-1"}, "no name, and nobody who is set aside"


def test_ties_and_skips_are_counted_and_left_out(make_labels: MakeLabels, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run")
    with Store(run) as store:
        comparisons, cannot_tell = store.comparisons(), store.counts().cannot_tell
    ties = sum(one.is_tie for one in comparisons)
    assert (ties, cannot_tell) == (1, 1)
    done = export_pairs(run, tmp_path / "pairs")
    assert done == ExportedPairs(
        out=tmp_path / "pairs", pairs=len(comparisons) - 1, ties=1, cannot_tell=1, ratings=0
    )
    assert str(done) == f'{done.pairs} pairs; left out: 1 ties, 1 "can\'t tell", 0 ratings'
    assert done.left_out in (tmp_path / "pairs" / "README.md").read_text()


def test_a_ranking_is_each_two_that_differ(make_labels: MakeLabels, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run", kind="ranking")
    done = export_pairs(run, tmp_path / "pairs")
    with Store(run) as store:
        n_pairs = sum(len(pairs_of(len(one.segments))) for one in store.comparisons())
        by_oracle = [row for row in rows_of(tmp_path / "pairs") if row["labeler"] == "oracle"]
        assert done.pairs + done.ties == n_pairs
        assert by_oracle
        for row in by_oracle:
            chosen, rejected = returns_of(store, row)
            assert chosen > rejected


def test_how_much_better_is_said_beside(make_labels: MakeLabels, tmp_path: Path) -> None:
    run = make_labels(tmp_path / "run", kind="strength")
    export_pairs(run, tmp_path / "pairs")
    with Store(run) as store:
        for row in rows_of(tmp_path / "pairs"):
            if row["labeler"] == "oracle":
                chosen, rejected = returns_of(store, row)
                assert row["is_much_better"] == (chosen - rejected > 1)


def test_what_is_no_text_or_no_pair_is_refused(make_labels: MakeLabels, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="are images, and TRL reads text"):
        export_pairs(make_labels(tmp_path / "images", space="images"), tmp_path / "pairs")
    with pytest.raises(RunError, match=r"no pairs of which one is the better: there are 0 ties, 1 .*, 6 ratings"):
        export_pairs(make_labels(tmp_path / "rated", kind="rating"), tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()


def test_a_segment_as_text_has_all_but_the_true_reward(rng: np.random.Generator) -> None:
    segment = Segment(
        observations=rng.normal(size=(3, 2)).astype(np.float32),
        actions=np.array([0, 2, 1]),
        env_rewards=np.array([77.25, 0, 0]),
        next_observation=np.array([0.1, 1e-9], dtype=np.float32),
    )
    text = as_text(segment)
    *steps, last = map(json.loads, text.splitlines())
    np.testing.assert_array_equal(
        np.array([step["observation"] for step in steps], dtype=np.float32), segment.observations
    )
    assert [step["action"] for step in steps] == [0, 2, 1]
    assert last == {"observation": [0.1, 1e-9]}
    assert "77.25" not in text


@pytest.mark.slow
@pytest.mark.skipif(
    PYTHON is None, reason="TRL is not installed, and PREFRL_TRL_PYTHON names no Python that has it"
)
def test_trl_reads_it_and_trains_on_it(make_labels: MakeLabels, tmp_path: Path) -> None:
    done = export_pairs(make_labels(tmp_path / "run"), tmp_path / "pairs")
    assert PYTHON is not None
    command = [PYTHON, str(READER), str(tmp_path / "pairs"), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    seen, first = json.loads(said.stdout.splitlines()[-1]), rows_of(tmp_path / "pairs")[0]
    assert (seen["rows"], seen["steps"], seen["batch"]) == (done.pairs, 1, 2)
    assert seen["first"] == {name: first[name] for name in ("prompt", "chosen", "rejected")}
    assert seen["chosen_as_read"] == first["prompt"] + first["chosen"]
    assert seen["rejected_as_read"] == first["prompt"] + first["rejected"]
    assert 0 < seen["loss"] < 2
