"""Decisions of a frozen principal, found again by what the agents see: networks are asked once about what they saw."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from ...contracts.mechanism import Decisions

ROOM = 1 << 16  # observations that are remembered at most
DIGEST_BYTES = 16  # two observations with the same digest are the same, but for one chance in 2^64


class Remembered:
    """What a principal decided where agents saw the same before, for a principal that knows nothing else.

    A game of a few thousand states is played for millions of steps. Where more is seen than there is room for, what is
    new is decided afresh every time. `decide` must not depend on what else is asked with it.
    """

    def __init__(self, decide: Callable[[np.ndarray], Decisions]) -> None:
        self._decide = decide  # by observations (B, N, ...)
        self._places: dict[bytes, int] = {}
        self._recommended, self._promised = np.empty(0), np.empty(0)

    def __call__(self, observations: np.ndarray) -> Decisions:
        """The decisions (B, ...) where agents see `observations` (B, N, ...)."""
        if len(observations) > ROOM:
            return self._decide(observations)
        digests = [blake2b(seen, digest_size=DIGEST_BYTES).digest() for seen in np.ascontiguousarray(observations)]
        new = {digest: b for b, digest in enumerate(digests) if digest not in self._places}
        if len(self._places) + len(new) > ROOM:
            return self._decide(observations)
        if new:
            self._remember(list(new), self._decide(observations[list(new.values())]))
        places = [self._places[digest] for digest in digests]
        return Decisions(self._recommended[places], self._promised[places])

    def _remember(self, digests: list[bytes], decisions: Decisions) -> None:
        recommended, promised = decisions
        if not self._places:
            self._recommended = np.empty((ROOM, *recommended.shape[1:]), recommended.dtype)
            self._promised = np.empty((ROOM, *promised.shape[1:]), promised.dtype)
        first = len(self._places)
        self._recommended[first : first + len(digests)] = recommended
        self._promised[first : first + len(digests)] = promised
        self._places.update(zip(digests, range(first, first + len(digests)), strict=True))
