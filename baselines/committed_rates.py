"""A principal that commits to constant rates: so much for each verifiable thing that an agent does."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger, nothing
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration, nearest

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration
class CommittedRates(Mechanism):
    """Agent `i` earns `r_i + sum_k b_k f_ik`, with `f_ik` how often it did what fact k says. Payments of a principal.

    The rates `b_k >= 0` hold for every agent and from the first step to the last; a wage for every cell cleaned is such
    a contract. Those that are best for the principal are the row "best linear contract" of `paymaster solve`. Simple
    contracts: Dutting, Roughgarden and Talgam-Cohen 2019.
    """

    rates: dict[str, Rate] | tuple[Rate, ...] = Field(default_factory=dict)
    """b, by the facts' names (others are not paid for), or one for each fact in the game's order."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        names = self.game.verifiable
        if isinstance(self.rates, dict):
            for name in self.rates:
                if name not in names:
                    raise ValueError(nearest("verifiable fact", name, names))
        elif len(self.rates) != len(names):
            raise ValueError(f"got {len(self.rates)} rates; give one for each of {', '.join(names) or 'no facts'}")
        return self

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        rates = self.rates
        each = [rates.get(name, 0.0) for name in self.game.verifiable] if isinstance(rates, dict) else rates
        payments = self.game.facts(transition.events) @ np.array(each, np.float32)
        return nothing(transition.rewards)._replace(payments=payments), memory
