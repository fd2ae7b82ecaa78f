"""What the games on a map share: reading it, moves and their conflicts, beams, and the window that an agent sees.

A map is rows of characters: `@` wall, `P` spawn point, blank floor, and what a game adds. What an agent sees of a cell
is one of the classes below, the same in every game; a game that lacks some of them never shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit

from ..core.random import uniform
from .game import Scene, Sprite

# What a cell shows. Another agent is OTHER + its facing relative to the observer's, in quarter turns clockwise:
# OTHER faces as the observer does, OTHER + 2 the opposite way.
VOID, FLOOR, WALL, APPLE, SELF, OTHER, FIRE_BEAM, RIVER, STREAM, WASTE, CLEAN_BEAM = 0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13
SPRITES = {APPLE: "apple", WASTE: "waste", FIRE_BEAM: "beam-fire", CLEAN_BEAM: "beam-clean"}
# The classes as red, green and blue: colours of the public code for Hughes et al. 2018. Some of its versions swap those
# of waste and river; here both are as its comments name them, brown and grey-blue. There each agent has its own colour.
# Here others are not told apart: the observer has the colour of the first agent there, all others that of the second.
PALETTE = np.zeros((CLEAN_BEAM + 1, 3), np.uint8)  # black: floor, and what is off the map
PALETTE[WALL], PALETTE[APPLE], PALETTE[SELF] = (180, 180, 180), (0, 255, 0), (159, 67, 255)
PALETTE[OTHER : OTHER + 4], PALETTE[FIRE_BEAM], PALETTE[CLEAN_BEAM] = (2, 81, 154), (255, 255, 0), (100, 255, 255)
PALETTE[RIVER], PALETTE[STREAM], PALETTE[WASTE] = (99, 156, 194), (99, 156, 194), (113, 75, 24)
FACINGS = 4
STEPS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # row, column of a step up, right, down, left: facings 0 to 3

ACTIONS = ("left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean", "fire")
STAY, CLOCKWISE, COUNTERCLOCKWISE, CLEAN, FIRE = 4, 5, 6, 7, 8
QUARTERS = np.array([3, 1, 0, 2])  # clockwise from the facing, of the actions left, right, up and down

HOLD = -1  # instead of a heading or a cell: the agent keeps its place
NOBODY = -1


def read_map(rows: Sequence[str], legend: Mapping[str, int]) -> np.ndarray:
    """(H, W) uint8: the class that `legend` gives to every character of a map."""
    return np.array([[legend[character] for character in row] for row in rows], np.uint8)


def cells_of(rows: Sequence[str], characters: str) -> np.ndarray:
    """(n, 2) row, column of every cell that is one of `characters`, in reading order."""
    cells = [(r, c) for r, row in enumerate(rows) for c, character in enumerate(row) if character in characters]
    return np.array(cells, np.int64).reshape(-1, 2)


def check_map(rows: Sequence[str], legend: Mapping[str, int], players: int) -> None:
    """Raise ValueError unless `rows` are a map of known characters on which all `players` can start."""
    if not rows or not rows[0]:
        raise ValueError("the map is empty; give one string for each row, as '@P B@'")
    widths = [len(row) for row in rows]
    if len(set(widths)) > 1:
        odd = next(r for r, width in enumerate(widths) if width != widths[0])
        raise ValueError(
            f"row {odd} of the map has {widths[odd]} cells and row 0 has {widths[0]}; give all rows the same length"
        )
    if max(len(rows), widths[0]) > 100:
        raise ValueError(f"the map is {len(rows)} x {widths[0]} cells; 100 x 100 are allowed")
    unknown = sorted({*"".join(rows)} - {*legend})
    if unknown:
        raise ValueError(f"the map has {unknown[0]!r}; its characters may be {', '.join(map(repr, legend))}")
    spawns = "".join(rows).count("P")
    if spawns < players:
        raise ValueError(f"the map has {spawns} spawn points 'P' for {players} players; add some, or ask for fewer")


def check_odd(**sizes: int) -> None:
    """Raise ValueError unless every one of `sizes`, of what lies around an agent, is odd."""
    for name, size in sizes.items():
        if size % 2 == 0:
            raise ValueError(f"{name} is {size}; ask for an odd number, the agent in the middle")


def scene(rows: tuple[str, ...], state: Any, index: int, told: Sequence[str]) -> Scene:
    """The map, what lies on it, the beams of the last step, and above them the agents; a caption of what is `told`."""
    sprites = [
        Sprite(SPRITES[layer[r, c]], r, c, -1)
        for layer in (state.board[index], state.beams[index])
        for r, c in np.argwhere(np.isin(layer, list(SPRITES))).tolist()
    ]
    places = zip(state.agents[index].tolist(), state.facing[index].tolist(), strict=True)
    sprites += [Sprite("agent", r, c, i, facing=facing) for i, ((r, c), facing) in enumerate(places)]
    caption = "; ".join([f"step {state.t[index]}", *told])
    return Scene(len(rows), len(rows[0]), rows, tuple(sprites), caption)


@njit(cache=True)
def draw(key: np.ndarray, t: np.ndarray, slots: int) -> np.ndarray:
    """(B, slots) the uniform draws of step `t` (B,) of the episodes `key` (B,)."""
    draws = np.empty((len(key), slots))
    for b in range(len(key)):
        fill(key[b], t[b], draws[b])
    return draws


@njit(cache=True)
def fill(key: np.uint64, t: int, draws: np.ndarray) -> np.ndarray:
    """`draws` (S,), drawn."""
    for slot in range(len(draws)):
        draws[slot] = uniform(key, t, slot)
    return draws


@njit(cache=True)
def place(spawns: np.ndarray, fixed: bool, turning: bool, N: int, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells (B, N, 2) and facings (B, N) at the start.

    Each agent in turn takes a free spawn point, drawn in slot i; or, `fixed`, the last one in reading order that is
    free. Its facing is drawn in slot N + i; where nobody turns all face up.
    """
    B, P = len(draws), len(spawns)
    agents, facing = np.empty((B, N, 2), np.int8), np.zeros((B, N), np.int8)
    for b in range(B):
        taken = np.zeros(P, np.bool_)
        for i in range(N):
            before = P - i - 1 if fixed else int(draws[b, i] * (P - i))
            for p in range(P):
                if not taken[p]:
                    if before == 0:
                        agents[b, i, 0], agents[b, i, 1] = spawns[p, 0], spawns[p, 1]
                        taken[p] = True
                        break
                    before -= 1
            if turning:
                facing[b, i] = int(draws[b, N + i] * FACINGS)
    return agents, facing


# Moves, in one environment


@njit(cache=True)
def enterable(ground: np.ndarray, row: int, column: int) -> bool:
    """Whether the cell is on the map and no wall."""
    inside = 0 <= row < ground.shape[0] and 0 <= column < ground.shape[1]
    return inside and ground[row, column] != WALL


@njit(cache=True)
def heading_of(code: int, facing: int) -> int:
    """The direction of a move, which is relative to the facing; HOLD for any other action."""
    return (QUARTERS[code] + facing) % FACINGS if code < STAY else HOLD


@njit(cache=True)
def go(
    ground: np.ndarray,
    codes: np.ndarray,
    agents: np.ndarray,
    facing: np.ndarray,
    actions: np.ndarray,
    draws: np.ndarray,
    room: np.ndarray,
) -> None:
    """Turn and move the `agents` (N, 2), where conflicts let them; `room` (2, N) is room to work in.

    One of those who want a cell is drawn, in the slot of the first of them; the others hold their cells. It enters if
    nobody stands there, or whoever does really leaves. So chains move, cycles of three or more rotate, two never swap.
    """
    heading, wanted = room[0], room[1]
    for i in range(len(agents)):
        code = codes[actions[i]]
        heading[i] = heading_of(code, facing[i])
        if code == CLOCKWISE:
            facing[i] = (facing[i] + 1) % FACINGS
        elif code == COUNTERCLOCKWISE:
            facing[i] = (facing[i] + 3) % FACINGS
    wishes(ground, agents, heading, wanted)
    _draw_winners(wanted, draws)
    W = ground.shape[1]
    _hold_back(agents, wanted, W)
    for i in range(len(agents)):
        if wanted[i] != HOLD:
            agents[i, 0], agents[i, 1] = wanted[i] // W, wanted[i] % W


@njit(cache=True)
def wishes(ground: np.ndarray, agents: np.ndarray, heading: np.ndarray, wanted: np.ndarray) -> None:
    """Note in `wanted` (N,) the cell, row * W + column, that each agent wants; HOLD where it wants none or a wall."""
    for i in range(len(agents)):
        wanted[i] = HOLD
        if heading[i] != HOLD:
            row, column = agents[i, 0] + STEPS[heading[i], 0], agents[i, 1] + STEPS[heading[i], 1]
            if enterable(ground, row, column):
                wanted[i] = row * ground.shape[1] + column


@njit(cache=True)
def _draw_winners(wanted: np.ndarray, draws: np.ndarray) -> None:
    """Leave every wanted cell to one of those who want it."""
    for i in range(len(wanted)):
        rivals = contenders(wanted, i)
        if rivals > 1:
            cell, before = wanted[i], int(draws[i] * rivals)
            for j in range(i, len(wanted)):
                if wanted[j] == cell:
                    if before != 0:
                        wanted[j] = HOLD
                    before -= 1


@njit(cache=True)
def contenders(wanted: np.ndarray, i: int) -> int:
    """How many want the cell that agent i wants; 0 unless i is the first of them."""
    if wanted[i] == HOLD:
        return 0
    count = 0
    for j in range(len(wanted)):
        if wanted[j] == wanted[i]:
            if j < i:
                return 0
            count += 1
    return count


@njit(cache=True)
def _hold_back(agents: np.ndarray, wanted: np.ndarray, W: int) -> None:
    """Hold back whoever wants a cell that is not left, or that is left only for its own, until nobody does."""
    settled = False
    while not settled:
        settled = True
        for i in range(len(agents)):
            if wanted[i] == HOLD:
                continue
            for j in range(len(agents)):
                in_the_way = agents[j, 0] * W + agents[j, 1] == wanted[i]
                if in_the_way and (wanted[j] == HOLD or wanted[j] == agents[i, 0] * W + agents[i, 1]):
                    wanted[i], settled = HOLD, False
                    break


@njit(cache=True)
def eat(agents: np.ndarray, board: np.ndarray, ate: np.ndarray) -> None:
    """Everyone eats the apple on which it stands, whatever it did."""
    for i in range(len(agents)):
        row, column = agents[i, 0], agents[i, 1]
        if board[row, column] == APPLE:
            board[row, column] = FLOOR
            ate[i] = True


@njit(cache=True)
def occupy(occupant: np.ndarray, agents: np.ndarray) -> None:
    """Note in `occupant` (H, W) who stands where."""
    for i in range(len(agents)):
        occupant[agents[i, 0], agents[i, 1]] = i


@njit(cache=True)
def vacate(occupant: np.ndarray, agents: np.ndarray) -> None:
    for i in range(len(agents)):
        occupant[agents[i, 0], agents[i, 1]] = NOBODY


# Beams, in one environment


@njit(cache=True)
def shoot(
    ground: np.ndarray,
    board: np.ndarray,
    occupant: np.ndarray,
    agent: np.ndarray,
    facing: int,
    kind: int,
    length: int,
    ends: np.ndarray,
    beams: np.ndarray,
) -> None:
    """Mark in `beams` (H, W) where the beam FIRE_BEAM or CLEAN_BEAM of `agent` (2,) goes, one ray for each of `ends`.

    The centre ray covers the cells 1 to `length` ahead, the others, beside it, start level with the agent: 0 to
    `length - 1`. A ray stops before a wall and in the cell of an agent; a clean beam's also in the first with waste on
    the `board`. `ends[ray]` is the cell, row * W + column, in which it was stopped so; HOLD where nothing did.
    """
    half = len(ends) // 2
    ahead, right = STEPS[facing], STEPS[(facing + 1) % FACINGS]
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
    board: np.ndarray,
    occupant: np.ndarray,
    agent: np.ndarray,
    facing: int,
    length: int,
    ends: np.ndarray,
    beams: np.ndarray,
    hit: np.ndarray,
) -> None:
    """Fire, and count in `hit` (N,) whom the rays reach: an agent fills its cell, so only one of them reaches it."""
    shoot(ground, board, occupant, agent, facing, FIRE_BEAM, length, ends, beams)
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


# What is seen


@njit(cache=True)
def windows(board: np.ndarray, beams: np.ndarray, agents: np.ndarray, facing: np.ndarray, view: int) -> np.ndarray:
    """(B, N, view, view) uint8: what lies around every agent, turned so that its front is up; VOID off the map.

    An agent hides what it stands on. An apple or waste hides the beam over it.
    """
    (B, N, _), (_, H, W), half = agents.shape, board.shape, view // 2
    seen = np.empty((B, N, view, view), np.uint8)
    wide = np.full((H + 2 * half, W + 2 * half), VOID, np.uint8)
    for b in range(B):
        _lay(board[b], beams[b], wide[half : half + H, half : half + W])
        for i in range(N):
            row, column = agents[b, i, 0], agents[b, i, 1]
            _turn(wide[row : row + view, column : column + view], facing[b, i], seen[b, i])
            ahead, right = STEPS[facing[b, i]], STEPS[(facing[b, i] + 1) % FACINGS]
            for j in range(N):
                down, across = agents[b, j, 0] - agents[b, i, 0], agents[b, j, 1] - agents[b, i, 1]
                y = half - down * ahead[0] - across * ahead[1]
                x = half + down * right[0] + across * right[1]
                if 0 <= y < view and 0 <= x < view:
                    seen[b, i, y, x] = OTHER + (facing[b, j] - facing[b, i]) % FACINGS
            seen[b, i, half, half] = SELF
    return seen


def coloured(seen: np.ndarray) -> np.ndarray:
    """(..., 3) uint8: the colour of each class that is `seen` (...)."""
    return _paint(seen.reshape(-1)).reshape(*seen.shape, 3)


@njit(cache=True)
def _paint(seen: np.ndarray) -> np.ndarray:
    """(n, 3): a loop, several times as fast as indexing the palette."""
    pixels = np.empty((len(seen), 3), np.uint8)
    for cell in range(len(seen)):
        for part in range(3):
            pixels[cell, part] = PALETTE[seen[cell], part]
    return pixels


@njit(cache=True)
def _turn(part: np.ndarray, facing: int, shown: np.ndarray) -> None:
    """Write on `shown` the square `part` of the map so that what lies in direction `facing` is up.

    Loops, since numba takes seconds to compile slices that are assigned.
    """
    last = len(part) - 1
    for y in range(len(part)):
        for x in range(len(part)):
            if facing == 0:
                shown[y, x] = part[y, x]
            elif facing == 1:
                shown[y, x] = part[x, last - y]
            elif facing == 2:
                shown[y, x] = part[last - y, last - x]
            else:
                shown[y, x] = part[last - x, y]


@njit(cache=True)
def overview(board: np.ndarray, beams: np.ndarray, agents: np.ndarray, facing: np.ndarray, classes: int) -> np.ndarray:
    """(B, H, W) uint8: the map as in `windows`, but for the agents: i facing f is `classes + 4 i + f`."""
    world = np.empty(board.shape, np.uint8)
    for b in range(len(board)):
        _lay(board[b], beams[b], world[b])
        for i in range(agents.shape[1]):
            world[b, agents[b, i, 0], agents[b, i, 1]] = classes + FACINGS * i + facing[b, i]
    return world


@njit(cache=True)
def _lay(board: np.ndarray, beams: np.ndarray, shown: np.ndarray) -> None:
    """Write on `shown` (H, W) what lies on the board, with the beams where nothing does."""
    for row in range(board.shape[0]):
        for column in range(board.shape[1]):
            thing, beam = board[row, column], beams[row, column]
            shown[row, column] = thing if beam == VOID or thing in (APPLE, WASTE) else beam
