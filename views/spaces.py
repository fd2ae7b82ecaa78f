"""The spaces of a view: observations, and a principal's decisions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete

from ..contracts.mechanism import Mechanism
from ..contracts.recommendation import RecommendationContract
from ..envs.game import Game


def agent_space(game: Game, mechanism: Mechanism) -> gym.Space[object]:
    if not mechanism.terms_size:
        return game.observation_space
    terms = Box(-np.inf, np.inf, (mechanism.terms_size,), np.float32)
    return Dict({"observation": game.observation_space, "terms": terms})


def decision_space(mechanism: Mechanism) -> Dict:
    N, count = len(mechanism.game.agents), len(mechanism.game.action_names)
    promised = Box(*mechanism.promised_bounds, mechanism.promised_shape, np.float32)
    if not isinstance(mechanism, RecommendationContract):
        return Dict({"promised": promised})
    return Dict({"recommended": MultiDiscrete([count] * N), "promised": promised})


def world_space(game: Game) -> Box:
    """The space of a game's world; its bounds are those of the array's type, since a game declares no others."""
    world = game.world(game.reset(np.zeros(1, np.uint64)))[0]
    if world.dtype.kind in "iu":
        limits = np.iinfo(world.dtype)
        return Box(int(limits.min), int(limits.max), world.shape, world.dtype)
    return Box(-np.inf, np.inf, world.shape, world.dtype)
