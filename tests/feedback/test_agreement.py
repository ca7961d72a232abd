from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import permutations
from math import isnan

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.feedback.agreement import Agreement, error_estimate, people_agreement, seconds_per_answer
from prefrl.segments import Answer, Judgement, Ranking
from prefrl.store import HistoryItem, StoredAnswer

F, S, E, X = Answer.FIRST, Answer.SECOND, Answer.EQUAL, Answer.CANNOT_TELL
Said = tuple[str, str, Judgement]


def stored(
    query: str, labeler: str, answer: Judgement | None, *, server_time: int = 0, client_time: int | None = None
) -> StoredAnswer:
    return StoredAnswer(
        query_id=query,
        labeler=labeler,
        answer=answer,
        id=f"{query} {labeler}",
        supersedes="another" if answer is None else None,
        client_time=client_time,
        server_time=server_time,
        seq=1,
        late=False,
        kind="ranking" if isinstance(answer, Ranking) else "strength",  # of which pairs are a part
    )


def items(said: Iterable[Said], *, repeats: Iterable[Said] = ()) -> list[HistoryItem]:
    """What was said of queries, and of their repeats."""
    rows: list[tuple[StoredAnswer, str | None]] = [(stored(*one), None) for one in said]
    rows += [(stored(f"{query} again", labeler, answer), query) for query, labeler, answer in repeats]
    return [
        HistoryItem(answer=answer, segment_ids=shown(answer), changed=False, num_timesteps=0, repeat_of=of)
        for answer, of in rows
    ]


def shown(answer: StoredAnswer) -> tuple[str, ...]:
    said = answer.answer
    return tuple("abcdef"[: len(said.ranks) if isinstance(said, Ranking) else 2])


def test_agreement_of_three_people_by_hand() -> None:
    # 1: FF S  one pair of three alike; 2: SS alike; 3: one opinion only; 4: E F differ
    found = people_agreement(
        items(
            [
                ("1", "ann", F), ("1", "bob", F), ("1", "cid", S),
                ("2", "ann", S), ("2", "bob", S), ("2", "cid", X),
                ("3", "ann", F), ("3", "bob", X),
                ("4", "bob", E), ("4", "cid", F),
            ],
            repeats=[("1", "cid", F)],
        )
    )  # fmt: skip
    assert found.n_pairs == 3 + 1 + 1
    assert found.raw == pytest.approx(2 / 5)
    # Coincidences: n_F = 3, n_S = 3, n_E = 1, n = 7. Observed disagreement: query 1 gives 4 / (3 - 1), query 4
    # gives 2 / (2 - 1), of 7; expected: 2 * (3*3 + 3*1 + 3*1) / (7 * 6).
    assert found.alpha == pytest.approx(1 - (4 / 7) / (30 / 42))


def test_alpha_of_the_documented_example() -> None:
    """The reliability data of Krippendorff's own example, values 3 and 4 taken as one: three answers are all."""
    nan = np.nan
    data = np.array(
        [
            [nan, nan, nan, nan, nan, 3, 4, 1, 2, 1, 1, 3, 3, nan, 3],
            [1, nan, 2, 1, 3, 3, 4, 3, nan, nan, nan, nan, nan, nan, nan],
            [nan, nan, 2, 1, 3, 4, 4, nan, 2, 1, 1, 3, 3, nan, 4],
        ]
    )
    assert krippendorff.alpha(reliability_data=data, level_of_measurement="nominal") == pytest.approx(
        0.691358, abs=1e-6
    )
    merged = np.where(data == 4, 3, data)
    answers = {1: F, 2: S, 3: E}
    said = [
        (str(unit), str(coder), answers[int(value)])
        for (coder, unit), value in np.ndenumerate(merged)
        if not np.isnan(value)
    ]
    expected = krippendorff.alpha(reliability_data=merged, level_of_measurement="nominal")
    assert people_agreement(items(said)).alpha == pytest.approx(expected, abs=1e-12)


def slow_agreement(said: Sequence[Said]) -> Agreement:
    """Krippendorff 2011, section C, pair by pair."""
    units: dict[str, list[Answer]] = defaultdict(list)
    for query, _, answer in said:
        if isinstance(answer, Answer) and answer is not X:
            units[query].append({Answer.MUCH_FIRST: F, Answer.MUCH_SECOND: S}.get(answer, answer))
    kept = [values for values in units.values() if len(values) > 1]
    everything = [value for values in kept for value in values]
    n = len(everything)
    if n == 0:
        return Agreement(float("nan"), float("nan"), 0)
    pairs = [(a == b, len(values)) for values in kept for a, b in permutations(values, 2)]
    observed = sum((not alike) / (m - 1) for alike, m in pairs) / n
    expected = sum(a != b for a, b in permutations(everything, 2)) / (n * (n - 1))
    return Agreement(
        raw=sum(alike for alike, _ in pairs) / len(pairs),
        alpha=1 - observed / expected if expected else float("nan"),
        n_pairs=len(pairs) // 2,
    )


@given(
    said=st.dictionaries(
        st.tuples(st.sampled_from("12345"), st.sampled_from(["ann", "bob", "cid"])), st.sampled_from(Answer)
    )
)
@settings(max_examples=150, deadline=None)
def test_agreement_equals_a_count_of_all_pairs(said: dict[tuple[str, str], Answer]) -> None:
    rows = [(query, labeler, answer) for (query, labeler), answer in said.items()]
    found, expected = people_agreement(items(rows)), slow_agreement(rows)
    assert found.n_pairs == expected.n_pairs
    assert found.raw == pytest.approx(expected.raw, nan_ok=True)
    assert found.alpha == pytest.approx(expected.alpha, nan_ok=True)


def test_agreement_at_its_limits() -> None:
    nothing = people_agreement([])
    assert nothing.n_pairs == 0
    assert isnan(nothing.raw)
    assert isnan(nothing.alpha)

    alike = people_agreement(items([("1", "ann", F), ("1", "bob", F), ("2", "ann", F), ("2", "bob", F)]))
    assert (alike.raw, alike.n_pairs) == (1.0, 2)
    assert isnan(alike.alpha), "chance would do as well as far as one can see"

    full = people_agreement(items([("1", "ann", F), ("1", "bob", F), ("2", "ann", S), ("2", "bob", S)]))
    assert (full.raw, full.alpha) == (1.0, 1.0)

    rng = np.random.default_rng(0)
    coins = [(str(k), name, [F, S][rng.integers(2)]) for k in range(4000) for name in ("ann", "bob")]
    chance = people_agreement(items(coins))
    assert chance.raw == pytest.approx(0.5, abs=0.03)  # 4 standard deviations
    assert chance.alpha == pytest.approx(0.0, abs=0.06)


def test_the_error_from_repeats_by_hand() -> None:
    said = [(str(k), "ann", F) for k in range(12)] + [("0", "bob", S)]
    again = [(str(k), "ann", S if k < 2 else F) for k in range(8)]  # 2 of 8 turned round: r = 1/4
    undecided = [("8", "ann", E), ("9", "ann", X)]
    again[-1] = ("7", "ann", Answer.MUCH_FIRST)  # surer than before, and no error
    stranger = [("never asked", "ann", S), ("0", "bob", F)]
    found = error_estimate(items(said, repeats=again + undecided + stranger), "ann")
    assert found.n_repeats == 8
    assert found.error == pytest.approx((1 - 2**-0.5) / 2)
    assert 2 * found.error * (1 - found.error) == pytest.approx(0.25)


@pytest.mark.parametrize(("n_turned", "error"), [(0, 0.0), (3, 0.5), (6, 0.5)])
def test_the_error_at_its_limits(n_turned: int, error: float) -> None:
    said = [(str(k), "ann", S) for k in range(6)]
    again = [(str(k), "ann", F if k < n_turned else S) for k in range(6)]
    assert error_estimate(items(said, repeats=again), "ann").error == error


def test_few_repeats_tell_nothing() -> None:
    said = [(str(k), "ann", F) for k in range(4)]
    found = error_estimate(items(said, repeats=said), "ann")
    assert found.n_repeats == 4
    assert isnan(found.error)


def test_the_error_of_somebody_who_errs_in_one_of_ten() -> None:
    rng = np.random.default_rng(1)
    said: list[Said] = []
    again: list[Said] = []
    for k in range(20_000):
        truth = rng.integers(2)
        for answers in (said, again):
            answers.append((str(k), "ann", [F, S][truth ^ int(rng.random() < 0.1)]))
    # r = 0.18 with standard deviation 0.0027; de/dr = 1 / (2 - 4e) = 0.625
    assert error_estimate(items(said, repeats=again), "ann").error == pytest.approx(0.1, abs=4 * 0.0017)


def test_pauses_are_no_work() -> None:
    seconds = [0, 4, 10, 130, 250.001, 252.001]  # gaps 4, 6, 120, 120.001 (a pause), 2
    answers = [stored(str(k), "ann", F, server_time=round(1000 * t)) for k, t in enumerate(seconds)]
    answers.append(stored("taken back", "ann", None, server_time=5000))
    # The median of the four is 5, so 120 was an interruption.
    assert seconds_per_answer(answers[::-1]) == pytest.approx((4 + 6 + 2) / 3)


def test_answers_that_waited_for_the_network_are_timed_by_the_labelers_clock() -> None:
    answers = [stored(str(k), "ann", F, server_time=9_000_000 + k, client_time=3000 * k) for k in range(21)]
    assert seconds_per_answer(answers) == pytest.approx(3)
    answers.append(stored("unknown time", "ann", F, server_time=9_000_021))
    assert seconds_per_answer(answers) == pytest.approx(0.001)


@pytest.mark.parametrize("seconds", [[], [5], [0, 500], [5, 5]])
def test_a_pace_needs_two_answers_without_a_pause(seconds: list[int]) -> None:
    assert isnan(seconds_per_answer([stored(str(t), "ann", F, server_time=1000 * t) for t in seconds]))


# --- rankings ---------------------------------------------------------------------------------------------


def test_a_ranking_is_an_opinion_of_each_two() -> None:
    """Two people who exchange neighbours agree on two of three pairs; a third says that these are equal."""
    found = people_agreement(
        items(
            [("1", "ann", Ranking((0, 1, 2))), ("1", "bob", Ranking((0, 2, 1))), ("1", "cid", Ranking((0, 1, 1)))]
        )
    )
    assert found.n_pairs == 9
    assert found.raw == pytest.approx((3 + 3 + 0) / 9)


def test_errors_are_estimated_from_each_two_of_what_was_ranked_twice() -> None:
    first, again = Ranking((0, 1, 2, 3)), Ranking((1, 0, 2, 3))
    said = [(f"{n}", "ann", first) for n in range(2)]
    repeats: list[Said] = [("0", "ann", first), ("1", "ann", again)]
    found = error_estimate(items(said, repeats=repeats), "ann")
    assert found.n_repeats == 12
    assert 2 * found.error * (1 - found.error) == pytest.approx(1 / 12)
