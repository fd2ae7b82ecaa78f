"""Beams that agents fire along their facing, and what they hit."""

from __future__ import annotations

import numpy as np
from numba import njit

from .maps import CLEAN_BEAM, FACINGS, FIRE_BEAM, WASTE
from .moves import HOLD, NOBODY, STEPS, enterable
from .state import State


@njit(cache=True)
def shoot(
    ground: np.ndarray, state: State, b: int, i: int, kind: int, length: int, occupant: np.ndarray, ends: np.ndarray
) -> None:
    """Mark in `state.beams` of environment b where agent i's FIRE_BEAM or CLEAN_BEAM goes, a ray for each of `ends`.

    The centre ray covers the cells 1 to `length` ahead, the others, beside it, start level with the agent: 0 to
    `length - 1`. A ray stops before a wall and in the cell of an agent, whom `occupant` (H, W) names; a clean beam's
    also in the first cell with waste. `ends[ray]` is the cell, row * W + column, in which it was stopped so; HOLD where
    nothing stopped it.
    """
    half, agent, facing = len(ends) // 2, state.agents[b, i], state.facing[b, i]
    ahead, right = STEPS[facing], STEPS[(facing + 1) % FACINGS]
    board, beams = state.board[b], state.beams[b]
    for ray in range(len(ends)):
        aside = ray - half
        first = 1 if aside == 0 else 0
        ends[ray] = HOLD
        for distance in range(first, first + length):
            row = agent[0] + distance * ahead[0] + aside * right[0]
            column = agent[1] + distance * ahead[1] + aside * right[1]
            if not enterable(ground, row, column):
                break
            beams[row, column] = kind
            if occupant[row, column] != NOBODY or (kind == CLEAN_BEAM and board[row, column] == WASTE):
                ends[ray] = row * ground.shape[1] + column
                break


@njit(cache=True)
def fire(
    ground: np.ndarray,
    state: State,
    b: int,
    i: int,
    length: int,
    occupant: np.ndarray,
    ends: np.ndarray,
    hit: np.ndarray,
) -> None:
    """Fire, and count in `hit` (N,) whom the rays reach: an agent fills its cell, so only one of them reaches it."""
    shoot(ground, state, b, i, FIRE_BEAM, length, occupant, ends)
    for ray in range(len(ends)):
        if ends[ray] != HOLD:
            hit[occupant[ends[ray] // ground.shape[1], ends[ray] % ground.shape[1]]] += 1


@njit(cache=True)
def earned(
    apple: float, fire_cost: float, hit_cost: float, ate: np.ndarray, fired: np.ndarray, hit: np.ndarray
) -> np.ndarray:
    """(B, N) float32: the rewards of a step."""
    rewards = np.zeros(ate.shape, np.float32)
    for b in range(ate.shape[0]):
        for i in range(ate.shape[1]):
            rewards[b, i] = apple * ate[b, i] - fire_cost * fired[b, i] - hit_cost * hit[b, i]
    return rewards
