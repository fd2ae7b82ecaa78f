"""Cleanup's chance and states as lists, for the exact solver: the draws that can matter, and the index of a state."""

from __future__ import annotations

import numpy as np
from numba import njit

from ...core.random import mix
from ..grid.maps import APPLE, FLOOR, WASTE
from ..grid.moves import NOBODY, contenders, eat, go, heading_of, occupy, vacate, wishes
from ..grid.state import State, alone, following
from .kernels import Events, Rules, act, no_events, probabilities, waste_on


@njit(cache=True, nogil=True)
def outcomes(rules: Rules, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws (B, K, S) for `play` that lead to every outcome of a step, and their probabilities (B, K).

    Every choice of the winners of contested cells, and for each of them every waste and every set of apples. Beams go
    in the agents' order.
    """
    B, N = state.facing.shape
    slots = 2 * N + 2 + len(rules.apple_cells)
    counts = np.empty(B, np.int64)
    none_d, none_p = np.empty((0, slots)), np.empty(0)
    for b in range(B):
        counts[b] = _list(rules, state, b, actions[b], none_d, none_p)
    K = counts.max()
    draws, chance = np.zeros((B, K, slots)), np.zeros((B, K))
    for b in range(B):
        _list(rules, state, b, actions[b], draws[b], chance[b])
    return draws, chance


@njit(cache=True)
def _list(rules: Rules, state: State, b: int, actions: np.ndarray, draws: np.ndarray, chance: np.ndarray) -> int:
    """Write the outcomes of environment b to `draws` (K, S) and `chance` (K,), as far as they fit; their number."""
    rivals = _rivals(rules, state, b, actions)
    ways, drawn, listed = rivals.prod(), np.zeros(2 * len(actions)), 0
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    for way in range(ways):
        after, _ = _acted(rules, state, b, actions, rivals, way, drawn, occupant)
        occupy(occupant, after.agents[0])
        listed = _list_spawns(rules, after.board[0], occupant, drawn, 1.0 / ways, draws, chance, listed)
        vacate(occupant, after.agents[0])
    return listed


@njit(cache=True, nogil=True)
def transition_key(rules: Rules, state: State, actions: np.ndarray) -> np.ndarray:
    """(B,) uint64: a code of what agents and beams do in a step, for each choice of the winners of contested cells.

    Waste and apples are then drawn by what that left: equal codes have the same events, and what follows them is as
    probable.
    """
    B, N = state.facing.shape
    drawn, occupant = np.zeros(2 * N), np.full(rules.ground.shape, NOBODY, np.int8)
    codes = np.empty(B, np.uint64)
    for b in range(B):
        rivals = _rivals(rules, state, b, actions[b])
        code = np.uint64(rivals.prod())
        for way in range(rivals.prod()):
            after, events = _acted(rules, state, b, actions[b], rivals, way, drawn, occupant)
            for i in range(N):
                code = mix(mix(code + np.uint64(after.agents[0, i, 0])) + np.uint64(after.agents[0, i, 1]))
                code = mix(mix(code + np.uint64(after.facing[0, i])) + np.uint64(events.ate[0, i]))
                code = mix(mix(code + np.uint64(events.cleaned[0, i])) + np.uint64(events.fired[0, i]))
                code = mix(code + np.uint64(events.hit[0, i]))
            for cells in (rules.waste_cells, rules.apple_cells):
                for c in range(len(cells)):
                    code = mix(code + np.uint64(after.board[0, cells[c, 0], cells[c, 1]]))
        codes[b] = code
    return codes


@njit(cache=True)
def _acted(
    rules: Rules,
    state: State,
    b: int,
    actions: np.ndarray,
    rivals: np.ndarray,
    way: int,
    drawn: np.ndarray,
    occupant: np.ndarray,
) -> tuple[State, Events]:
    """Environment b, B = 1, before waste and apples appear, in the `way`-th choice of winners among `rivals` (N,).

    Its draws are written to `drawn` (2 N,). `occupant` (H, W) must be nobody everywhere, and is again.
    """
    N = len(actions)
    for i in range(N):
        drawn[i] = (way % rivals[i] + 0.5) / rivals[i]
        way //= rivals[i]
    after, events = following(alone(state, b)), no_events(1, N)
    room, ends, agents = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64), after.agents[0]
    go(rules.ground, rules.codes, agents, after.facing[0], actions, drawn, room)
    eat(agents, after.board[0], events.ate[0])
    occupy(occupant, agents)
    act(rules, after, events, 0, actions, drawn, occupant, ends)
    vacate(occupant, agents)
    return after, events


@njit(cache=True)
def _rivals(rules: Rules, state: State, b: int, actions: np.ndarray) -> np.ndarray:
    """(N,) how many are drawn from in slot i: those who want the cell that agent i is the first to want; at least 1."""
    N = len(actions)
    heading, wanted = np.empty(N, np.int64), np.empty(N, np.int64)
    for i in range(N):
        heading[i] = heading_of(rules.codes[actions[i]], state.facing[b, i])
    wishes(rules.ground, state.agents[b], heading, wanted)
    rivals = np.ones(N, np.int64)
    for i in range(N):
        rivals[i] = max(1, contenders(wanted, i))
    return rivals


@njit(cache=True)
def _list_spawns(
    rules: Rules,
    board: np.ndarray,
    occupant: np.ndarray,
    drawn: np.ndarray,
    probability: float,
    draws: np.ndarray,
    chance: np.ndarray,
    listed: int,
) -> int:
    """Append every waste and every set of apples after the draws `drawn` (2 N,), themselves of this `probability`."""
    S, waste = len(drawn), waste_on(rules, board)
    apple, spoilt = probabilities(rules, waste)
    clean_cells = len(rules.waste_cells) - waste
    free = np.empty(len(rules.apple_cells), np.int64)
    count = 0
    for a in range(len(rules.apple_cells)):
        row, column = rules.apple_cells[a, 0], rules.apple_cells[a, 1]
        if apple > 0.0 and board[row, column] == FLOOR and occupant[row, column] == NOBODY:
            free[count] = a
            count += 1
    for where in range(-1, clean_cells if spoilt > 0.0 else 0):  # -1: no waste
        here = probability * (1.0 - spoilt if where < 0 else spoilt / clean_cells)
        for apples in range(1 << count):
            if listed < len(chance):
                for slot in range(draws.shape[1]):
                    draws[listed, slot] = drawn[slot] if slot < S else 1.0
                draws[listed, S] = (1.0 + spoilt) / 2 if where < 0 else spoilt / 2
                draws[listed, S + 1] = (max(where, 0) + 0.5) / max(clean_cells, 1)
                chance[listed] = here
                for k in range(count):
                    grows = (apples >> k) & 1
                    draws[listed, S + 2 + free[k]] = apple / 2 if grows else (1.0 + apple) / 2
                    chance[listed] *= apple if grows else 1.0 - apple
            listed += 1
    return listed


# The index of a state


@njit(cache=True, nogil=True)
def index(rules: Rules, rank: np.ndarray, cells: int, agents: np.ndarray, board: np.ndarray) -> np.ndarray:
    """(B,) int64: the agents' places, agent 0 slowest, then the waste, then the apples, the last cell fastest.

    `rank` (H, W) numbers the `cells` that are no wall; agent i has one of those that agents 0 to i - 1 left.
    """
    B, N, _ = agents.shape
    found = np.zeros(B, np.int64)
    for b in range(B):
        for i in range(N):
            place = rank[agents[b, i, 0], agents[b, i, 1]]
            earlier = 0
            for j in range(i):
                earlier += rank[agents[b, j, 0], agents[b, j, 1]] < place
            found[b] = found[b] * (cells - i) + place - earlier
        for w in range(len(rules.waste_cells)):
            found[b] = 2 * found[b] + (board[b, rules.waste_cells[w, 0], rules.waste_cells[w, 1]] == WASTE)
        for a in range(len(rules.apple_cells)):
            found[b] = 2 * found[b] + (board[b, rules.apple_cells[a, 0], rules.apple_cells[a, 1]] == APPLE)
    return found


@njit(cache=True)
def representatives(rules: Rules, walkable: np.ndarray, N: int, states: int) -> tuple[np.ndarray, np.ndarray]:
    """The agents (S, N, 2) and the board (S, H, W) of every index."""
    agents, board = np.empty((states, N, 2), np.int8), np.empty((states, *rules.ground.shape), np.uint8)
    chosen = np.empty(N, np.int64)
    for s in range(states):
        rest = s
        board[s] = rules.ground
        for a in range(len(rules.apple_cells) - 1, -1, -1):
            if rest % 2:
                board[s, rules.apple_cells[a, 0], rules.apple_cells[a, 1]] = APPLE
            rest //= 2
        for w in range(len(rules.waste_cells) - 1, -1, -1):
            if rest % 2:
                board[s, rules.waste_cells[w, 0], rules.waste_cells[w, 1]] = WASTE
            rest //= 2
        for i in range(N - 1, -1, -1):
            chosen[i] = rest % (len(walkable) - i)
            rest //= len(walkable) - i
        for i in range(N):
            place = _nth_free(chosen, i)
            chosen[i] = place
            agents[s, i, 0], agents[s, i, 1] = walkable[place, 0], walkable[place, 1]
    return agents, board


@njit(cache=True)
def _nth_free(chosen: np.ndarray, i: int) -> int:
    """The cell that has `chosen[i]` cells before it which none of `chosen[:i]` is."""
    place = chosen[i]
    settled = False
    while not settled:
        earlier = 0
        for j in range(i):
            earlier += chosen[j] <= place
        settled = place == chosen[i] + earlier
        place = chosen[i] + earlier
    return place
