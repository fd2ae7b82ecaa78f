"""Policies of all agents as arrays: what they do, what they are paid for it, and where they mix.

Policies are `(S, N)` where they are stationary and `(T, S, N)` where they depend on the step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...core.config import UsageError
from ..tables.table import Table


class Mixed(NamedTuple):
    """The states in which agents mix independently instead of playing the policy's actions."""

    cells: np.ndarray  # (M,) int64: the state s, or t * S + s where the policy depends on the step
    strategies: np.ndarray  # (M, N, A) float64, each agent's probabilities

    @staticmethod
    def nowhere(table: Table) -> Mixed:
        """No state."""
        return Mixed(np.zeros(0, np.int64), np.zeros((0, table.rewards.shape[2], table.action_count)))

    @staticmethod
    def together(parts: list[Mixed]) -> Mixed:
        """The states of all `parts`."""
        return Mixed(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class Policy(NamedTuple):
    """What every agent does, and what it is paid for doing so."""

    actions: np.ndarray  # (S, N) int where stationary, else (T, S, N); where an agent mixes, its most probable action
    promised: np.ndarray  # the same shape, float64; zero without a principal
    mixed: Mixed  # the (state, step) pairs in which agents mix
    unresolved: int  # the number of pairs for which no equilibrium was found
    residual: float  # by how much a stationary policy's values still moved, relative; 0 for a finite horizon
    converged: bool  # whether value iteration by the rule alone converged; True for a finite horizon


class JointPolicy(NamedTuple):
    """A policy as kernels read it: joint actions, payments and mixed strategies, of one step or of T steps."""

    joint: np.ndarray  # (S,) or (T, S) int64: a joint action, or J + m where agents mix as in strategies[m]
    promised: np.ndarray  # (S, N) or (T, S, N) float64, paid to an agent that does its part
    strategies: np.ndarray  # (M, N, A) float64

    @property
    def steps(self) -> int:
        """T; 1 for a stationary policy."""
        return len(self.joint)

    def at(self, t: int) -> JointPolicy:
        """The policy of step t, that of the last step if there are fewer."""
        now = min(t, self.steps - 1)
        return JointPolicy(self.joint[now], self.promised[now], self.strategies)


def joint_policy(table: Table, actions: np.ndarray, promised: np.ndarray, mixed: Mixed | None = None) -> JointPolicy:
    """The policy over T steps, 1 where it is stationary. Raises UsageError for shapes that are not the table's."""
    shape = (table.states, table.rewards.shape[2])
    if actions.ndim not in (2, 3) or actions.shape[-2:] != shape or promised.shape != actions.shape:
        raise UsageError(
            f"a policy of this table has the shape {shape}, or (T, *{shape}) where it depends on the step; "
            f"got actions {actions.shape} and payments {promised.shape}"
        )
    joint, payments = table.joint(actions), np.asarray(promised, np.float64)
    mixed = Mixed.nowhere(table) if mixed is None else mixed
    joint.reshape(-1)[mixed.cells] = len(table.actions) + np.arange(len(mixed.cells))
    if actions.ndim == 2:
        joint, payments = joint[None], payments[None]
    return JointPolicy(joint, payments, mixed.strategies)
