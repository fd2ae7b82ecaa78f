"""A finite game as a table, and the interface of a game from which one is made."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import numpy as np

from ...core.config import UsageError
from ...envs.game import Events, Game, State


class Tabular(Game[State, Events], Protocol[State, Events]):
    """A game that can be solved exactly: it has finitely many states and lists the draws of a step."""

    @property
    def states(self) -> int:
        """S, the number of states, symmetric ones counted once."""

    def representatives(self) -> State:
        """One state of each class: (S, ...), in the order of `index`."""

    def index(self, state: State) -> np.ndarray:
        """(B,) int: the class of every state, in [0, S)."""

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """One step with its chance given: `actions` (B, N), `draws` (B, slots)."""

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The draws that matter, (B, K, slots), and their probabilities, (B, K), which sum to one."""

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes with their chance given: `keys` (B,), `draws` (B, slots)."""

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """The draws that matter at the start, (M, slots), and their probabilities, (M,)."""


class Table(NamedTuple):
    """A finite game of S states, N agents with A actions each, and J = A^N joint actions.

    A joint action leads to one of D distributions over the next states, d = `following[s, j]`, whose entries are
    `offsets[d]:offsets[d + 1]`. Where an episode may terminate they sum to less than one: nothing is earned after the
    end.
    """

    rewards: np.ndarray  # (S, J, N) float64, expected
    objective: np.ndarray  # (S, J) float64, expected: the principal's value before it pays
    facts: np.ndarray  # (S, J, N, K) float64, expected counts of what a contract may pay on
    following: np.ndarray  # (S, J) int32, in [0, D)
    offsets: np.ndarray  # (D + 1,) int64
    successors: np.ndarray  # (entries,) int32
    probabilities: np.ndarray  # (entries,) float64
    start: np.ndarray  # (S,) float64, sums to one
    actions: np.ndarray  # (J, N) int64: joint action j is actions[j]; agent 0 varies slowest

    @property
    def states(self) -> int:
        return self.rewards.shape[0]

    @property
    def action_count(self) -> int:
        """A, the number of actions of one agent."""
        return int(self.actions[-1, 0]) + 1

    @property
    def distributions(self) -> np.ndarray:
        """(entries,): the distribution to which each entry belongs."""
        counts = np.diff(self.offsets)
        return np.repeat(np.arange(len(counts)), counts)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self)

    def joint(self, actions: np.ndarray) -> np.ndarray:
        """(...,) int64: the index j of the joint actions (..., N)."""
        powers = self.action_count ** np.arange(actions.shape[-1])[::-1]
        return np.asarray(actions.astype(np.int64) @ powers)


def tabular(game: Game) -> Tabular:
    """`game` as one that can be tabulated. Raises UsageError where it cannot."""
    if not hasattr(game, "outcomes"):
        raise UsageError(
            f"{type(game).__name__} cannot be solved exactly, since it does not list the outcomes of a step; "
            "ask for a game that does, as the Coin Game"
        )
    return cast(Tabular, game)


def joint_actions(A: int, N: int) -> np.ndarray:
    """(A^N, N) int64: every joint action, in lexicographic order."""
    return np.ascontiguousarray(np.indices((A,) * N).reshape(N, -1).T, np.int64)
