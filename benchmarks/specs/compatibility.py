"""The compatibility of mechanisms with games."""

from __future__ import annotations

from ...baselines import make_mechanism
from ...core.config import UsageError
from ...envs.game import Game


def why_not(id: str, game: Game) -> str:
    """The reason why the mechanism `id` cannot be used in `game`, as its error states it; empty where it can be."""
    try:
        make_mechanism(id, game).check_principal()
    except UsageError as error:
        return str(error).removeprefix(f"mechanism {id}: ")
    return ""
