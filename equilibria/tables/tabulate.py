"""A game as a table, made by running the rules that play it on every state, joint action and draw.

A game that can be tabulated keeps chance apart from its rules: `play(state, actions, draws)` is the step, and
`outcomes(state, actions)` lists the draws that matter with their probabilities. The game also knows its symmetries:
`index(state)` gives the class of every state, `representatives()` one state of each class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Generic, NamedTuple

import numpy as np

from ...core.arrays import take
from ...core.config import UsageError
from ...envs.game import Events, Game, State
from .table import Table, Tabular, joint_actions, tabular
from .threads import as_they_come, at_once
from .transitions import Distinct, gather

PLAYS = 1 << 18  # (state, joint action, draw) triples played at once: some 50 MB
GIB = 2**30

Progress = Callable[[float], None]  # called with the share of the work that is done


# A game may also have `transition_key(state, actions) -> (B,) uint64`: equal codes where the same comes of the actions,
# events included, whatever chance does. Such rows are played once.


class Plays(NamedTuple, Generic[State, Events]):
    """All possible steps from R rows, a state and a joint action each; P steps in all."""

    states: np.ndarray  # (R,) their indices
    rows: int  # R
    row: np.ndarray  # (P,) the row that was played
    chance: np.ndarray  # (P,) float64, the probability given the row
    state: State  # (P, ...) before the step
    actions: np.ndarray  # (P, N)
    following: State  # (P, ...) after it
    events: Events

    def expected(self, values: np.ndarray) -> np.ndarray:
        """(R, M) float64: the mean of `values` (P, M) in each row."""
        columns = values.T.astype(np.float64)
        means = [np.bincount(self.row, self.chance * column, self.rows) for column in columns]
        return np.stack(means, axis=1) if means else np.zeros((self.rows, 0))


def tabulate(game: Game, *, memory: int | None = None, on_progress: Progress = lambda share: None) -> Table:
    """The table of `game`, in up to `memory` bytes (None: the free memory).

    `on_progress` gets the share of the rows that are done. Raises UsageError for a game that cannot be tabulated, and
    for one that is too large, with the size that would fit.
    """
    game = tabular(game)
    budget = free_memory() if memory is None else memory
    fits(game, budget)
    S, N, A, K = game.states, len(game.agents), len(game.action_names), len(game.verifiable)
    actions, known = joint_actions(A, N), Distinct.none()
    J = len(actions)
    distinct, same = _distinct(game, actions)
    R, done = len(distinct), 0
    rewards, objective, facts = np.empty((R, N)), np.empty(R), np.empty((R, N, K))
    following = np.empty(R, np.int32)
    for played in plays(game, actions, distinct):
        row, chance, events = played.row, played.chance, played.events
        these = slice(done, done + played.rows)
        rewards[these] = played.expected(game.rewards(events))
        objective[these] = played.expected(game.principal_reward(events)[:, None])[:, 0]
        facts[these] = played.expected(game.facts(events).reshape(len(row), -1)).reshape(-1, N, K)
        alive = ~game.terminated(played.following)
        index = game.index(played.following)
        following[these], known = gather(known, row[alive], index[alive], chance[alive], played.rows)
        done += played.rows
        fits(game, budget, distributions=known.nbytes * R // done)
        on_progress(done / R)
    D, entries = known.counts
    return Table(
        rewards[same].reshape(S, J, N), objective[same].reshape(S, J), facts[same].reshape(S, J, N, K),
        following[same].reshape(S, J),
        known.offsets[: D + 1].copy(), known.successors[:entries].copy(), known.probabilities[:entries].copy(),
        _start(game), actions,
    )  # fmt: skip


def reachable(table: Table) -> Table:
    """The same game without its unreachable states; values at the starts stay the same."""
    counts, distribution = np.diff(table.offsets), table.distributions
    there, before = table.start > 0.0, 0
    possible = np.zeros(len(counts), bool)
    while np.count_nonzero(there) > before:
        before = int(np.count_nonzero(there))
        possible[table.following[there]] = True
        there[table.successors[possible[distribution]]] = True
    state, kept = np.cumsum(there) - 1, np.cumsum(possible) - 1  # their new numbers
    entries = possible[distribution]
    return Table(
        table.rewards[there], table.objective[there], table.facts[there],
        kept[table.following[there]].astype(np.int32), np.append(0, np.cumsum(counts[possible])),
        state[table.successors[entries]].astype(np.int32), table.probabilities[entries],
        table.start[there], table.actions,
    )  # fmt: skip


def fits(game: Tabular, memory: int, *, distributions: int = 0) -> None:
    """Raise UsageError unless `game` can be tabulated and solved in `memory` bytes.

    `distributions` is an estimate of the bytes that the distributions over next states take, 0 if there is none.
    """
    N, S, K = len(game.agents), game.states, len(game.verifiable)
    J = len(game.action_names) ** N
    table = S * J * (8 * N * (1 + K) + 12) + max(24 * S, 2 * distributions)  # the latter with room to grow
    needed = table + game.horizon * S * (10 * N + 8)  # actions, payments and joint actions of every step
    if needed > memory:
        raise UsageError(
            f"the game has {_count(S)} states with {_count(J)} joint actions each: to solve it takes about "
            f"{Decimal(needed) / GIB:.3g} GiB and {memory / GIB:.3g} GiB are free, room for about "
            f"{_count(S * memory // needed)} states; ask for a smaller board, fewer agents or a shorter horizon"
        )


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"{Decimal(number):.2e}"


def free_memory() -> int:
    """Bytes of free memory; half of all memory where the system does not report it."""
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    share = 1 if pages == "SC_AVPHYS_PAGES" else 2
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") // share


def plays(game: Tabular, actions: np.ndarray, rows: np.ndarray | None = None) -> Iterator[Plays]:
    """The possible steps from the `rows`, in pieces: row s J + j is the joint action `actions[j]` (J, N) in state s.

    All rows, in order, if None.
    """
    everything = game.representatives()
    J, most = len(actions), 1
    rows = np.arange(game.states * J) if rows is None else rows

    def pieces() -> Iterator[np.ndarray]:
        first, count = 0, J
        while first < len(rows):
            yield rows[first : first + count]
            first, count = first + count, max(1, min(2 * count, PLAYS // most))

    def played(chosen: np.ndarray) -> tuple[Plays, int]:
        states = chosen // J
        state, acts = take(everything, states), actions[chosen % J]
        draws, probabilities = game.outcomes(state, acts)
        row, draw = np.nonzero(probabilities > 0.0)
        chance = probabilities[row, draw].astype(np.float64)
        state, acts = take(state, row), acts[row]
        following, events = game.play(state, acts, draws[row, draw])
        return Plays(states, len(chosen), row, chance, state, acts, following, events), probabilities.shape[1]

    for piece, outcomes in as_they_come(played, pieces()):
        most = max(most, outcomes)  # later rows may have more outcomes than the first: grow slowly
        yield piece


def _distinct(game: Tabular, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray | slice]:
    """The rows to play, ascending, and for each of the S J rows which of those it is like: itself, as a slice."""
    rows = game.states * len(actions)
    if not hasattr(game, "transition_key"):
        return np.arange(rows), slice(None)  # which copies nothing
    everything = game.representatives()

    def codes(first: int) -> np.ndarray:
        chosen = np.arange(first, min(first + PLAYS, rows))
        return game.transition_key(take(everything, chosen // len(actions)), actions[chosen % len(actions)])

    code = np.concatenate(at_once(codes, range(0, rows, PLAYS)))
    _, first, same = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[same]


def _start(game: Tabular) -> np.ndarray:
    """(S,): the probability of starting in each state."""
    draws, probabilities = game.starts()
    state = game.begin(np.zeros(len(draws), np.uint64), draws)
    return np.bincount(game.index(state), probabilities, game.states)
