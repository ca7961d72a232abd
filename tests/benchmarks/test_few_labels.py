"""What crops and pseudo-labels make of few labels is measured on the same labels in every way."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import few_labels


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_labels, "N_STEPS", 120)
    monkeypatch.setattr(few_labels, "FRESH", 60)
    ways = {name: replace(way, first_epochs=3, epochs=2, batch_size=8) for name, way in few_labels.WAYS.items()}
    monkeypatch.setattr(few_labels, "WAYS", ways)


@pytest.mark.usefixtures("short")
def test_every_figure_is_measured_and_gains_are_over_plain_fits() -> None:
    rows = few_labels.measure([12], 2)
    figures = {(row.case, row.measure): row for row in rows}
    assert len(rows) == len(figures) == 4 * 7
    plain = figures["12 labels, plain", "correlation"]
    for way in few_labels.WAYS:
        own, gain = (figures[f"12 labels, {way}", name] for name in ("correlation", "correlation, gain"))
        np.testing.assert_allclose(gain.rounds, np.subtract(own.rounds, plain.rounds))
        assert gain.value == pytest.approx(np.mean(gain.rounds))
        error = figures[f"12 labels, {way}", "correlation, ±"].value
        assert error == pytest.approx(np.ptp(gain.rounds) / 2)
        assert figures[f"12 labels, {way}", "refit, s"].value > 0
    assert figures["12 labels, crops", "correlation, gain"].value != 0


@pytest.mark.usefixtures("short")
def test_the_labels_are_those_of_the_seed() -> None:
    first, again, other = (few_labels.judged(12, few_labels.WAYS["both"], seed) for seed in (0, 0, 1))
    assert first._replace(seconds=0) == again._replace(seconds=0)
    assert first.correlation != other.correlation
