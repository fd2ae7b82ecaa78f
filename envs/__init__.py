"""The dilemmas: rules as pure functions over arrays, a file or a folder each, and this registry of them.

Adding a game is one file with a configuration class and its presets, and one line in `OWN`.
"""

from __future__ import annotations

from ..core.config import UsageError, configure, did_you_mean
from ..core.registry import OUTSIDE, Registry
from .game import Game, missing_members

OWN: dict[str, str] = {
    # family: module:class, imported only when a game of the family is made
    "coin_game": ".coin_game.game:CoinGame",
    "cleanup": ".cleanup.game:Cleanup",
    "cleanup_features": ".cleanup.features:CleanupFeatures",
    "harvest": ".harvest.game:Harvest",
    "matrix": ".matrix_games:MatrixGame",
    "public_goods": ".matrix_games:PublicGoods",
    "escape_room": ".escape_room:EscapeRoom",
    "tree": ".tree:Tree",
    "persuasion": ".persuasion:Persuasion",
    "principal_agent_bandit": ".principal_agent_bandit:PrincipalAgentBandit",
}
FAMILIES: Registry[Game] = Registry("game family", "paymaster.games", __package__, OWN, missing_members)


def family(name: str) -> type[Game]:
    """The class of a family of games; its `presets` map each preset to its rules."""
    return FAMILIES.get_or_tell(name)


def name_of(game: Game) -> str:
    """The name of the family of a game. Raises UsageError where it is not registered."""
    for name in FAMILIES:
        if family(name) is type(game):
            return name
    raise UsageError(f"{type(game).__name__} is not registered: put @register_game above it, so that it has a name")


def games() -> list[str]:
    """Every game id, `family/preset`."""
    return [f"{name}/{preset}" for name in FAMILIES for preset in family(name).presets]


def make(id: str, **rules: object) -> Game:
    """The game `id` (`coin_game/ivanov-7x7`), with `rules` changed from its preset.

    Raises UsageError for an unknown id, an unknown rule, or a value that the rule does not allow.
    """
    name, _, preset = id.partition("/")
    if name not in FAMILIES or preset not in family(name).presets:
        raise UsageError(f"{did_you_mean('game', id, games())} {OUTSIDE}")
    return configure(family(name), {**family(name).presets[preset], **rules}, what=f"game {id}")
