"""Harvest's rules as compiled functions over arrays: what `game.py` plays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...core.random import fill_draws
from ..grid.beams import fire
from ..grid.maps import APPLE
from ..grid.moves import FIRE, NOBODY, STEPS, eat, enterable, go, heading_of, occupy, vacate
from ..grid.state import State, following


class Events(NamedTuple):
    """What happened in one step."""

    ate: np.ndarray  # (B, N) bool
    low_density_eaten: np.ndarray  # (B, N) bool: the apple eaten was of low density
    low_density_left: np.ndarray  # (B, N) bool: could have moved onto such an apple, and neither ate nor tried one
    fired: np.ndarray  # (B, N) bool
    hit: np.ndarray  # (B, N) int16 how many others' beams hit the agent


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
def play(rules: Rules, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
    """One step of every environment. Its chance is its own keys' draws, unless `draws` (B, S) are given."""
    B, N = state.facing.shape
    after, events = following(state), _no_events(B, N)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, ends = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64)
    grown, empty = np.empty(len(rules.apple_cells), np.int64), np.empty(N + len(rules.apple_cells))
    for b in range(B):
        agents, facing, board = after.agents[b], after.facing[b], after.board[b]
        eaten, left = events.low_density_eaten[b], events.low_density_left[b]
        drawn = draws[b] if len(draws) else fill_draws(state.key[b], after.t[b], empty)
        _leave(rules, agents, facing, board, actions[b], left)
        go(rules.ground, rules.codes, agents, facing, actions[b], drawn, room)
        for i in range(N):
            eaten[i] = _low_density(rules, board, agents[i, 0], agents[i, 1])
            left[i] &= not eaten[i]
        eat(agents, board, events.ate[b])
        occupy(occupant, agents)
        for i in range(N):
            if rules.codes[actions[b, i]] == FIRE:
                events.fired[b, i] = True
                fire(rules.ground, after, b, i, rules.beam_length, occupant, ends, events.hit[b])
        _grow(rules, board, occupant, drawn[N:], grown)
        vacate(occupant, agents)
    return after, events


@njit(cache=True)
def _no_events(B: int, N: int) -> Events:
    """Events to note in what happens."""
    ate, low_eaten, low_left = np.zeros((B, N), np.bool_), np.zeros((B, N), np.bool_), np.zeros((B, N), np.bool_)
    return Events(ate, low_eaten, low_left, np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16))


@njit(cache=True)
def _leave(
    rules: Rules, agents: np.ndarray, facing: np.ndarray, board: np.ndarray, actions: np.ndarray, left: np.ndarray
) -> None:
    """Note in `left` (N,) who could move onto an apple of low density and does not try to move onto any."""
    for i in range(len(actions)):
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
