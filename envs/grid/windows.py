"""What is seen of a map: each agent's own window, turned as it faces, and the whole for a principal."""

from __future__ import annotations

import numpy as np
from numba import njit

from .maps import APPLE, FACINGS, OTHER, PALETTE, SELF, VOID, WASTE
from .moves import STEPS


@njit(cache=True)
def windows(board: np.ndarray, beams: np.ndarray, agents: np.ndarray, facing: np.ndarray, view: int) -> np.ndarray:
    """(B, N, view, view) uint8: what lies around every agent, turned so that its front is up; VOID off the map.

    An agent hides what it stands on. An apple or waste hides the beam over it.
    """
    (B, N, _), (_, H, W), half = agents.shape, board.shape, view // 2
    seen = np.empty((B, N, view, view), np.uint8)
    wide = np.full((H + 2 * half, W + 2 * half), VOID, np.uint8)
    for b in range(B):
        _lay(board[b], beams[b], wide[half : half + H, half : half + W])
        for i in range(N):
            row, column = agents[b, i, 0], agents[b, i, 1]
            _turn(wide[row : row + view, column : column + view], facing[b, i], seen[b, i])
            ahead, right = STEPS[facing[b, i]], STEPS[(facing[b, i] + 1) % FACINGS]
            for j in range(N):
                down, across = agents[b, j, 0] - agents[b, i, 0], agents[b, j, 1] - agents[b, i, 1]
                y = half - down * ahead[0] - across * ahead[1]
                x = half + down * right[0] + across * right[1]
                if 0 <= y < view and 0 <= x < view:
                    seen[b, i, y, x] = OTHER + (facing[b, j] - facing[b, i]) % FACINGS
            seen[b, i, half, half] = SELF
    return seen


def coloured(seen: np.ndarray) -> np.ndarray:
    """(..., 3) uint8: the colour of each class that is `seen` (...)."""
    return _paint(seen.reshape(-1)).reshape(*seen.shape, 3)


@njit(cache=True)
def _paint(seen: np.ndarray) -> np.ndarray:
    """(n, 3): a loop, several times as fast as indexing the palette."""
    pixels = np.empty((len(seen), 3), np.uint8)
    for cell in range(len(seen)):
        for part in range(3):
            pixels[cell, part] = PALETTE[seen[cell], part]
    return pixels


@njit(cache=True)
def _turn(part: np.ndarray, facing: int, shown: np.ndarray) -> None:
    """Write on `shown` the square `part` of the map so that what lies in direction `facing` is up.

    Loops, since numba takes seconds to compile slices that are assigned.
    """
    last = len(part) - 1
    for y in range(len(part)):
        for x in range(len(part)):
            if facing == 0:
                shown[y, x] = part[y, x]
            elif facing == 1:
                shown[y, x] = part[x, last - y]
            elif facing == 2:
                shown[y, x] = part[last - y, last - x]
            else:
                shown[y, x] = part[last - x, y]


@njit(cache=True)
def overview(board: np.ndarray, beams: np.ndarray, agents: np.ndarray, facing: np.ndarray, classes: int) -> np.ndarray:
    """(B, H, W) uint8: the map as in `windows`, but for the agents: i facing f is `classes + 4 i + f`."""
    world = np.empty(board.shape, np.uint8)
    for b in range(len(board)):
        _lay(board[b], beams[b], world[b])
        for i in range(agents.shape[1]):
            world[b, agents[b, i, 0], agents[b, i, 1]] = classes + FACINGS * i + facing[b, i]
    return world


@njit(cache=True)
def _lay(board: np.ndarray, beams: np.ndarray, shown: np.ndarray) -> None:
    """Write on `shown` (H, W) what lies on the board, with the beams where nothing does."""
    for row in range(board.shape[0]):
        for column in range(board.shape[1]):
            thing, beam = board[row, column], beams[row, column]
            shown[row, column] = thing if beam == VOID or thing in (APPLE, WASTE) else beam
