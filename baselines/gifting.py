"""Agents that may give: one more action, by which an agent gives some of its reward to the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self, cast

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.mechanism import Mechanism, Transition
from ..core.config import configuration
from ..envs.game import Game, legal

GIFT, STAY = "gift", "stay"


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
        return cast(Game, WithGifts(self.game))

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        N = transition.rewards.shape[1]
        gave = transition.actions == len(self.game.action_names)
        given = self.gift / (N - 1) * (gave[:, :, None] & ~np.eye(N, dtype=bool))
        return Ledger.zeros(*transition.rewards.shape)._replace(transfers=given.astype(np.float32)), memory


@dataclass(frozen=True)
class WithGifts:
    """`game` with the action `gift` after all others; the game plays a gift as `stay`. Everything else is the game's.

    It cannot be tabulated, because a table of the game would not have the gift.
    """

    game: Game

    def __getattr__(self, name: str) -> Any:
        if name in ("game", "outcomes") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.game, name)

    @property
    def action_names(self) -> tuple[str, ...]:
        return (*self.game.action_names, GIFT)

    def step(self, state: Any, actions: np.ndarray) -> tuple[Any, Any]:
        """One step of every environment. Raises UsageError for an action that is not one of `action_names`."""
        names = self.action_names
        legal(actions, (actions.shape[0], len(self.game.agents)), names)
        return self.game.step(state, np.where(actions == len(names) - 1, names.index(STAY), actions))
