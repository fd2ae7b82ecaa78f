"""The Coin Game's chance as a list, for the exact solver: which draws can matter, and how likely each is."""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import CELL, COLOUR, SLOTS, UNIFORM, WINNER, Rules, blocked_cells, move_agents, same_cell


@njit(cache=True)
def choices_of(rules: Rules, agents: np.ndarray, coins: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(B, S) how many equally likely alternatives each slot of a step has; 1 where nothing is drawn."""
    (B, N, _), C, G = agents.shape, coins.shape[1], rules.grid_size
    moved = move_agents(rules, agents, actions)
    choices = np.ones((B, SLOTS * C), np.int64)
    for b in range(B):
        for c in range(C):
            arrived = 0
            for i in range(N):
                arrived += same_cell(moved[b, i], coins[b, c])
            if arrived:
                blocked = blocked_cells(rules.new_coin, G, moved[b], coins[b, c, 0] * G + coins[b, c, 1])
                choices[b, SLOTS * c + WINNER] = arrived if rules.tie == UNIFORM else 1
                choices[b, SLOTS * c + CELL] = len(blocked) - blocked.sum()
                choices[b, SLOTS * c + COLOUR] = rules.colours
    return choices


@njit(cache=True)
def combinations(choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every combination of the alternatives `choices` (B, S): draws (B, K, S) that lead there, probabilities (B, K)."""
    B, S = choices.shape
    counts = np.ones(B, np.int64)
    for b in range(B):
        for slot in range(S):
            counts[b] *= choices[b, slot]
    K = counts.max()
    draws = np.zeros((B, K, S))
    probabilities = np.zeros((B, K))
    for b in range(B):
        for k in range(counts[b]):
            rest = k
            for slot in range(S):
                draws[b, k, slot] = (rest % choices[b, slot] + 0.5) / choices[b, slot]
                rest //= choices[b, slot]
            probabilities[b, k] = 1 / counts[b]
    return draws, probabilities
