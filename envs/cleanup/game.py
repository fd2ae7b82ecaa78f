"""Cleanup: apples grow only while someone leaves them to the others and cleans the river.

Waste gathers in the river, and the more of it there is the fewer apples grow. Whoever cleans earns nothing by it, and
the apples it makes grow are far away, where the others stand.

    @ H . . B @    H   a river cell with waste; R one without; S a stream, never with any
    @ R . a B @    B   where apples grow
    @ S S . B @    a   an agent, P where one may start, @ a wall

Hughes et al. 2018 (arXiv:1803.08884) introduced the game; its small maps are those of LIO, Yang et al. 2020
(arXiv:2006.06051). The rules were read in the public codes of both.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...core.config import UsageError, configuration
from ..game import check_listable
from ..grid.game import EgocentricGame
from ..grid.maps import FACINGS, cells_of
from ..grid.state import State
from . import kernels, outcomes
from .kernels import Events
from .river import LIO_7X7, LIO_10X10, SSD, River

LIO: dict[str, object] = {
    "players": 2, "horizon": 50, "start_cells": "fixed", "turning": False, "fire": False, "beam_order": "agents",
}  # fmt: skip


@configuration
class Cleanup(River, EgocentricGame[Events]):
    """`N` agents on a map with a river that they may clean, and an orchard that then bears apples.

    In a step all agents turn and move; each eats the apple on which it stands; the beams go one after the other; waste
    and apples appear, as much as the river's waste after the beams allows (`kernels.probabilities`).

    Moves: of those who want a cell one is drawn, the others hold their places; it enters only if nobody stays there.
    Chains of agents move, cycles of three or more rotate, two never swap. Only walls and agents block.

    Beams: `beam_width` rays beside each other, of which the centre one covers the cells 1 to `beam_length` ahead, the
    others start level with the agent. Walls and agents stop a ray. A clean beam's ray stops at the first waste, under
    an agent or not, and cleans it. A fire beam passes waste and hits each agent it reaches once.

    - observation: uint8 (view, view), the classes of the cells around the agent, its front up: 0 off the map, 1 floor,
      2 wall, 3 apple, 4 itself, 5 to 8 another agent that faces as it does, to its right, against it, to its left,
      9 fire beam, 10 river, 11 stream, 12 waste, 13 clean beam. Agents hide what they stand on and beams of the last
      step hide floor and water, but neither apples nor waste. Others are not told apart.
      With the `observation` "rgb" uint8 (view, view, 3), their colours; others' facings are not seen then.
    - actions: int (B, N), the index of an action in `action_names`: left, right, up, down, stay, two turns if
      `turning`, clean, fire if `fire`. Moves are relative to the facing.
    - events: `ate` bool (B, N); `cleaned` int16 (B, N), how many cells; `fired` bool (B, N); `hit` int16 (B, N), how
      often.
    - reward: float32 (B, N), `apple_reward` for an apple, `-fire_cost` for firing, `-hit_cost` for each time it is hit.
    - end: none; the horizon cuts the episode (`truncates`).

    The sources leave open, and here it is so: agents start on different spawn points, apples and waste that appear in
    a step do not know of each other, and the later of two beams is the one seen where they cross.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        "ssd": {},
        "lio-7x7": {
            **LIO, "map": LIO_7X7, "view": 9, "apple_probability": 0.5, "depletion": 0.6, "waste_probability": 0.5,
        },
        "lio-10x10": {
            **LIO, "map": LIO_10X10, "view": 15, "apple_probability": 0.3, "depletion": 0.4, "waste_probability": 0.5,
        },
    }  # fmt: skip
    version: ClassVar[int] = 1

    map: tuple[str, ...] = SSD
    """Rows of `@` wall, `H` waste, `R` clean river, `S` stream, `B` apple cell, `P` spawn point, blank floor."""
    horizon: int = Field(default=1000, ge=1)
    """Steps of an episode."""
    truncates: bool = True
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    players: int = Field(default=5, ge=2, le=50)
    """Number of agents."""
    start_cells: Literal["drawn", "fixed"] = "drawn"
    """Whether spawn points are drawn, or agent 0 has the last one in reading order, agent 1 the one before, ..."""
    turning: bool = True
    """Whether agents may turn and move relative to their facing, which is drawn at the start, or always face up."""
    fire: bool = True
    """Whether agents may fire."""
    view: int = Field(default=15, ge=1, le=99)
    """Rows and columns that an agent sees around itself; odd."""
    observation: Literal["classes", "rgb"] = "classes"
    """Whether an agent sees the class of each cell, or its red, green and blue (`grid.maps.PALETTE`)."""
    beam_length: int = Field(default=5, ge=1, le=100)
    """Cells that each ray of a beam covers."""
    beam_width: int = Field(default=3, ge=1, le=99)
    """Rays of a beam; odd."""
    beam_order: Literal["drawn", "agents"] = "drawn"
    """Whether beams go in an order that is drawn in each step, or in the agents' order."""
    depletion: float = Field(default=0.4, gt=0.0, allow_inf_nan=False)
    """The share of waste from which nothing appears."""
    restoration: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """The share of waste up to which apples appear with their full probability."""
    apple_probability: float = Field(default=0.05, ge=0.0, le=1.0)
    """The highest probability of an apple, on each free apple cell in each step."""
    waste_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """The probability of waste on each clean cell tried; they are tried in random order up to the first success."""
    apple_reward: float = Field(default=1.0, allow_inf_nan=False)
    """Reward for an apple."""
    fire_cost: float = Field(default=1.0, allow_inf_nan=False)
    """Cost of firing."""
    hit_cost: float = Field(default=50.0, allow_inf_nan=False)
    """Cost of being hit, by each beam."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_map()
        self._check_river()
        return self

    # The rules

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes for `keys` (B,), their chance given: `draws` (B, 2 N) in [0, 1).

        Slots: the spawn point of each agent, among those that are free, then the facing of each.
        """
        return self._placed(keys, draws, fixed=self._fixed, turning=self.turning)

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots as in `kernels.Rules`."""
        return kernels.play(self._rules, state, self._legal(state, actions), draws)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 1): cells cleaned."""
        return events.cleaned[..., None].astype(np.float32)

    def _happened(self, events: Events, index: int, i: int) -> list[str]:
        words = ["eats"] * bool(events.ate[index, i])
        words += [f"cleans {events.cleaned[index, i]}"] * bool(events.cleaned[index, i])
        return words + ["is hit"] * bool(events.hit[index, i])

    # The table of the exact solver

    @cached_property
    def states(self) -> int:
        """How many states there are: the agents on different cells, times any waste, times any apples.

        Raises UsageError where a state is more than that.
        """
        if self.turning or self.beam_order == "drawn":
            raise UsageError(
                f"a game with turning={self.turning} and beam_order={self.beam_order!r} has no table of states; "
                "set turning=false and beam_order='agents'"
            )
        places = math.perm(len(self._walkable), self.players)
        cells = len(self._rules.waste_cells) + len(self._rules.apple_cells)
        return places << cells

    def index(self, state: State) -> np.ndarray:
        """(B,) int64 in [0, `states`): the agents' places, agent 0's slowest, then the waste, then the apples."""
        return outcomes.index(self._rules, self._rank, len(self._walkable), state.agents, state.board)

    def representatives(self) -> State:
        """A state for every index, in order, without beams. Raises UsageError where that is too much to list."""
        count = check_listable(self.states, "states", "a smaller map or fewer players")
        agents, board = outcomes.representatives(self._rules, self._walkable, self.players, count)
        keys, t, facing = np.zeros(count, np.uint64), np.zeros(count, np.int32), np.zeros_like(agents[..., 0])
        return State(keys, t, agents, facing, board, np.zeros_like(board))

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All that chance may do in a step: draws (B, K, S) for `play` and their probabilities (B, K).

        Rows with fewer than K outcomes end with probability 0. Beams go in the agents' order.
        """
        return outcomes.outcomes(self._rules, state, self._legal(state, actions))

    def transition_key(self, state: State, actions: np.ndarray) -> np.ndarray:
        """(B,) uint64: a code of all that agents and beams do, equal where the same comes of a step."""
        return outcomes.transition_key(self._rules, state, self._legal(state, actions))

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """All that chance may do at the start: draws (M, 2 N) for `begin` and their probabilities (M,).

        Raises UsageError where that is too much to list.
        """
        N, spawns = self.players, len(self._spawns)
        choices = [1] * N if self._fixed else [spawns - i for i in range(N)]
        choices += [FACINGS if self.turning else 1] * N
        count = check_listable(math.prod(choices), "starts", "a smaller map or fewer players")
        chosen = np.indices(choices).reshape(2 * N, count).T
        return (chosen + 0.5) / choices, np.full(count, 1 / count)

    # What follows from the rules

    @cached_property
    def _rules(self) -> kernels.Rules:
        return self._rules_for(self._codes(), drawn_order=self.beam_order == "drawn")

    @property
    def _fixed(self) -> bool:
        return self.start_cells == "fixed"

    @cached_property
    def _walkable(self) -> np.ndarray:
        """(F, 2) every cell that is no wall."""
        return cells_of(self.map, "".join({*self.legend} - {"@"}))

    @cached_property
    def _rank(self) -> np.ndarray:
        """(H, W) the number of every cell in `_walkable`."""
        rank = np.full(self._board.shape, -1)
        rank[tuple(self._walkable.T)] = np.arange(len(self._walkable))
        return rank
