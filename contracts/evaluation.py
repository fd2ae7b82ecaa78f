"""What a given policy or contract is worth, exactly: returns, payments, and what each agent could gain by deviating.

Policies are `(S, N)` where they are stationary and `(T, S, N)` where they depend on the step. Values are expected over
the table's starts and outcomes; nothing is sampled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from ..envs.config import UsageError
from .loop import Principal
from .tabulate import Table, Tabular

BLOCK = 100  # steps between two looks at convergence
CLOSE = 1e-12  # a stationary value has converged when it moves by less, relative to 1 + its size
LONGEST = 1_000_000  # steps after which it is given up


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


def principal_table(principal: Principal, game: Tabular) -> tuple[np.ndarray, np.ndarray]:
    """What `principal` decides in every state of the table: recommended (S, N) int, promised (S, N) float64."""
    decisions = principal(game, game.representatives())
    return np.asarray(decisions.recommended), np.asarray(decisions.promised, np.float64)


def evaluate_policy(table: Table, actions: np.ndarray, promised: np.ndarray, horizon: int) -> Evaluation:
    """Play `actions` over an undiscounted episode, each agent paid what is `promised` at every step."""
    joint, due = _over_time(table, actions, promised)
    return Evaluation(*_forward(*table[:1], *table[2:6], joint, due, horizon))


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
    table: Table, actions: np.ndarray, promised: np.ndarray, horizon: int, *, discount: float | None = None
) -> np.ndarray:
    """(N,): what each agent's best reply adds to its value while the others follow, averaged over the starts.

    `promised` is paid for following only. Finite without a `discount`, stationary and discounted with one.
    """
    joint, due = _over_time(table, actions, promised)
    if discount is not None and len(joint) > 1:
        raise UsageError("a policy that depends on the step has no discounted value: leave the discount out")
    gains = [
        table.start @ (_value(table, joint, due, i, horizon, discount, True)
                       - _value(table, joint, due, i, horizon, discount, False))
        for i in range(actions.shape[-1])
    ]  # fmt: skip
    return np.maximum(gains, 0.0)


def _over_time(table: Table, actions: np.ndarray, promised: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The policy as (T, S) joint actions and (T, S, N) payments; T is 1 where it is stationary."""
    shape = (table.states, table.rewards.shape[2])
    if actions.shape[-2:] != shape or promised.shape != actions.shape:
        raise UsageError(
            f"a policy of this table is {shape} or (T, {shape[0]}, {shape[1]}), got {actions.shape} and {promised.shape}"
        )
    joint, due = table.joint(actions), promised.astype(np.float64)
    return (joint, due) if actions.ndim == 3 else (joint[None], due[None])


def _value(
    table: Table, joint: np.ndarray, due: np.ndarray, agent: int, horizon: int, discount: float | None, reply: bool
) -> np.ndarray:
    """(S,): agent `agent`'s value of following, or of its best reply."""
    A, N = table.action_count, table.rewards.shape[2]
    place = table.actions[:, agent].copy(), A ** (N - 1 - agent), A, agent

    def back(values: np.ndarray, steps: int) -> np.ndarray:
        gamma = 1.0 if discount is None else discount
        return _backward(*table[:1], *table[2:5], joint, due, *place, values, gamma, steps, reply)  # type: ignore[no-any-return]

    values = np.zeros(table.states)
    if discount is None:
        return back(values, horizon)
    for _ in range(LONGEST // BLOCK):
        earlier, values = values, back(values, BLOCK)
        if np.abs(values - earlier).max() <= CLOSE * (1.0 + np.abs(values).max()):
            break
    return values


@numba.njit(cache=True)
def _forward(
    rewards: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    start: np.ndarray,
    joint: np.ndarray,
    due: np.ndarray,
    horizon: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Carry the distribution over states forward, adding up what is earned and paid on the way."""
    S, J, N = rewards.shape
    returns, payments = np.zeros(N), np.zeros(N)
    share = start.copy()
    for t in range(horizon):
        now = min(t, joint.shape[0] - 1)
        following = np.zeros(S)
        for s in range(S):
            if share[s] > 0.0:
                j = joint[now, s]
                returns += share[s] * rewards[s, j]
                payments += share[s] * due[now, s]
                for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                    following[successors[e]] += share[s] * probabilities[e]
        share = following
    return returns, payments


@numba.njit(cache=True)
def _backward(
    rewards: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    joint: np.ndarray,
    due: np.ndarray,
    own: np.ndarray,
    stride: int,
    A: int,
    agent: int,
    values: np.ndarray,
    discount: float,
    steps: int,
    reply: bool,
) -> np.ndarray:
    """One agent's values `steps` steps earlier: following, or best replying to the others, who follow.

    `own[j]` is the agent's action in the joint action j, `stride` what one more of it adds to j.
    """
    S, J, _ = rewards.shape
    for t in range(steps - 1, -1, -1):
        now = min(t, joint.shape[0] - 1)
        new = np.empty(S)
        for s in range(S):
            following = own[joint[now, s]]
            base = joint[now, s] - following * stride
            best = -np.inf
            for a in range(A):
                if a != following and not reply:
                    continue
                row = s * J + base + a * stride
                value = rewards[s, base + a * stride, agent]
                if a == following:
                    value += due[now, s, agent]
                for e in range(offsets[row], offsets[row + 1]):
                    value += discount * probabilities[e] * values[successors[e]]
                best = max(best, value)
            new[s] = best
        values = new
    return values
