"""Mixed equilibria of three or more agents by the supports on which they mix.

1. Drop actions that are iteratively strictly dominated by another, and scale each agent's payoffs to [0, 1].
2. Go through the *support profiles*, the sets of actions that each agent plays with positive probability, in which
   three agents or more mix: those of fewest actions in all first.
3. Skip a profile in which an action is dominated by another as long as the others keep to their supports (Porter,
   Nudelman and Shoham 2008, "Simple search methods for finding a Nash equilibrium").
4. Otherwise solve for the probabilities that make every agent indifferent among the actions of its support. They are
   polynomial equations; Newton's method starts from even probabilities and from `STARTS - 1` other fixed points.
5. A solution is an equilibrium if no probability is negative and nobody gains by any action. Of the equilibria with the
   same number of actions in all, the one of highest (or lowest) total value is taken; then the search ends.

The search ends without one where the equations' solutions are not reached from these starts, where the equilibria are
degenerate, or after `MAX_PROFILES` profiles.
"""

from __future__ import annotations

import numba
import numpy as np

from ..tolerances import DOMINATED_ROW, PAYOFF_TIE
from .indifference import bits, indifferent, normalise, scaled, supported, value_and_regret

STARTS = 4
MAX_PROFILES = 4_000  # whose equations are solved: more than three agents with four actions or five with two have
GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, spread evenly


@numba.njit(cache=True, nogil=True)
def equilibrium_on_supports(q: np.ndarray, actions: np.ndarray, A: int, sign: float) -> tuple[bool, np.ndarray]:
    """Whether an equilibrium was found, and its strategies (N, A): fewest actions, then largest `sign` * total value.

    `q[j, i]` is agent i's payoff of the joint action `actions[j]`.
    """
    N = actions.shape[1]
    payoffs, kept = scaled(q), _undominated(q, actions, A)
    masks, support = np.zeros(N, np.int64), np.zeros((N, A), np.bool_)
    best, chosen, tried = -np.inf, np.zeros((N, A)), 0
    for total in range(N + 3, N * A + 1):
        i = 0
        masks[0] = 0
        while i >= 0 and tried < MAX_PROFILES:
            masks[i] = (masks[i] - kept[i]) & kept[i]  # the next of its subsets, none after the last
            if masks[i] == 0:
                i -= 1
            elif not _may_have(total, masks, kept, i):
                continue
            elif i < N - 1:
                i += 1
                masks[i] = 0
            elif _mixing(masks) > 2:
                _mark(masks, support)
                joint = supported(support)
                if _conditionally_dominated(payoffs, actions, joint, support):
                    continue
                tried += 1
                for start in range(STARTS):
                    strategies = _start(support, start)
                    if indifferent(payoffs, actions, joint, support, strategies):
                        value, regret = value_and_regret(q, actions, strategies)
                        if regret <= 0.0 and sign * value > best + PAYOFF_TIE * (1.0 + abs(value)):
                            best = sign * value
                            chosen[:] = strategies
        if best > -np.inf:
            return True, chosen
    return False, chosen


@numba.njit(cache=True, nogil=True)
def _start(support: np.ndarray, start: int) -> np.ndarray:
    """(N, A): the probabilities from which Newton's method starts, even ones for `start` 0."""
    N, A = support.shape
    strategies = np.zeros((N, A))
    for i in range(N):
        for a in range(A):
            if support[i, a]:
                spread = 0.05 + GOLDEN * (7 * start + 3 * i + a * (2 * start + 1)) % 1.0
                strategies[i, a] = spread if start else 1.0
        normalise(strategies[i])
    return strategies


@numba.njit(cache=True, nogil=True)
def _conditionally_dominated(payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, support: np.ndarray) -> bool:
    """Whether an action of the `support` (N, A) is worse than another wherever the others play theirs."""
    N, A = support.shape
    stride = len(actions)
    for i in range(N):
        stride //= A
        for a in np.flatnonzero(support[i]):
            for better in range(A):
                if better != a and _better(payoffs, actions, joint, i, a, (better - a) * stride):
                    return True
    return False


@numba.njit(cache=True, nogil=True)
def _better(payoffs: np.ndarray, actions: np.ndarray, joint: np.ndarray, agent: int, a: int, move: int) -> bool:
    """Whether an agent gains by leaving its action `a`, which moves the joint action by `move`, wherever it plays a."""
    for j in joint:
        if actions[j, agent] == a and payoffs[j + move, agent] - payoffs[j, agent] <= DOMINATED_ROW:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _undominated(q: np.ndarray, actions: np.ndarray, A: int) -> np.ndarray:
    """(N,) int64: the actions, as bits, of each agent that no other action iteratively strictly dominates."""
    N = actions.shape[1]
    payoffs, kept, support = scaled(q), np.full(N, (1 << A) - 1), np.ones((N, A), np.bool_)
    changed = True
    while changed:
        changed, joint, stride = False, supported(support), len(actions)
        for i in range(N):
            stride //= A
            for a in np.flatnonzero(support[i]):
                for better in np.flatnonzero(support[i]):
                    if better != a and _better(payoffs, actions, joint, i, a, (better - a) * stride):
                        kept[i] &= ~(1 << a)
                        support[i, a] = False
                        changed = True
                        break
    return kept


@numba.njit(cache=True, nogil=True)
def _may_have(total: int, masks: np.ndarray, kept: np.ndarray, last: int) -> bool:
    """Whether a profile can have `total` actions that begins with the `masks` of the agents up to the `last`."""
    least, most = 0, 0
    for i in range(len(masks)):
        least += bits(masks[i]) if i <= last else 1
        most += bits(masks[i] if i <= last else kept[i])
    return least <= total <= most


@numba.njit(cache=True, nogil=True)
def _mixing(masks: np.ndarray) -> int:
    """The number of agents with more than one action."""
    count = 0
    for i in range(len(masks)):
        if masks[i] & (masks[i] - 1):
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _mark(masks: np.ndarray, support: np.ndarray) -> None:
    """Fill in `support` (N, A) with the bits of the `masks` (N,)."""
    for i in range(support.shape[0]):
        for a in range(support.shape[1]):
            support[i, a] = masks[i] >> a & 1
