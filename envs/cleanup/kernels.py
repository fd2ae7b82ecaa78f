"""The rules of Cleanup as compiled functions over arrays: what `game.py` plays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...core.random import fill_draws
from ..grid.beams import fire, shoot
from ..grid.maps import APPLE, CLEAN_BEAM, FLOOR, RIVER, WASTE
from ..grid.moves import CLEAN, FIRE, HOLD, NOBODY, eat, go, occupy, vacate
from ..grid.state import State, following


class Events(NamedTuple):
    """What happened in one step."""

    ate: np.ndarray  # (B, N) bool
    cleaned: np.ndarray  # (B, N) int16 cells
    fired: np.ndarray  # (B, N) bool
    hit: np.ndarray  # (B, N) int16 how many others' beams hit the agent


class Rules(NamedTuple):
    """The rules as the kernels read them. With N agents and A apple cells the slots of a step are

    - i: who enters the cell that agent i is the first to want,
    - N + i: agent i's place in the order of beams, the smallest draw first,
    - 2 N and 2 N + 1: whether waste appears, and where,
    - 2 N + 2 + a: whether an apple appears on apple cell a.
    """

    ground: np.ndarray  # (H, W) uint8 FLOOR, WALL, RIVER or STREAM
    apple_cells: np.ndarray  # (A, 2) row, column
    waste_cells: np.ndarray  # (W, 2) where waste may be
    codes: np.ndarray  # (actions,) of the ACTIONS
    beam_length: int
    beam_width: int
    drawn_order: bool
    depletion: float
    restoration: float
    apple_probability: float
    waste_probability: float


@njit(cache=True, nogil=True)
def play(rules: Rules, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
    """One step of every environment. Its chance is its own keys' draws, unless `draws` (B, S) are given."""
    B, N = state.facing.shape
    after, events = following(state), no_events(B, N)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, ends = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64)
    empty = np.empty(2 * N + 2 + len(rules.apple_cells))
    for b in range(B):
        agents, board = after.agents[b], after.board[b]
        drawn = draws[b] if len(draws) else fill_draws(state.key[b], after.t[b], empty)
        go(rules.ground, rules.codes, agents, after.facing[b], actions[b], drawn, room)
        eat(agents, board, events.ate[b])
        occupy(occupant, agents)
        act(rules, after, events, b, actions[b], drawn, occupant, ends)
        spawn(rules, board, occupant, drawn[2 * N :])
        vacate(occupant, agents)
    return after, events


@njit(cache=True)
def no_events(B: int, N: int) -> Events:
    """Events to note in what happens."""
    ate, cleaned = np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16)
    return Events(ate, cleaned, np.zeros((B, N), np.bool_), np.zeros((B, N), np.int16))


@njit(cache=True)
def act(
    rules: Rules,
    state: State,
    events: Events,
    b: int,
    actions: np.ndarray,
    draws: np.ndarray,
    occupant: np.ndarray,
    ends: np.ndarray,
) -> None:
    """All beams of environment b, one agent's after the other's, each on the board that the last one left."""
    N = len(actions)
    last, turn_of_last = NOBODY, -1.0
    for _ in range(N):
        i, lowest = NOBODY, np.inf
        for j in range(N):
            if rules.codes[actions[j]] >= CLEAN:
                turn = draws[N + j] if rules.drawn_order else float(j)
                later = turn > turn_of_last or (turn == turn_of_last and j > last)
                if later and turn < lowest:
                    i, lowest = j, turn
        if i == NOBODY:
            return
        last, turn_of_last = i, lowest
        if rules.codes[actions[i]] == FIRE:
            events.fired[b, i] = True
            fire(rules.ground, state, b, i, rules.beam_length, occupant, ends, events.hit[b])
        else:
            shoot(rules.ground, state, b, i, CLEAN_BEAM, rules.beam_length, occupant, ends)
            events.cleaned[b, i] = clean(state.board[b], ends)


@njit(cache=True)
def clean(board: np.ndarray, ends: np.ndarray) -> int:
    """Clean the waste in which the rays ended; how many cells that was."""
    count, W = 0, board.shape[1]
    for ray in range(len(ends)):
        if ends[ray] != HOLD and board[ends[ray] // W, ends[ray] % W] == WASTE:
            board[ends[ray] // W, ends[ray] % W] = RIVER
            count += 1
    return count


@njit(cache=True)
def probabilities(rules: Rules, waste: int) -> tuple[float, float]:
    """How probable an apple is on each free apple cell, and waste anywhere, with so many cells of `waste` left.

    With `d` the share of waste: nothing appears if `d >= depletion`; else an apple with `apple_probability *
    (1 - (d - restoration) / (depletion - restoration))`, with the whole of it if `d <= restoration`. Waste is tried on
    one clean cell after the other, in random order, up to the first success: so with `1 - (1 - waste_probability)^n`
    for n clean cells, on each of them equally.
    """
    most = len(rules.waste_cells)
    d = waste / most
    if d >= rules.depletion:
        return 0.0, 0.0
    spoilt = max(0.0, (d - rules.restoration) / (rules.depletion - rules.restoration))
    return rules.apple_probability * (1.0 - spoilt), 1.0 - (1.0 - rules.waste_probability) ** (most - waste)


@njit(cache=True)
def waste_on(rules: Rules, board: np.ndarray) -> int:
    """How many cells have waste."""
    count = 0
    for w in range(len(rules.waste_cells)):
        count += board[rules.waste_cells[w, 0], rules.waste_cells[w, 1]] == WASTE
    return count


@njit(cache=True)
def spawn(rules: Rules, board: np.ndarray, occupant: np.ndarray, draws: np.ndarray) -> None:
    """Waste on one clean cell, agents or not, and apples where neither an apple nor an agent is."""
    waste = waste_on(rules, board)
    apple, spoilt = probabilities(rules, waste)
    if draws[0] < spoilt:
        before = int(draws[1] * (len(rules.waste_cells) - waste))
        for w in range(len(rules.waste_cells)):
            row, column = rules.waste_cells[w, 0], rules.waste_cells[w, 1]
            if board[row, column] != WASTE:
                if before == 0:
                    board[row, column] = WASTE
                    break
                before -= 1
    grow(rules, board, occupant, apple, draws[2:])


@njit(cache=True)
def grow(rules: Rules, board: np.ndarray, occupant: np.ndarray, apple: float, draws: np.ndarray) -> None:
    """An apple, with probability `apple`, on every apple cell with neither an apple nor an agent; `draws` (A,)."""
    if apple > 0.0:
        for a in range(len(rules.apple_cells)):
            row, column = rules.apple_cells[a, 0], rules.apple_cells[a, 1]
            if draws[a] < apple and board[row, column] == FLOOR and occupant[row, column] == NOBODY:
                board[row, column] = APPLE
