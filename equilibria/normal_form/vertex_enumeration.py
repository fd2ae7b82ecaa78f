"""Mixed equilibria of a stage game by vertex enumeration, for stage games without a pure equilibrium.

Two agents (Mangasarian 1964; Avis, Rosenberg, Savani and von Stengel 2010, "Enumeration of Nash equilibria for
two-player games"):

1. Drop actions that are iteratively strictly dominated or duplicates, and map each agent's payoffs to [1, 2].
2. Enumerate the vertices of the two best-response polytopes {x >= 0, B^T x <= 1} and {y >= 0, A y <= 1}. Each vertex is
   labelled with the actions that it does not play and with the best responses to it.
3. A pair of vertices that carries all labels is an extreme equilibrium: every action is unplayed or a best response.

All other equilibria lie on faces between extreme ones. The total value is bilinear on a face, so that the highest and
the lowest are extreme. Degenerate games, with their many ties, are no exception.

More than two agents: the equilibria in which two of them mix while each of the others plays one action. There may be
none (`mixed_equilibrium` says what is tried then).
"""

from __future__ import annotations

import numba
import numpy as np

from ..tolerances import CONSTRAINT_SLACK, DOMINATED_ROW, IDENTICAL_PAYOFF, PAYOFF_TIE, SINGULAR_PIVOT
from .indifference import bits, value_and_regret


@numba.njit(cache=True, nogil=True)
def equilibrium_of_two(q: np.ndarray, actions: np.ndarray, A: int, sign: float) -> tuple[bool, np.ndarray]:
    """Whether an equilibrium was found, and the strategies (N, A) of the one with the largest `sign` * total value.

    `q[j, i]` is agent i's payoff of the joint action `actions[j]`.
    """
    J, N = actions.shape
    best, found = -np.inf, False
    chosen, strategies = np.zeros((N, A)), np.empty((N, A))
    for first in range(N):
        for second in range(first + 1, N):
            step_1, step_2 = A ** (N - 1 - first), A ** (N - 1 - second)
            for base in range(J):  # the others' actions, those of the two being 0
                if actions[base, first] or actions[base, second]:
                    continue
                game = _between(q, base, step_1, step_2, A)  # (A, A, N)
                own, other = _worth_playing(game, first, second)
                n, m = len(own), len(other)
                xs, ys = extreme_equilibria(_scaled(game, own, other, first), _scaled(game, own, other, second))
                for k in range(len(xs)):
                    strategies[:] = 0.0
                    for i in range(N):
                        if i != first and i != second:
                            strategies[i, actions[base, i]] = 1.0
                    for a in range(n):
                        strategies[first, own[a]] = xs[k, a]
                    for a in range(m):
                        strategies[second, other[a]] = ys[k, a]
                    total, regret = value_and_regret(q, actions, strategies)
                    if regret <= 0.0 and sign * total > best + PAYOFF_TIE * (1.0 + abs(total)):
                        best, found = sign * total, True
                        chosen[:] = strategies
    return found, chosen


@numba.njit(cache=True, nogil=True)
def extreme_equilibria(row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strategies (E, n) and (E, m) of all extreme equilibria of two agents, with payoffs (n, m) in [1, 2] each."""
    n, m = row.shape
    xs, unplayed_x = _vertices(column.T.copy())
    ys, unplayed_y = _vertices(row)
    pairs, count = np.empty((16, 2), np.int64), 0
    for k in range(len(xs)):
        mask = (unplayed_x[k] >> n) | ((unplayed_x[k] & ((1 << n) - 1)) << m)  # in the order of y's labels
        for r in range(len(ys)):
            if mask | unplayed_y[r] == (1 << (n + m)) - 1:
                if count == len(pairs):
                    pairs = np.concatenate((pairs, pairs))
                pairs[count, 0], pairs[count, 1] = k, r
                count += 1
    return xs[pairs[:count, 0]], ys[pairs[:count, 1]]


@numba.njit(cache=True, nogil=True)
def _between(q: np.ndarray, base: int, step_1: int, step_2: int, A: int) -> np.ndarray:
    """(A, A, N): all agents' payoffs of the actions of two, while the others play those of `base`."""
    game = np.empty((A, A, q.shape[1]))
    for a in range(A):
        for b in range(A):
            game[a, b] = q[base + a * step_1 + b * step_2]
    return game


@numba.njit(cache=True, nogil=True)
def _worth_playing(game: np.ndarray, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """The two agents' actions, ascending, without the iteratively strictly dominated ones and without duplicates.

    No extreme equilibrium needs an action whose payoffs to all agents are those of another.
    """
    A = len(game)
    own = other = (1 << A) - 1  # the actions kept, as bits
    before = 0
    while before != own | other << A:
        before = own | other << A
        own = _kept(game, own, other, 0, first)
        other = _kept(game, other, own, 1, second)
    return _members(own), _members(other)


@numba.njit(cache=True, nogil=True)
def _kept(game: np.ndarray, own: int, against: int, player: int, agent: int) -> int:
    """Of a player's actions `own` those to keep, as bits.

    The `player`, who is `agent`, is the first (0) or the second (1) of the two; the other has the actions `against`.
    """
    A = len(game)
    for a in range(A):
        for better in range(A):
            if a == better or not own >> better & 1 or not own >> a & 1:
                continue
            worse, same = True, True
            for b in range(A):
                if against >> b & 1:
                    row, column = (b, a) if player else (a, b)
                    row_2, column_2 = (b, better) if player else (better, b)
                    yours = game[row_2, column_2, agent]
                    if yours - game[row, column, agent] > PAYOFF_TIE * (1.0 + abs(yours)):
                        same = False
                    else:
                        worse = False
                        for i in range(game.shape[2]):
                            mine = game[row, column, i]
                            same = same and abs(game[row_2, column_2, i] - mine) <= IDENTICAL_PAYOFF * (1.0 + abs(mine))
                    if not worse and not same:
                        break
            if worse or same:
                own &= ~(1 << a)
    return own


@numba.njit(cache=True, nogil=True)
def _members(subset: int) -> np.ndarray:
    """The bits of `subset` that are set, ascending."""
    members = np.empty(bits(subset), np.int64)
    count, a = 0, 0
    while subset >> a:
        if subset >> a & 1:
            members[count] = a
            count += 1
        a += 1
    return members


@numba.njit(cache=True, nogil=True)
def _scaled(game: np.ndarray, own: np.ndarray, other: np.ndarray, agent: int) -> np.ndarray:
    """(n, m): the payoffs of `agent` from these actions, mapped to [1, 2], which changes no best response."""
    payoffs = np.empty((len(own), len(other)))
    for a in range(len(own)):
        for b in range(len(other)):
            payoffs[a, b] = game[own[a], other[b], agent]
    low, high = payoffs.min(), payoffs.max()
    return 1.0 + (payoffs - low) / max(high - low, 1e-300)


@numba.njit(cache=True, nogil=True)
def _vertices(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of {x >= 0, M x <= 1}, the origin left out, as probabilities (V, m), and their labels (V,).

    Bit i of the labels says that x_i = 0, bit m + r that row r is tight: action r of the other is a best response to x.
    """
    m = M.shape[1]
    points, labels = np.empty((16, m)), np.empty(16, np.int64)
    x, system = np.empty(m), np.empty((m, m + 1))
    count = 0
    for played in range(1, 1 << m):
        size, candidates = bits(played), _candidates(M, played)
        tight = 0
        while tight != candidates:
            tight = (tight - candidates) & candidates  # the next of its subsets
            if bits(tight) != size or not _solved(M, played, tight, system[:size, : size + 1], x):
                continue
            label = _labels(M, x)
            if label < 0 or label in labels[:count]:
                continue
            if count == len(labels):
                points, labels = np.concatenate((points, points)), np.concatenate((labels, labels))
            points[count], labels[count] = x / x.sum(), label
            count += 1
    return points[:count], labels[:count]


@numba.njit(cache=True, nogil=True)
def _candidates(M: np.ndarray, played: int) -> int:
    """The rows of M that can be tight where `played` are the columns: those that no other row strictly dominates."""
    n, m = M.shape
    candidates = (1 << n) - 1
    for r in range(n):
        for other in range(n):
            if other != r and candidates >> other & 1:
                above = True
                for i in range(m):
                    if played >> i & 1 and M[other, i] - M[r, i] <= DOMINATED_ROW:
                        above = False
                        break
                if above:
                    candidates &= ~(1 << r)
                    break
    return candidates


@numba.njit(cache=True, nogil=True)
def _labels(M: np.ndarray, x: np.ndarray) -> int:
    """The labels of x (m,), whose nearly zero entries become zero; -1 if x is not in the polytope."""
    n, m = M.shape
    label = 0
    for i in range(m):
        if x[i] < -CONSTRAINT_SLACK:
            return -1
        if x[i] <= CONSTRAINT_SLACK:
            x[i] = 0.0
            label |= 1 << i
    for r in range(n):
        product = 0.0
        for i in range(m):
            product += M[r, i] * x[i]
        if product > 1.0 + CONSTRAINT_SLACK:
            return -1
        if product >= 1.0 - CONSTRAINT_SLACK:
            label |= 1 << (m + r)
    return label


@numba.njit(cache=True, nogil=True)
def _solved(M: np.ndarray, played: int, tight: int, system: np.ndarray, x: np.ndarray) -> bool:
    """Fill in x (m,) with M x = 1 in the rows `tight` and x = 0 outside `played`; False if there is no unique such x.

    Gaussian elimination with pivoting, in the memory of `system` (size, size + 1).
    """
    size = len(system)
    r = 0
    for row in range(len(M)):
        if tight >> row & 1:
            i = 0
            for column in range(len(x)):
                if played >> column & 1:
                    system[r, i] = M[row, column]
                    i += 1
            system[r, size] = 1.0
            r += 1
    for i in range(size):
        pivot = i
        for r in range(i + 1, size):
            if abs(system[r, i]) > abs(system[pivot, i]):
                pivot = r
        if abs(system[pivot, i]) < SINGULAR_PIVOT:
            return False
        if pivot != i:
            for k in range(size + 1):
                system[i, k], system[pivot, k] = system[pivot, k], system[i, k]
        for r in range(size):
            if r != i:
                factor = system[r, i] / system[i, i]
                for k in range(i, size + 1):
                    system[r, k] -= factor * system[i, k]
    i = 0
    for column in range(len(x)):
        x[column] = 0.0
        if played >> column & 1:
            x[column] = system[i, size] / system[i, i]
            i += 1
    return True
