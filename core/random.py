"""Where all chance comes from: one counter-based generator, whose draws depend on a key, a step and a slot alone.

Randomness lives in the state. Each environment carries its own `key`; every draw is `uniform(key, t, slot)`, so a
trajectory depends on its key and actions alone, never on how many environments run beside it, and the fast rules, their
slow twin in the tests and the tables of the solver consume the same draws.
"""

from __future__ import annotations

import numba
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment (Steele, Lea and Flood 2014)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
STEP = np.uint64(0xD1342543DE82EF95)  # an odd constant that spreads the step over all 64 bits
UNIT = 2.0**-53

FROM_KEYS = np.empty((0, 0))  # in place of draws (B, S) that are given: they come from the keys


@numba.njit(inline="always")
def mix(x: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every input bit flips every output bit with probability about one half."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


@numba.njit(inline="always")
def uniform(key: np.uint64, t: int, slot: int) -> float:
    """The draw `slot` of step `t` (0 is the reset) of the episode `key`: a float64 in [0, 1)."""
    return (mix(mix(key + STEP * np.uint64(t)) + GOLDEN * np.uint64(slot + 1)) >> np.uint64(11)) * UNIT


@numba.njit(cache=True)
def fill_draws(key: np.uint64, t: int, draws: np.ndarray) -> np.ndarray:
    """`draws` (S,), filled with the first S draws of step `t` of the episode `key`."""
    for slot in range(len(draws)):
        draws[slot] = uniform(key, t, slot)
    return draws


@numba.njit(cache=True)
def draws_of(key: np.ndarray, t: np.ndarray, slots: int) -> np.ndarray:
    """(B, slots) float64: the first draws of step `t` (B,) of the episodes `key` (B,)."""
    draws = np.empty((len(key), slots))
    for b in range(len(key)):
        fill_draws(key[b], t[b], draws[b])
    return draws


def uniform_array(key: np.ndarray, t: np.ndarray | int, slot: np.ndarray | int) -> np.ndarray:
    """`uniform` of arrays that broadcast together: float64 in [0, 1)."""
    with np.errstate(over="ignore"):
        stepped = mix.py_func(key + STEP * np.asarray(t, np.uint64))
        drawn = mix.py_func(stepped + GOLDEN * (np.asarray(slot, np.uint64) + np.uint64(1)))
    return (drawn >> np.uint64(11)) * UNIT


def episode_keys(seed: int, stream: int, environments: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """A key for each (environment, episode) of a stream of a run: uint64, the shape of `environments`.

    Streams keep the phases of a run apart: evaluation never sees a key that training saw.
    """
    with np.errstate(over="ignore"):
        key = mix.py_func(np.full(environments.shape, seed, np.uint64) * GOLDEN + np.uint64(stream + 1))
        key = mix.py_func(key + environments.astype(np.uint64) * STEP)
        return mix.py_func(key + episodes.astype(np.uint64) * GOLDEN)


class Stream:
    """Draws of one purpose of a run: the t-th call gives `uniform(key, t, 0)`, `uniform(key, t, 1)`, ...

    `t` is its whole state. Purposes are numbered as the streams of episodes are, and none is one of them.
    """

    def __init__(self, seed: int, purpose: int, index: int = 0) -> None:
        self.key = episode_keys(seed, purpose, np.array([index]), np.zeros(1, np.int64))
        self.t = 0

    def uniform(self, count: int) -> np.ndarray:
        """(count,) float64 in [0, 1)."""
        self.t += 1
        return fill_draws(self.key[0], self.t, np.empty(count))

    def integers(self, below: int, count: int) -> np.ndarray:
        """(count,) int64 in [0, below)."""
        return (self.uniform(count) * below).astype(np.int64)

    def permutation(self, count: int) -> np.ndarray:
        """(count,) int64: an order of `count` things."""
        return np.argsort(self.uniform(count), kind="stable")
