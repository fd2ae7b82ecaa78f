"""Pictures of a scene, as pixels or as text: the board, what happened, and a panel of who did what and earned what.

pygame is imported when the first picture is drawn; only a window needs a screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..envs.game import Scene, Sprite
from .layouts import cell_of, draw_board
from .sprites import INK, PAPER, RGB, Look, font, import_pygame, lay, letter_of

if TYPE_CHECKING:
    import pygame

SIZE = 13  # of letters, in pixels
TEXT = 20  # pixels of a line of text
ROW = 26  # pixels of an agent's row of the panel
MARGIN = 10
CROWDED = 2  # more agents have more to tell: captions of theirs take two lines
SHOWN = 30  # agents in a panel
CHART = 120  # pixels of the curves and their names
GREY: RGB = (112, 116, 124)
RULE: RGB = (216, 216, 212)
CURVES: tuple[RGB, ...] = (INK, (198, 134, 0))


class Panel(NamedTuple):
    """A table beside the board: a row for each agent, and what holds for all below it."""

    head: tuple[str, ...]  # names of the columns
    holds: tuple[tuple[str, ...], ...]  # texts that each column may hold, so that the table never changes its size
    rows: tuple[tuple[str, ...], ...]  # in the agents' order, the agent's name first
    lines: tuple[str, ...] = ()
    curves: tuple[tuple[str, tuple[float, ...]], ...] = ()  # running totals after each step, by their names
    span: int = 0  # steps that the curves' axis covers; no axis for less than 2


def picture(
    scene: Scene, *, panel: Panel | None = None, lines: Sequence[str] = (), height: int | None = None
) -> np.ndarray:
    """The scene (H, W, 3) uint8: the board, the panel beside it, below them the caption and the further `lines`.

    The board is about `height` pixels high, or as high as its cells need. Pictures of scenes of one size, with panels
    of one size and the same number of lines, have the same shape; it is even, as films need.
    """
    page = paint(scene, panel=panel, lines=lines, height=height)
    pixels = import_pygame().image.tobytes(page, "RGB")
    return np.frombuffer(pixels, np.uint8).reshape(page.get_height(), page.get_width(), 3).copy()


def paint(
    scene: Scene, *, panel: Panel | None = None, lines: Sequence[str] = (), height: int | None = None
) -> pygame.Surface:
    """`picture`, as a surface of pygame's."""
    pygame = import_pygame()
    board = draw_board(scene, cell_of(scene, height))
    beside = _draw_panel(panel, scene) if panel else pygame.Surface((0, 0))
    agents = sum(sprite.kind == "agent" for sprite in scene.sprites)
    room = 1 if agents <= CROWDED and scene.kind != "choices" else 2
    width, top = board.get_width() + beside.get_width(), max(board.get_height(), beside.get_height())
    told = [*_wrapped(scene.caption, width - 2 * MARGIN, room), *lines]
    page = pygame.Surface((_even(width), _even(top + TEXT * (room + len(lines)) + 8)), 0, 24)
    page.fill(PAPER)
    page.blit(board, (0, 0))
    page.blit(beside, (board.get_width(), 0))
    for number, line in enumerate(told):
        colour = INK if number < room else GREY
        _write(page, line, MARGIN, top + 4 + TEXT * number, width - 2 * MARGIN, colour)
    return page


def text(scene: Scene, *, panel: Panel | None = None, lines: Sequence[str] = ()) -> str:
    """The scene as text, below it the caption, the panel and the further `lines`.

    An agent is the first letter of its colour, and its facing (^ > v <) if it has one; a coin is that letter as a
    capital, an apple *, waste H, beams ! and ~. Of a table of payoffs the joint action that was played bears a star.
    """
    board = _payoffs(scene) if scene.kind == "payoffs" else _letters(scene)
    beside = [*_columns([panel.head, *panel.rows]), *panel.lines] if panel else []
    return "\n".join([*board, scene.caption, *beside, *lines])


def recommended(scene: Scene, actions: Sequence[str]) -> Scene:
    """The scene with a mark for the action, one of `action_names`, that is recommended to each agent.

    Moves are arrows, other actions signs; where agents choose among places, the place bears a ring.
    """
    return _beside_agents(scene, "arrow", lambda agent: actions[agent])


def steered(scene: Scene, agent: int) -> Scene:
    """The scene with a ring around one agent."""
    marked = _beside_agents(scene, "you", lambda agent: "")
    kept = tuple(sprite for sprite in marked.sprites if sprite.kind != "you" or sprite.colour == agent)
    return scene._replace(sprites=kept)


def _beside_agents(scene: Scene, kind: str, label: Callable[[int], str]) -> Scene:
    agents = [sprite for sprite in scene.sprites if sprite.kind == "agent"]
    added = [agent._replace(kind=kind, label=label(agent.colour)) for agent in agents]
    return scene._replace(sprites=(*scene.sprites, *added))


# Text


LETTERS: dict[str, Callable[[Sprite], str]] = {
    "agent": lambda sprite: letter_of(sprite.colour) + ("^>v<"[sprite.facing] if sprite.facing >= 0 else ""),
    "coin": lambda sprite: letter_of(sprite.colour).upper(),
    "apple": lambda sprite: "*",
    "waste": lambda sprite: "H",
    "beam-fire": lambda sprite: "!",
    "beam-clean": lambda sprite: "~",
}


def _letters(scene: Scene) -> list[str]:
    """One row of text for each of the board's: what stands in a cell, or else its ground."""
    cells = [[[_ground(ground)] for ground in row] for row in scene.ground]
    for sprite in scene.sprites:
        if sprite.kind in LETTERS:
            cells[round(sprite.row)][round(sprite.column)].append(LETTERS[sprite.kind](sprite))
    words = [["".join(things[1:]) or things[0] for things in row] for row in cells]
    width = max(len(word) for row in words for word in row)
    return [" ".join(word.ljust(width) for word in row).rstrip() for row in words]


def _ground(character: str) -> str:
    """A map's own letters say where things may appear; of the river, where there is none, it says so."""
    return {" ": ".", "P": ".", "A": ".", "B": ".", "H": "R"}.get(character, character)


def _payoffs(scene: Scene) -> list[str]:
    played = {(sprite.row, sprite.column) for sprite in scene.sprites if sprite.kind == "played"}
    rows = [["", *scene.choices]]
    for row, name in enumerate(scene.choices):
        rows.append([name])
        for column in range(scene.columns):
            earned = [s.label for s in scene.sprites if s.kind == "payoff" and (s.row, s.column) == (row, column)]
            rows[-1].append(", ".join(earned) + " *" * ((row, column) in played))
    return _columns(rows)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words, as lines in which they stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


# Pixels


def _draw_panel(panel: Panel, scene: Scene) -> pygame.Surface:
    """The table, each agent's name beside its likeness, and the lines below."""
    pygame = import_pygame()
    shown = panel.rows[:SHOWN]
    more = len(panel.rows) - len(shown)
    lines = [*([f"and {more} more"] if more else []), *panel.lines]
    numeric = [not any(letter.isalpha() for word in words for letter in word) for words in panel.holds]
    widths = [max(map(_width, (name, *words))) for name, words in zip(panel.head, panel.holds, strict=True)]
    widths[0] += ROW
    chart = CHART + 2 * MARGIN if panel.span > 1 else 0
    height = MARGIN + TEXT + ROW * len(shown) + MARGIN + (TEXT + 2) * len(lines) + chart
    page = pygame.Surface((sum(widths) + 16 * (len(widths) - 1) + 2 * MARGIN + 4, height), 0, 24)
    page.fill(PAPER)
    lefts = [MARGIN + sum(widths[:k]) + 16 * k for k in range(len(widths))]
    for k, (name, left, width) in enumerate(zip(panel.head, lefts, widths, strict=True)):
        _write_in(page, name, left, MARGIN, width, GREY, right=numeric[k])
    pygame.draw.line(page, RULE, (MARGIN, MARGIN + TEXT), (page.get_width() - MARGIN, MARGIN + TEXT))
    likeness = {sprite.colour: sprite for sprite in reversed(scene.sprites) if sprite.kind == "agent"}
    for i, row in enumerate(shown):
        top = MARGIN + TEXT + ROW * i + 3
        label = str(i) if len(panel.rows) > CROWDED else ""
        facing = 0 if i in likeness and likeness[i].facing >= 0 else -1
        lay(page, Look("agent", i, label, facing), ROW, MARGIN + ROW / 2 - 4, top + TEXT / 2)
        for k, (word, left, width) in enumerate(zip(row, lefts, widths, strict=True)):
            shift = ROW if k == 0 else 0
            _write_in(page, word, left + shift, top, width - shift, INK, right=numeric[k])
    top = MARGIN + TEXT + ROW * len(shown) + 6
    pygame.draw.line(page, RULE, (MARGIN, top), (page.get_width() - MARGIN, top))
    for number, line in enumerate(lines):
        _write(page, line, MARGIN, top + 4 + (TEXT + 2) * number, page.get_width() - 2 * MARGIN, INK)
    if chart:
        _draw_curves(page, panel, pygame.Rect(MARGIN, height - CHART - MARGIN, page.get_width() - 2 * MARGIN, CHART))
    return page


def _draw_curves(page: pygame.Surface, panel: Panel, frame: pygame.Rect) -> None:
    """The running totals over the steps, on an axis that holds 0 and all of them."""
    pygame = import_pygame()
    values = [0.0, *(value for _, curve in panel.curves for value in curve)]
    low, high = min(values), max(values)
    high = high if high > low else low + 1
    marks = [f"{high:.4g}", f"{low:.4g}"]
    left = frame.left + max(map(_width, marks)) + 6
    area = pygame.Rect(left, frame.top + TEXT, frame.right - left - 4, frame.height - 3 * TEXT // 2)

    def at(step: int, value: float) -> tuple[float, float]:
        return area.left + area.width * step / panel.span, area.bottom - area.height * (value - low) / (high - low)

    for mark, y in zip(marks, (area.top, area.bottom), strict=True):
        _write(page, mark, left - 6 - _width(mark), y - TEXT // 2, frame.width, GREY)
    pygame.draw.line(page, RULE, at(0, 0.0), at(panel.span, 0.0))
    pygame.draw.line(page, RULE, area.topleft, area.bottomleft)
    names = left
    for (name, curve), colour in zip(panel.curves, CURVES, strict=False):
        points = [at(0, 0.0), *(at(step, value) for step, value in enumerate(curve, 1))]
        if len(points) > 1:
            pygame.draw.lines(page, colour, False, points, 2)
        pygame.draw.circle(page, colour, points[-1], 3)
        _write(page, name, names, frame.top - 4, frame.width, colour)
        names += _width(name) + 16


@lru_cache(maxsize=4096)
def _width(word: str) -> int:
    return font(SIZE).size(word)[0]


def _write_in(page: pygame.Surface, word: str, left: int, top: int, width: int, colour: RGB, *, right: bool) -> None:
    """Write in a column, numbers at its right edge."""
    _write(page, word, left + (max(0, width - _width(word)) if right else 0), top, width, colour)


def _write(page: pygame.Surface, line: str, left: int, top: int, width: int, colour: RGB) -> None:
    """Write a line of text, smaller where it would not fit."""
    pygame = import_pygame()
    drawn = font(SIZE).render(line, True, colour)
    if drawn.get_width() > width:
        drawn = pygame.transform.smoothscale_by(drawn, max(width, 1) / drawn.get_width())
    page.blit(drawn, (left, top + (TEXT - drawn.get_height()) // 2))


def _wrapped(line: str, width: int, room: int) -> list[str]:
    """A text in at most `room` lines, cut where there is not enough; always `room` of them."""
    lines, rest = list[str](), line
    while rest and len(lines) < room:
        part = rest if _width(rest) <= width else _fitting(rest, width)
        lines.append(part)
        rest = rest[len(part) :].lstrip()
    if rest and room > 1:
        lines[-1] = _fitting(lines[-1] + rest, width - _width("\u2026")).rstrip() + "\u2026"
    elif rest:
        lines[-1] += " " + rest  # written smaller
    return lines + [""] * (room - len(lines))


def _fitting(line: str, width: int) -> str:
    """As many whole words of a line as fit; one at least."""
    words = line.split(" ")
    count = len(words)
    while count > 1 and _width(" ".join(words[:count])) > width:
        count -= 1
    return " ".join(words[:count])


def _even(number: int) -> int:
    return number + number % 2
