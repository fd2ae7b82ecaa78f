"""The exact solutions of a game, as rows above what was learned."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.config import UsageError
from ...envs.game import Game
from ...equilibria.tolerances import EPSILON_EQUILIBRIUM, WELFARE_TIE
from .formulas import utility
from .solution_cache import cached_summary

if TYPE_CHECKING:
    from ...equilibria.tables.table import Table

ALPHA = 0.1  # Ivanov et al. 2024: the principal maximises welfare / alpha - payments
DISCOUNT = 0.99  # the learners'
NOT_CONVERGED = " (not converged)"
FINITE = "finite horizon"
ROWS = 100_000  # (state, joint action) pairs up to which the stationary game is always solved: ten seconds at most
OPTIMUM, HIGHEST, PRINCIPAL = "social optimum", "selfish equilibrium, highest", "principal, subgame-perfect"
CONTINGENT = "principal, dominant strategies, contingent"
BEST_RATE = "principal, best linear contract"
NAMES = {"social_optimum": OPTIMUM, "no_contract": "no contract", "principal": PRINCIPAL}  # where actions are hidden


class Exact(NamedTuple):
    """An exact solution of a game: its welfare, and what a principal pays for it."""

    name: str
    kind: str  # FINITE, or the stationary game at a discount
    welfare: float
    payment: float | None  # None where there is no principal
    settled: bool = True  # whether value iteration converged, or no deviation from the result gains anyway
    principal_return: float | None = None  # before it pays; None where the principal values welfare

    @property
    def label(self) -> str:
        """The name, marked where value iteration did not converge."""
        return self.name + NOT_CONVERGED * (not self.settled)

    def utility(self, alpha: float) -> float | None:
        """The principal's utility; None where it has rewards of its own and its payment is unknown."""
        if self.principal_return is not None and self.payment is None:
            return None
        return utility(self.welfare, self.payment or 0.0, alpha, self.principal_return)


def exact(game: Game) -> list[Exact]:
    """The exact solutions of a game; none where it has no table of states.

    Where the horizon truncates the episode and the game `is_cheap`, those of the stationary game at the learners'
    discount come first, evaluated over the horizon, since that is the game that learners are given. Those of the finite
    horizon, undiscounted, follow.
    """
    discounts = [DISCOUNT, None] if game.truncates and is_cheap(game) else [None]
    tables: list[Table] = []  # both rest on one table, which may take longer to make than to solve
    try:
        return [each for discount in discounts for each in solutions(cached_summary(game, ALPHA, discount, tables))]
    except UsageError:
        return []


def is_cheap(game: Game) -> bool:
    """Whether the stationary game is small enough to be always solved; a large one takes minutes."""
    from ...equilibria.tables.table import tabular

    try:
        return tabular(game).states * len(game.action_names) ** len(game.agents) <= ROWS
    except UsageError:
        return False


def solutions(summary: dict[str, Any]) -> list[Exact]:
    """The solutions in a summary of the solver; one selfish equilibrium where the two have the same welfare."""
    if "hidden_actions" in summary:
        return [
            Exact(NAMES[name], FINITE, row["agent_return"], row["payment"], principal_return=row["principal_return"])
            for name, row in summary["hidden_actions"].items()
        ]
    kind = FINITE if summary["discount"] is None else f"discount {summary['discount']:g}"
    rows = {
        OPTIMUM: summary["cooperative"],
        HIGHEST: summary["selfish"]["highest"],
        "selfish equilibrium, lowest": summary["selfish"]["lowest"],
        PRINCIPAL: summary["principal"],
        "principal, dominant strategies": summary["principal_dominant"],
        CONTINGENT: summary["principal_contingent"],
        BEST_RATE: summary["best_rate"],
    }
    if isclose(rows[HIGHEST]["welfare"], rows["selfish equilibrium, lowest"]["welfare"], abs_tol=WELFARE_TIE):
        del rows["selfish equilibrium, lowest"]
    return [Exact(name, kind, row["welfare"], row.get("payment"), _settled(row)) for name, row in rows.items()]


def _settled(row: dict[str, Any]) -> bool:
    return bool(row.get("settled", True) or row.get("gain", EPSILON_EQUILIBRIUM) < EPSILON_EQUILIBRIUM)
