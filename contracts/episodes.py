"""What is kept of an episode: one table of measures, each summed or averaged over its steps.

Adding a measure is one entry in `MEASURES`: it is then tallied by the loop and written to every record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from .ledger import Ledger
from .mechanism import Mechanism, Transition


class Played(NamedTuple):
    """One step of `B` environments, settled: what a measure reads."""

    mechanism: Mechanism
    transition: Transition
    ledger: Ledger
    complied: np.ndarray | None  # (B, N) bool; None where nothing is recommended


class Measure(NamedTuple):
    """A number that a step has for an episode, or for each of its agents."""

    column: str  # what it is called in episodes.parquet: `column_0`, `column_1`, ... where each agent has one
    of: Callable[[Played], np.ndarray]  # (B,), or (B, N), or (B, K)
    axis: Literal["episode", "agent", "terms"] = "episode"
    mean: bool = False  # over the steps of an episode; else their sum


MEASURES: dict[str, Measure] = {
    "returns": Measure("return", lambda step: step.transition.rewards, "agent"),  # from the environment alone
    "payments": Measure("payment", lambda step: step.ledger.payments, "agent"),  # from the principal
    "transfers": Measure("transfer", lambda step: step.ledger.received(), "agent"),  # net, received minus given
    "transfer_volume": Measure("transfer_volume", lambda step: step.ledger.transfers.sum(axis=(1, 2))),  # gross
    "shaping": Measure("shaping", lambda step: step.ledger.shaping, "agent"),
    "taxes": Measure("tax", lambda step: step.ledger.taxes, "agent"),  # to the principal
    # the share of actions that followed the recommendation; nan where there is none
    "compliance": Measure("compliance", lambda step: _compliance(step), mean=True),
    # what the principal values, before it pays: welfare unless the game says otherwise
    "principal_returns": Measure(
        "principal_return", lambda step: step.mechanism.game.principal_reward(step.transition.events)
    ),
    # what the mechanism records of its terms
    "terms": Measure(
        "terms", lambda step: step.mechanism.record(step.transition.terms, len(step.ledger.payments)), "terms", True
    ),
}


def _compliance(step: Played) -> np.ndarray:
    if step.complied is None:
        return np.full(len(step.ledger.payments), np.nan)
    return np.asarray(step.complied.mean(axis=1))


class Episodes:
    """Finished episodes, in the order in which they ended; `E` of them.

    Besides the three below each entry of `MEASURES` is an attribute: (E,), (E, N) or (E, K).
    """

    steps: np.ndarray  # (E,) int64 environment steps of the phase when the episode ended, itself included
    key: np.ndarray  # (E,) uint64: with the policies, it gives the episode again
    length: np.ndarray  # (E,) int32

    def __init__(self, **columns: np.ndarray) -> None:
        self.columns = columns

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.__dict__["columns"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __len__(self) -> int:
        return len(self.steps)

    def __add__(self, other: Episodes) -> Episodes:
        return Episodes.joined([self, other])

    @classmethod
    def joined(cls, parts: list[Episodes]) -> Episodes:
        """All episodes of the parts, in their order."""
        return cls(**{name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns})

    def select(self, chosen: np.ndarray | slice) -> Episodes:
        """Those where `chosen` (E,), or of a slice."""
        return Episodes(**{name: column[chosen] for name, column in self.columns.items()})

    def replace(self, **columns: np.ndarray) -> Episodes:
        """The same with other `columns`."""
        return Episodes(**{**self.columns, **columns})


class Tally:
    """Sums of every measure over the running episodes of `B` environments."""

    def __init__(self, B: int, N: int, K: int) -> None:
        shapes: dict[str, tuple[int, ...]] = {"episode": (B,), "agent": (B, N), "terms": (B, K)}
        self.sums = {name: np.zeros(shapes[measure.axis]) for name, measure in MEASURES.items()}

    def add(self, step: Played) -> None:
        """Count a step of every environment."""
        for name, measure in MEASURES.items():
            self.sums[name] += measure.of(step)

    def close(self, ended: np.ndarray, steps: int, keys: np.ndarray, length: np.ndarray) -> Episodes:
        """The episodes that `ended` (B,), after so many `steps` of the phase; others begin in their place."""
        columns = {"steps": np.full(int(ended.sum()), steps, np.int64), "key": keys[ended], "length": length[ended]}
        for name, total in self.sums.items():
            found = total[ended]
            if MEASURES[name].mean:
                found = found / length[ended].reshape(-1, *(1,) * (found.ndim - 1))
            columns[name] = found
            total[ended] = 0.0
        return Episodes(**columns)
