"""The tree: one agent, whose effort leads to what its principal wants, and a principal who sees only where it led.

At every node the agent aims left or right and goes there nine times in ten. Aiming right costs the agent; going right
is worth something to the principal. The principal cannot see the aim, so it pays for going right, if it pays at all.

              1
            /   \\        The children of node n are 2n (left) and 2n + 1 (right). With T = 2 the nodes 1 to 3
          2       3      are decided, and at 4 to 7 the game is over.
         / \\     / \\
        4   5   6   7

Ivanov et al. 2024, "Principal-Agent Reinforcement Learning" (arXiv:2407.18074), appendix D.1.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from pydantic import Field

from ..core.config import configuration
from ..core.random import uniform_array
from .game import OneDrawAStep, Scene, Sprite, legal

LEFT, RIGHT = 0, 1  # of actions and of outcomes
ROOT = 1
COST, VALUE = 0, 2  # the first of the two slots from which a node's cost, and its value, are drawn


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    node: np.ndarray  # (B,) int64


class Events(NamedTuple):
    """What happened in one step."""

    node: np.ndarray  # (B,) int64 where the agent stood
    aimed: np.ndarray  # (B,) int64 LEFT or RIGHT: its action, which a contract may not pay on
    outcome: np.ndarray  # (B,) int64 LEFT or RIGHT: where it went


@configuration
class Tree(OneDrawAStep[State, Events]):
    """A full binary tree of depth T (`horizon`), and one agent that walks down it, with a decision at `2^T - 1` nodes.

    - observation: uint16 (1, 1), the node, as one of `classes`; 2^T where the game is over. It is a class, to be read
      one-hot, and not the path to the node, since rewards of neighbouring nodes have nothing in common: a network can
      only remember them.
    - actions: int (B, 1), 0 to aim left and 1 to aim right.
    - events: `node`, `aimed` and `outcome`, all int64 (B,). The outcome alone is verifiable.
    - reward: float32 (B, 1), minus the node's cost for aiming right, else 0.
    - principal's reward: float32 (B,), the node's value where the outcome is right, else 0.
    - end: after T steps, naturally.

    Costs and values are drawn once for a `tree`, a node's cost as `u ~ U[0, m - v], v ~ U[0, m]` with m = `max_cost`,
    its value likewise with m = `max_value`. The numbers are relayed by a second source.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {"ivanov-d10": {}}
    version: ClassVar[int] = 1
    truncates: ClassVar[bool] = False
    hidden_actions: ClassVar[bool] = True

    tree: int = Field(default=0, ge=0, lt=2**63)
    """Which tree: the seed of its costs and values."""
    horizon: int = Field(default=10, ge=1, le=16)
    """Decisions in an episode: the depth of the tree."""
    accuracy: float = Field(default=0.9, gt=0.5, le=1.0)
    """The probability of going where one aims."""
    max_cost: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    """The highest cost of aiming right."""
    max_value: float = Field(default=2.0, ge=0.0, allow_inf_nan=False)
    """The highest value of going right to the principal."""

    # Agents, actions and spaces

    @property
    def action_names(self) -> tuple[str, ...]:
        return ("left", "right")

    @property
    def verifiable(self) -> tuple[str, ...]:
        return ("went_left", "went_right")

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        return gym.spaces.Box(0, self.classes - 1, (1, 1), np.uint16)

    @property
    def classes(self) -> int:
        """How many values an observation can have."""
        return 2**self.horizon + 1

    @cached_property
    def costs(self) -> np.ndarray:
        """(2^T,) float64: what aiming right costs the agent at each node; entry 0 is no node."""
        return self._drawn(COST, self.max_cost)

    @cached_property
    def values(self) -> np.ndarray:
        """(2^T,) float64: what going right is worth to the principal at each node; entry 0 is no node."""
        return self._drawn(VALUE, self.max_value)

    # The rules

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes for `keys` (B,); nothing is drawn, `draws` is (B, 0)."""
        keys = np.ascontiguousarray(keys, np.uint64)
        return State(keys, np.zeros(len(keys), np.int32), np.full(len(keys), ROOT, np.int64))

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, 1) in [0, 1). What is over stays as it is."""
        aimed = legal(actions, (len(state.node), 1), self.action_names)[:, 0].astype(np.int64)
        outcome = (draws[:, 0] < self._chance(aimed)).astype(np.int64)
        over = self.terminated(state)
        following = np.where(over, state.node, 2 * state.node + outcome)
        return State(state.key, state.t + 1, following), Events(np.where(over, 0, state.node), aimed, outcome)

    def rewards(self, events: Events) -> np.ndarray:
        cost = np.where(events.aimed == RIGHT, self.costs[events.node], 0.0)
        return -cost[:, None].astype(np.float32)

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: the principal's own, and not welfare."""
        return np.where(events.outcome == RIGHT, self.values[events.node], 0.0).astype(np.float32)

    def facts(self, events: Events) -> np.ndarray:
        """(B, 1, 2): which outcome came."""
        return np.eye(2, dtype=np.float32)[events.outcome][:, None]

    def terminated(self, state: State) -> np.ndarray:
        return state.node >= 2**self.horizon

    # Observations

    def world(self, state: State) -> np.ndarray:
        """(B, 1, 1) uint16: the node; 2^T where the game is over."""
        return np.minimum(state.node, 2**self.horizon).astype(np.uint16)[:, None, None]

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """The level of the agent by row, and how much further right than left it went by column."""
        node = int(state.node[index])
        digits = f"{node:b}"[1:]  # a node's binary digits after the first are the way to it
        columns = [self.horizon + 2 * digits[:row].count("1") - row for row in range(len(digits) + 1)]
        words = [f"step {state.t[index]}", f"node {node}"]
        if events is not None:
            words.append(
                f"aimed {self.action_names[events.aimed[index]]}, went {self.action_names[events.outcome[index]]}"
            )
        ground = tuple(_level(row, self.horizon) for row in range(self.horizon + 1))
        sprites = [Sprite("way", row, column, 0) for row, column in enumerate(columns)]
        sprites.append(Sprite("agent", len(digits), columns[-1], 0))
        return Scene(self.horizon + 1, 2 * self.horizon + 1, ground, tuple(sprites), "; ".join(words), "tree")

    # The table of the exact solver

    @property
    def states(self) -> int:
        return 2**self.horizon - 1

    def representatives(self) -> State:
        node = np.arange(ROOT, 2**self.horizon)
        return State(np.zeros(len(node), np.uint64), _level_of(node), node)

    def index(self, state: State) -> np.ndarray:
        """(B,) int64: `node - 1`; what is over counts as the root, since nothing is decided there."""
        return np.where(self.terminated(state), ROOT, state.node) - ROOT

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both outcomes: draws (B, 2, 1) that lead right and left, and their probabilities (B, 2)."""
        right = self._chance(actions[:, 0])
        draws = np.stack([right / 2, (1 + right) / 2], axis=1)
        return draws[..., None], np.stack([right, 1 - right], axis=1)

    # What follows from the rules

    def _chance(self, aimed: np.ndarray) -> np.ndarray:
        """(B,) the probability of going right."""
        return np.where(aimed == RIGHT, self.accuracy, 1 - self.accuracy)

    def _drawn(self, slot: int, most: float) -> np.ndarray:
        """(2^T,) a draw for each node: u ~ U[0, most - v] with v ~ U[0, most]."""
        key, node = np.full(2**self.horizon, self.tree, np.uint64), np.arange(2**self.horizon)
        v = most * uniform_array(key, node, slot)
        u = (most - v) * uniform_array(key, node, slot + 1)
        return np.where(node >= ROOT, u, 0.0)


def _level(row: int, depth: int) -> str:
    """A row of the ground: floor where a walk of `row` steps can have come."""
    reached = range(depth - row, depth + row + 1, 2)
    return "".join("." if column in reached else "@" for column in range(2 * depth + 1))


def _level_of(node: np.ndarray) -> np.ndarray:
    """(B,) int32: how many steps lead to `node`."""
    return (np.frexp(node.astype(np.float64))[1] - 1).astype(np.int32)
