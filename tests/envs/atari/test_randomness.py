"""The random numbers are those of C++."""

import numpy as np

from prefrl_envs.atari.randomness import MAX_SEED, draw_noops, episode_seed, noop_generator


def test_the_generator_is_the_one_that_the_standard_of_cpp_demands() -> None:
    """C++17 [rand.predef]: the 10,000th number of a default std::mt19937, seeded with 5489, is 4123659995."""
    numbers = noop_generator(5489).bit_generator.random_raw(10000)
    assert numbers[-1] == 4123659995


def test_every_number_is_as_likely_as_any_other() -> None:
    rng = noop_generator(3)
    counts = np.bincount([draw_noops(rng, 30) for _ in range(31 * 400)])
    assert len(counts) == 31
    # Binomial(12400, 1/31): mean 400, sd 19.7; five deviations either way
    assert counts.min() > 301
    assert counts.max() < 499


def test_none_is_none() -> None:
    assert {draw_noops(noop_generator(seed), 0) for seed in range(20)} == {0}


def test_numbers_that_would_favour_some_are_drawn_again() -> None:
    class Fixed:
        """Gives 0, which Lemire's method rejects where the range does not divide 2^32, then 2^31."""

        class bit_generator:
            numbers = iter([0, 2**31])

            @classmethod
            def random_raw(cls) -> int:
                return next(cls.numbers)

    assert draw_noops(Fixed(), 30) == 15  # type: ignore[arg-type]


def test_episodes_have_seeds_of_their_own() -> None:
    seeds = {episode_seed(seed, n_episodes) for seed in range(50) for n_episodes in range(50)}
    assert len(seeds) == 2500
    assert 0 <= min(seeds) <= max(seeds) <= MAX_SEED
    assert episode_seed(2**40, 3) == episode_seed(2**40, 3)
