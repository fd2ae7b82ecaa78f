"""A window: it shows pictures and says which keys were pressed. Only this needs a screen."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from ..core.config import UsageError
from .sprites import import_pygame

if TYPE_CHECKING:
    import pygame

BLIND = ("offscreen", "dummy")  # video drivers that SDL may fall back to, and that show nothing


class Window:
    """A window that opens with its first picture, and that the user may close for good."""

    def __init__(self, title: str, instead: str = "") -> None:
        """`instead` says what to do where there is no display."""
        self.title, self.instead = title, instead
        self.screen: pygame.Surface | None = None
        self.closed = False

    def open(self) -> None:
        """Find a display; `show` does so too. Raises UsageError where there is none."""
        pygame, asked = import_pygame(), os.environ.get("SDL_VIDEODRIVER")
        if pygame.display.get_init():
            return
        unseen = sys.platform.startswith("linux") and not (os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"})
        try:
            if not asked and unseen:
                raise pygame.error("neither DISPLAY nor WAYLAND_DISPLAY is set")
            pygame.display.init()
            if not asked and pygame.display.get_driver() in BLIND:
                pygame.display.quit()
                raise pygame.error("no video driver that shows anything")
        except pygame.error as error:
            advice = f"; {self.instead}" if self.instead else ""
            raise UsageError(f"there is no display for a window ({error}){advice}") from None

    def show(self, frame: np.ndarray) -> None:
        """Show a picture (H, W, 3). Raises UsageError where there is no display."""
        if self.closed:
            return
        pygame = import_pygame()
        size = frame.shape[1::-1]
        if self.screen is None:
            self.open()
        if self.screen is None or self.screen.get_size() != size:
            self.screen = pygame.display.set_mode(size)
            pygame.display.set_caption(self.title)
        self.screen.blit(pygame.surfarray.make_surface(frame.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        if pygame.event.peek(pygame.QUIT):
            self.close()
            self.closed = True

    def pressed(self, seconds: float | None = None) -> int | None:
        """The next key, as pygame numbers them; None after `seconds` without one, or when the user closes the window.

        Without `seconds` it waits for as long as it takes.
        """
        pygame = import_pygame()
        until = None if seconds is None else time.monotonic() + seconds  # pygame's own clock stands until pygame.init
        while not self.closed:
            left = 0 if until is None else math.ceil(1000 * (until - time.monotonic()))
            if until is not None and left <= 0:
                return None
            event = pygame.event.wait(left)  # 0 is without end
            if event.type == pygame.QUIT:
                self.close()
                self.closed = True
            elif event.type == pygame.KEYDOWN:
                return int(event.key)
            elif event.type in (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED):
                pygame.display.flip()
        return None

    def close(self) -> None:
        if self.screen is not None:
            import_pygame().display.quit()
            self.screen = None
