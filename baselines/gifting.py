"""Agents that may give: one more action, by which an agent gives some of its reward to the others."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self, cast

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Decisions, Mechanism, Transition
from ..core.config import configuration
from ..core.search_space import Range, SearchSpace
from ..envs.game import Game
from .one_more_action import WithOneMore

GIFT, STAY = "gift", "stay"
ROUNDING = 1e-6  # by which sums of rewards may miss a gift's price


@configuration
class Gifting(Mechanism):
    """One more action, `gift`: the agent stays and gives each other agent `g / (N - 1)`. Transfers: they sum to zero.

    The giver loses what it gives: this is the zero-sum gifting of Lupu and Precup 2020, "Gifting in multi-agent
    reinforcement learning" (AAMAS). The other agents do not see who gave; they learn from what they get. An agent may
    give regardless of what it has earned so far, and each other agent gets the same amount.

    Raises UsageError for a game in which agents cannot stay.
    """

    gift: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """g, what a gift costs the giver, in reward."""

    tuned: ClassVar[SearchSpace] = {"gift": Range(0.1, 5.0, log=True)}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.game.agents) < 2 or STAY not in self.game.action_names:
            raise ValueError(
                f"an agent that gives a gift to the others stays where it is; {type(self.game).__name__} has "
                f"{len(self.game.agents)} agents and the actions {', '.join(self.game.action_names)}: choose Cleanup, "
                "Harvest, or a Coin Game with stay=true"
            )
        return self

    @property
    def played(self) -> Game:
        return cast(Game, WithOneMore(self.game, GIFT, plays=STAY))

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        N = transition.rewards.shape[1]
        gave = transition.actions == len(self.game.action_names)
        given = self.gift / (N - 1) * (gave[:, :, None] & ~np.eye(N, dtype=bool))
        return Ledger.zeros(*transition.rewards.shape)._replace(transfers=given.astype(np.float32)), memory


class Budget(NamedTuple):
    """What agents can give, before a step."""

    budget: np.ndarray  # (B, N) float64 positive rewards of the episode so far, less what was given of them


@configuration
class BudgetGifting(Gifting):
    """As `gifting`, but an agent gives only what it has earned. Transfers: they sum to zero.

    Its budget begins at 0 in each episode, grows by its positive rewards from the game, and shrinks by its gifts. Where
    it is below `g` the gift is masked: whoever chooses it stays and gives nothing. Each agent sees whether it can give.
    The terms and `memory` are a `Budget`. The replenishable budget of Lupu and Precup 2020, "Gifting in multi-agent
    reinforcement learning" (AAMAS). That the giver loses what it gives, so that no money is made, is as in `gifting`.

    Raises UsageError for a game in which agents cannot stay.
    """

    terms_size: ClassVar[int] = 1

    def start(self, keys: np.ndarray) -> Budget:
        return Budget(np.zeros((len(keys), len(self.game.agents))))

    def offer(self, memory: Budget, state: Any, decisions: Decisions | None) -> tuple[Budget, Budget]:
        return memory, memory

    def view(self, terms: Budget, B: int) -> np.ndarray:
        return self._affordable(terms)[..., None].astype(np.float32)

    def act(self, terms: Budget, actions: np.ndarray) -> np.ndarray:
        masked = (actions == len(self.game.action_names)) & ~self._affordable(terms)
        return np.where(masked, self.game.action_names.index(STAY), actions)

    def settle(self, memory: Budget, transition: Transition) -> tuple[Ledger, Budget]:
        ledger, _ = super().settle(memory, transition)
        change = np.maximum(transition.rewards, 0.0) - ledger.transfers.sum(axis=2)
        return ledger, Budget(memory.budget + change)

    def _affordable(self, terms: Budget) -> np.ndarray:
        """(B, N) bool: who can pay for a gift."""
        return terms.budget >= self.gift - ROUNDING
