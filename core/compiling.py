"""The announcement that kernels are being compiled, which takes seconds and happens once on a machine.

Numba keeps what it compiles in a cache, beside the source or in NUMBA_CACHE_DIR; what is found there is not announced.
"""

from __future__ import annotations

import sys

from numba.core import event

PACKAGE = __name__.partition(".")[0]


class Announcer(event.Listener):
    """Announces once per process, on stderr, that kernels of this package are being compiled."""

    def __init__(self) -> None:
        self.announced = False

    def on_start(self, event: event.Event) -> None:
        module = str(event.data["dispatcher"].py_func.__module__)
        if not self.announced and module.startswith(f"{PACKAGE}."):
            self.announced = True
            print(f"{PACKAGE}: compiling: this takes seconds, the first time only", file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """The end of a compilation is not announced."""
