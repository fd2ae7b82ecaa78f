"""Hidden actions: contracts on outcomes for one agent whose actions nobody sees, in subgame-perfect equilibrium.

An action leads to each of K outcomes with some chance; a contract b pays b(o) >= 0 if outcome o comes. The principal,
who cannot commit, maximises its own reward less its payments from every state on; the agent maximises its own reward
with its payments. Both break ties in the principal's favour (Ivanov et al. 2024, arXiv:2407.18074; with one step it is
the contract problem of Holmstrom 1979 under limited liability). The equilibrium is found by backward induction:

1. The agent's value of each action is its reward and its value of the next state.
2. The cheapest contract that induces each action is a linear programme (`least_payments`).
3. The principal induces the action of highest reward and next value less the expected payment.

The game may be any that can be tabulated; its outcomes are its verifiable facts. `chance` (..., A, K) holds the
distributions of outcomes, `q` (..., A) the agent's values of its actions without the payment due now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from ...contracts.loop import Principal
from ...core.config import UsageError
from ...envs.game import Game
from ..tables.table import Table, tabular
from ..tables.tabulate import tabulate
from ..tolerances import UTILITY_TIE
from .payments_on_outcomes import least_payments


class OutcomeContracts(NamedTuple):
    """A contract for every step and state, and the action that it induces. T steps, S states, K outcomes."""

    induced: np.ndarray  # (T, S) int64
    payments: np.ndarray  # (T, S, K) float64


class Played(NamedTuple):
    """The expected, undiscounted returns and payments of an episode."""

    actions: np.ndarray  # (T, S) int64, the agent's
    agent_return: float  # from the environment alone
    principal_return: float  # before it pays
    payment: float

    @property
    def utility(self) -> float:
        """The principal's return less its payment."""
        return self.principal_return - self.payment

    @property
    def agent_value(self) -> float:
        """The agent's return, payments included."""
        return self.agent_return + self.payment


def subgame_perfect_contracts(table: Table, horizon: int, *, nudge: float = 0.0) -> OutcomeContracts:
    """The subgame-perfect contracts over `horizon` steps, by backward induction. Raises UsageError for several agents.

    With a `nudge` every induced action is better by that much than any other, and the principal counts on it.
    """
    chance, follow = _outcomes(table), _following(table)
    S, K = table.states, chance.shape[-1]
    induced, payments = np.empty((horizon, S), np.int64), np.empty((horizon, S, K))
    agent, principal, state = np.zeros(S), np.zeros(S), np.arange(S)
    for t in reversed(range(horizon)):
        q = table.rewards[..., 0] + follow(agent)
        contracts = least_payments(q, chance, nudge)
        paid = _expected(contracts, chance)
        utility = table.objective + follow(principal) - paid
        best = utility.argmax(axis=1)
        induced[t], payments[t] = best, contracts[state, best]
        agent, principal = q[state, best] + paid[state, best], utility[state, best]
    return OutcomeContracts(induced, payments)


def best_response(table: Table, contracts: OutcomeContracts) -> Played:
    """The agent's best response to `contracts`; where it is indifferent, it takes the induced action."""
    chance, follow = _outcomes(table), _following(table)
    actions, (T, S) = np.empty_like(contracts.induced), contracts.induced.shape
    value, state = np.zeros(S), np.arange(S)
    for t in reversed(range(T)):
        q = table.rewards[..., 0] + follow(value) + np.einsum("sak,sk->sa", chance, contracts.payments[t])
        induced = contracts.induced[t]
        obeys = q[state, induced] >= q.max(axis=1) - UTILITY_TIE
        actions[t] = np.where(obeys, induced, q.argmax(axis=1))
        value = q[state, actions[t]]
    return played(table, contracts.payments, actions)


def contracts_of(principal: Principal, game: Game) -> OutcomeContracts:
    """The contracts that `principal` offers in every state of the table, the same at every step."""
    decisions = principal(game, tabular(game).representatives())
    T, promised = game.horizon, np.asarray(decisions.promised, np.float64)
    if promised.ndim != 3 or promised.shape[1] != 1:
        raise UsageError(f"payments of shape {promised.shape} are not payments (S, 1, K) on one agent's outcomes")
    induced = np.asarray(decisions.recommended)[:, 0].astype(np.int64)
    return OutcomeContracts(np.repeat(induced[None], T, axis=0), np.repeat(promised[None, :, 0], T, axis=0))


def played(table: Table, payments: np.ndarray, actions: np.ndarray) -> Played:
    """The episode in which the agent plays `actions` (T, S) and is paid `payments` (T, S, K)."""
    chance, follow = _outcomes(table), _following(table)
    T, S = actions.shape
    paid = np.einsum("sak,tsk->tsa", chance, payments)
    sums, state = np.zeros((3, S)), np.arange(S)
    for t in reversed(range(T)):
        now = (table.rewards[..., 0], table.objective, paid[t])
        sums = np.stack([(step + follow(rest))[state, actions[t]] for step, rest in zip(now, sums, strict=True)])
    return Played(actions, *(float(table.start @ total) for total in sums))


def unpaid(table: Table, horizon: int) -> Played:
    """The episode without any contract; where the agent is indifferent, it does what the principal prefers."""
    S, K = table.states, table.facts.shape[-1]
    follow, state = _following(table), np.arange(S)
    agent, principal, actions = np.zeros(S), np.zeros(S), np.empty((horizon, S), np.int64)
    for t in reversed(range(horizon)):
        q, utility = table.rewards[..., 0] + follow(agent), table.objective + follow(principal)
        actions[t] = np.where(q >= q.max(axis=1, keepdims=True) - UTILITY_TIE, utility, -np.inf).argmax(axis=1)
        agent, principal = q[state, actions[t]], utility[state, actions[t]]
    return played(table, np.zeros((horizon, S, K)), actions)


def social_optimum(table: Table, horizon: int) -> Played:
    """The episode of the actions that maximise the sum of the agent's and the principal's rewards."""
    follow, S = _following(table), table.states
    joint, actions = np.zeros(S), np.empty((horizon, S), np.int64)
    for t in reversed(range(horizon)):
        q = table.rewards[..., 0] + table.objective + follow(joint)
        actions[t], joint = q.argmax(axis=1), q.max(axis=1)
    return played(table, np.zeros((horizon, S, table.facts.shape[-1])), actions)


def summary(game: Game, discount: float | None = None) -> dict[str, object]:
    """The social optimum of `game`, its play without contracts and its equilibrium, as JSON-ready values.

    `actions` holds the share of states in which each action is taken at the first step. Every state counts once; where
    states tell their step, all of them still lie ahead there. Raises UsageError with a discount.
    """
    if discount is not None:
        raise UsageError(f"discount: got {discount}; contracts on outcomes are solved over the horizon: leave it out")
    began = time.perf_counter()
    table, T, A = tabulate(game), game.horizon, len(game.action_names)
    rows = {
        "social_optimum": {**_row(social_optimum(table, T), A), "payment": None, "utility": None},
        "no_contract": _row(unpaid(table, T), A),
        "principal": _row(best_response(table, subgame_perfect_contracts(table, T)), A),
    }
    return {
        "states": table.states, "horizon": T, "discount": None, "alpha": 1.0, "action_names": list(game.action_names),
        "seconds": round(time.perf_counter() - began, 3), "hidden_actions": rows,
    }  # fmt: skip


def _row(found: Played, actions: int) -> dict[str, object]:
    shares = np.bincount(found.actions[0], minlength=actions) / found.actions.shape[1]
    return {
        "agent_return": found.agent_return, "principal_return": found.principal_return, "payment": found.payment,
        "utility": found.utility, "agent_value": found.agent_value, "actions": shares.tolist(),
    }  # fmt: skip


def _outcomes(table: Table) -> np.ndarray:
    """(S, A, K): the chance of each outcome. Raises UsageError where several agents act."""
    if table.facts.shape[2] != 1:
        raise UsageError(f"contracts on outcomes are solved for one agent, and the game has {table.facts.shape[2]}")
    return table.facts[:, :, 0]


def _following(table: Table) -> Callable[[np.ndarray], np.ndarray]:
    """values (S,) -> (S, A): the expected value of what follows."""
    D, S = len(table.offsets) - 1, table.states
    chances = csr_matrix((table.probabilities, table.successors, table.offsets), shape=(D, S))
    return lambda values: (chances @ values)[table.following]


def _expected(contracts: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(..., A): the expected payment of each contract (..., A, K) if the agent takes the action that it induces."""
    there = np.isfinite(contracts).all(axis=-1)
    return np.where(there, (chance * np.where(there[..., None], contracts, 0.0)).sum(axis=-1), np.inf)
