"""What a game of your own is written with: everything it needs, at paths that stay.

`@register_game("name")` above `@configuration` above the class makes it known as `name/preset`; docs/games shows those
that there are, and `docs/extending.md` two that are written with this.
"""

from .core.config import UsageError, configuration
from .core.random import episode_keys, uniform, uniform_array
from .envs import games, make
from .envs.game import Game, Scene, Sprite, Symmetry, WithoutChance, legal
from .envs.matrix_games import StageGame
from .envs.pettingzoo_game import PettingZooGame
from .views.registration import register_game

__all__ = [
    "Game", "PettingZooGame", "Scene", "Sprite", "StageGame", "Symmetry", "UsageError", "WithoutChance",
    "configuration", "episode_keys", "games", "legal", "make", "register_game", "uniform", "uniform_array",
]  # fmt: skip
