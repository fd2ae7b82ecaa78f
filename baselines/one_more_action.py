"""A game in which agents have one more action, which means something to the mechanism alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..envs.game import Game, legal


@dataclass(frozen=True)
class WithOneMore:
    """`game` with the action `name` after all others, which the game plays as `plays`. Everything else is the game's.

    It cannot be tabulated, because a table of the game would not have the action.
    """

    game: Game
    name: str
    plays: str

    def __getattr__(self, name: str) -> Any:
        if name in ("game", "name", "plays", "outcomes") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.game, name)

    @property
    def action_names(self) -> tuple[str, ...]:
        return (*self.game.action_names, self.name)

    def step(self, state: Any, actions: np.ndarray) -> tuple[Any, Any]:
        """One step of every environment. Raises UsageError for an action that is not one of `action_names`."""
        names = self.action_names
        legal(actions, (actions.shape[0], len(self.game.agents)), names)
        return self.game.step(state, np.where(actions == len(names) - 1, names.index(self.plays), actions))
