"""The rules of Cleanup as kernels, one environment at a time, and the lists of all that chance may do in a step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...core.random import mix
from ..grid.beams import fire, shoot
from ..grid.maps import APPLE, CLEAN_BEAM, FLOOR, RIVER, WASTE
from ..grid.moves import CLEAN, FIRE, HOLD, NOBODY, contenders, eat, fill, go, heading_of, occupy, vacate, wishes


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
def play(
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
    ate, fired = np.zeros((B, N), np.bool_), np.zeros((B, N), np.bool_)
    cleaned, hit = np.zeros((B, N), np.int16), np.zeros((B, N), np.int16)
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    room, ends = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64)
    empty = np.empty(2 * N + 2 + len(rules.apple_cells))
    for b in range(B):
        drawn = draws[b] if len(draws) else fill(key[b], t[b], empty)
        go(rules.ground, rules.codes, agents[b], facing[b], actions[b], drawn, room)
        eat(agents[b], board[b], ate[b])
        occupy(occupant, agents[b])
        act(
            rules, agents[b], facing[b], board[b], actions[b], drawn,
            occupant, ends, beams[b], cleaned[b], fired[b], hit[b],
        )  # fmt: skip
        spawn(rules, board[b], occupant, drawn[2 * N :])
        vacate(occupant, agents[b])
    return agents, facing, board, beams, ate, cleaned, fired, hit


@njit(cache=True)
def act(
    rules: Rules,
    agents: np.ndarray,
    facing: np.ndarray,
    board: np.ndarray,
    actions: np.ndarray,
    draws: np.ndarray,
    occupant: np.ndarray,
    ends: np.ndarray,
    beams: np.ndarray,
    cleaned: np.ndarray,
    fired: np.ndarray,
    hit: np.ndarray,
) -> None:
    """All beams, one agent's after the other's, each on the board that the last one left."""
    N = len(agents)
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
            fired[i] = True
            fire(rules.ground, board, occupant, agents[i], facing[i], rules.beam_length, ends, beams, hit)
        else:
            shoot(rules.ground, board, occupant, agents[i], facing[i], CLEAN_BEAM, rules.beam_length, ends, beams)
            cleaned[i] = clean(board, ends)


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


# All that chance may do


@njit(cache=True, nogil=True)
def outcomes(
    rules: Rules, agents: np.ndarray, facing: np.ndarray, board: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws (B, K, S) for `play` that lead to every outcome of a step, and their probabilities (B, K).

    Every choice of the winners of contested cells, and for each of them every waste and every set of apples. Beams go
    in the agents' order.
    """
    B, N, _ = agents.shape
    slots = 2 * N + 2 + len(rules.apple_cells)
    counts = np.empty(B, np.int64)
    none_d, none_p = np.empty((0, slots)), np.empty(0)
    for b in range(B):
        counts[b] = _list(rules, agents[b], facing[b], board[b], actions[b], none_d, none_p)
    K = counts.max()
    draws, chance = np.zeros((B, K, slots)), np.zeros((B, K))
    for b in range(B):
        _list(rules, agents[b], facing[b], board[b], actions[b], draws[b], chance[b])
    return draws, chance


@njit(cache=True)
def _list(
    rules: Rules,
    agents: np.ndarray,
    facing: np.ndarray,
    board: np.ndarray,
    actions: np.ndarray,
    draws: np.ndarray,
    chance: np.ndarray,
) -> int:
    """List an environment's outcomes in `draws` (K, S) and `chance` (K,), as far as they have room; their number."""
    rivals = _rivals(rules, agents, facing, actions)
    ways, drawn, listed = rivals.prod(), np.zeros(2 * len(agents)), 0
    occupant = np.full(rules.ground.shape, NOBODY, np.int8)
    for way in range(ways):
        moved, _, left, _ = _acted(rules, agents, facing, board, actions, rivals, way, drawn, occupant)
        occupy(occupant, moved)
        listed = _list_spawns(rules, left, occupant, drawn, 1.0 / ways, draws, chance, listed)
        vacate(occupant, moved)
    return listed


@njit(cache=True, nogil=True)
def alike(rules: Rules, agents: np.ndarray, facing: np.ndarray, board: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(B,) uint64: a code of what agents and beams do in a step, for each choice of the winners of contested cells.

    Waste and apples are then drawn by what that left: equal codes have the same events, and what follows them is as
    probable.
    """
    B, N, _ = agents.shape
    drawn, occupant = np.zeros(2 * N), np.full(rules.ground.shape, NOBODY, np.int8)
    codes = np.empty(B, np.uint64)
    for b in range(B):
        rivals = _rivals(rules, agents[b], facing[b], actions[b])
        codes[b] = rivals.prod()
        for way in range(rivals.prod()):
            moved, turned, left, events = _acted(
                rules, agents[b], facing[b], board[b], actions[b], rivals, way, drawn, occupant
            )
            code = codes[b]
            for i in range(N):
                code = mix(mix(code + np.uint64(moved[i, 0])) + np.uint64(moved[i, 1]))
                code = mix(code + np.uint64(turned[i]))
                for event in range(len(events)):
                    code = mix(code + np.uint64(events[event, i]))
            for cells in (rules.waste_cells, rules.apple_cells):
                for c in range(len(cells)):
                    code = mix(code + np.uint64(left[cells[c, 0], cells[c, 1]]))
            codes[b] = code
    return codes


@njit(cache=True)
def _acted(
    rules: Rules,
    agents: np.ndarray,
    facing: np.ndarray,
    board: np.ndarray,
    actions: np.ndarray,
    rivals: np.ndarray,
    way: int,
    drawn: np.ndarray,
    occupant: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Agents, facings and board before waste and apples appear, in the `way`-th choice of winners among `rivals` (N,).

    Its draws are written to `drawn` (2 N,). The fourth part are the events (4, N): ate, cleaned, fired, hit.
    `occupant` (H, W) must be nobody everywhere, and is again.
    """
    N = len(agents)
    for i in range(N):
        drawn[i] = (way % rivals[i] + 0.5) / rivals[i]
        way //= rivals[i]
    moved, turned, left, beams = agents.copy(), facing.copy(), board.copy(), np.zeros(board.shape, np.uint8)
    room, ends, events = np.empty((2, N), np.int64), np.empty(rules.beam_width, np.int64), np.zeros((4, N), np.int16)
    ate, fired = np.zeros(N, np.bool_), np.zeros(N, np.bool_)
    go(rules.ground, rules.codes, moved, turned, actions, drawn, room)
    eat(moved, left, ate)
    occupy(occupant, moved)
    act(rules, moved, turned, left, actions, drawn, occupant, ends, beams, events[1], fired, events[3])
    vacate(occupant, moved)
    events[0], events[2] = ate, fired
    return moved, turned, left, events


@njit(cache=True)
def _rivals(rules: Rules, agents: np.ndarray, facing: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """(N,) how many are drawn from in slot i: those who want the cell that agent i is the first to want; at least 1."""
    heading, wanted = np.empty(len(agents), np.int64), np.empty(len(agents), np.int64)
    for i in range(len(agents)):
        heading[i] = heading_of(rules.codes[actions[i]], facing[i])
    wishes(rules.ground, agents, heading, wanted)
    rivals = np.ones(len(agents), np.int64)
    for i in range(len(agents)):
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
