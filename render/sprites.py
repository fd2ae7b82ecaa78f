"""What things look like: the agents' colours, and shapes that are drawn once for each size and kept.

Over 300 lines, since every shape is a list of points that nobody reads in parts. A shape is drawn `DETAIL` times as
large as it is shown, which smooths its edges. pygame is imported when the first one is drawn.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.config import require

if TYPE_CHECKING:
    import pygame

RGB = tuple[int, int, int]

PALETTE: tuple[tuple[str, RGB], ...] = (  # letter and colour of each agent; further agents begin again
    # Any two stay apart under protanopia, deuteranopia and tritanopia too (CIE Lab distance 15 or more, Machado 2009).
    ("r", (219, 38, 70)),
    ("b", (38, 76, 214)),
    ("g", (22, 150, 108)),
    ("y", (226, 218, 40)),
    ("p", (112, 50, 146)),
    ("o", (238, 136, 26)),
    ("c", (64, 200, 240)),
    ("k", (246, 180, 190)),
    ("n", (96, 44, 22)),
    ("s", (44, 52, 70)),
)
GREY: RGB = (140, 140, 140)  # what bears nobody's colour
PAPER: RGB = (255, 255, 255)
INK: RGB = (38, 42, 50)
GOLD: RGB = (240, 196, 72)
LINE: RGB = (226, 224, 216)
FLOOR: RGB = (247, 246, 240)

DETAIL = 4  # pixels drawn for each pixel shown, in either direction
STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))  # x, y of the facings 0 up, 1 right, 2 down, 3 left
DIRECTIONS = {"up": 0, "right": 1, "down": 2, "left": 3}  # names of actions that are moves, and where they lead
GLYPHS = {  # marks of actions that are not; any other has the first letter of its name
    "stay": "\u2022",
    "turn_clockwise": "\u21bb",
    "turn_counterclockwise": "\u21ba",
}


def colour_of(agent: int) -> RGB:
    """The colour of an agent; grey for nobody (-1)."""
    return PALETTE[agent % len(PALETTE)][1] if agent >= 0 else GREY


def letter_of(agent: int) -> str:
    """The letter of an agent's colour."""
    return PALETTE[agent % len(PALETTE)][0] if agent >= 0 else "o"


def import_pygame() -> Any:
    """pygame, with its fonts ready and without its greeting. Raises UsageError where it is not installed."""
    require("pygame", what="a picture")
    if "pygame" not in sys.modules:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    if not pygame.font.get_init():
        pygame.font.init()
        _font.cache_clear()  # who ends pygame, as other environments do when they close, ends its fonts
    return pygame


def font(size: int, bold: bool = False) -> pygame.font.Font:
    """DejaVu Sans, which matplotlib brings: the same everywhere, with arrows."""
    import_pygame()
    return _font(size, bold)


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> pygame.font.Font:
    import matplotlib
    import pygame

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return pygame.font.Font(os.path.join(matplotlib.get_data_path(), "fonts", "ttf", name), size)


class Look(NamedTuple):
    """All that a shape depends on but its size."""

    kind: str
    colour: int = -1  # of the agent whose colour it bears
    label: str = ""
    facing: int = -1


@lru_cache(maxsize=4096)
def stamp(look: Look, size: int) -> pygame.Surface:
    """A shape in a square of `size` pixels, to be laid down by `lay`."""
    pygame = import_pygame()
    large = pygame.Surface((size * DETAIL, size * DETAIL), pygame.SRCALPHA)
    SHAPES[look.kind](large, size * DETAIL, look)
    return pygame.transform.smoothscale(large.premul_alpha(), (size, size))


def lay(page: pygame.Surface, look: Look, size: int, x: float, y: float) -> None:
    """Lay a shape down on `page`, its square's centre at x, y."""
    where = round(x - size / 2), round(y - size / 2)
    page.blit(stamp(look, size), where, special_flags=import_pygame().BLEND_PREMULTIPLIED)


# Agents and what they carry. Every shape fills a square of `s` pixels.


def _agent(page: pygame.Surface, s: int, look: Look) -> None:
    """A rounded body with two eyes; with a facing, a disc seen from above with a beak in front."""
    if look.facing >= 0:
        _seen_from_above(page, s, look)
        return
    pygame, colour = import_pygame(), colour_of(look.colour)
    for inset, shade in ((0.17, PAPER), (0.19, _darker(colour)), (0.215, colour)):
        body = pygame.Rect(inset * s, inset * s, (1 - 2 * inset) * s, (1 - 2 * inset) * s)
        pygame.draw.rect(page, shade, body, border_radius=round(0.2 * s))
    high = 0.36 if look.label else 0.44
    for side in (-1, 1):
        _eye(page, s, 0.5 + side * 0.13, high, 0, 0.03)
    if look.label:
        _letters(page, look.label, 0.32 * s, (0.5 * s, 0.635 * s), _against(colour))


def _seen_from_above(page: pygame.Surface, s: int, look: Look) -> None:
    pygame, colour = import_pygame(), colour_of(look.colour)
    dx, dy = STEPS[look.facing]

    def at(ahead: float, aside: float) -> tuple[float, float]:
        return (0.5 + ahead * dx - aside * dy) * s, (0.5 + ahead * dy + aside * dx) * s

    for wide, shade in ((0.05, PAPER), (0.025, _darker(colour)), (0.0, colour)):
        beak = [at(0.43 + 1.4 * wide, 0), at(0.22, 0.2 + wide), at(0.22, -0.2 - wide)]
        pygame.draw.polygon(page, shade, beak)
        pygame.draw.circle(page, shade, at(-0.04, 0), (0.31 + wide) * s)
    if not look.label:
        for side in (-1, 1):
            x, y = at(0.08, side * 0.12)
            _eye(page, s, x / s, y / s, 0.03 * dx, 0.03 * dy)
    else:
        _letters(page, look.label, 0.4 * s, at(-0.04, 0), _against(colour))


def _eye(page: pygame.Surface, s: int, x: float, y: float, dx: float, dy: float) -> None:
    pygame = import_pygame()
    pygame.draw.circle(page, PAPER, (x * s, y * s), 0.085 * s)
    pygame.draw.circle(page, INK, ((x + dx) * s, (y + dy) * s), 0.045 * s)


def _you(page: pygame.Surface, s: int, look: Look) -> None:
    """A ring around the agent that a person steers."""
    pygame = import_pygame()
    pygame.draw.circle(page, INK, (0.5 * s, 0.5 * s), 0.5 * s, round(0.06 * s))
    pygame.draw.circle(page, GOLD, (0.5 * s, 0.5 * s), 0.485 * s, round(0.035 * s))


def _coin(page: pygame.Surface, s: int, look: Look) -> None:
    """A golden coin that bears its owner's colour."""
    pygame, colour, centre = import_pygame(), colour_of(look.colour), (0.5 * s, 0.5 * s)
    pygame.draw.circle(page, _darker(GOLD), centre, 0.3 * s)
    pygame.draw.circle(page, GOLD, centre, 0.28 * s)
    pygame.draw.circle(page, colour, centre, 0.2 * s)
    if look.label:
        _letters(page, look.label, 0.26 * s, centre, _against(colour))


def _apple(page: pygame.Surface, s: int, look: Look) -> None:
    pygame = import_pygame()
    for shade, more in (((128, 18, 24), 0.025), ((212, 40, 44), 0.0)):
        for side in (-1, 1):
            pygame.draw.circle(page, shade, ((0.5 + side * 0.085) * s, 0.56 * s), (0.185 + more) * s)
    pygame.draw.line(page, (96, 62, 32), (0.5 * s, 0.4 * s), (0.53 * s, 0.24 * s), max(1, round(0.05 * s)))
    pygame.draw.ellipse(page, (66, 140, 60), (0.53 * s, 0.2 * s, 0.2 * s, 0.11 * s))
    pygame.draw.circle(page, (240, 140, 132), (0.4 * s, 0.49 * s), 0.05 * s)


def _waste(page: pygame.Surface, s: int, look: Look) -> None:
    """Brown sludge that all but fills the cell."""
    pygame = import_pygame()
    for shade, more in (((78, 58, 34), 0.02), ((124, 98, 56), 0.0)):
        for x, y, radius in (
            (0.3, 0.34, 0.2),
            (0.66, 0.3, 0.19),
            (0.5, 0.56, 0.26),
            (0.28, 0.68, 0.17),
            (0.72, 0.68, 0.2),
        ):
            pygame.draw.circle(page, shade, (x * s, y * s), (radius + more) * s)
    for x, y, radius in ((0.36, 0.4, 0.06), (0.64, 0.5, 0.045), (0.46, 0.7, 0.05)):
        pygame.draw.circle(page, (164, 136, 84), (x * s, y * s), radius * s)


def _fire_beam(page: pygame.Surface, s: int, look: Look) -> None:
    """Orange, with a lozenge."""
    pygame = import_pygame()
    page.fill((255, 128, 32, 120))
    lozenge = [(0.5 * s, 0.2 * s), (0.8 * s, 0.5 * s), (0.5 * s, 0.8 * s), (0.2 * s, 0.5 * s)]
    pygame.draw.polygon(page, (235, 70, 20, 190), lozenge)
    pygame.draw.polygon(
        page, (255, 214, 96, 230), [(0.5 * s + 0.5 * (x - 0.5 * s), 0.5 * (y + 0.5 * s)) for x, y in lozenge]
    )


def _clean_beam(page: pygame.Surface, s: int, look: Look) -> None:
    """Pale cyan, with bubbles."""
    pygame = import_pygame()
    page.fill((150, 240, 250, 130))
    for x, y, radius in ((0.28, 0.3, 0.13), (0.7, 0.42, 0.17), (0.38, 0.74, 0.15)):
        pygame.draw.circle(page, (0, 122, 150, 200), (x * s, y * s), radius * s)
        pygame.draw.circle(page, (236, 254, 255, 240), (x * s, y * s), (radius - 0.04) * s)


def _lever(page: pygame.Surface, s: int, look: Look) -> None:
    """A lever, leaning right while it is held down (label "on")."""
    pygame = import_pygame()
    end = (0.8 * s, 0.4 * s) if look.label == "on" else (0.3 * s, 0.2 * s)
    pygame.draw.line(page, INK, (0.5 * s, 0.72 * s), end, round(0.09 * s))
    pygame.draw.circle(page, (200, 60, 48), end, 0.12 * s)
    pygame.draw.rect(page, (110, 114, 124), (0.2 * s, 0.7 * s, 0.6 * s, 0.2 * s), border_radius=round(0.06 * s))


def _door(page: pygame.Surface, s: int, look: Look) -> None:
    """A door: shut, or swung out of its frame (label "open")."""
    pygame = import_pygame()
    frame = pygame.Rect(0.26 * s, 0.1 * s, 0.48 * s, 0.8 * s)
    wood, dark = (176, 122, 66), (112, 74, 36)
    if look.label == "open":
        pygame.draw.rect(page, (255, 236, 160), frame)
        leaf = [frame.topleft, (0.42 * s, 0.2 * s), (0.42 * s, 1.0 * s), (frame.left, frame.bottom)]
        pygame.draw.polygon(page, wood, leaf)
        pygame.draw.polygon(page, dark, leaf, max(1, round(0.02 * s)))
    else:
        pygame.draw.rect(page, wood, frame)
        pygame.draw.circle(page, GOLD, (0.65 * s, 0.52 * s), 0.045 * s)
    pygame.draw.rect(page, dark, frame, max(1, round(0.045 * s)))


# Recommendations


def _arrow(page: pygame.Surface, s: int, look: Look) -> None:
    """An open arrowhead that points where the move leads."""
    pygame = import_pygame()
    dx, dy = STEPS[look.facing]

    def head(grown: float) -> list[tuple[float, float]]:
        tip, notch, arm, thick = 0.36 + grown, -0.02 - grown, 0.42 + grown, 0.15
        ends = ((tip, 0), (-0.24 - thick * 0.4, arm), (-0.4 - grown * 0.6, arm - thick), (notch, 0))
        outline = [*ends, *((a, -b) for a, b in reversed(ends[1:3]))]
        return [((0.5 + a * dx - b * dy) * s, (0.5 + a * dy + b * dx) * s) for a, b in outline]

    pygame.draw.polygon(page, PAPER, head(0.1))
    pygame.draw.polygon(page, colour_of(look.colour), head(0.0))


def _mark(page: pygame.Surface, s: int, look: Look) -> None:
    """A disc with a sign for what is no move."""
    pygame, centre = import_pygame(), (0.5 * s, 0.5 * s)
    pygame.draw.circle(page, colour_of(look.colour), centre, 0.48 * s)
    pygame.draw.circle(page, PAPER, centre, 0.38 * s)
    sign = GLYPHS.get(look.label, look.label[:1].upper())
    _letters(page, sign, 0.6 * s, centre, INK)


def _ring(page: pygame.Surface, s: int, look: Look) -> None:
    pygame = import_pygame()
    pygame.draw.circle(page, PAPER, (0.5 * s, 0.5 * s), 0.5 * s, round(0.09 * s))
    pygame.draw.circle(page, colour_of(look.colour), (0.5 * s, 0.5 * s), 0.48 * s, round(0.05 * s))


SHAPES: dict[str, Callable[[pygame.Surface, int, Look], None]] = {
    "agent": _agent,
    "you": _you,
    "coin": _coin,
    "apple": _apple,
    "waste": _waste,
    "beam-fire": _fire_beam,
    "beam-clean": _clean_beam,
    "lever": _lever,
    "door": _door,
    "arrow": _arrow,
    "mark": _mark,
    "ring": _ring,
}


def towards(label: str, facing: int) -> int:
    """Where the action `label` leads an agent of that `facing`, as a facing; -1 if it is no move.

    Moves are relative to the facing: `up` is ahead.
    """
    return (DIRECTIONS[label] + max(facing, 0)) % len(STEPS) if label in DIRECTIONS else -1


def _letters(page: pygame.Surface, text: str, height: float, centre: tuple[float, float], colour: RGB) -> None:
    """A short text, its capitals centred, smaller where it is long."""
    written = font(max(6, round(height * (1.0 if len(text) < 2 else 0.8))), bold=True).render(text, True, colour)
    ink = written.get_bounding_rect()
    page.blit(written, (centre[0] - ink.centerx, centre[1] - ink.centery))


def _darker(colour: RGB) -> RGB:
    return (round(0.62 * colour[0]), round(0.62 * colour[1]), round(0.62 * colour[2]))


def _against(colour: RGB) -> RGB:
    """Ink or paper, whichever is easier to read on a colour."""
    luminance = sum(w * (c / 255) ** 2.2 for w, c in zip((0.2126, 0.7152, 0.0722), colour, strict=True))
    return INK if math.sqrt(luminance) > 0.55 else PAPER
