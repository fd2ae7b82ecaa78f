"""An episode in a window: it plays by itself, pauses, goes step by step, faster or slower, and from the start again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .page import picture
from .panel import Frame
from .sprites import import_pygame
from .window import Window

SPEEDS = (1, 2, 4, 8, 16, 32)  # steps a second
KEYS = "space: pause    left, right: one step    up, down: speed    r: from the start    Esc: close"
NO_DISPLAY = "to draw to a file instead, give --out episode.gif, .mp4 or .png"


@dataclass
class Viewer:
    """Where the viewer of an episode of `last` steps is, and how fast it goes."""

    last: int
    at: int = 0
    speed: int = 2  # of SPEEDS
    paused: bool = False
    done: bool = False

    def press(self, key: int) -> None:
        """Do as a key says, by pygame's number."""
        pygame = import_pygame()
        if key in (pygame.K_ESCAPE, pygame.K_q):
            self.done = True
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key in (pygame.K_LEFT, pygame.K_RIGHT):
            self.paused = True
            self.at = min(self.last, max(0, self.at + (1 if key == pygame.K_RIGHT else -1)))
        elif key in (pygame.K_UP, pygame.K_DOWN):
            self.speed = min(len(SPEEDS) - 1, max(0, self.speed + (1 if key == pygame.K_UP else -1)))
        elif key == pygame.K_r:
            self.at, self.paused = 0, False

    def tick(self) -> None:
        """Go on by one step; at the end stay there."""
        self.at = min(self.last, self.at + 1)

    @property
    def waiting(self) -> bool:
        """Whether nothing happens before a key is pressed."""
        return self.paused or self.at == self.last

    @property
    def told(self) -> str:
        pace = f"{SPEEDS[self.speed]} step{'s' * (SPEEDS[self.speed] > 1)} a second"
        return "the end" if self.at == self.last else f"paused, {pace}" if self.paused else pace


def watch(window: Window, frames: Iterator[Frame], last: int) -> None:
    """Show an episode of `last` steps until the user closes it. Raises UsageError where there is no display."""
    viewer, drawn = Viewer(last), list[Frame]()
    try:
        while not viewer.done and not window.closed:
            while len(drawn) <= viewer.at:
                drawn.append(next(frames))
            frame = drawn[viewer.at]
            window.show(picture(frame.scene, panel=frame.panel, lines=[viewer.told, KEYS]))
            key = window.pressed(None if viewer.waiting else 1 / SPEEDS[viewer.speed])
            if key is not None:
                viewer.press(key)
            elif not viewer.waiting:
                viewer.tick()
    finally:
        window.close()
