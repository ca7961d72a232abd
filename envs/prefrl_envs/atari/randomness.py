"""The random numbers of a game: the emulator's seed, and how long nothing is done at the start.

The latter are drawn exactly as ale-py's vector environment draws them (in C++, by `std::mt19937` and
`std::uniform_int_distribution`), so that a game goes on in the same way however it is stepped.
"""

import numpy as np

MAX_SEED = 2**31 - 1
"""The emulator's seeds are non-negative numbers of 32 bits with a sign."""

_WORDS = 624
_BASE = 2**32


def episode_seed(seed: int, n_episodes: int) -> int:
    """Return the emulator's seed for one episode, from 0 to `MAX_SEED`.

    Every episode has its own, so that it depends on nothing that was done in the episodes before, and can be
    done again without them.

    Args:
        seed: Of the environment, at least 0.
        n_episodes: Episodes since the environment was seeded, 0 for the first.
    """
    return int(np.random.SeedSequence((seed, n_episodes)).generate_state(1)[0]) & MAX_SEED


def noop_generator(seed: int) -> np.random.Generator:
    """Return a Mersenne Twister seeded as C++ seeds it (Matsumoto and Nishimura's `init_genrand`).

    Args:
        seed: From 0 to `MAX_SEED`.
    """
    words = [seed]
    for index in range(1, _WORDS):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + index) % _BASE)
    bits = np.random.MT19937()
    bits.state = {
        "bit_generator": "MT19937",
        "state": {"key": np.array(words, dtype=np.uint32), "pos": _WORDS},
    }
    return np.random.Generator(bits)


def draw_noops(rng: np.random.Generator, noop_max: int) -> int:
    """Return a number from 0 to `noop_max`, each as likely as any other.

    By Lemire's multiplication with rejection (2019), as in libstdc++.

    Args:
        rng: From `noop_generator`.
        noop_max: At least 0.
    """
    n = noop_max + 1
    product = rng.bit_generator.random_raw() * n
    while product % _BASE < _BASE % n:
        product = rng.bit_generator.random_raw() * n
    return int(product // _BASE)
