"""Harvest's rules as compiled functions over arrays: what `game.py` plays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ..grid.beams import fire
from ..grid.maps import APPLE
from ..grid.moves import FIRE, NOBODY, STEPS, eat, enterable, fill, go, heading_of, occupy, vacate


class Rules(NamedTuple):
    """The rules as the kernels read them. With N agents the slots of a step are

    - i: who enters the cell that agent i is the first to want,
    - N + a: whether an apple grows on apple cell a.
    """

    ground: np.ndarray  # (H, W) uint8 FLOOR or WALL
    apple_cells: np.ndarray  # (A, 2) row, column
    codes: np.ndarray  # (actions,) of the ACTIONS
    beam_length: int
    beam_width: int
    regrowth: np.ndarray  # by the number of apples near, the last for all higher ones
    regrowth_distance: int  # squared
    dense: int
    dense_distance: int  # squared


@njit(cache=True)
def play_step(
    rules: Rules,
    agents: np.ndarray,
    facing: np.ndarray,
    board: np.ndarray,
    actions: np.ndarray,
    key: np.ndarray,
    t: np.ndarray,
    draws: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """One step of every environment: the new agents, facings, boards and beams, and the Events.

    Its chance is the draws of step `t` (B,), unless `draws` (B, S) are given.
    """
    B, N, _ = agents.shape
    agents, facing, board = agents.copy(), facing.copy(), board.copy()
    beams = np.zeros(board.shape, np.uint8)
    ate, low_eaten, low_left = np.zeros((B, N), np.bool_), np.zeros((B, N), np.bool_), np.zeros((B, N), np.bool_)
    fired, hit = np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, ends = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64)
    grown, empty = np.empty(len(rules.apple_cells), np.int64), np.empty(N + len(rules.apple_cells))
    for b in range(B):
        drawn = draws[b] if len(draws) else fill(key[b], t[b], empty)
        _leave(rules, agents[b], facing[b], board[b], actions[b], low_left[b])
        go(rules.ground, rules.codes, agents[b], facing[b], actions[b], drawn, room)
        for i in range(N):
            low_eaten[b, i] = _low_density(rules, board[b], agents[b, i, 0], agents[b, i, 1])
            low_left[b, i] &= not low_eaten[b, i]
        eat(agents[b], board[b], ate[b])
        occupy(occupant, agents[b])
        for i in range(N):
            if rules.codes[actions[b, i]] == FIRE:
                fired[b, i] = True
                fire(
                    rules.ground, board[b], occupant, agents[b, i], facing[b, i], rules.beam_length, ends,
                    beams[b], hit[b],
                )  # fmt: skip
        _grow(rules, board[b], occupant, drawn[N:], grown)
        vacate(occupant, agents[b])
    return agents, facing, board, beams, ate, low_eaten, low_left, fired, hit


@njit(cache=True)
def _leave(
    rules: Rules, agents: np.ndarray, facing: np.ndarray, board: np.ndarray, actions: np.ndarray, left: np.ndarray
) -> None:
    """Note in `left` (N,) who could move onto an apple of low density and does not try to move onto any."""
    for i in range(len(agents)):
        tried = heading_of(rules.codes[actions[i]], facing[i])
        for heading in range(len(STEPS)):
            row, column = agents[i, 0] + STEPS[heading, 0], agents[i, 1] + STEPS[heading, 1]
            if enterable(rules.ground, row, column) and _low_density(rules, board, row, column):
                left[i] = heading != tried
                if heading == tried:
                    break


@njit(cache=True)
def _low_density(rules: Rules, board: np.ndarray, row: int, column: int) -> bool:
    """Whether there is an apple with too few around it."""
    return board[row, column] == APPLE and _apples(board, rules.dense_distance, row, column) < rules.dense


@njit(cache=True)
def _apples(board: np.ndarray, squared: int, row: int, column: int) -> int:
    """How many apples lie within a squared distance of the cell, itself included."""
    count, reach = 0, int(np.sqrt(squared))
    for r in range(max(row - reach, 0), min(row + reach + 1, board.shape[0])):
        aside = int(np.sqrt(squared - (r - row) ** 2))
        for c in range(max(column - aside, 0), min(column + aside + 1, board.shape[1])):
            count += board[r, c] == APPLE
    return count


@njit(cache=True)
def _grow(rules: Rules, board: np.ndarray, occupant: np.ndarray, draws: np.ndarray, grown: np.ndarray) -> None:
    """Grow apples, all at once, where neither an apple nor an agent is; `grown` (A,) is room to work in."""
    count, highest = 0, rules.regrowth.max()
    for a in range(len(rules.apple_cells)):
        row, column = rules.apple_cells[a, 0], rules.apple_cells[a, 1]
        if draws[a] < highest and board[row, column] != APPLE and occupant[row, column] == NOBODY:
            near = min(_apples(board, rules.regrowth_distance, row, column), len(rules.regrowth) - 1)
            if draws[a] < rules.regrowth[near]:
                grown[count] = a
                count += 1
    for k in range(count):
        board[rules.apple_cells[grown[k], 0], rules.apple_cells[grown[k], 1]] = APPLE
