"""A game as a table, made by running the very rules that play it on every state, joint action and draw.

A game that can be tabulated keeps chance apart from its rules: `play(state, actions, draws)` is the step, and
`outcomes(state, actions)` lists the draws that can matter with their probabilities. Symmetry is the game's business:
`index(state)` sends every state to its class, `representatives()` holds one state of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from ..envs.config import UsageError
from ..envs.core import Game, State

PLAYS = 1 << 18  # (state, joint action, draw) triples played at once: some 50 MB
GIB = 2.0**30


class Tabular(Game[State, Any], Protocol[State]):
    """A game that can be solved: finitely many states, and draws that can be listed."""

    @property
    def states(self) -> int:
        """How many states there are, symmetric ones counted once: S."""

    def representatives(self) -> State:
        """One state of each class: (S, ...), in the order of `index`."""

    def index(self, state: State) -> np.ndarray:
        """(B,) int: the class of every state, in [0, S)."""

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Any]:
        """One step with its chance given: `actions` (B, N), `draws` (B, slots)."""

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The draws that can matter, (B, K, slots), and their probabilities, (B, K), which sum to one."""

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes with their chance given: `keys` (B,), `draws` (B, slots)."""

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """The draws that can matter at the start, (M, slots), and their probabilities, (M,)."""


class Table(NamedTuple):
    """A finite game of S states, N agents with A actions each, and J = A^N joint actions.

    Row `s * J + j` of the sparse transitions is `offsets[row]:offsets[row + 1]`. Where an episode ends naturally the
    row's probabilities sum to less than one: nothing is earned after the end.
    """

    rewards: np.ndarray  # (S, J, N) float64, expected
    objective: np.ndarray  # (S, J) float64, expected: what the principal values before it pays
    offsets: np.ndarray  # (S * J + 1,) int64
    successors: np.ndarray  # (entries,) int32
    probabilities: np.ndarray  # (entries,) float64
    start: np.ndarray  # (S,) float64, sums to one
    actions: np.ndarray  # (J, N) int64: joint action j is actions[j]; agent 0 varies slowest

    @property
    def states(self) -> int:
        return self.rewards.shape[0]

    @property
    def action_count(self) -> int:
        """A: of one agent."""
        return int(self.actions[-1, 0]) + 1

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self)

    def joint(self, actions: np.ndarray) -> np.ndarray:
        """(...,) int64: the joint action j of each agent's action (..., N)."""
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


def tabulate(game: Game, *, memory: int | None = None) -> Table:
    """The table of `game`, which may take up to `memory` bytes (what is free now, if None).

    Raises UsageError for a game that cannot be tabulated, or that is too large, saying what would fit.
    """
    game = tabular(game)
    budget = free_memory() if memory is None else memory
    S, N, A = game.states, len(game.agents), len(game.action_names)
    J = A**N
    fits(game, budget)
    actions = joint_actions(A, N)
    parts, size = [], 0
    for part, done in _parts(game, actions):
        parts.append(part)
        size += sum(array.nbytes for array in part)
        fits(game, budget, table=size / done)
    rewards, objective, counts, successors, probabilities = (np.concatenate(p) for p in zip(*parts, strict=True))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Table(
        rewards.reshape(S, J, N), objective.reshape(S, J), offsets, successors, probabilities, _start(game), actions
    )


def joint_actions(A: int, N: int) -> np.ndarray:
    """(A^N, N) int64: every joint action, in lexicographic order."""
    return np.ascontiguousarray(np.indices((A,) * N).reshape(N, -1).T, np.int64)


def fits(game: Tabular, memory: float, *, table: float = 0.0) -> None:
    """Raise UsageError unless `game` can be tabulated and solved in `memory` bytes.

    `table` is an estimate of the table's size in bytes where one is known, else the least it can be is taken.
    """
    N, S = len(game.agents), game.states
    J = len(game.action_names) ** N
    least = S * J * (8.0 * N + 28.0)  # rewards, objective, offset, one successor with its probability
    policy = game.horizon * S * (10.0 * N + 8.0)  # actions, payments and joint actions of every step
    needed = 2.0 * max(least, table) + policy  # the table's pieces beside the whole, later one policy beside the table
    if needed > memory:
        raise UsageError(
            f"the game has {S:,} states with {J} joint actions each: to solve it takes about {needed / GIB:.3g} GiB "
            f"and {memory / GIB:.3g} GiB are free, room for about {int(S * memory / needed):,} states; "
            "ask for a smaller board, fewer agents or a shorter horizon"
        )


def free_memory() -> int:
    """Bytes of memory free now; half of all there is where the system does not say."""
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    share = 1 if pages == "SC_AVPHYS_PAGES" else 2
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") // share


class _Part(NamedTuple):
    """The rows of some states, in order."""

    rewards: np.ndarray  # (rows, N)
    objective: np.ndarray  # (rows,)
    counts: np.ndarray  # (rows,) successors of each
    successors: np.ndarray
    probabilities: np.ndarray


def _parts(game: Tabular, actions: np.ndarray) -> Iterator[tuple[_Part, float]]:
    """The table piece by piece, each with the share of the states that are done."""
    everything = game.representatives()
    S, J = game.states, len(actions)
    first, count, most = 0, 1, 1
    while first < S:
        chosen = np.arange(first, min(first + count, S))
        rows = _take(everything, np.repeat(chosen, J))
        acts = np.tile(actions, (len(chosen), 1))
        draws, probabilities = game.outcomes(rows, acts)
        yield _part(game, rows, acts, draws, probabilities), (chosen[-1] + 1) / S
        most = max(most, probabilities.shape[1])  # later states may have more outcomes than the first: grow slowly
        first, count = first + count, max(1, min(2 * count, PLAYS // (J * most)))


def _part(game: Tabular, state: Any, actions: np.ndarray, draws: np.ndarray, probabilities: np.ndarray) -> _Part:
    """Play every row (state, actions) on each of its draws; equal successors become one."""
    rows = len(probabilities)
    row, draw = np.nonzero(probabilities > 0.0)
    chance = probabilities[row, draw].astype(np.float64)
    following, events = game.play(_take(state, row), actions[row], draws[row, draw])
    rewards = np.stack([np.bincount(row, chance * r, rows) for r in game.rewards(events).T.astype(np.float64)], axis=1)
    objective = np.bincount(row, chance * game.principal_reward(events).astype(np.float64), rows)
    alive = ~game.terminated(following)
    edge, place = np.unique(row[alive] * np.int64(game.states) + game.index(following)[alive], return_inverse=True)
    counts = np.bincount(edge // game.states, minlength=rows)
    return _Part(
        rewards, objective, counts, (edge % game.states).astype(np.int32),
        np.bincount(place, chance[alive], len(edge)),
    )  # fmt: skip


def _start(game: Tabular) -> np.ndarray:
    """(S,): the probability of starting in each state."""
    draws, probabilities = game.starts()
    state = game.begin(np.zeros(len(draws), np.uint64), draws)
    return np.bincount(game.index(state), probabilities, game.states)


def _take(state: State, chosen: np.ndarray) -> State:
    """The environments `chosen` of a state: every array's rows, nested tuples included."""
    if isinstance(state, np.ndarray):
        return state[chosen]
    if isinstance(state, tuple):
        parts = [_take(part, chosen) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    return state
