"""The river that Cleanup's two views share: maps, their legend, and the rules by which waste and apples appear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ..grid.maps import FLOOR, RIVER, STREAM, WALL, WASTE, cells_of, read_map
from .kernels import Rules

LEGEND = {"@": WALL, " ": FLOOR, "P": FLOOR, "B": FLOOR, "S": STREAM, "R": RIVER, "H": WASTE}
CLASSES = 14  # of the grid world

SSD = (  # 25 x 18, Hughes et al. 2018
    "@@@@@@@@@@@@@@@@@@",
    "@RRRRRR     BBBBB@",
    "@HHHHHH      BBBB@",
    "@RRRRRR     BBBBB@",
    "@RRRRR  P    BBBB@",
    "@RRRRR    P BBBBB@",
    "@HHHHH       BBBB@",
    "@RRRRR      BBBBB@",
    "@HHHHHHSSSSSSBBBB@",
    "@HHHHHHSSSSSSBBBB@",
    "@RRRRR   P P BBBB@",
    "@HHHHH   P  BBBBB@",
    "@RRRRRR    P BBBB@",
    "@HHHHHH P   BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH    P  BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHHH  P P BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH       BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHHH      BBBBB@",
    "@RRRRR       BBBB@",
    "@HHHH       BBBBB@",
    "@@@@@@@@@@@@@@@@@@",
)
LIO_7X7 = (
    "@@@@@@@",
    "@H  PB@",
    "@H   B@",
    "@    B@",
    "@    B@",
    "@ P  B@",
    "@@@@@@@",
)
LIO_10X10 = (
    "@@@@@@@@@@",
    "@HH   P B@",
    "@RR    BB@",
    "@HH     B@",
    "@RR    BB@",
    "@HH P   B@",
    "@RR    BB@",
    "@HH     B@",
    "@RRP   BB@",
    "@@@@@@@@@@",
)


class River:
    """A game with a river: a mixin that reads the game's fields."""

    legend: ClassVar[Mapping[str, int]] = LEGEND
    map_classes: ClassVar[int] = CLASSES
    verifiable: ClassVar[tuple[str, ...]] = ("cleaned",)

    map: tuple[str, ...]
    beam_length: int
    beam_width: int
    depletion: float
    restoration: float
    apple_probability: float
    waste_probability: float

    def _check_river(self) -> None:
        """Raise ValueError unless the map has a river, which bears apples when it is clean enough."""
        if not {*"HR"} & {*"".join(self.map)}:
            raise ValueError("the map has no river; give it cells 'H' (waste) or 'R' (clean)")
        if self.restoration >= self.depletion:
            raise ValueError(
                f"restoration {self.restoration} is not below depletion {self.depletion}; "
                "ask for a share of waste that is"
            )

    def _rules_for(self, codes: np.ndarray, *, drawn_order: bool) -> Rules:
        """The rules as the kernels read them, for agents with the actions `codes` (actions,)."""
        return Rules(
            ground=read_map(self.map, {**LEGEND, "H": RIVER}),
            apple_cells=cells_of(self.map, "B"),
            waste_cells=cells_of(self.map, "HR"),
            codes=codes,
            beam_length=self.beam_length,
            beam_width=self.beam_width,
            drawn_order=drawn_order,
            depletion=self.depletion,
            restoration=self.restoration,
            apple_probability=self.apple_probability,
            waste_probability=self.waste_probability,
        )
