"""Payments on outcomes, for an agent whose actions nobody sees: the least that induce an action, and their equilibrium.

An action leads to each of K outcomes with some chance; a contract b pays b(o) >= 0 if o comes. `chance` (..., A, K)
holds the distributions, `q` (..., A) what each action is worth to the agent from here on without the payment due now.
Ivanov et al. 2024 (arXiv:2407.18074); with one step it is the contract problem of Holmstrom 1979 under limited
liability.

The equilibrium is subgame-perfect: the principal, who cannot commit, maximises its own reward less what it pays from
every state on, the agent its own with what it is paid. Both break ties in the principal's favour. One agent; any game
that can be tabulated, its outcomes being what it says is verifiable.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

from ..contracts.loop import Principal
from ..core.config import UsageError
from ..envs.game import Game
from .table import Table, tabular
from .tabulate import tabulate
from .tolerances import CONTRADICTION, UTILITY_TIE


class OutcomeContracts(NamedTuple):
    """A contract for every step and state, and the action that it is meant to induce. T steps, S states, K outcomes."""

    induced: np.ndarray  # (T, S) int64
    payments: np.ndarray  # (T, S, K) float64


class Played(NamedTuple):
    """What happens over an episode, expected and undiscounted."""

    actions: np.ndarray  # (T, S) int64 what the agent does
    agent_return: float  # from the environment alone
    principal_return: float  # before it pays
    payment: float

    @property
    def utility(self) -> float:
        """The principal's: what it earns less what it pays."""
        return self.principal_return - self.payment

    @property
    def agent_value(self) -> float:
        """What the agent earns, payments included."""
        return self.agent_return + self.payment


def least_payments(q: np.ndarray, chance: np.ndarray, nudge: float = 0.0) -> np.ndarray:
    """(..., A, K): for each action, the cheapest contract under which it is best by `nudge`; inf where there is none.

    minimise E[b(o) | a*] over b >= 0 such that E[b | a*] + q(a*) >= E[b | a] + q(a) + nudge for every a != a*
    """
    if chance.shape[-1] == 2 and np.allclose(chance.sum(axis=-1), 1.0):
        return two_outcomes(q, chance, nudge)
    found = np.empty(chance.shape)
    for index in np.ndindex(q.shape):
        found[index] = linear_programme(q[index[:-1]], chance[index[:-1]], index[-1], nudge)
    return found


def two_outcomes(q: np.ndarray, chance: np.ndarray, nudge: float = 0.0) -> np.ndarray:
    """`least_payments` in closed form, (..., A, 2), where one of two outcomes must come.

    Only x = b(1) - b(0) moves the agent. With p(a) the chance of outcome 1, every other action a bounds it:
    (p(a*) - p(a)) x >= q(a) - q(a*) + nudge. The cheapest x is the one nearest to 0; the smaller payment is 0.
    """
    p = chance[..., 1]
    apart = p[..., :, None] - p[..., None, :]  # p(a*) - p(a)
    due = q[..., None, :] - q[..., :, None] + nudge  # q(a) - q(a*) + nudge
    other = ~np.eye(q.shape[-1], dtype=bool)
    bound = due / np.where(apart == 0.0, 1.0, apart)
    least = np.where(other & (apart > 0.0), bound, -np.inf).max(axis=-1)
    most = np.where(other & (apart < 0.0), bound, np.inf).min(axis=-1)
    hopeless = (other & (apart == 0.0) & (due > CONTRADICTION)).any(axis=-1) | (least > most + CONTRADICTION)
    x = np.where(hopeless, np.inf, np.clip(0.0, least, most))
    return np.stack([np.where(hopeless, np.inf, np.maximum(-x, 0.0)), np.maximum(x, 0.0)], axis=-1)


def linear_programme(q: np.ndarray, chance: np.ndarray, action: int, nudge: float = 0.0) -> np.ndarray:
    """`least_payments` of one state and one `action`, for any number of outcomes: (K,), inf where there is none."""
    others = np.arange(len(q)) != action
    found = linprog(
        chance[action],
        A_ub=(chance - chance[action])[others],
        b_ub=(q[action] - q - nudge)[others],
        bounds=(0.0, None),
        method="highs",
    )
    return np.asarray(found.x) if found.success else np.full(chance.shape[-1], np.inf)


def solve(table: Table, horizon: int, *, nudge: float = 0.0) -> OutcomeContracts:
    """The subgame-perfect contracts over `horizon` steps, by backward induction. Raises UsageError for several agents.

    With a `nudge` the principal makes every induced action better than the next by that much, and expects to.
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
    """What comes of `contracts` if the agent does what is best for itself; where it is indifferent, as is meant."""
    chance, follow = _outcomes(table), _following(table)
    actions, (T, S) = np.empty_like(contracts.induced), contracts.induced.shape
    value, state = np.zeros(S), np.arange(S)
    for t in reversed(range(T)):
        q = table.rewards[..., 0] + follow(value) + np.einsum("sak,sk->sa", chance, contracts.payments[t])
        meant = contracts.induced[t]
        obeys = q[state, meant] >= q.max(axis=1) - UTILITY_TIE
        actions[t] = np.where(obeys, meant, q.argmax(axis=1))
        value = q[state, actions[t]]
    return played(table, contracts.payments, actions)


def contracts_of(principal: Principal, game: Game) -> OutcomeContracts:
    """What `principal` offers in every state of the table, the same at every step."""
    decisions = principal(game, tabular(game).representatives())
    T, promised = game.horizon, np.asarray(decisions.promised, np.float64)
    if promised.ndim != 3 or promised.shape[1] != 1:
        raise UsageError(f"payments of shape {promised.shape} are not payments (S, 1, K) on one agent's outcomes")
    induced = np.asarray(decisions.recommended)[:, 0].astype(np.int64)
    return OutcomeContracts(np.repeat(induced[None], T, axis=0), np.repeat(promised[None, :, 0], T, axis=0))


def played(table: Table, payments: np.ndarray, actions: np.ndarray) -> Played:
    """What comes of `payments` (T, S, K) if the agent plays `actions` (T, S)."""
    chance, follow = _outcomes(table), _following(table)
    T, S = actions.shape
    paid = np.einsum("sak,tsk->tsa", chance, payments)
    sums, state = np.zeros((3, S)), np.arange(S)
    for t in reversed(range(T)):
        now = (table.rewards[..., 0], table.objective, paid[t])
        sums = np.stack([(step + follow(rest))[state, actions[t]] for step, rest in zip(now, sums, strict=True)])
    return Played(actions, *(float(table.start @ total) for total in sums))


def unpaid(table: Table, horizon: int) -> Played:
    """What comes without any contract; where the agent is indifferent it does what the principal would have it do."""
    S, K = table.states, table.facts.shape[-1]
    follow, state = _following(table), np.arange(S)
    agent, principal, actions = np.zeros(S), np.zeros(S), np.empty((horizon, S), np.int64)
    for t in reversed(range(horizon)):
        q, utility = table.rewards[..., 0] + follow(agent), table.objective + follow(principal)
        actions[t] = np.where(q >= q.max(axis=1, keepdims=True) - UTILITY_TIE, utility, -np.inf).argmax(axis=1)
        agent, principal = q[state, actions[t]], utility[state, actions[t]]
    return played(table, np.zeros((horizon, S, K)), actions)


def social_optimum(table: Table, horizon: int) -> Played:
    """What comes of the actions that maximise the agent's and the principal's rewards together."""
    follow, S = _following(table), table.states
    joint, actions = np.zeros(S), np.empty((horizon, S), np.int64)
    for t in reversed(range(horizon)):
        q = table.rewards[..., 0] + table.objective + follow(joint)
        actions[t], joint = q.argmax(axis=1), q.max(axis=1)
    return played(table, np.zeros((horizon, S, table.facts.shape[-1])), actions)


def summary(game: Game, discount: float | None = None) -> dict[str, Any]:
    """What `game` comes to at the social optimum, without contracts and in equilibrium, as JSON-ready values.

    Actions are the share of states, each counted once, in which each is taken: at the first step, from which a game
    whose states tell their step has all of them before it. Raises UsageError with a discount.
    """
    if discount is not None:
        raise UsageError(f"discount: got {discount}; contracts on outcomes are solved over the horizon: leave it out")
    began = time.perf_counter()
    table, T, A = tabulate(game), game.horizon, len(game.action_names)
    rows = {
        "social_optimum": {**_row(social_optimum(table, T), A), "payment": None, "utility": None},
        "no_contract": _row(unpaid(table, T), A),
        "principal": _row(best_response(table, solve(table, T)), A),
    }
    return {
        "states": table.states, "horizon": T, "discount": None, "alpha": 1.0, "action_names": list(game.action_names),
        "seconds": round(time.perf_counter() - began, 3), "hidden_actions": rows,
    }  # fmt: skip


def _row(found: Played, actions: int) -> dict[str, Any]:
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
    """(..., A): what each contract (..., A, K) pays if the agent takes the action that it induces."""
    there = np.isfinite(contracts).all(axis=-1)
    return np.where(there, (chance * np.where(there[..., None], contracts, 0.0)).sum(axis=-1), np.inf)
