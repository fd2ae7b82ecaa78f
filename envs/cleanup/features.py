"""Cleanup seen as a few numbers: the dilemma of `cleanup.py` under the simpler rules of formal contracts.

    own row, column, facing | nearest agent's | nearest apple, nearest waste | how much of both | who cleaned how much

Christoffersen, Haupt and Hadfield-Menell 2023, "Get it in writing" (arXiv:2208.10469), learn their contracts on it. The
rules were read in their public code.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Self

import gymnasium as gym
import numpy as np
from pydantic import Field, model_validator

from ...core.config import configuration
from ..grid.game import GridGame
from ..grid.maps import FACINGS, check_odd
from ..grid.moves import FIRE
from . import features_kernels as kernels
from .features_kernels import Events, State
from .kernels import Rules
from .river import SSD, River


@configuration
class CleanupFeatures(River, GridGame[State, Events]):
    """`N` agents on Cleanup's map, who see numbers instead of cells and clean all that their beam passes.

    In a step all agents move; who moved or stayed eats the apple on which it stands; agents turn; the beams go in the
    agents' order; waste and apples appear, as much as the river's waste after the beams allows
    (`kernels.probabilities`). Nobody fires.

    Moves are absolute, whatever the facing. Conflicts are those of Cleanup (`cleanup.Cleanup`).

    Beams: `beam_width` rays beside each other, all over the cells 0 to `beam_length` ahead, so the agent's own too.
    Walls stop a ray; neither agents nor waste do, and all the waste that it passes is cleaned.

    Waste is tried on one clean cell after the other, in reading order, up to the first success: so it returns mostly
    to the top of the map.

    - observation: float32 (12 + N,), not scaled: row, column and facing (0 up, 1 right, 2 down, 3 left) of the agent
      itself, then of the nearest other agent; row and column of the nearest apple, then of the nearest waste, (0, 0)
      without any; the number of apples and of cells with waste; the cells that each agent cleaned in the last step,
      agent 0's first. Nearest is by the sum of rows and columns between, the first in the agents' order, or in reading
      order, where several are.
    - actions: int (B, N), the index of an action in `action_names`: left, right, up, down, stay, two turns, clean.
    - events: `ate` bool (B, N); `cleaned` int16 (B, N), how many cells.
    - reward: float32 (B, N), `apple_reward` for an apple.
    - end: none; the horizon cuts the episode (`truncates`).

    The public code lets two agents share a cell, and the earlier agent have a cell that two want; here a cell holds one
    agent, and who enters is drawn, as in Cleanup. Among the nearest it takes the apple or waste that appeared first,
    which is no part of what is seen on the map; here the first in reading order. Nothing appears at the reset.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {"ssd": {}}
    version: ClassVar[int] = 1
    classes: ClassVar[int] = 0  # the observation holds numbers

    map: tuple[str, ...] = SSD
    """Rows of `@` wall, `H` waste, `R` clean river, `S` stream, `B` apple cell, `P` spawn point, blank floor."""
    horizon: int = Field(default=1000, ge=1)
    """Steps of an episode."""
    truncates: bool = True
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    players: int = Field(default=2, ge=2, le=50)
    """Number of agents; the paper has 2, 4 and 8."""
    beam_length: int = Field(default=5, ge=0, le=100)
    """How many cells ahead each ray of a beam reaches."""
    beam_width: int = Field(default=3, ge=1, le=99)
    """Rays of a beam; odd."""
    depletion: float = Field(default=0.4, gt=0.0, allow_inf_nan=False)
    """The share of waste from which nothing appears."""
    restoration: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """The share of waste up to which apples appear with their full probability."""
    apple_probability: float = Field(default=0.05, ge=0.0, le=1.0)
    """The highest probability of an apple, on each free apple cell in each step."""
    waste_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    """The probability of waste on each clean cell tried; they are tried in reading order up to the first success."""
    apple_reward: float = Field(default=1.0, allow_inf_nan=False)
    """Reward for an apple."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_map()
        self._check_river()
        check_odd(beam_width=self.beam_width)
        return self

    # Agents, actions and spaces

    @cached_property
    def observation_space(self) -> gym.spaces.Box:
        cell = [len(self.map) - 1, len(self.map[0]) - 1]
        counts = [len(self._rules.apple_cells), len(self._rules.waste_cells)]
        most = self.beam_width * (self.beam_length + 1)  # cells of a beam
        high = [*cell, FACINGS - 1, *cell, FACINGS - 1, *cell, *cell, *counts, *[most] * self.players]
        return gym.spaces.Box(np.zeros(len(high), np.float32), np.array(high, np.float32))

    # The rules

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """New episodes for `keys` (B,), their chance given: `draws` (B, 2 N) in [0, 1).

        Slots: the spawn point of each agent, among those that are free, then the facing of each.
        """
        start = self._placed(keys, draws)
        return State(*start, cleaned=np.zeros(start.facing.shape, np.int16))

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots as in `features_kernels.play`."""
        return kernels.play(self._rules, state, self._legal(state, actions), draws)

    def rewards(self, events: Events) -> np.ndarray:
        return (self.apple_reward * events.ate).astype(np.float32)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 1): cells cleaned."""
        return events.cleaned[..., None].astype(np.float32)

    # Observations

    def observe(self, state: State) -> np.ndarray:
        return kernels.features(self._rules, state)

    def _happened(self, events: Events, index: int, i: int) -> list[str]:
        words = ["eats"] * bool(events.ate[index, i])
        return words + [f"cleans {events.cleaned[index, i]}"] * bool(events.cleaned[index, i])

    # What follows from the rules

    @cached_property
    def _rules(self) -> Rules:
        return self._rules_for(np.arange(FIRE), drawn_order=False)
