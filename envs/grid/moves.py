"""Agents that stand, turn and move on a map, one to a cell: compiled functions over arrays."""

from __future__ import annotations

import numpy as np
from numba import njit

from .maps import APPLE, FACINGS, FLOOR, WALL

STEPS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # row, column of a step up, right, down, left: facings 0 to 3

ACTIONS = ("left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean", "fire")
STAY, CLOCKWISE, COUNTERCLOCKWISE, CLEAN, FIRE = 4, 5, 6, 7, 8
QUARTERS = np.array([3, 1, 0, 2])  # clockwise from the facing, of the actions left, right, up and down

HOLD = -1  # instead of a heading or a cell: the agent keeps its place
NOBODY = -1


@njit(cache=True)
def place(spawns: np.ndarray, N: int, draws: np.ndarray, fixed: bool, turning: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cells (B, N, 2) and facings (B, N) of `N` agents at the start, by the `draws` (B, 2 N).

    Each agent in turn takes a free spawn point, drawn in slot i; or, `fixed`, the last one in reading order that is
    free. Its facing is drawn in slot N + i; where nobody turns all face up.
    """
    B, P = len(draws), len(spawns)
    agents, facing = np.empty((B, N, 2), np.int8), np.zeros((B, N), np.int8)
    for b in range(B):
        taken = np.zeros(P, np.bool_)
        for i in range(N):
            before = P - i - 1 if fixed else int(draws[b, i] * (P - i))
            for p in range(P):
                if not taken[p]:
                    if before == 0:
                        agents[b, i, 0], agents[b, i, 1] = spawns[p, 0], spawns[p, 1]
                        taken[p] = True
                        break
                    before -= 1
            if turning:
                facing[b, i] = int(draws[b, N + i] * FACINGS)
    return agents, facing


@njit(cache=True)
def enterable(ground: np.ndarray, row: int, column: int) -> bool:
    """Whether the cell is on the map and no wall."""
    inside = 0 <= row < ground.shape[0] and 0 <= column < ground.shape[1]
    return inside and ground[row, column] != WALL


@njit(cache=True)
def heading_of(code: int, facing: int) -> int:
    """The direction of a move, which is relative to the facing; HOLD for any other action."""
    return (QUARTERS[code] + facing) % FACINGS if code < STAY else HOLD


@njit(cache=True)
def go(
    ground: np.ndarray,
    codes: np.ndarray,
    agents: np.ndarray,
    facing: np.ndarray,
    actions: np.ndarray,
    draws: np.ndarray,
    room: np.ndarray,
) -> None:
    """Turn and move the `agents` (N, 2), where conflicts let them; `room` (2, N) is room to work in.

    One of those who want a cell is drawn, in the slot of the first of them; the others hold their cells. It enters if
    nobody stands there, or whoever does really leaves. So chains move, cycles of three or more rotate, two never swap.
    """
    heading, wanted = room[0], room[1]
    for i in range(len(agents)):
        code = codes[actions[i]]
        heading[i] = heading_of(code, facing[i])
        if code == CLOCKWISE:
            facing[i] = (facing[i] + 1) % FACINGS
        elif code == COUNTERCLOCKWISE:
            facing[i] = (facing[i] + 3) % FACINGS
    wishes(ground, agents, heading, wanted)
    _draw_winners(wanted, draws)
    W = ground.shape[1]
    _hold_back(agents, wanted, W)
    for i in range(len(agents)):
        if wanted[i] != HOLD:
            agents[i, 0], agents[i, 1] = wanted[i] // W, wanted[i] % W


@njit(cache=True)
def wishes(ground: np.ndarray, agents: np.ndarray, heading: np.ndarray, wanted: np.ndarray) -> None:
    """Note in `wanted` (N,) the cell, row * W + column, that each agent wants; HOLD where it wants none or a wall."""
    for i in range(len(agents)):
        wanted[i] = HOLD
        if heading[i] != HOLD:
            row, column = agents[i, 0] + STEPS[heading[i], 0], agents[i, 1] + STEPS[heading[i], 1]
            if enterable(ground, row, column):
                wanted[i] = row * ground.shape[1] + column


@njit(cache=True)
def _draw_winners(wanted: np.ndarray, draws: np.ndarray) -> None:
    """Leave every wanted cell to one of those who want it."""
    for i in range(len(wanted)):
        rivals = contenders(wanted, i)
        if rivals > 1:
            cell, before = wanted[i], int(draws[i] * rivals)
            for j in range(i, len(wanted)):
                if wanted[j] == cell:
                    if before != 0:
                        wanted[j] = HOLD
                    before -= 1


@njit(cache=True)
def contenders(wanted: np.ndarray, i: int) -> int:
    """How many want the cell that agent i wants; 0 unless i is the first of them."""
    if wanted[i] == HOLD:
        return 0
    count = 0
    for j in range(len(wanted)):
        if wanted[j] == wanted[i]:
            if j < i:
                return 0
            count += 1
    return count


@njit(cache=True)
def _hold_back(agents: np.ndarray, wanted: np.ndarray, W: int) -> None:
    """Hold back whoever wants a cell that is not left, or that is left only for its own, until nobody does."""
    settled = False
    while not settled:
        settled = True
        for i in range(len(agents)):
            if wanted[i] == HOLD:
                continue
            for j in range(len(agents)):
                in_the_way = agents[j, 0] * W + agents[j, 1] == wanted[i]
                if in_the_way and (wanted[j] == HOLD or wanted[j] == agents[i, 0] * W + agents[i, 1]):
                    wanted[i], settled = HOLD, False
                    break


@njit(cache=True)
def eat(agents: np.ndarray, board: np.ndarray, ate: np.ndarray) -> None:
    """Everyone eats the apple on which it stands, whatever it did."""
    for i in range(len(agents)):
        row, column = agents[i, 0], agents[i, 1]
        if board[row, column] == APPLE:
            board[row, column] = FLOOR
            ate[i] = True


@njit(cache=True)
def occupy(occupant: np.ndarray, agents: np.ndarray) -> None:
    """Note in `occupant` (H, W) who stands where."""
    for i in range(len(agents)):
        occupant[agents[i, 0], agents[i, 1]] = i


@njit(cache=True)
def vacate(occupant: np.ndarray, agents: np.ndarray) -> None:
    for i in range(len(agents)):
        occupant[agents[i, 0], agents[i, 1]] = NOBODY
