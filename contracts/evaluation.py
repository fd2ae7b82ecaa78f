"""What a given policy or contract is worth, exactly: returns, payments, and what each agent could gain by deviating.

Policies are `(S, N)` where they are stationary and `(T, S, N)` where they depend on the step. Values are expected over
the table's starts and outcomes; nothing is sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from ..envs.config import UsageError
from ..envs.core import Game
from .loop import Principal
from .stage_games import TIE
from .tabulate import Table, tabular

HOLD = 50  # steps that a stationary reply is held between two improvements of it
CLOSE = 1e-12  # a stationary value has converged when it moves by less, relative to 1 + its size
LONGEST = 2_000  # improvements after which that is given up


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


def evaluate_policy(table: Table, actions: np.ndarray, promised: np.ndarray, horizon: int) -> Evaluation:
    """Play `actions` over an undiscounted episode, each agent paid what is `promised` at every step."""
    joint, due = _over_time(table, actions, promised)
    return Evaluation(
        *_forward(table.rewards, table.offsets, table.successors, table.probabilities, table.start, joint, due, horizon)
    )


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
    gains = np.empty(actions.shape[-1])
    for i in range(len(gains)):
        if discount is None:
            best, kept = (_finite(table, joint, due, i, horizon, reply) for reply in (True, False))
        else:
            kept, _ = stationary_reply(table, joint[0], due[0], i, discount, improve=False)
            best, _ = stationary_reply(table, joint[0], due[0], i, discount, values=kept)
        gains[i] = max(0.0, table.start @ (best - kept))
    return gains


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
    value of keeping to it everywhere. `values` is a first guess. Policy iteration, evaluated by successive steps.
    """
    values = np.zeros(table.states) if values is None else values
    for _ in range(LONGEST):
        better, reply = _step_back(table, joint, due, agent, values, discount, improve)
        moved = np.abs(better - values).max()
        values = better
        if moved <= CLOSE * (1.0 + np.abs(values).max()):
            break
        values = _hold(
            table.rewards, table.offsets, table.successors, table.probabilities,
            reply, np.where(reply == joint, due[:, agent], 0.0), agent, values, discount, HOLD,
        )  # fmt: skip
    return values, reply


def _finite(table: Table, joint: np.ndarray, due: np.ndarray, agent: int, horizon: int, improve: bool) -> np.ndarray:
    """(S,): an agent's undiscounted value of its best reply, or of following, at the first of `horizon` steps."""
    values = np.zeros(table.states)
    for t in reversed(range(horizon)):
        now = min(t, len(joint) - 1)
        values, _ = _step_back(table, joint[now], due[now], agent, values, 1.0, improve)
    return values


def _over_time(table: Table, actions: np.ndarray, promised: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The policy as (T, S) joint actions and (T, S, N) payments; T is 1 where it is stationary."""
    shape = (table.states, table.rewards.shape[2])
    if actions.ndim not in (2, 3) or actions.shape[-2:] != shape or promised.shape != actions.shape:
        raise UsageError(
            f"a policy of this table has the shape {shape}, or (T, *{shape}) where it depends on the step; "
            f"got actions {actions.shape} and payments {promised.shape}"
        )
    joint, due = table.joint(actions), np.asarray(promised, np.float64)
    return (joint, due) if actions.ndim == 3 else (joint[None], due[None])


def _step_back(
    table: Table, joint: np.ndarray, due: np.ndarray, agent: int, values: np.ndarray, discount: float, improve: bool
) -> tuple[np.ndarray, np.ndarray]:
    """An agent's values one step earlier, and the joint actions that give them."""
    stride = table.action_count ** (table.rewards.shape[2] - 1 - agent)
    earlier: tuple[np.ndarray, np.ndarray] = _reply(
        table.rewards, table.offsets, table.successors, table.probabilities, table.actions, table.action_count,
        stride, joint, due, agent, values, discount, improve,
    )  # fmt: skip
    return earlier


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
                for i in range(N):
                    returns[i] += share[s] * rewards[s, j, i]
                    payments[i] += share[s] * due[now, s, i]
                for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                    following[successors[e]] += share[s] * probabilities[e]
        share = following
    return returns, payments


@numba.njit(cache=True)
def _reply(
    rewards: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    actions: np.ndarray,
    A: int,
    stride: int,
    joint: np.ndarray,
    due: np.ndarray,
    agent: int,
    values: np.ndarray,
    discount: float,
    improve: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Each state's best own action, the others keeping to `joint`; one more of it adds `stride` to a joint action."""
    S, J, _ = rewards.shape
    new, reply = np.empty(S), np.empty(S, np.int64)
    for s in range(S):
        new[s], reply[s] = -np.inf, joint[s]
        base = joint[s] - actions[joint[s], agent] * stride
        for a in range(-1, A if improve else 0):
            j = joint[s] if a < 0 else base + a * stride
            value = rewards[s, j, agent] + (due[s, agent] if j == joint[s] else 0.0)
            for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                value += discount * probabilities[e] * values[successors[e]]
            if value > new[s] + TIE * (1.0 + abs(value)):
                new[s], reply[s] = value, j
    return new, reply


@numba.njit(cache=True)
def _hold(
    rewards: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    probabilities: np.ndarray,
    joint: np.ndarray,
    paid: np.ndarray,
    agent: int,
    values: np.ndarray,
    discount: float,
    steps: int,
) -> np.ndarray:
    """One agent's values after `steps` more steps of `joint` (S,) at the pay `paid` (S,)."""
    S, J, _ = rewards.shape
    for _ in range(steps):
        new = np.empty(S)
        for s in range(S):
            j = joint[s]
            new[s] = rewards[s, j, agent] + paid[s]
            for e in range(offsets[s * J + j], offsets[s * J + j + 1]):
                new[s] += discount * probabilities[e] * values[successors[e]]
        values = new
    return values
