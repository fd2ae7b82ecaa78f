"""A moment of an episode: what to draw, and what to write beside it."""

from __future__ import annotations

from typing import NamedTuple

from ..envs.game import Game, Scene
from .page import Panel, recommended
from .panel import Offer


class Frame(NamedTuple):
    """A moment of an episode: what to draw, and what to write beside it."""

    scene: Scene
    panel: Panel


def advised(game: Game, scene: Scene, offer: Offer) -> Scene:
    """The scene with what is recommended, if anything is."""
    if (offer.recommended < 0).any():
        return scene
    return recommended(scene, [game.action_names[action] for action in offer.recommended])
