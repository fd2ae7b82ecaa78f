"""Pictures of a scene: as pixels, as text, in a window, in a file. It knows scenes, not games.

pygame draws and imageio writes; both are imported when the first picture is made, and only a window needs a screen.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import UsageError
from .core import Scene, Sprite

if TYPE_CHECKING:
    import pygame

RGB = tuple[int, int, int]

PALETTE: tuple[tuple[str, RGB], ...] = (  # letter and colour of each agent; further agents begin again
    ("r", (206, 52, 52)),
    ("b", (42, 98, 200)),
    ("g", (40, 146, 72)),
    ("y", (222, 170, 20)),
    ("p", (132, 70, 176)),
    ("o", (226, 116, 30)),
    ("c", (28, 156, 170)),
    ("k", (222, 110, 160)),
)
GREY: RGB = (140, 140, 140)  # what bears nobody's colour
PAPER: RGB = (255, 255, 255)
INK: RGB = (40, 40, 40)
LINE: RGB = (214, 214, 208)
GOLD: RGB = (238, 196, 84)
GROUND: dict[str, RGB] = {".": (247, 246, 240), "@": (90, 90, 96)}  # floor, wall

DETAIL = 2  # pixels drawn for each pixel shown, in either direction: smooth edges
TEXT = 20  # pixels of a line of text
DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}  # x, y


def picture(scene: Scene, *, lines: Sequence[str] = (), height: int = 360) -> np.ndarray:
    """The scene (H, W, 3) uint8: a board `height` pixels high, below it the caption and the further `lines`.

    Pictures of scenes of one size with the same number of lines have the same shape; it is even, as films need.
    """
    pygame = _pygame()
    cell = max(8, height // scene.rows // 2 * 2)
    board = pygame.Surface((scene.columns * cell * DETAIL, scene.rows * cell * DETAIL))
    _draw_ground(board, scene, cell * DETAIL)
    _draw_sprites(board, scene, cell * DETAIL)
    size = scene.columns * cell, scene.rows * cell
    told = [scene.caption, *lines]
    page = pygame.Surface((size[0], size[1] + TEXT * len(told) + 8))
    page.fill(PAPER)
    page.blit(pygame.transform.smoothscale(board, size), (0, 0))
    for number, line in enumerate(told):
        _write(page, line, size[1] + 4 + TEXT * number)
    return np.ascontiguousarray(pygame.surfarray.array3d(page).swapaxes(0, 1))


def text(scene: Scene, *, lines: Sequence[str] = ()) -> str:
    """The scene as text: an agent is the first letter of its colour, a coin that letter as a capital."""
    cells = [[[ground] for ground in row] for row in scene.ground]
    for sprite in scene.sprites:
        if sprite.kind in LETTERS:
            cells[round(sprite.row)][round(sprite.column)].append(LETTERS[sprite.kind](_letter(sprite.colour)))
    words = [["".join(things[1:]) or things[0] for things in row] for row in cells]
    width = max(len(word) for row in words for word in row)
    board = [" ".join(word.ljust(width) for word in row).rstrip() for row in words]
    return "\n".join([*board, scene.caption, *lines])


def recommended(scene: Scene, actions: Sequence[str]) -> Scene:
    """The scene with an arrow for the action, one of `action_names`, that is recommended to each agent."""
    agents = [sprite for sprite in scene.sprites if sprite.kind == "agent"]
    arrows = [agent._replace(kind="arrow", label=actions[agent.colour]) for agent in agents]
    return scene._replace(sprites=(*scene.sprites, *arrows))


def write_png(frame: np.ndarray, path: Path) -> None:
    """Write a picture (H, W, 3); the file appears whole or not at all."""
    _write_whole(path, ".png", frame)


def write_gif(frames: Sequence[np.ndarray], path: Path, fps: float = 4) -> None:
    """Write pictures (H, W, 3) of one shape as a film that repeats; the file appears whole or not at all."""
    _write_whole(path, ".gif", np.stack(frames), duration=1000 / fps, loop=0)


class Window:
    """A window that shows pictures. The first one opens it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.screen: pygame.Surface | None = None

    def show(self, frame: np.ndarray) -> None:
        """Show a picture (H, W, 3); a window that the user closed opens no more."""
        pygame = _pygame()
        if self.screen is None:
            pygame.display.init()
            self.screen = pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            pygame.display.set_caption(self.title)
        pygame.event.pump()
        self.screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()

    def close(self) -> None:
        if self.screen is not None:
            _pygame().display.quit()
            self.screen = None


def _pygame() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import pygame

    if not pygame.font.get_init():
        pygame.font.init()
    return pygame


def _draw_ground(board: pygame.Surface, scene: Scene, cell: int) -> None:
    pygame = _pygame()
    for row, line in enumerate(scene.ground):
        for column, character in enumerate(line):
            square = pygame.Rect(column * cell, row * cell, cell, cell)
            board.fill(GROUND.get(character, PAPER), square)
            pygame.draw.rect(board, LINE, square, DETAIL)


def _draw_sprites(board: pygame.Surface, scene: Scene, cell: int) -> None:
    """Things that share a cell stand side by side in it; arrows lie over its edges."""
    cells: dict[tuple[float, float], list[Sprite]] = defaultdict(list)
    for sprite in scene.sprites:
        if sprite.kind in SHAPES:
            cells[sprite.row, sprite.column].append(sprite)
    for (row, column), sprites in cells.items():
        side = math.ceil(math.sqrt(len(sprites)))
        room = cell / side
        for place, sprite in enumerate(sprites):
            x = column * cell + (place % side + 0.5) * room
            y = row * cell + (place // side + 0.5) * room + (cell - room * math.ceil(len(sprites) / side)) / 2
            SHAPES[sprite.kind](board, x, y, room, _colour(sprite.colour))
    _draw_arrows(board, [sprite for sprite in scene.sprites if sprite.kind == "arrow"], cell)


def _draw_agent(board: pygame.Surface, x: float, y: float, room: float, colour: RGB) -> None:
    """A rounded body with two eyes."""
    pygame = _pygame()
    half = 0.33 * room
    body = pygame.Rect(x - half, y - half, 2 * half, 2 * half)
    pygame.draw.rect(board, colour, body, border_radius=round(0.5 * half))
    for side in (-1, 1):
        pygame.draw.circle(board, PAPER, (x + side * 0.4 * half, y - 0.2 * half), 0.26 * half)
        pygame.draw.circle(board, INK, (x + side * 0.4 * half, y - 0.2 * half), 0.12 * half)


def _draw_coin(board: pygame.Surface, x: float, y: float, room: float, colour: RGB) -> None:
    """A golden coin that bears its owner's colour."""
    pygame = _pygame()
    pygame.draw.circle(board, INK, (x, y), 0.29 * room)
    pygame.draw.circle(board, GOLD, (x, y), 0.27 * room)
    pygame.draw.circle(board, colour, (x, y), 0.19 * room)


SHAPES: dict[str, Callable[[pygame.Surface, float, float, float, RGB], None]] = {
    "agent": _draw_agent,
    "coin": _draw_coin,
}
LETTERS: dict[str, Callable[[str], str]] = {"agent": str.lower, "coin": str.upper}


def _draw_arrows(board: pygame.Surface, arrows: Sequence[Sprite], cell: int) -> None:
    """An arrowhead at the edge to which it points; arrows of one cell and direction lie side by side."""
    beside: Counter[tuple[float, float, str]] = Counter()
    for arrow in arrows:
        key = arrow.row, arrow.column, arrow.label
        _draw_arrow(board, arrow, beside[key], cell)
        beside[key] += 1


def _draw_arrow(board: pygame.Surface, arrow: Sprite, beside: int, cell: int) -> None:
    pygame = _pygame()
    colour, size = _colour(arrow.colour), 0.14 * cell
    shift = (beside + 1) // 2 * (-1) ** beside * 2.2 * size  # 0, -1, 1, -2, ... places
    x, y = (arrow.column + 0.5) * cell, (arrow.row + 0.5) * cell
    if arrow.label not in DIRECTIONS:  # stay
        pygame.draw.circle(board, colour, (x + shift, y + 0.43 * cell), 0.35 * size)
        return
    dx, dy = DIRECTIONS[arrow.label]
    x, y = x + dx * 0.49 * cell - dy * shift, y + dy * 0.49 * cell + dx * shift
    wings = [(x - dx * size - side * dy * size, y - dy * size + side * dx * size) for side in (-1, 1)]
    pygame.draw.polygon(board, colour, [(x, y), *wings])
    pygame.draw.polygon(board, PAPER, [(x, y), *wings], DETAIL)


def _write(page: pygame.Surface, line: str, top: int) -> None:
    """Write a line of text, smaller where it would not fit."""
    pygame = _pygame()
    drawn = pygame.font.Font(None, TEXT * DETAIL).render(line, True, INK)
    shrink = min(1 / DETAIL, (page.get_width() - 12) / max(drawn.get_width(), 1))
    shown = pygame.transform.smoothscale_by(drawn, shrink)
    page.blit(shown, (6, top + (TEXT - shown.get_height()) // 2))


def _colour(agent: int) -> RGB:
    return PALETTE[agent % len(PALETTE)][1] if agent >= 0 else GREY


def _letter(agent: int) -> str:
    return PALETTE[agent % len(PALETTE)][0] if agent >= 0 else "o"


def _write_whole(path: Path, suffix: str, pixels: np.ndarray, **options: Any) -> None:
    """Write beside, then rename. Raises UsageError for another suffix, or where the path cannot be written."""
    import imageio.v3

    if path.suffix.lower() != suffix:
        raise UsageError(f"cannot write a picture to {str(path)!r}; give a path that ends in {suffix}")
    part = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        imageio.v3.imwrite(part, pixels, **options)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(
            f"cannot write {str(path)!r}: {error.strerror or error}; give a path that you may write"
        ) from None
