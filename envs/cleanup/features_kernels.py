"""The rules of `features.py` as compiled functions over arrays, and the numbers that agents see."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...core.random import fill_draws
from ..grid import state as grid
from ..grid.maps import APPLE, CLEAN_BEAM, FACINGS, RIVER, WASTE
from ..grid.moves import CLEAN, NOBODY, STAY, STEPS, eat, enterable, go, occupy, vacate
from .kernels import Rules, grow, probabilities, waste_on

NUMBERS = 12  # of an observation, and one more for each agent


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    agents: np.ndarray  # (B, N, 2) int8 row, column
    facing: np.ndarray  # (B, N) int8: 0 up, 1 right, 2 down, 3 left
    board: np.ndarray  # (B, H, W) uint8: what every cell shows but for agents and beams
    beams: np.ndarray  # (B, H, W) uint8: CLEAN_BEAM where one went in the last step, else 0
    cleaned: np.ndarray  # (B, N) int16 cells, in the last step


class Events(NamedTuple):
    """What happened in one step."""

    ate: np.ndarray  # (B, N) bool
    cleaned: np.ndarray  # (B, N) int16 cells


@njit(cache=True)
def play(rules: Rules, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
    """One step of every environment. Its chance is its own keys' draws, unless `draws` (B, S) are given.

    With N agents the slots are

    - i: who enters the cell that agent i is the first to want,
    - N: whether waste appears, and where,
    - N + 1 + a: whether an apple appears on apple cell a.
    """
    B, N = state.facing.shape
    after = grid.following(state)
    ate, cleaned = np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, turned = np.empty((2, N), np.int64), np.empty(N, np.int8)
    empty = np.empty(N + 1 + len(rules.apple_cells))
    for b in range(B):
        agents, facing, board = after.agents[b], after.facing[b], after.board[b]
        drawn = draws[b] if len(draws) else fill_draws(state.key[b], after.t[b], empty)
        turned[:] = 0  # moves are absolute: all go as if they faced up
        go(rules.ground, rules.codes, agents, turned, actions[b], drawn, room)
        for i in range(N):
            if actions[b, i] <= STAY:
                eat(agents[i : i + 1], board, ate[b, i : i + 1])
            facing[i] = (facing[i] + turned[i]) % FACINGS
        for i in range(N):
            if actions[b, i] == CLEAN:
                cleaned[b, i] = _clean(rules, after, b, i)
        apple, _ = probabilities(rules, waste_on(rules, board))
        _spoil(rules, board, drawn[N])
        occupy(occupant, agents)
        grow(rules, board, occupant, apple, drawn[N + 1 :])
        vacate(occupant, agents)
    new = State(after.key, after.t, after.agents, after.facing, after.board, after.beams, cleaned)
    return new, Events(ate, cleaned)


@njit(cache=True)
def _clean(rules: Rules, state: grid.State, b: int, i: int) -> int:
    """Clean all waste in agent i's beam, marking in `state.beams` of environment b where it goes; how many cells."""
    count, half, agent, facing = 0, rules.beam_width // 2, state.agents[b, i], state.facing[b, i]
    board, beams = state.board[b], state.beams[b]
    ahead, right = STEPS[facing], STEPS[(facing + 1) % FACINGS]
    for aside in range(-half, half + 1):
        for distance in range(rules.beam_length + 1):
            row = agent[0] + distance * ahead[0] + aside * right[0]
            column = agent[1] + distance * ahead[1] + aside * right[1]
            if not enterable(rules.ground, row, column):
                break
            beams[row, column] = CLEAN_BEAM
            if board[row, column] == WASTE:
                board[row, column] = RIVER
                count += 1
    return count


@njit(cache=True)
def _spoil(rules: Rules, board: np.ndarray, draw: float) -> None:
    """Waste on the first clean cell, in reading order, on which it succeeds, if it does on any.

    On the k-th of them, from 0, that has probability p (1 - p)^k: it is the first with `draw` < 1 - (1 - p)^(k + 1).
    """
    if waste_on(rules, board) / len(rules.waste_cells) >= rules.depletion:
        return
    failed = 1.0
    for w in range(len(rules.waste_cells)):
        row, column = rules.waste_cells[w, 0], rules.waste_cells[w, 1]
        if board[row, column] != WASTE:
            failed *= 1.0 - rules.waste_probability
            if draw < 1.0 - failed:
                board[row, column] = WASTE
                return


@njit(cache=True)
def features(rules: Rules, state: State) -> np.ndarray:
    """(B, N, 12 + N) float32: what every agent sees."""
    B, N = state.facing.shape
    seen = np.zeros((B, N, NUMBERS + N), np.float32)
    for b in range(B):
        agents, facing, board = state.agents[b], state.facing[b], state.board[b]
        for i in range(N):
            row, column, nearest, least = agents[i, 0], agents[i, 1], NOBODY, 0
            for j in range(N):
                apart = abs(agents[j, 0] - row) + abs(agents[j, 1] - column)
                if j != i and (nearest == NOBODY or apart < least):
                    nearest, least = j, apart
            seen[b, i, 0], seen[b, i, 1], seen[b, i, 2] = row, column, facing[i]
            seen[b, i, 3], seen[b, i, 4], seen[b, i, 5] = agents[nearest, 0], agents[nearest, 1], facing[nearest]
            seen[b, i, 10] = _look(board, rules.apple_cells, APPLE, row, column, seen[b, i, 6:8])
            seen[b, i, 11] = _look(board, rules.waste_cells, WASTE, row, column, seen[b, i, 8:10])
            for j in range(N):
                seen[b, i, NUMBERS + j] = state.cleaned[b, j]
    return seen


@njit(cache=True)
def _look(board: np.ndarray, cells: np.ndarray, thing: int, row: int, column: int, found: np.ndarray) -> int:
    """Write the place of the nearest `thing` to `found` (2,), if any of `cells` (n, 2) has one; how many have."""
    count, least = 0, 0
    for k in range(len(cells)):
        if board[cells[k, 0], cells[k, 1]] == thing:
            apart = abs(cells[k, 0] - row) + abs(cells[k, 1] - column)
            if count == 0 or apart < least:
                least, found[0], found[1] = apart, cells[k, 0], cells[k, 1]
            count += 1
    return count
