"""Maps of rows of characters, and the classes of things that stand on them.

A map is rows of characters: `@` wall, `P` spawn point, blank floor, and what a game adds. What an agent sees of a cell
is one of the classes below, the same in every game; a game that lacks some of them never shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# What a cell shows. Another agent is OTHER + its facing relative to the observer's, in quarter turns clockwise:
# OTHER faces as the observer does, OTHER + 2 the opposite way.
VOID, FLOOR, WALL, APPLE, SELF, OTHER, FIRE_BEAM, RIVER, STREAM, WASTE, CLEAN_BEAM = 0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13
SPRITES = {APPLE: "apple", WASTE: "waste", FIRE_BEAM: "beam-fire", CLEAN_BEAM: "beam-clean"}
# The classes as red, green and blue: colours of the public code for Hughes et al. 2018. Some of its versions swap those
# of waste and river; here both are as its comments name them, brown and grey-blue. There each agent has its own colour.
# Here others are not told apart: the observer has the colour of the first agent there, all others that of the second.
PALETTE = np.zeros((CLEAN_BEAM + 1, 3), np.uint8)  # black: floor, and what is off the map
PALETTE[WALL], PALETTE[APPLE], PALETTE[SELF] = (180, 180, 180), (0, 255, 0), (159, 67, 255)
PALETTE[OTHER : OTHER + 4], PALETTE[FIRE_BEAM], PALETTE[CLEAN_BEAM] = (2, 81, 154), (255, 255, 0), (100, 255, 255)
PALETTE[RIVER], PALETTE[STREAM], PALETTE[WASTE] = (99, 156, 194), (99, 156, 194), (113, 75, 24)
FACINGS = 4


def read_map(rows: Sequence[str], legend: Mapping[str, int]) -> np.ndarray:
    """(H, W) uint8: the class that `legend` gives to every character of a map."""
    return np.array([[legend[character] for character in row] for row in rows], np.uint8)


def cells_of(rows: Sequence[str], characters: str) -> np.ndarray:
    """(n, 2) row, column of every cell that is one of `characters`, in reading order."""
    cells = [(r, c) for r, row in enumerate(rows) for c, character in enumerate(row) if character in characters]
    return np.array(cells, np.int64).reshape(-1, 2)


def check_map(rows: Sequence[str], legend: Mapping[str, int], players: int) -> None:
    """Raise ValueError unless `rows` are a map of known characters on which all `players` can start."""
    if not rows or not rows[0]:
        raise ValueError("the map is empty; give one string for each row, as '@P B@'")
    widths = [len(row) for row in rows]
    if len(set(widths)) > 1:
        odd = next(r for r, width in enumerate(widths) if width != widths[0])
        raise ValueError(
            f"row {odd} of the map has {widths[odd]} cells and row 0 has {widths[0]}; give all rows the same length"
        )
    if max(len(rows), widths[0]) > 100:
        raise ValueError(f"the map is {len(rows)} x {widths[0]} cells; 100 x 100 are allowed")
    unknown = sorted({*"".join(rows)} - {*legend})
    if unknown:
        raise ValueError(f"the map has {unknown[0]!r}; its characters may be {', '.join(map(repr, legend))}")
    spawns = "".join(rows).count("P")
    if spawns < players:
        raise ValueError(f"the map has {spawns} spawn points 'P' for {players} players; add some, or ask for fewer")


def check_odd(**sizes: int) -> None:
    """Raise ValueError unless every one of `sizes`, of what lies around an agent, is odd."""
    for name, size in sizes.items():
        if size % 2 == 0:
            raise ValueError(f"{name} is {size}; ask for an odd number, the agent in the middle")
