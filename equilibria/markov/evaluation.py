"""The exact value of a given policy or contract: returns and payments, expected over the table's starts and outcomes.

Nothing is sampled. What an agent gains by deviating stands in `best_response`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ...contracts.loop import Principal
from ...envs.game import Game
from ..tables.table import Table, tabular
from .best_response import deviation_gains
from .policies import JointPolicy, Mixed, joint_policy
from .stage_games import chance


class Evaluation(NamedTuple):
    """The returns and payments of an episode in which everyone follows the policy."""

    returns: np.ndarray  # (N,) from the environment alone
    payments: np.ndarray  # (N,) from the principal

    @property
    def welfare(self) -> float:
        """The sum of the agents' returns."""
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        """The sum of what the principal pays."""
        return float(self.payments.sum())


class Audit(NamedTuple):
    """A contract's value under obedience, and its exploitability."""

    followed: Evaluation  # over the horizon, undiscounted
    gains: np.ndarray  # (N,) each agent's deviation gain while the others follow; zero in equilibrium


def principal_table(principal: Principal, game: Game) -> tuple[np.ndarray, np.ndarray]:
    """The `principal`'s decisions in every state of the table: recommended (S, N) int, promised (S, N) float64.

    The principal is asked about one representative of each class of symmetric states. One that decides differently
    elsewhere in a class, as a network of absolute positions on a torus does, is judged by what it does there.
    """
    decisions = principal(game, tabular(game).representatives())
    return np.asarray(decisions.recommended), np.asarray(decisions.promised, np.float64)


def evaluate_policy(
    table: Table, actions: np.ndarray, promised: np.ndarray, horizon: int, *, mixed: Mixed | None = None
) -> Evaluation:
    """The undiscounted episode in which all follow `actions`, each agent paid what is `promised` at every step."""
    returns, payments = _forward(table, joint_policy(table, actions, promised, mixed), horizon)
    return Evaluation(returns, payments)


def audit(
    table: Table, recommended: np.ndarray, promised: np.ndarray, horizon: int, *, discount: float | None = None
) -> Audit:
    """The contract that pays agent i `promised` if and only if it does as `recommended`, judged.

    Deviation gains are undiscounted over `horizon` steps, or, with a `discount`, those of the game that never ends:
    the game on which agents train whose horizon only truncates.
    """
    followed = evaluate_policy(table, recommended, promised, horizon)
    return Audit(followed, deviation_gains(table, recommended, promised, horizon, discount=discount))


@numba.njit(cache=True, nogil=True)
def _forward(table: Table, policy: JointPolicy, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,): returns and payments, added up while the distribution over states is carried forward."""
    S, J, N = table.rewards.shape
    returns, payments = np.zeros(N), np.zeros(N)
    share = table.start.copy()
    for t in range(horizon):
        now = min(t, policy.joint.shape[0] - 1)
        taken = np.zeros(len(table.offsets) - 1)  # the probability of each distribution
        for s in range(S):
            if share[s] > 0.0:
                cell = policy.joint[now, s]
                for j in range(cell, cell + 1) if cell < J else range(J):
                    part = share[s]
                    if cell >= J:
                        part *= chance(table.actions, j, policy.strategies[cell - J])
                    taken[table.following[s, j]] += part
                    for i in range(N):
                        returns[i] += part * table.rewards[s, j, i]
                for i in range(N):
                    payments[i] += share[s] * policy.promised[now, s, i]
        share = np.zeros(S)
        for d in range(len(taken)):
            if taken[d] > 0.0:
                for e in range(table.offsets[d], table.offsets[d + 1]):
                    share[table.successors[e]] += taken[d] * table.probabilities[e]
    return returns, payments
