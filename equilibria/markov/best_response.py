"""Best responses of one agent while the others follow a policy, and what it gains by them.

Where the others' policy is fixed, an agent faces a Markov decision process. Over a finite horizon its best response is
found by backward induction. In the game that never ends it is found by modified policy iteration (Puterman and Shin
1978):

1. Improve: in every state take the action of highest value, given the values of what follows.
2. Evaluate: let the values follow that response for `EVALUATION_STEPS` steps, then extrapolate them (`extrapolation`).
3. Repeat until an improvement moves the values by no more than `VALUE_CONVERGENCE`.

The *deviation gain* of an agent is the value of its best response less the value of following; the largest one is the
policy's exploitability, zero in equilibrium.
"""

from __future__ import annotations

import numba
import numpy as np

from ...core.config import UsageError
from ..tables.table import Table
from ..tolerances import PAYOFF_TIE, VALUE_CONVERGENCE
from .extrapolation import extrapolate
from .policies import JointPolicy, Mixed, joint_policy
from .stage_games import expected

EVALUATION_STEPS = 50  # steps of a response between two improvements of it
MAX_IMPROVEMENTS = 2_000


def deviation_gains(
    table: Table,
    actions: np.ndarray,
    promised: np.ndarray,
    horizon: int,
    *,
    discount: float | None = None,
    mixed: Mixed | None = None,
) -> np.ndarray:
    """(N,): what each agent's best response adds to its value while the others follow, averaged over the starts.

    An agent is paid `promised` only where it follows. Values are undiscounted over `horizon` steps without a
    `discount`; with one they are those of the stationary policy in the game that never ends.
    """
    policy = joint_policy(table, actions, promised, mixed)
    if discount is not None and policy.steps > 1:
        raise UsageError("a policy that depends on the step has no discounted value: leave the discount out")
    if discount is None:
        best, followed = _finite(table, policy, horizon)
    else:
        now = policy.at(0)
        best, followed = np.empty((2, *now.promised.shape))
        for i in range(actions.shape[-1]):
            followed[:, i], _ = _policy_iteration(table, now, i, discount, improve=False)
            best[:, i], _ = _policy_iteration(table, now, i, discount, values=followed[:, i])
    gains: np.ndarray = np.maximum(0.0, table.start @ (best - followed))
    return gains


def action_values(table: Table, joint: np.ndarray, agent: int, values: np.ndarray, discount: float) -> np.ndarray:
    """(S, A): an agent's value of each action while the others play `joint` (S,) and `values` (S,) follow."""
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    own = joint - table.actions[joint, agent] * stride
    j = own[:, None] + stride * np.arange(table.action_count)
    s = np.arange(table.states)[:, None]
    return table.rewards[s, j, agent] + _ahead(table, values, discount)[table.following[s, j]]


def stationary_best_response(
    table: Table,
    joint: np.ndarray,
    promised: np.ndarray,
    agent: int,
    discount: float,
    *,
    values: np.ndarray | None = None,
    improve: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's values (S,) of its best response to `joint` (S,), and the joint actions (S,) with that response.

    The agent is paid `promised[:, agent]`, of (S, N), where it keeps to `joint`, and it keeps to it where it is
    indifferent. Without `improve` the values are those of keeping to it everywhere. `values` is a first guess.
    """
    policy = JointPolicy(joint, promised, Mixed.nowhere(table).strategies)
    values, response = _policy_iteration(table, policy, agent, discount, values=values, improve=improve)
    own = table.actions[joint, agent]
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    return values, joint + np.where(response < 0, 0, response - own) * stride


def _policy_iteration(
    table: Table,
    policy: JointPolicy,
    agent: int,
    discount: float,
    *,
    values: np.ndarray | None = None,
    improve: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """`stationary_best_response` to agents that may mix; the response (S,) is an action, or -1 to follow."""
    values = np.zeros(table.states) if values is None else np.ascontiguousarray(values)
    for _ in range(MAX_IMPROVEMENTS):
        better, response = _improve(table, policy, agent, _ahead(table, values, discount), improve=improve)
        moved = np.abs(better - values).max()
        values = better
        if moved <= VALUE_CONVERGENCE * (1.0 + np.abs(values).max()):
            break
        held = _evaluate(table, policy, response, agent, values, discount, EVALUATION_STEPS)
        values = extrapolate(_evaluate(table, policy, response, agent, held, discount, 1), held, discount)
    return values, response


def _finite(table: Table, policy: JointPolicy, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) twice: each agent's undiscounted value of its best response, and of following, over `horizon` steps."""
    N = policy.promised.shape[2]
    values = np.zeros((table.states, 2 * N))
    for t in reversed(range(horizon)):
        now, ahead = policy.at(t), expected(table, values, 1.0).T.copy()
        for k in range(2 * N):
            values[:, k], _ = _improve(table, now, k % N, ahead[k], improve=k < N)
    return values[:, :N], values[:, N:]


@numba.njit(cache=True, nogil=True)
def _ahead(table: Table, values: np.ndarray, discount: float) -> np.ndarray:
    """(D,): the discounted expectation of the next state's `values` (S,) in each distribution."""
    D = len(table.offsets) - 1
    ahead = np.zeros(D)
    for d in range(D):
        for e in range(table.offsets[d], table.offsets[d + 1]):
            ahead[d] += table.probabilities[e] * values[table.successors[e]]
        ahead[d] *= discount
    return ahead


@numba.njit(cache=True, nogil=True)
def _improve(
    table: Table, policy: JointPolicy, agent: int, ahead: np.ndarray, improve: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The value (S,) of an agent's best action in each state, and that action (S,), -1 to follow the `policy`.

    The others follow it; `ahead` (D,) is the value of what comes next. Without `improve` the agent follows too.
    """
    S, J, N = table.rewards.shape
    A = policy.strategies.shape[2]
    stride = A ** (N - 1 - agent)
    new, response, of_action = np.empty(S), np.full(S, -1), np.empty(A)
    for s in range(S):
        cell = policy.joint[s]
        kept, base = -1, cell
        if cell < J:
            kept = table.actions[cell, agent]
            base = cell - kept * stride
            new[s] = policy.promised[s, agent] + table.rewards[s, cell, agent] + ahead[table.following[s, cell]]
        else:
            new[s] = policy.promised[s, agent] + _mixing(table, s, policy.strategies[cell - J], agent, ahead, of_action)
        for a in range(A if improve else 0):
            if a == kept:
                continue
            if cell < J:
                j = base + a * stride
                value = table.rewards[s, j, agent] + ahead[table.following[s, j]]
            else:
                value = of_action[a]
            if value > new[s] + PAYOFF_TIE * (1.0 + abs(value)):
                new[s], response[s] = value, a
    return new, response


@numba.njit(cache=True, nogil=True)
def _mixing(
    table: Table, s: int, strategies: np.ndarray, agent: int, ahead: np.ndarray, of_action: np.ndarray
) -> float:
    """An agent's value where all mix in state s; fills in `of_action` (A,), the value of each of its actions."""
    J, N = table.actions.shape
    of_action[:] = 0.0
    for j in range(J):
        share = 1.0
        for i in range(N):
            if i != agent:
                share *= strategies[i, table.actions[j, i]]
        if share > 0.0:
            of_action[table.actions[j, agent]] += share * (table.rewards[s, j, agent] + ahead[table.following[s, j]])
    value = 0.0
    for a in range(len(of_action)):
        value += strategies[agent, a] * of_action[a]
    return value


@numba.njit(cache=True, nogil=True)
def _evaluate(
    table: Table,
    policy: JointPolicy,
    response: np.ndarray,
    agent: int,
    values: np.ndarray,
    discount: float,
    steps: int,
) -> np.ndarray:
    """An agent's values (S,) after `steps` more steps of its `response` (S,) to the `policy` of the others."""
    S, J, N = table.rewards.shape
    A = policy.strategies.shape[2]
    stride, of_action = A ** (N - 1 - agent), np.empty(A)
    for _ in range(steps):
        new = np.empty(S)
        ahead = _ahead(table, values, discount)
        for s in range(S):
            cell = policy.joint[s]
            if cell < J:
                if response[s] >= 0:
                    cell += (response[s] - table.actions[cell, agent]) * stride
                new[s] = table.rewards[s, cell, agent] + ahead[table.following[s, cell]]
            else:
                value = _mixing(table, s, policy.strategies[cell - J], agent, ahead, of_action)
                new[s] = value if response[s] < 0 else of_action[response[s]]
            if response[s] < 0:
                new[s] += policy.promised[s, agent]
        values = new
    return values
