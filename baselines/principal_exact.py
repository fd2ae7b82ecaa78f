"""`principal-exact`: fresh agents learn under the contract of a principal that knows the equilibrium."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from ..contracts.recommendation import RecommendationContract
from ..core.config import configuration
from ..envs.game import check_listable
from ..equilibria.tables.table import tabular


@configuration
class ExactContract(RecommendationContract):
    """The recommendation contract of a principal that is computed, not learned.

    Welfare that is missing under it is lost by the agents' learning alone. Ivanov et al. 2024, section 5, for games
    whose table of states can be solved.
    """

    principal: ClassVar[str] = "principal-exact"

    @model_validator(mode="after")
    def _check(self) -> Self:
        tabular(self.game)
        return self

    def check_principal(self) -> None:
        super().check_principal()
        check_listable(tabular(self.game).states, "states", "a smaller board or fewer agents")
