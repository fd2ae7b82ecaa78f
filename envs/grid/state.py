"""What every game on a map holds of its episodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    agents: np.ndarray  # (B, N, 2) int8 row, column
    facing: np.ndarray  # (B, N) int8: 0 up, 1 right, 2 down, 3 left
    board: np.ndarray  # (B, H, W) uint8: what every cell shows but for agents and beams
    beams: np.ndarray  # (B, H, W) uint8: FIRE_BEAM or CLEAN_BEAM where one went in the last step, else 0


@njit(cache=True)
def following(state: State) -> State:
    """A copy of `state` to play the next step in: one step later and without beams."""
    t = np.empty_like(state.t)
    for b in range(len(t)):
        t[b] = state.t[b] + 1
    agents, facing, board = state.agents.copy(), state.facing.copy(), state.board.copy()
    return State(state.key, t, agents, facing, board, np.zeros(board.shape, np.uint8))


@njit(cache=True)
def alone(state: State, b: int) -> State:
    """Environment b of `state` as a state of its own, B = 1, sharing memory with it."""
    key, t, agents, facing = state.key[b : b + 1], state.t[b : b + 1], state.agents[b : b + 1], state.facing[b : b + 1]
    return State(key, t, agents, facing, state.board[b : b + 1], state.beams[b : b + 1])
