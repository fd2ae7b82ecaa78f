"""The Coin Game's rules as compiled functions over arrays: what `game.py` plays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...core.random import fill_draws

MOVES = np.array([[0, 1], [0, -1], [1, 0], [-1, 0], [0, 0]])  # row, column of each action
STAY = 4  # its place among them

WINNER, CELL, COLOUR = 0, 1, 2  # a step's slots of each coin: who picks it, where and in which colour the next appears
SLOTS = 3

UNIFORM, BOTH, FIRST = 0, 1, 2  # codes of `tie`
FREE, ANY, ELSEWHERE = 0, 1, 2  # codes of `new_coin`


class State(NamedTuple):
    """`B` running episodes."""

    key: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int32 steps played
    agents: np.ndarray  # (B, N, 2) int8 row, column
    coins: np.ndarray  # (B, C, 2) int8 row, column; C is 1, or N where every agent has a coin
    owners: np.ndarray  # (B, C) int8 the agent whose colour the coin bears


class Events(NamedTuple):
    """What happened in one step."""

    picked: np.ndarray  # (B, N, N) bool: agent i (axis 1) picked a coin of agent j (axis 2)
    left: np.ndarray  # (B, N, N) bool: i could have moved onto a coin of j, and did not
    paid: np.ndarray  # (B,) bool: whether this step's coins are paid for


class Rules(NamedTuple):
    """The rules as the kernels read them."""

    grid_size: int
    actions: int
    torus: bool
    apart: bool
    tie: int  # UNIFORM, BOTH, FIRST
    first_coin: int  # FREE, ANY
    new_coin: int  # FREE, ANY, ELSEWHERE
    colours: int  # how many colours the next coin's is drawn from; 1 where it is not drawn
    horizon: int
    last_step_pays: bool


@njit(cache=True)
def begin(rules: Rules, N: int, C: int, keys: np.ndarray, draws: np.ndarray) -> State:
    """New episodes of `N` agents and `C` coins, by the `draws` (B, N + C + 1)."""
    G, B = rules.grid_size, len(draws)
    agents = np.empty((B, N, 2), np.int8)
    coins = np.empty((B, C, 2), np.int8)
    owners = np.empty((B, C), np.int8)
    for b in range(B):
        for i in range(N):
            blocked = blocked_cells(FREE if rules.apart else ANY, G, agents[b, :i], 0)
            cell = _choose(blocked, draws[b, i])
            agents[b, i, 0], agents[b, i, 1] = cell // G, cell % G
        for c in range(C):
            cell = _choose(blocked_cells(rules.first_coin, G, agents[b], 0), draws[b, N + c])
            coins[b, c, 0], coins[b, c, 1] = cell // G, cell % G
            owners[b, c] = c if C > 1 else int(draws[b, N + C] * N)
    return State(keys, np.zeros(B, np.int32), agents, coins, owners)


@njit(cache=True)
def play(rules: Rules, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
    """One step of every environment. Its chance is its own keys' draws, unless `draws` (B, S) are given."""
    (B, N, _), C = state.agents.shape, state.coins.shape[1]
    moved, coins, owners = move_agents(rules, state.agents, actions), state.coins.copy(), state.owners.copy()
    picked, left = np.zeros((B, N, N), np.bool_), np.zeros((B, N, N), np.bool_)
    t, paid, empty = np.empty_like(state.t), np.empty(B, np.bool_), np.empty(SLOTS * C)
    for b in range(B):
        t[b] = state.t[b] + 1
        paid[b] = rules.last_step_pays or t[b] < rules.horizon
        drawn = draws[b] if len(draws) else fill_draws(state.key[b], t[b], empty)
        for c in range(C):
            owner = owners[b, c]
            arrived = 0
            for i in range(N):
                if same_cell(moved[b, i], coins[b, c]):
                    arrived += 1
                elif _in_reach(rules, state.agents[b, i], coins[b, c]):
                    left[b, i, owner] = True
            if arrived:
                winner = _winner(rules.tie, arrived, drawn[SLOTS * c + WINNER])
                _pick(moved[b], coins[b, c], winner, picked[b, :, owner])
                _renew(rules, moved[b], coins[b, c], drawn[SLOTS * c + CELL])
                if C == 1:
                    owners[b, c] = _next_owner(rules.colours, owner, N, drawn[SLOTS * c + COLOUR])
    return State(state.key, t, moved, coins, owners), Events(picked, left, paid)


@njit(cache=True)
def move_agents(rules: Rules, agents: np.ndarray, actions: np.ndarray) -> np.ndarray:
    moved = np.empty_like(agents)
    for b in range(agents.shape[0]):
        for i in range(agents.shape[1]):
            moved[b, i, 0], moved[b, i, 1] = _destination(rules, agents[b, i], actions[b, i])
    return moved


@njit(cache=True)
def _destination(rules: Rules, place: np.ndarray, action: int) -> tuple[int, int]:
    """Where `action` leads from `place`: around the torus, or not through a wall."""
    G = rules.grid_size
    row, column = place[0] + MOVES[action, 0], place[1] + MOVES[action, 1]
    if rules.torus:
        return (row + G) % G, (column + G) % G
    return min(max(row, 0), G - 1), min(max(column, 0), G - 1)


@njit(cache=True)
def _in_reach(rules: Rules, place: np.ndarray, coin: np.ndarray) -> bool:
    """Whether some action leads from `place` to the coin's cell."""
    for action in range(rules.actions):
        row, column = _destination(rules, place, action)
        if row == coin[0] and column == coin[1]:
            return True
    return False


@njit(cache=True)
def same_cell(one: np.ndarray, other: np.ndarray) -> bool:
    return one[0] == other[0] and one[1] == other[1]


@njit(cache=True)
def _winner(tie: int, arrived: int, draw: float) -> int:
    """Which of those that arrived picks the coin; -1 for all of them."""
    if tie == BOTH:
        return -1
    if tie == FIRST:
        return 0
    return int(draw * arrived)


@njit(cache=True)
def _pick(agents: np.ndarray, coin: np.ndarray, winner: int, picked: np.ndarray) -> None:
    """Note in `picked` (N,) who of those that arrived picks the coin."""
    arrived = 0
    for i in range(len(agents)):
        if same_cell(agents[i], coin):
            if winner in (-1, arrived):
                picked[i] = True
            arrived += 1


@njit(cache=True)
def _renew(rules: Rules, agents: np.ndarray, coin: np.ndarray, draw: float) -> None:
    """Put a new coin in the place of the picked one."""
    G = rules.grid_size
    cell = _choose(blocked_cells(rules.new_coin, G, agents, coin[0] * G + coin[1]), draw)
    coin[0], coin[1] = cell // G, cell % G


@njit(cache=True)
def _next_owner(colours: int, owner: int, N: int, draw: float) -> int:
    return int(draw * colours) if colours > 1 else (owner + 1) % N


@njit(cache=True)
def blocked_cells(rule: int, G: int, agents: np.ndarray, old_cell: int) -> np.ndarray:
    """(G * G,) bool: the cells that the rule FREE, ANY or ELSEWHERE forbids."""
    blocked = np.zeros(G * G, np.bool_)
    if rule == FREE:
        for i in range(len(agents)):
            blocked[agents[i, 0] * G + agents[i, 1]] = True
    if rule == ELSEWHERE:
        blocked[old_cell] = True
    return blocked


@njit(cache=True)
def _choose(blocked: np.ndarray, draw: float) -> int:
    """A cell that is not blocked, uniformly."""
    before = int(draw * (len(blocked) - blocked.sum()))
    for cell in range(len(blocked)):
        if not blocked[cell]:
            if before == 0:
                return cell
            before -= 1
    return -1


@njit(cache=True)
def pay(own: float, others: float, owner: float, picked: np.ndarray, paid: np.ndarray) -> np.ndarray:
    """(B, N) float32."""
    B, N, _ = picked.shape
    rewards = np.zeros((B, N), np.float32)
    for b in range(B):
        for i in range(N):
            for j in range(N):
                if picked[b, i, j] and paid[b]:
                    rewards[b, i] += own if i == j else others
                    rewards[b, j] += 0.0 if i == j else owner
    return rewards


@njit(cache=True)
def observe_board(G: int, centred: bool, agents: np.ndarray, coins: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """(B, N, 4, G, G): itself, all others, its own coin, the others' coins."""
    (B, N, _), C = agents.shape, coins.shape[1]
    planes = np.zeros((B, N, 4, G, G), np.uint8)
    for b in range(B):
        for i in range(N):
            down = G // 2 - agents[b, i, 0] + G if centred else 0
            right = G // 2 - agents[b, i, 1] + G if centred else 0
            for j in range(N):
                row, column = (agents[b, j, 0] + down) % G, (agents[b, j, 1] + right) % G
                planes[b, i, 0 if j == i else 1, row, column] = 1
            for c in range(C):
                row, column = (coins[b, c, 0] + down) % G, (coins[b, c, 1] + right) % G
                planes[b, i, 2 if owners[b, c] == i else 3, row, column] = 1
    return planes


@njit(cache=True)
def world_planes(G: int, agents: np.ndarray, coins: np.ndarray, owners: np.ndarray) -> np.ndarray:
    (B, N, _), C = agents.shape, coins.shape[1]
    planes = np.zeros((B, 2 * N, G, G), np.uint8)
    for b in range(B):
        for i in range(N):
            planes[b, i, agents[b, i, 0], agents[b, i, 1]] = 1
        for c in range(C):
            planes[b, N + owners[b, c], coins[b, c, 0], coins[b, c, 1]] = 1
    return planes
