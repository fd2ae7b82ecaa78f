"""Distributions over next states, each stored once however many states and joint actions lead to it.

In a grid game most joint actions of most states lead to a board that others lead to as well, with the same chances from
there. A table that stores every distribution once is an order of magnitude smaller, and a sweep over it as much faster.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ...core.random import mix

EMPTY = -1  # a slot of the hash table that holds nothing


class Distinct(NamedTuple):
    """The distributions found so far; the arrays have spare room, and `counts` says how much of it is used."""

    counts: np.ndarray  # (2,) int64: distributions, and entries of all of them
    offsets: np.ndarray  # distribution d is offsets[d]:offsets[d + 1] of the entries
    hashes: np.ndarray  # uint64 of each distribution
    successors: np.ndarray  # int32, ascending within a distribution
    probabilities: np.ndarray  # float64, all positive
    slots: np.ndarray  # hash table: a distribution or EMPTY; a power of two long

    @staticmethod
    def none() -> Distinct:
        return Distinct(
            np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(1, np.uint64), np.zeros(1, np.int32), np.zeros(1),
            np.full(2, EMPTY, np.int64),
        )  # fmt: skip

    def with_room(self, rows: int, entries: int) -> Distinct:
        """The same distributions with room for `rows` more and for `entries` more of theirs."""
        distributions, held = self.counts[0] + rows, self.counts[1] + entries
        slots = self.slots
        if len(slots) < 2 * distributions:
            slots = np.full(1 << int(4 * distributions - 1).bit_length(), EMPTY, np.int64)
            _fill(slots, self.hashes[: self.counts[0]])
        return Distinct(
            self.counts, _longer(self.offsets, distributions + 1), _longer(self.hashes, distributions),
            _longer(self.successors, held), _longer(self.probabilities, held), slots,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return int(self.counts @ (8, 12))


def gather(
    known: Distinct, row: np.ndarray, successor: np.ndarray, chance: np.ndarray, rows: int
) -> tuple[np.ndarray, Distinct]:
    """The index of each row's distribution, (rows,) int32, and all that are `known`, these included.

    Entry e leads from `row[e]`, ascending, to `successor[e]` with probability `chance[e]`; equal successors of a row
    are merged. A row without entries has the empty distribution: the episode ends.
    """
    known = known.with_room(rows, len(row))
    return _gather(*known, row, successor, chance, rows), known


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    """`array` if it has this length, else a copy with twice that room."""
    if len(array) >= length:
        return array
    longer = np.zeros(2 * length, array.dtype)
    longer[: len(array)] = array
    return longer


@numba.njit(cache=True, nogil=True)
def _fill(slots: np.ndarray, hashes: np.ndarray) -> None:
    mask = len(slots) - 1
    for d in range(len(hashes)):
        slot = np.int64(hashes[d] & np.uint64(mask))
        while slots[slot] != EMPTY:
            slot = (slot + 1) & mask
        slots[slot] = d


@numba.njit(cache=True, nogil=True)
def _gather(
    counts: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    slots: np.ndarray,
    row: np.ndarray,
    successor: np.ndarray,
    chance: np.ndarray,
    rows: int,
) -> np.ndarray:
    """Write each row's distribution behind the known ones, and keep it if it is new."""
    found = np.empty(rows, np.int32)
    mask, e = len(slots) - 1, 0
    for r in range(rows):
        first = counts[1]
        last = first
        while e < len(row) and row[e] == r:
            place = last
            while place > first and successors[place - 1] > successor[e]:
                place -= 1
            if place > first and successors[place - 1] == successor[e]:
                probabilities[place - 1] += chance[e]
            else:
                for k in range(last, place, -1):
                    successors[k], probabilities[k] = successors[k - 1], probabilities[k - 1]
                successors[place], probabilities[place] = successor[e], chance[e]
                last += 1
            e += 1
        code = np.uint64(last - first)
        for k in range(first, last):
            code = mix(code + mix(np.uint64(successors[k])) + probabilities[k : k + 1].view(np.uint64)[0])
        slot = np.int64(code & np.uint64(mask))
        while slots[slot] != EMPTY and not (
            hashes[slots[slot]] == code and _same(offsets, successors, probabilities, slots[slot], first, last)
        ):
            slot = (slot + 1) & mask
        if slots[slot] == EMPTY:
            d = counts[0]
            slots[slot], hashes[d], offsets[d + 1] = d, code, last
            counts[0], counts[1] = d + 1, last
        found[r] = slots[slot]
    return found


@numba.njit(cache=True, nogil=True)
def _same(
    offsets: np.ndarray, successors: np.ndarray, probabilities: np.ndarray, d: int, first: int, last: int
) -> bool:
    """Whether distribution `d` equals the entries `first:last`."""
    if offsets[d + 1] - offsets[d] != last - first:
        return False
    for k in range(last - first):
        one, other = offsets[d] + k, first + k
        if successors[one] != successors[other] or probabilities[one] != probabilities[other]:
            return False
    return True
