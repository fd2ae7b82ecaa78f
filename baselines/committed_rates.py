"""A linear contract: a principal commits to a constant rate for each verifiable fact about an agent."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration, did_you_mean
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration
class CommittedRates(Mechanism):
    """Agent `i` earns `r_i + sum_k b_k f_ik`, with `f_ik` how often it did what fact k says. Payments of a principal.

    The rates `b_k >= 0` are the same for every agent and every step. A wage for every cell cleaned is such a linear
    contract. `paymaster solve` shows the rates that are best for the principal as the best linear contract. Linear
    contracts: Dutting, Roughgarden and Talgam-Cohen 2019.
    """

    rates: dict[str, Rate] | tuple[Rate, ...] = Field(default_factory=dict)
    """b: a rate for each named fact (other facts pay nothing), or one for each fact in the game's order."""

    @classmethod
    def searched(cls, game: Game) -> SearchSpace:
        return {f"rates.{fact}": Range(0.0, 2.0) for fact in game.verifiable}

    @model_validator(mode="after")
    def _known(self) -> Self:
        names = self.game.verifiable
        if isinstance(self.rates, dict):
            for name in self.rates:
                if name not in names:
                    raise ValueError(did_you_mean("verifiable fact", name, names))
        elif len(self.rates) != len(names):
            raise ValueError(f"got {len(self.rates)} rates; give one for each of {', '.join(names) or 'no facts'}")
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rates = self.rates
        each = [rates.get(name, 0.0) for name in self.game.verifiable] if isinstance(rates, dict) else rates
        payments = self.game.facts(transition.events) @ np.array(each, np.float32)
        return Ledger.zeros(*transition.rewards.shape)._replace(payments=payments), memory
