"""Nash equilibria of a single matrix game, for a user with payoffs and without a `Game`.

1. Pure equilibria, of any number of agents, by search: the joint actions at which no agent has a regret.
2. Mixed equilibria, of two agents, by vertex enumeration (Mangasarian 1964; Avis, Rosenberg, Savani and von Stengel
   2010): the pairs of vertices of the two best-response polytopes that are completely labelled, so that every action
   is a best response or is not played.
3. Of more agents, where there is no pure equilibrium, one mixed one (`mixed_equilibrium`). Others may exist.

The equilibria of step 2 are the extreme ones. A degenerate game may have infinitely many others: where extreme
equilibria share one agent's strategy, their convex combinations are equilibria, too.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...core.config import UsageError
from ..tolerances import PAYOFF_TIE
from .mixed_equilibrium import mixed_equilibrium
from .vertex_enumeration import extreme_equilibria

MAX_ACTIONS = 24  # of both agents: vertex enumeration tries 2 ** MAX_ACTIONS pairs of supports, in seconds


class NashEquilibrium(NamedTuple):
    """Strategies from which no agent gains by deviating alone."""

    strategies: tuple[np.ndarray, ...]  # N arrays (A_i,), each agent's probabilities
    payoffs: np.ndarray  # (N,) expected

    @property
    def is_pure(self) -> bool:
        """Whether every agent plays one action."""
        return all(np.count_nonzero(strategy) == 1 for strategy in self.strategies)


def list_equilibria(payoffs: ArrayLike) -> list[NashEquilibrium]:
    """Nash equilibria of a matrix game: of two agents all extreme ones, of more all pure ones, or else a mixed one.

    `payoffs` has the shape (A1, ..., AN, N): an axis for each agent's actions, and the agents' payoffs last. For agents
    with A actions each it may be (A^N, N), with joint actions in lexicographic order, agent 0 slowest. Pure equilibria
    come first, in that order. Of more than two agents the list is empty where none is pure and no mixed one is found.
    Raises UsageError for other shapes, payoffs that are not finite, and games of two agents
    with more actions than vertex enumeration can treat.

    >>> len(list_equilibria([[(3, 3), (1, 4)], [(4, 1), (0, 0)]]))  # chicken: two pure equilibria and a mixed one
    3
    """
    game = as_tensor(np.asarray(payoffs, np.float64))
    pure = _pure(game)
    if game.shape[-1] != 2:
        return pure or _mixed(game)
    A1, A2, _ = game.shape
    if A1 + A2 > MAX_ACTIONS:
        raise UsageError(f"{A1} and {A2} actions are too many to enumerate vertices; allowed are {MAX_ACTIONS} in all")
    row, column = (_scaled(game[..., i]) for i in range(2))
    mixed = [_equilibrium(game, (x, y)) for x, y in zip(*extreme_equilibria(row, column), strict=True)]
    return pure + [found for found in mixed if not found.is_pure]


def as_tensor(payoffs: np.ndarray) -> np.ndarray:
    """The payoffs as (A1, ..., AN, N)."""
    N = payoffs.shape[-1] if payoffs.ndim >= 2 else 0
    shape = payoffs.shape
    if payoffs.ndim == 2 and N > 1:
        A = round(len(payoffs) ** (1 / N))
        shape = (*(A,) * N, N)
    if N < 1 or not payoffs.size or np.prod(shape) != payoffs.size or len(shape) != N + 1:
        raise UsageError(
            f"payoffs of shape {payoffs.shape} are no matrix game: give the shape (A1, ..., AN, N), an axis for each "
            "agent's actions and the agents' payoffs last, or (A^N, N)"
        )
    if not np.isfinite(payoffs).all():
        raise UsageError("payoffs hold values that are not finite; give every joint action a payoff for each agent")
    return payoffs.reshape(shape)


def _pure(game: np.ndarray) -> list[NashEquilibrium]:
    """The joint actions at which no agent gains by another action, ties included."""
    stable = np.ones(game.shape[:-1], bool)
    for i in range(game.shape[-1]):
        best = game[..., i].max(axis=i, keepdims=True)
        stable &= best - game[..., i] <= PAYOFF_TIE * (1.0 + abs(best))
    identities = [np.eye(A) for A in game.shape[:-1]]
    return [
        _equilibrium(game, tuple(identity[a] for identity, a in zip(identities, joint, strict=True)))
        for joint in product(*map(range, game.shape[:-1]))
        if stable[joint]
    ]


def _mixed(game: np.ndarray) -> list[NashEquilibrium]:
    """The mixed equilibrium of a game without a pure one; none where none is found.

    Agents with fewer actions get more of them, each worse for them than all their others.
    """
    sizes, N, A = game.shape[:-1], game.shape[-1], max(game.shape[:-1])
    wider = np.pad(game, [(0, A - size) for size in sizes] + [(0, 0)])
    for i, size in enumerate(sizes):
        np.moveaxis(wider[..., i], i, 0)[size:] = game[..., i].min() - 1.0
    joint = np.ascontiguousarray(np.indices((A,) * N).reshape(N, -1).T, np.int64)
    found, strategies = mixed_equilibrium(wider.reshape(-1, N), joint, A, 1.0)
    return [_equilibrium(game, tuple(s[:size] for s, size in zip(strategies, sizes, strict=True)))] if found else []


def _equilibrium(game: np.ndarray, strategies: tuple[np.ndarray, ...]) -> NashEquilibrium:
    payoffs = game
    for strategy in strategies:
        payoffs = np.tensordot(strategy, payoffs, axes=1)
    return NashEquilibrium(strategies, payoffs)


def _scaled(payoffs: np.ndarray) -> np.ndarray:
    """The payoffs of one agent mapped to [1, 2], which changes no best response."""
    low, high = payoffs.min(), payoffs.max()
    return 1.0 + (payoffs - low) / max(high - low, 1e-300)
