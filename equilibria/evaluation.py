"""What a given policy or contract is worth, exactly: returns, payments, and what each agent could gain by deviating.

Policies are `(S, N)` where they are stationary and `(T, S, N)` where they depend on the step; where agents mix, `Mixed`
says so. Values are expected over the table's starts and outcomes; nothing is sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ..contracts.loop import Principal
from ..core.config import UsageError
from ..envs.game import Game
from .stage_games import chance, expected
from .table import Table, tabular
from .tolerances import PAYOFF_TIE, VALUE_CONVERGENCE

HOLD = 50  # steps that a stationary reply is held between two improvements of it
LONGEST = 2_000  # improvements after which that is given up


class Mixed(NamedTuple):
    """Where agents mix, each on its own, instead of doing what the policy says."""

    cells: np.ndarray  # (M,) int64: the state s, or t * S + s where the policy depends on the step
    strategies: np.ndarray  # (M, N, A) float64, each agent's probabilities

    @staticmethod
    def nowhere(table: Table) -> Mixed:
        return Mixed(np.zeros(0, np.int64), np.zeros((0, table.rewards.shape[2], table.action_count)))


class Evaluation(NamedTuple):
    """What happens over an episode if everyone does as the policy says."""

    returns: np.ndarray  # (N,) from the environment alone
    payments: np.ndarray  # (N,) from the principal

    @property
    def welfare(self) -> float:
        return float(self.returns.sum())

    @property
    def payment(self) -> float:
        return float(self.payments.sum())


class Audit(NamedTuple):
    """A contract judged as if its agents followed it, and what each would gain by not following."""

    followed: Evaluation  # over the horizon, undiscounted
    gains: np.ndarray  # (N,) by the best policy of one's own while the others follow; zero in equilibrium


def principal_table(principal: Principal, game: Game) -> tuple[np.ndarray, np.ndarray]:
    """What `principal` decides in every state of the table: recommended (S, N) int, promised (S, N) float64.

    It is asked about one representative of each class of symmetric states. One that decides differently elsewhere in
    a class, as a network of absolute positions on a torus does, is judged by what it does there.
    """
    decisions = principal(game, tabular(game).representatives())
    return np.asarray(decisions.recommended), np.asarray(decisions.promised, np.float64)


def evaluate_policy(
    table: Table, actions: np.ndarray, promised: np.ndarray, horizon: int, *, mixed: Mixed | None = None
) -> Evaluation:
    """Play `actions` over an undiscounted episode, each agent paid what is `promised` at every step."""
    joint, due = _over_time(table, actions, promised, mixed)
    return Evaluation(*_forward(table, joint, due, _strategies(table, mixed), horizon))


def audit(
    table: Table, recommended: np.ndarray, promised: np.ndarray, horizon: int, *, discount: float | None = None
) -> Audit:
    """Judge the contract that pays agent i `promised` if and only if it does as `recommended`.

    Gains are undiscounted over `horizon` steps, or, with a `discount`, in the game that never ends: the one that the
    agents of a horizon which only truncates are trained on.
    """
    followed = evaluate_policy(table, recommended, promised, horizon)
    return Audit(followed, deviation_gains(table, recommended, promised, horizon, discount=discount))


def deviation_gains(
    table: Table,
    actions: np.ndarray,
    promised: np.ndarray,
    horizon: int,
    *,
    discount: float | None = None,
    mixed: Mixed | None = None,
) -> np.ndarray:
    """(N,): what each agent's best reply adds to its value while the others follow, averaged over the starts.

    `promised` is paid for following only. Finite without a `discount`, stationary and discounted with one.
    """
    joint, due = _over_time(table, actions, promised, mixed)
    strategies = _strategies(table, mixed)
    if discount is not None and len(joint) > 1:
        raise UsageError("a policy that depends on the step has no discounted value: leave the discount out")
    if discount is None:
        best, kept = _finite(table, joint, due, strategies, horizon)
    else:
        best, kept = np.empty((2, *due.shape[1:]))
        for i in range(actions.shape[-1]):
            kept[:, i], _ = _stationary(table, joint[0], due[0], strategies, i, discount, None, improve=False)
            best[:, i], _ = _stationary(table, joint[0], due[0], strategies, i, discount, kept[:, i], improve=True)
    gains: np.ndarray = np.maximum(0.0, table.start @ (best - kept))
    return gains


def action_values(table: Table, joint: np.ndarray, agent: int, values: np.ndarray, discount: float) -> np.ndarray:
    """(S, A): what each action of an agent is worth where the others keep to `joint` (S,) and `values` (S,) follow."""
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    own = joint - table.actions[joint, agent] * stride
    j = own[:, None] + stride * np.arange(table.action_count)
    s = np.arange(table.states)[:, None]
    return table.rewards[s, j, agent] + _ahead(table, values, discount)[table.following[s, j]]


def stationary_reply(
    table: Table,
    joint: np.ndarray,
    due: np.ndarray,
    agent: int,
    discount: float,
    *,
    values: np.ndarray | None = None,
    improve: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's value (S,) of its best reply to `joint` (S,), and the joint actions (S,) with that reply in it.

    It is paid `due[:, agent]` where it keeps to `joint`, and keeps to it where that is as good. Without `improve`, the
    value of keeping to it everywhere. `values` is a first guess.
    """
    values, reply = _stationary(table, joint, due, _strategies(table, None), agent, discount, values, improve)
    own = table.actions[joint, agent]
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    return values, joint + np.where(reply < 0, 0, reply - own) * stride


def _stationary(
    table: Table,
    joint: np.ndarray,
    due: np.ndarray,
    strategies: np.ndarray,
    agent: int,
    discount: float,
    values: np.ndarray | None,
    improve: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """`stationary_reply` to agents that may mix; the reply (S,) is an action, or -1 to keep to one's part.

    Policy iteration, evaluated by successive steps and leaps.
    """
    values = np.zeros(table.states) if values is None else np.ascontiguousarray(values)
    for _ in range(LONGEST):
        ahead = _ahead(table, values, discount)
        better, reply = _reply(table, table.action_count, joint, due, strategies, agent, ahead, improve)
        moved = np.abs(better - values).max()
        values = better
        if moved <= VALUE_CONVERGENCE * (1.0 + np.abs(values).max()):
            break
        held = _hold(table, joint, due, strategies, reply, agent, values, discount, HOLD)
        values = leap(_hold(table, joint, due, strategies, reply, agent, held, discount, 1), held, discount)
    return values, reply


def leap(values: np.ndarray, before: np.ndarray, discount: float) -> np.ndarray:
    """Where `values` (S, ...) will have gone if every state goes on moving as one, as it did since the step `before`.

    With a discount g near 1 that is most of what successive steps still do: a move by m is followed by moves by
    g m, g^2 m, ..., in all g / (1 - g) m (the bounds of MacQueen 1966). Where states move apart nothing is changed.
    """
    moved = values - before
    low, high = moved.min(axis=0), moved.max(axis=0)
    together = high - low <= 0.5 * np.abs(high + low)
    return values + np.where(together, discount / (1.0 - discount) * (high + low) / 2.0, 0.0)


def _finite(
    table: Table, joint: np.ndarray, due: np.ndarray, strategies: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) twice: each agent's undiscounted value of its best reply, and of following, over `horizon` steps."""
    N, A = due.shape[2], table.action_count
    values = np.zeros((table.states, 2 * N))
    for t in reversed(range(horizon)):
        now, ahead = min(t, len(joint) - 1), expected(table, values, 1.0).T.copy()
        for k in range(2 * N):
            values[:, k], _ = _reply(table, A, joint[now], due[now], strategies, k % N, ahead[k], k < N)
    return values[:, :N], values[:, N:]


def _over_time(
    table: Table, actions: np.ndarray, promised: np.ndarray, mixed: Mixed | None
) -> tuple[np.ndarray, np.ndarray]:
    """The policy as (T, S) choices, as of a `Stage`, and (T, S, N) payments; T is 1 where it is stationary."""
    shape = (table.states, table.rewards.shape[2])
    if actions.ndim not in (2, 3) or actions.shape[-2:] != shape or promised.shape != actions.shape:
        raise UsageError(
            f"a policy of this table has the shape {shape}, or (T, *{shape}) where it depends on the step; "
            f"got actions {actions.shape} and payments {promised.shape}"
        )
    joint, due = table.joint(actions), np.asarray(promised, np.float64)
    if mixed is not None:
        joint.reshape(-1)[mixed.cells] = len(table.actions) + np.arange(len(mixed.cells))
    return (joint, due) if actions.ndim == 3 else (joint[None], due[None])


def _strategies(table: Table, mixed: Mixed | None) -> np.ndarray:
    return (Mixed.nowhere(table) if mixed is None else mixed).strategies


@numba.njit(cache=True, nogil=True)
def _ahead(table: Table, values: np.ndarray, discount: float) -> np.ndarray:
    """(D,): what the `values` (S,) of the next state come to in each distribution, discounted."""
    D = len(table.offsets) - 1
    ahead = np.zeros(D)
    for d in range(D):
        for e in range(table.offsets[d], table.offsets[d + 1]):
            ahead[d] += table.probabilities[e] * values[table.successors[e]]
        ahead[d] *= discount
    return ahead


@numba.njit(cache=True, nogil=True)
def _forward(
    table: Table, joint: np.ndarray, due: np.ndarray, strategies: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """Carry the distribution over states forward, adding up what is earned and paid on the way."""
    S, J, N = table.rewards.shape
    returns, payments = np.zeros(N), np.zeros(N)
    share = table.start.copy()
    for t in range(horizon):
        now = min(t, joint.shape[0] - 1)
        taken = np.zeros(len(table.offsets) - 1)  # how probable each distribution is
        for s in range(S):
            if share[s] > 0.0:
                cell = joint[now, s]
                for j in range(cell, cell + 1) if cell < J else range(J):
                    part = share[s]
                    if cell >= J:
                        part *= chance(table.actions, j, strategies[cell - J])
                    taken[table.following[s, j]] += part
                    for i in range(N):
                        returns[i] += part * table.rewards[s, j, i]
                for i in range(N):
                    payments[i] += share[s] * due[now, s, i]
        share = np.zeros(S)
        for d in range(len(taken)):
            if taken[d] > 0.0:
                for e in range(table.offsets[d], table.offsets[d + 1]):
                    share[table.successors[e]] += taken[d] * table.probabilities[e]
    return returns, payments


@numba.njit(cache=True, nogil=True)
def _reply(
    table: Table,
    A: int,
    joint: np.ndarray,
    due: np.ndarray,
    strategies: np.ndarray,
    agent: int,
    ahead: np.ndarray,
    improve: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The value of each state's best own action, and that action, -1 to keep to `joint`, while the others keep to it.

    `ahead` (D,) is what follows.
    """
    S, J, N = table.rewards.shape
    stride = A ** (N - 1 - agent)
    new, reply, of_action = np.empty(S), np.full(S, -1), np.empty(A)
    for s in range(S):
        cell = joint[s]
        kept, base = -1, cell
        if cell < J:
            kept = table.actions[cell, agent]
            base = cell - kept * stride
            new[s] = due[s, agent] + table.rewards[s, cell, agent] + ahead[table.following[s, cell]]
        else:
            new[s] = due[s, agent] + _own(table, s, strategies[cell - J], agent, ahead, of_action)
        for a in range(A if improve else 0):
            if a == kept:
                continue
            if cell < J:
                j = base + a * stride
                value = table.rewards[s, j, agent] + ahead[table.following[s, j]]
            else:
                value = of_action[a]
            if value > new[s] + PAYOFF_TIE * (1.0 + abs(value)):
                new[s], reply[s] = value, a
    return new, reply


@numba.njit(cache=True, nogil=True)
def _own(table: Table, s: int, strategies: np.ndarray, agent: int, ahead: np.ndarray, of_action: np.ndarray) -> float:
    """What `agent` earns in state s where all mix; fills in `of_action` (A,), what each of its actions earns."""
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
def _hold(
    table: Table,
    joint: np.ndarray,
    due: np.ndarray,
    strategies: np.ndarray,
    reply: np.ndarray,
    agent: int,
    values: np.ndarray,
    discount: float,
    steps: int,
) -> np.ndarray:
    """One agent's values after `steps` more steps of `reply` (S,) to `joint` (S,)."""
    S, J, N = table.rewards.shape
    A = strategies.shape[2]
    stride, of_action = A ** (N - 1 - agent), np.empty(A)
    for _ in range(steps):
        new = np.empty(S)
        ahead = _ahead(table, values, discount)
        for s in range(S):
            cell = joint[s]
            if cell < J:
                if reply[s] >= 0:
                    cell += (reply[s] - table.actions[cell, agent]) * stride
                new[s] = table.rewards[s, cell, agent] + ahead[table.following[s, cell]]
            else:
                value = _own(table, s, strategies[cell - J], agent, ahead, of_action)
                new[s] = value if reply[s] < 0 else of_action[reply[s]]
            if reply[s] < 0:
                new[s] += due[s, agent]
        values = new
    return values
