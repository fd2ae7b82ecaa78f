"""The board of a scene: a map of tiles, the choices of agents, a table of payoffs, or a tree.

It knows scenes, not games. Over 300 lines for four kinds of boards, which share the placing of cells and labels.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..envs.game import Scene, Sprite
from .sprites import DETAIL, FLOOR, INK, LINE, PAPER, RGB, STEPS, Look, colour_of, font, import_pygame, lay, towards

if TYPE_CHECKING:
    import pygame

HEIGHT = 420  # pixels of a board, where its cells are neither too large nor too small
CELLS = {"map": (28, 108), "choices": (26, 56), "payoffs": (90, 90), "tree": (34, 34)}  # the smallest and largest cell

WALL: RGB = (92, 97, 108)
RIVER: RGB = (134, 184, 220)
STREAM: RGB = (176, 214, 236)
ORCHARD: RGB = (220, 234, 202)
TILES: dict[str, RGB] = {
    "@": WALL, "R": RIVER, "H": RIVER, "S": STREAM, "A": ORCHARD, "B": ORCHARD,
}  # fmt: skip
FADED: RGB = (196, 197, 200)
CHOSEN: RGB = (255, 238, 176)

FLAT = ("beam-clean", "beam-fire", "waste", "apple")  # what lies flat in its cell, from below to above
STANDING = ("coin", "agent")  # what shares a cell side by side
CROWD = 2  # agents that are told apart by their colours alone; more bear their numbers

POINTERS = ("\u2191", "\u2192", "\u2193", "\u2190")  # signs of the headings 0 up, 1 right, 2 down, 3 left


def draw_board(scene: Scene, cell: int) -> pygame.Surface:
    """The board with cells of `cell` pixels."""
    return BOARDS[scene.kind](scene, cell)


def cell_of(scene: Scene, height: int | None) -> int:
    """Pixels of a cell, even, so that the board is about `height` pixels high."""
    smallest, largest = CELLS[scene.kind]
    if height is not None:
        widest = COLUMN if scene.kind == "choices" else height
        return max(8, min(widest, height // scene.rows) // 2 * 2)
    return min(largest, max(smallest, HEIGHT // scene.rows)) // 2 * 2


# A map


def _map(scene: Scene, cell: int) -> pygame.Surface:
    board = _ground(scene.ground, cell).copy()
    for kind in FLAT:
        for sprite in scene.sprites:
            if sprite.kind == kind:
                lay(board, Look(kind), cell, (sprite.column + 0.5) * cell, (sprite.row + 0.5) * cell)
    for sprite, x, y, size in _side_by_side(scene, cell):
        if any(you.kind == "you" and you.colour == sprite.colour for you in scene.sprites) and sprite.kind == "agent":
            lay(board, Look("you"), size, x, y)
        lay(board, _look(scene, sprite), size, x, y)
    _draw_advice(board, scene, cell)
    return board


@lru_cache(maxsize=16)
def _ground(ground: tuple[str, ...], cell: int) -> pygame.Surface:
    pygame = import_pygame()
    board = pygame.Surface((len(ground[0]) * cell, len(ground) * cell))
    for row, line in enumerate(ground):
        for column, character in enumerate(line):
            _draw_tile(board, character, pygame.Rect(column * cell, row * cell, cell, cell), row)
    return board


def _draw_tile(board: pygame.Surface, character: str, square: pygame.Rect, row: int) -> None:
    pygame, colour = import_pygame(), TILES.get(character, FLOOR)
    board.fill(colour, square)
    if colour == WALL:
        _draw_bricks(board, square, row)
        return
    if colour in (RIVER, STREAM):
        wave = tuple(round(0.5 * (c + 255)) for c in colour)
        for high in (0.3, 0.7):
            points = [
                (
                    square.left + square.width * (0.2 + 0.06 * k),
                    square.top + square.height * (high + 0.05 * math.sin(k * 0.9)),
                )
                for k in range(11)
            ]
            pygame.draw.aalines(board, wave, False, points)
    edge = tuple(round(0.92 * c) for c in colour)
    pygame.draw.line(board, edge, square.bottomleft, (square.left, square.top))
    pygame.draw.line(board, edge, square.topleft, (square.right - 1, square.top))


def _draw_bricks(board: pygame.Surface, square: pygame.Rect, row: int) -> None:
    pygame, joint = import_pygame(), tuple(round(0.82 * c) for c in WALL)
    course = square.height / 2
    for k in range(2):
        top = square.top + round(k * course)
        pygame.draw.line(board, joint, (square.left, top), (square.right - 1, top))
        left = square.left + round(square.width * (0.25 if k else 0.75))
        pygame.draw.line(board, joint, (left, top), (left, top + round(course) - 1))


def _side_by_side(scene: Scene, cell: int) -> Iterator[tuple[Sprite, float, float, int]]:
    """What stands in the cells, with its centre and size: as large as the cell, or smaller where cells are shared."""
    cells: dict[tuple[float, float], list[Sprite]] = defaultdict(list)
    for sprite in scene.sprites:
        if sprite.kind in STANDING:
            cells[sprite.row, sprite.column].append(sprite)
    for (row, column), sprites in cells.items():
        count, side = len(sprites), math.ceil(math.sqrt(len(sprites)))
        size = cell if count == 1 else round(0.62 * cell) if count == 2 else round(1.08 * cell / side)
        for place, sprite in enumerate(sprites):
            down, across = (place, place) if count == 2 else divmod(place, side)
            lines = side if count == 2 else math.ceil(count / side)
            margin = 0.5 * size / cell * (0.9 if count > 1 else 1.0)
            x = column + _spread(across, side, margin)
            y = row + _spread(down, lines, margin)
            yield sprite, x * cell, y * cell, size


def _spread(place: int, count: int, margin: float) -> float:
    """The `place`-th of `count` points spread evenly over a cell from `margin` to 1 - `margin`; the middle for one."""
    return 0.5 if count == 1 else margin + place * (1 - 2 * margin) / (count - 1)


def _look(scene: Scene, sprite: Sprite) -> Look:
    """A sprite's look: agents and coins of a crowd bear the agent's number."""
    crowded = sum(other.kind == "agent" for other in scene.sprites) > CROWD
    return Look(
        sprite.kind, sprite.colour, str(sprite.colour) if crowded and not sprite.label else sprite.label, sprite.facing
    )


def _draw_advice(board: pygame.Surface, scene: Scene, cell: int) -> None:
    """Moves are arrowheads at the edge to which they lead; other actions, and all of agents with a front, are signs.

    Those of one cell and edge lie side by side.
    """
    beside: Counter[tuple[float, float, int]] = Counter()
    for sprite in scene.sprites:
        if sprite.kind != "arrow":
            continue
        heading = towards(sprite.label, sprite.facing)
        edge = heading if sprite.facing < 0 else -1
        along = (beside[sprite.row, sprite.column, edge] + 1) // 2 * (-1) ** beside[sprite.row, sprite.column, edge]
        beside[sprite.row, sprite.column, edge] += 1
        if edge < 0:
            x, y, size = 0.32 + 0.34 * along, 0.32, max(15, round(0.32 * cell))
            look = Look("mark", sprite.colour, POINTERS[heading] if heading >= 0 else sprite.label)
        else:
            dx, dy = STEPS[heading]
            x, y, size = 0.42 * dx - 0.3 * along * dy, 0.42 * dy + 0.3 * along * dx, max(12, round(0.28 * cell))
            look = Look("arrow", sprite.colour, facing=heading)
        lay(board, look, size, (sprite.column + 0.5 + x) * cell, (sprite.row + 0.5 + y) * cell)


# Choices: a row for each agent, a column for each place it can choose


HEAD = 30  # pixels of the columns' names
ICON = 64  # of the picture above a column's name
COLUMN = 120  # of a column


def _choices(scene: Scene, cell: int) -> pygame.Surface:
    pygame = import_pygame()
    icons = [sprite for sprite in scene.sprites if sprite.row < 0]
    top = HEAD + ICON * bool(icons)
    board = pygame.Surface((scene.columns * COLUMN, top + scene.rows * cell + 8))
    board.fill(FLOOR)
    for column, name in enumerate(scene.choices):
        if name and column % 2 == 0:
            board.fill(TINT, pygame.Rect(column * COLUMN, 0, COLUMN, board.get_height()))
        write(board, name, 15, (column + 0.5) * COLUMN, top - HEAD / 2, bold=True)
    for icon in icons:
        lay(board, Look(icon.kind, icon.colour, icon.label), ICON, (icon.column + 0.5) * COLUMN, 4 + ICON / 2)
    for row in range(scene.rows):
        _draw_track(board, scene.columns, top + (row + 0.5) * cell)
    for sprite in scene.sprites:
        x, y = (sprite.column + 0.5) * COLUMN, top + (sprite.row + 0.5) * cell
        if sprite.kind == "you":
            lay(board, Look("you"), cell, x, y)
        elif sprite.kind == "agent":
            lay(board, _look(scene, sprite), cell, x, y)
    for sprite in scene.sprites:
        if sprite.kind == "arrow" and sprite.label in scene.choices:
            x, y = (scene.choices.index(sprite.label) + 0.5) * COLUMN, top + (sprite.row + 0.5) * cell
            lay(board, Look("ring", sprite.colour), cell, x, y)
    return board


def _draw_track(board: pygame.Surface, columns: int, y: float) -> None:
    pygame = import_pygame()
    pygame.draw.line(board, FADED, (0.5 * COLUMN, y), ((columns - 0.5) * COLUMN, y), 2)
    for column in range(columns):
        pygame.draw.circle(board, FADED, ((column + 0.5) * COLUMN, y), 4)


TINT: RGB = (238, 238, 232)


# Payoffs: what two agents earn, the first's choices down, the second's across


def _payoffs(scene: Scene, cell: int) -> pygame.Surface:
    pygame = import_pygame()
    wide, left, top = round(1.35 * cell), 168, 96
    board = pygame.Surface((left + scene.columns * wide + 12, top + scene.rows * cell + 12))
    board.fill(FLOOR)

    def square(row: float, column: float) -> Any:
        return pygame.Rect(left + round(column * wide), top + round(row * cell), wide, cell)

    for row in range(scene.rows):
        for column in range(scene.columns):
            played = any(s.kind == "played" and (s.row, s.column) == (row, column) for s in scene.sprites)
            board.fill(CHOSEN if played else PAPER, square(row, column))
            pygame.draw.rect(board, FADED, square(row, column), 1)
            _draw_earned(board, scene, square(row, column), (row, column), played)
    for sprite in scene.sprites:
        if sprite.kind == "played":
            pygame.draw.rect(board, INK, square(sprite.row, sprite.column), 3)
    _draw_players(board, scene, square)
    return board


def _draw_earned(board: pygame.Surface, scene: Scene, square: pygame.Rect, cell: tuple[int, int], played: bool) -> None:
    """The payoffs of a cell: the first agent's below, beside its row, the second's above, beneath its column."""
    pygame = import_pygame()
    pygame.draw.line(board, LINE, square.topleft, square.bottomright)
    for sprite in scene.sprites:
        if sprite.kind == "payoff" and (sprite.row, sprite.column) == cell:
            x, y = ((0.28, 0.72), (0.72, 0.28))[sprite.colour]
            place = square.left + x * square.width, square.top + y * square.height
            write(board, sprite.label, 22, *place, bold=True, colour=colour_of(sprite.colour))


def _draw_players(board: pygame.Surface, scene: Scene, square: Callable[[float, float], pygame.Rect]) -> None:
    """The names of the choices, the agents beside what they played, and rings around what is recommended."""
    size = 46
    for k, name in enumerate(scene.choices):
        write(board, name, 15, square(0, k).centerx, square(0, 0).top - 18, colour=colour_of(1), bold=True)
        write(board, name, 15, square(0, 0).left - 56, square(k, 0).centery, colour=colour_of(0), bold=True)
    for sprite in scene.sprites:
        if sprite.kind not in ("agent", "arrow", "you"):
            continue
        choice = scene.choices.index(sprite.label) if sprite.kind == "arrow" and sprite.label in scene.choices else None
        if sprite.colour == 0:
            x, y = 34, square(sprite.row if choice is None else choice, 0).centery
        else:
            x, y = square(0, sprite.column if choice is None else choice).centerx, 30
        kind = {"arrow": "ring"}.get(sprite.kind, sprite.kind)
        lay(board, Look(kind, sprite.colour), size + 4 * (kind != "agent"), x, y)


# A tree: each level a row, the further right the more often it went right


def _tree(scene: Scene, cell: int) -> pygame.Surface:
    pygame = import_pygame()
    wide = round(0.72 * cell)
    board = pygame.Surface((scene.columns * wide * DETAIL // 2, scene.rows * cell * DETAIL // 2))
    board.fill(FLOOR)
    s = DETAIL // 2

    def at(row: float, column: float) -> tuple[float, float]:
        return (column + 0.5) * wide * s, (row + 0.5) * cell * s

    nodes = {(r, c) for r, line in enumerate(scene.ground) for c, mark in enumerate(line) if mark != "@"}
    for row, column in nodes:
        for child in ((row + 1, column - 1), (row + 1, column + 1)):
            if child in nodes:
                pygame.draw.aaline(board, FADED, at(row, column), at(*child))
    way = [(sprite.row, sprite.column) for sprite in scene.sprites if sprite.kind == "way"]
    for node in nodes:
        pygame.draw.circle(board, FADED, at(*node), 0.13 * cell * s)
        pygame.draw.circle(board, PAPER, at(*node), 0.09 * cell * s)
    for start, end in pairwise(way):
        pygame.draw.line(board, colour_of(0), at(*start), at(*end), round(0.13 * cell * s))
    for level, place in way:
        pygame.draw.circle(board, colour_of(0), at(level, place), 0.15 * cell * s)
    board = pygame.transform.smoothscale(board, (scene.columns * wide, scene.rows * cell))
    for sprite in scene.sprites:
        x, y = (sprite.column + 0.5) * wide, (sprite.row + 0.5) * cell
        if sprite.kind in ("agent", "you"):
            lay(board, Look(sprite.kind, sprite.colour), cell, x, y)
        elif sprite.kind == "arrow":
            side = {"left": -1, "right": 1}.get(sprite.label, 0)
            lay(board, Look("ring", sprite.colour), round(0.5 * cell), x + side * wide, y + cell)
    return board


BOARDS: dict[str, Callable[[Scene, int], pygame.Surface]] = {
    "map": _map,
    "choices": _choices,
    "payoffs": _payoffs,
    "tree": _tree,
}


def write(
    page: pygame.Surface, text: str, size: int, x: float, y: float, *, bold: bool = False, colour: RGB = INK
) -> None:
    """Write a text around its centre."""
    written = font(size, bold).render(text, True, colour)
    page.blit(written, (round(x - written.get_width() / 2), round(y - written.get_height() / 2)))
