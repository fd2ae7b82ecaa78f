"""Harvest: an apple grows again only beside others, so whoever takes the last ones of a patch ends it for all.

    . . * . .    *   an apple
    . * * * .    a   an agent, P where one may start, @ a wall, A where an apple may be
    . . * a .    An empty cell bears again the sooner the more apples are near; alone it never does.

Hughes et al. 2018 (arXiv:1803.08884) introduced the game, after the commons of Perolat et al. 2017
(arXiv:1707.06600). The rules were read in public code.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ...core.config import configuration
from ..grid.game import EgocentricGame
from ..grid.maps import APPLE, FIRE_BEAM, FLOOR, WALL, cells_of, read_map
from ..grid.moves import CLEAN
from ..grid.state import State
from . import kernels
from .kernels import Events, Rules

LEGEND = {"@": WALL, " ": FLOOR, "P": FLOOR, "A": APPLE}
CLASSES = FIRE_BEAM + 1  # of the grid world, those without a river

SSD = (  # 16 x 38, Hughes et al. 2018
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
    "@ P   P      A    P AAAAA    P  A P  @",
    "@  P     A P AA    P    AAA    A  A  @",
    "@     A AAA  AAA    A    A AA AAAA   @",
    "@ A  AAA A    A  A AAA  A  A   A A   @",
    "@AAA  A A    A  AAA A  AAA        A P@",
    "@ A A  AAA  AAA  A A    A AA   AA AA @",
    "@  A A  AAA    A A  AAA    AAA  A    @",
    "@   AAA  A      AAA  A    AAAA       @",
    "@ P  A       A  A AAA    A  A      P @",
    "@A  AAA  A  A  AAA A    AAAA     P   @",
    "@    A A   AAA  A A      A AA   A  P @",
    "@     AAA   A A  AAA      AA   AAA P @",
    "@ A    A     AAA  A  P          A    @",
    "@       P     A         P  P P     P @",
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
)


@configuration
class Harvest(EgocentricGame[Events]):
    """`N` agents on a map of apples that grow again the sooner the more apples are near.

    In a step all agents turn and move; each eats the apple on which it stands; beams go; then on every empty apple cell
    without an agent an apple grows with probability `regrowth[n]`, n apples being near before any grows in this step.

    Moves, conflicts and fire beams are those of Cleanup (`cleanup.Cleanup`).

    An apple is of low density if fewer than `dense` apples, itself included, lie within the squared distance
    `dense_distance`, as formal contracts have it (Christoffersen et al. 2023, arXiv:2208.10469), counted before anyone
    eats in the step. An agent leaves one if a move would have led it there, wherever others went, and it neither ate
    nor tried to move onto any such apple.

    - observation: uint8 (view, view), the classes of the cells around the agent, its front up: 0 off the map, 1 floor,
      2 wall, 3 apple, 4 itself, 5 to 8 another agent that faces as it does, to its right, against it, to its left,
      9 fire beam. Agents hide beams, and beams of the last step hide floor, but not apples. Others are not told apart.
      With the `observation` "rgb" uint8 (view, view, 3), their colours; others' facings are not seen then.
    - actions: int (B, N), the index of an action in `action_names`: left, right, up, down, stay, two turns if
      `turning`, fire if `fire`. Moves are relative to the facing.
    - events: `ate`, `low_density_eaten`, `low_density_left` (an apple of low density that was eaten, or left) and
      `fired`, all bool (B, N); `hit` int16 (B, N), how often.
    - reward: float32 (B, N), `apple_reward` for an apple, `-fire_cost` for firing, `-hit_cost` for each time it is hit.
    - end: none; the horizon cuts the episode (`truncates`).

    `commons` has the regrowth of Melting Pot's commons harvest on the same map and under the same rules otherwise;
    there maps differ and whoever is hit is out for a while. Agents start on different spawn points.
    """

    presets: ClassVar[dict[str, dict[str, object]]] = {
        "ssd": {},
        "commons": {"regrowth": (0.0, 0.0025, 0.005, 0.025), "regrowth_distance": 4},
    }
    version: ClassVar[int] = 1
    legend: ClassVar[dict[str, int]] = LEGEND
    map_classes: ClassVar[int] = CLASSES
    verifiable: ClassVar[tuple[str, ...]] = ("ate", "low_density_eaten", "low_density_left")

    map: tuple[str, ...] = SSD
    """Rows of `@` wall, `A` apple cell, all of which bear one at the start, `P` spawn point, blank floor."""
    horizon: int = Field(default=1000, ge=1)
    """Steps of an episode."""
    truncates: bool = True
    """Whether the horizon cuts the episode (learners bootstrap) or ends it."""
    players: int = Field(default=5, ge=2, le=50)
    """Number of agents."""
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
    regrowth: tuple[float, ...] = Field(default=(0.0, 0.005, 0.02, 0.05), min_length=1)
    """Probability of an apple on an empty apple cell with 0, 1, 2, ... apples near; the last for all higher numbers."""
    regrowth_distance: int = Field(default=2, ge=1, le=100)
    """The squared distance up to which apples are near."""
    dense: int = Field(default=4, ge=1)
    """How many apples, itself included, must lie around one that is not of low density."""
    dense_distance: int = Field(default=5, ge=1, le=100)
    """The squared distance up to which apples lie around one."""
    apple_reward: float = Field(default=1.0, allow_inf_nan=False)
    """Reward for an apple."""
    fire_cost: float = Field(default=1.0, allow_inf_nan=False)
    """Cost of firing."""
    hit_cost: float = Field(default=50.0, allow_inf_nan=False)
    """Cost of being hit, by each beam."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_map()
        if "A" not in "".join(self.map):
            raise ValueError("the map has no apples; give it cells 'A'")
        if not all(0.0 <= rate <= 1.0 for rate in self.regrowth):
            raise ValueError(f"regrowth is {self.regrowth}; ask for probabilities from 0 to 1")
        return self

    # The rules

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step` with its chance given: `draws` (B, S) in [0, 1), slots as in `kernels.Rules`."""
        return kernels.play(self._rules, state, self._legal(state, actions), draws)

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, 3): whether each ate an apple, ate one of low density, left one of low density."""
        counts = [events.ate, events.low_density_eaten, events.low_density_left]
        return np.stack(counts, axis=-1).astype(np.float32)

    def _happened(self, events: Events, index: int, i: int) -> list[str]:
        return ["eats"] * bool(events.ate[index, i]) + ["is hit"] * bool(events.hit[index, i])

    # What follows from the rules

    @cached_property
    def _rules(self) -> Rules:
        return Rules(
            ground=read_map(self.map, {**LEGEND, "A": FLOOR}),
            apple_cells=cells_of(self.map, "A"),
            codes=self._codes(CLEAN),
            beam_length=self.beam_length,
            beam_width=self.beam_width,
            regrowth=np.array(self.regrowth),
            regrowth_distance=self.regrowth_distance,
            dense=self.dense,
            dense_distance=self.dense_distance,
        )
