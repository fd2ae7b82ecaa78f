"""What game theorists ask of a payoff matrix: its equilibria, and what it takes to have something else played."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...core.config import UsageError
from .list_equilibria import NashEquilibrium, as_tensor, list_equilibria
from .transfer_levels import LeastTransfers, least_transfers, symmetric_level

MOST = 100_000  # joint actions


class Induced(NamedTuple):
    """A joint action, and the least that a principal pays to have it played.

    `payments` (N,) make it an equilibrium. Offered for the agent's action and what the others did beside it, with what
    each case takes, they make it dominant too, and cost the same where it is played. `dominant` (N,) do so by the
    agent's own action alone.
    """

    actions: tuple[int, ...]
    welfare: float
    payments: np.ndarray
    dominant: np.ndarray


class MatrixSolution(NamedTuple):
    """The solutions of a matrix game."""

    payoffs: np.ndarray  # (A1, ..., AN, N)
    names: tuple[tuple[str, ...], ...]  # of the actions of each agent
    alpha: float  # the price of money
    equilibria: list[NashEquilibrium]  # as `list_equilibria` finds them: not all mixed ones
    induced: list[Induced]  # all joint actions, the one of highest utility first
    self_interest: float | None  # s*, where agents have two actions each, the first of which is to cooperate; nan: none
    transfers: LeastTransfers | None  # T* and g*, likewise

    def utility(self, each: Induced) -> float:
        """A principal's: welfare / alpha - payments."""
        return each.welfare / self.alpha - float(each.payments.sum())

    def called(self, actions: Sequence[int]) -> str:
        """A joint action in words."""
        return ", ".join(self.names[i][action] for i, action in enumerate(actions))

    def __str__(self) -> str:
        lines = ["equilibria" if len(self.names) == 2 else "equilibria (all pure ones, or else one mixed)"]
        for found in self.equilibria:
            mixed = " | ".join(map(self._mixture, range(len(self.names)), found.strategies))
            lines.append(f"  {mixed}: payoffs {_numbers(found.payoffs)}, welfare {found.payoffs.sum():g}")
        lines += ["  none found"] * (not self.equilibria)
        lines += ["", f"a principal of welfare / {self.alpha:g} - payments, best first"]
        for each in self.induced[:SHOWN]:
            lines.append(
                f"  {self.called(each.actions)}: welfare {each.welfare:g}, pays {_numbers(each.payments)}, to make it "
                f"dominant by own actions {_numbers(each.dominant)}"
            )
        lines += [f"  and {len(self.induced) - SHOWN} others"] * (len(self.induced) > SHOWN)
        if self.self_interest is not None and self.transfers is not None:
            kept = "none" if isnan(self.self_interest) else f"{self.self_interest:.4g}"
            level = "none" if isnan(self.transfers.level) else f"{self.transfers.level:.4g}"
            lines += ["", f"transfers that make {self.names[0][0]} dominant: s* {kept}, g* {level}"]
            if level != "none":
                lines += [f"  T* {row}" for row in map(_numbers, self.transfers.matrix)]
        return "\n".join(lines)

    def _mixture(self, agent: int, strategy: np.ndarray) -> str:
        played = [(name, share) for name, share in zip(self.names[agent], strategy, strict=True) if share]
        return " ".join(name if share == 1 else f"{name} {share:.4g}" for name, share in played)


SHOWN = 8  # joint actions
DIGITS = 12  # decimals, behind which is rounding


def solve_matrix(
    payoffs: ArrayLike, *, alpha: float = 0.1, names: Sequence[Sequence[str]] | None = None
) -> MatrixSolution:
    """The equilibria of a matrix game, and what a principal, or transfers, take to have something else played.

    `payoffs` as for `list_equilibria`: (A1, ..., AN, N). `names` are those of each agent's actions. Agents that are
    indifferent do as the principal wants. Transfer levels (Willis and Luck 2023) are those of games in which all have
    two actions, the first of which is to cooperate. Raises UsageError for payoffs that are no matrix game.

    >>> print(solve_matrix([[(3, 3), (0, 4)], [(4, 0), (1, 1)]]).induced[0].payments)  # the prisoner's dilemma
    [1. 1.]
    """
    game = as_tensor(np.asarray(payoffs, np.float64))
    *shape, N = game.shape
    if np.prod(shape) > MOST:
        raise UsageError(f"{int(np.prod(shape)):,} joint actions are more than the {MOST:,} allowed")
    if not 0.0 < alpha < np.inf:
        raise UsageError(f"alpha must be above 0 and finite (got {alpha:g})")
    called = tuple(map(tuple, names)) if names else tuple(tuple(map(str, range(A))) for A in shape)
    if [len(each) for each in called] != shape:
        raise UsageError(f"names are needed for {' and '.join(map(str, shape))} actions (got {[*map(len, called)]})")
    lacking = [game[..., i].max(axis=i, keepdims=True) - game[..., i] for i in range(N)]  # by what others do
    needed = [each.max(axis=tuple(j for j in range(N) if j != i)) for i, each in enumerate(lacking)]  # (A_i,)
    induced = [
        Induced(
            tuple(map(int, actions)), float(game[actions].sum()), np.array([float(each[actions]) for each in lacking]),
            np.array([float(needed[i][action]) for i, action in enumerate(actions)]),
        )
        for actions in np.ndindex(*shape)
    ]  # fmt: skip
    dilemma = N > 1 and all(A == 2 for A in shape)
    found = MatrixSolution(
        game, called, alpha, list_equilibria(game), induced, symmetric_level(game) if dilemma else None,
        least_transfers(game) if dilemma else None,
    )  # fmt: skip
    return found._replace(induced=sorted(induced, key=lambda each: -found.utility(each)))


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{round(float(value), DIGITS) + 0.0:.4g}" for value in values)
