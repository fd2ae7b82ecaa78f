"""The exact solutions of a game, as rows above what was learned."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.config import UsageError
from ...envs.game import Game
from ...equilibria.tolerances import WELFARE_TIE
from .formulas import utility
from .solution_cache import cached_summary

if TYPE_CHECKING:
    from ...equilibria.tables.table import Table

ALPHA = 0.1  # Ivanov et al. 2024: the principal maximises welfare / alpha - payments
DISCOUNT = 0.99  # the learners'
RARELY = 0.001  # a principal that abstains in a smaller share of the steps is not said to
FINITE = "finite horizon"
ROWS = 100_000  # (state, joint action) pairs up to which the stationary game is always solved: ten seconds at most
OPTIMUM, HIGHEST, PRINCIPAL = "social optimum", "selfish equilibrium, highest", "principal, subgame-perfect"
CONTINGENT = "principal, dominant strategies, contingent"
BEST_RATE = "principal, best linear contract"
CORRELATED = "correlated equilibrium, stage by stage"
MEDIATED = "mediated equilibrium, stage by stage"
NAMES = {  # where actions, or the state, are hidden
    "social_optimum": OPTIMUM, "no_contract": "no contract", "principal": PRINCIPAL,
    "told_nothing": "no signals", "told_everything": "the truth told", "persuasion": "signals, obedient optimum",
}  # fmt: skip


class Exact(NamedTuple):
    """An exact solution of a game: its welfare, and what a principal pays for it."""

    name: str
    kind: str  # FINITE, or the stationary game at a discount
    welfare: float | None  # None where no equilibrium was found
    payment: float | None  # None where there is no principal
    settled: bool = True  # whether value iteration converged; else the result may still be an equilibrium by its gain
    principal_return: float | None = None  # before it pays; None where the principal values welfare
    gain: float = 0.0  # the most that any agent gains by deviating
    approximate: bool = False  # whether it is no equilibrium, by that gain or by a stage game in which none was found
    several: bool = False  # whether other fixed points of the same rule were found
    abstains: float = 0.0  # the expected share of the steps in which the principal pays nothing and lets agents play

    @property
    def counts(self) -> bool:
        """Whether it may take part in regrets, success rates and verdicts."""
        return self.welfare is not None and not self.approximate

    @property
    def label(self) -> str:
        """The name, and in brackets what keeps it from being the only exact solution of its name."""
        marks = []
        if self.welfare is None:
            marks.append("no equilibrium found")
        if self.approximate:
            marks.append(f"approximate, a deviation gains {self.gain:.2g}")
        elif not self.settled and self.gain > WELFARE_TIE:
            marks.append(f"not converged, a deviation gains {self.gain:.2g}")
        elif not self.settled:
            marks.append("not converged, yet no deviation gains")
        if self.several:
            marks.append("one of several fixed points")
        if self.abstains >= RARELY:
            marks.append(f"abstains in {self.abstains:.1%} of the steps")
        return f"{self.name} ({'; '.join(marks)})" if marks else self.name

    def utility(self, alpha: float) -> float | None:
        """The principal's utility; None where it is unknown."""
        if self.welfare is None or (self.principal_return is not None and self.payment is None):
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
    hidden = summary.get("hidden_actions") or summary.get("hidden_state")
    if hidden:
        return [
            Exact(NAMES[name], FINITE, row["agent_return"], row["payment"], principal_return=row["principal_return"])
            for name, row in hidden.items()
        ]
    kind = FINITE if summary["discount"] is None else f"discount {summary['discount']:g}"
    rows = {
        OPTIMUM: summary["cooperative"],
        HIGHEST: summary["selfish"]["highest"],
        "selfish equilibrium, lowest": summary["selfish"]["lowest"],
        CORRELATED: summary["correlated"],
        MEDIATED: summary["mediated"],
        PRINCIPAL: summary["principal"],
        "principal, dominant strategies": summary["principal_dominant"],
        CONTINGENT: summary["principal_contingent"],
        BEST_RATE: summary["best_rate"],
    }
    if isclose(rows[HIGHEST]["welfare"], rows["selfish equilibrium, lowest"]["welfare"], abs_tol=WELFARE_TIE):
        del rows["selfish equilibrium, lowest"]
    for name in (CORRELATED, MEDIATED):  # solved over the finite horizon of small games alone
        if rows[name] is None:
            del rows[name]
    return [_exact(name, kind, row, summary["horizon"]) for name, row in rows.items()]


def _exact(name: str, kind: str, row: dict[str, Any] | None, horizon: int) -> Exact:
    """The solution in a row of the summary; one without welfare where there is no row."""
    if row is None:
        return Exact(name, kind, None, None)
    return Exact(
        name, kind, row["welfare"], row.get("payment"), row["settled"], gain=row.get("gain", 0.0),
        approximate=row.get("approximate", False), several=bool(row.get("other_fixed_points")),
        abstains=row.get("abstains", 0.0) / horizon,
    )  # fmt: skip
