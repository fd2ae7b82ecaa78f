"""A principal that is solved, as a role."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ...core.config import configuration
from ...core.search_space import Range, SearchSpace
from ..role import Role, Task, Update
from ..settings import Objective

if TYPE_CHECKING:
    from ...equilibria.exact_principal import ExactPrincipal


@configuration
class ExactSolution(Objective, Role):
    """A principal that is solved and not learned: stationary, subgame-perfect, with least payments.

    Where it abstains it recommends the most probable actions of the agents' mixed equilibrium and pays nothing; with a
    proportional margin it pays for them.
    """

    against: Literal["recommended", "any", "realised"] = "recommended"
    """What following is a best response to: the others' recommended actions; any of theirs (dominant strategies); or
    those that they really take (realised), by which it is then paid: dominant strategies, at the price of recommended
    while all follow."""
    margin: Annotated[float, Field(ge=0.0, alias="nudge")] = 0.0
    """Payment on top of the least payment, where one is due."""
    base_pay: Annotated[float, Field(ge=0.0, alias="bonus", exclude_if=lambda pay: pay == 0.0)] = 0.0
    """Payment for following at every step, whether a payment is due or not."""
    proportional_margin: Annotated[float, Field(ge=0.0, alias="stake")] = 0.0
    """Following is better than each other action by this share of the welfare that the action would lose."""
    discount: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    """Discount factor per step."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.proportional_margin and self.against != "recommended":
            raise ValueError(
                f"a stake is a margin over least payments against what is recommended, not against {self.against}"
            )
        return self

    learns: ClassVar[bool] = False
    tuned: ClassVar[SearchSpace] = {"nudge": Range(0.003, 0.5, log=True), "bonus": Range(0.001, 0.1, log=True)}
    keeps: ClassVar[str] = "..equilibria.exact_principal:ExactPrincipal"

    def learn(self, task: Task) -> Generator[Update, None, ExactPrincipal]:
        from ...equilibria.exact_principal import ExactPrincipal
        from ...equilibria.principal.contingent_payments import contingent_payments
        from ...equilibria.principal.proportional_margins import staked_payments
        from ...equilibria.solve import solve
        from ...equilibria.tables.tabulate import tabulate

        yield from ()
        rule = {"recommended": "principal", "any": "dominant", "realised": "contingent"}[self.against]
        table = tabulate(task.game)
        solution = solve(table, rule, task.game.horizon, discount=self.discount, alpha=self.alpha, favour=self.favour)
        if self.proportional_margin:
            staked = staked_payments(table, solution.actions, stake=self.proportional_margin, discount=self.discount)
            solution = solution._replace(promised=staked)
        if self.against == "realised":
            paid = contingent_payments(table, solution.actions, solution.promised, discount=self.discount)
            solution = solution._replace(promised=paid)
        return ExactPrincipal(solution, self.margin, self.base_pay)
