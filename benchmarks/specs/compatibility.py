"""Which mechanisms are for which games."""

from __future__ import annotations

from ...baselines import make_mechanism
from ...core.config import UsageError
from ...envs.game import Game


def why_not(id: str, game: Game) -> str:
    """Why the mechanism `id` is not for `game`: what it says if it is made for it; empty where it is."""
    try:
        make_mechanism(id, game).check_principal()
    except UsageError as error:
        return str(error).removeprefix(f"mechanism {id}: ")
    return ""
