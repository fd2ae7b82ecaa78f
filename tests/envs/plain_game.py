"""A game small enough to compute by hand: what an agent earns depends on its own action alone."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np

from paymaster.core.config import configuration
from paymaster.core.random import uniform
from paymaster.envs.game import Scene


class PlainState(NamedTuple):
    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,)
    left: np.ndarray  # (B,) bool: everyone left


class PlainEvents(NamedTuple):
    chosen: np.ndarray  # (B, N)


@configuration
class PlainGame:
    """Every step each agent takes 1, takes 0.25, loses 2 or leaves with nothing; when all leave, the game is over.

    The world is the episode's draw of the step, so that it shows which key is played.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {"two": {}, "three": {"N": 3}}
    version: ClassVar[int] = 4
    classes: ClassVar[int] = 0
    PAY: ClassVar[np.ndarray] = np.array([1.0, 0.25, -2.0, 0.0], np.float32)

    N: int = 2
    horizon: int = 5
    truncates: bool = True

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"agent_{i}" for i in range(self.N))

    @property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0.0, 100.0, (2,), np.float32)

    @property
    def action_names(self) -> tuple[str, ...]:
        return ("much", "little", "lose", "leave")

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("chosen",)

    def reset(self, keys: np.ndarray) -> PlainState:
        return PlainState(keys, np.zeros(len(keys), np.int64), np.zeros(len(keys), bool))

    def step(self, state: PlainState, actions: np.ndarray) -> tuple[PlainState, PlainEvents]:
        left = (actions == 3).all(axis=1)
        return PlainState(state.key, state.t + 1, left), PlainEvents(actions)

    def rewards(self, events: PlainEvents) -> np.ndarray:
        return self.PAY[events.chosen]

    def principal_reward(self, events: PlainEvents) -> np.ndarray:
        return self.rewards(events).sum(axis=1)

    def facts(self, events: PlainEvents) -> np.ndarray:
        return np.ones((*events.chosen.shape, 1), np.float32)

    def observe(self, state: PlainState) -> np.ndarray:
        own = np.arange(self.N, dtype=np.float32)
        return np.stack([np.broadcast_to(self.world(state), (len(state.key), self.N)), own + 0 * self.world(state)], -1)

    def world(self, state: PlainState) -> np.ndarray:
        draws = [uniform(key, int(t), 0) for key, t in zip(state.key, state.t, strict=True)]
        return np.array(draws, np.float32)[:, None]

    def terminated(self, state: PlainState) -> np.ndarray:
        return state.left

    def scene(self, state: PlainState, events: PlainEvents | None, index: int) -> Scene:
        return Scene(1, 1, (" ",), (), f"step {state.t[index]}")
