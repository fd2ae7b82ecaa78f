"""The announcement that kernels are being compiled, which takes seconds and happens once on a machine.

Numba keeps what it compiles in a cache, beside the source or in NUMBA_CACHE_DIR; what is found there is not announced.
"""

from __future__ import annotations

import sys

from numba.core import event

PACKAGE = __name__.partition(".")[0]


class Announcer(event.Listener):
    """Says once in a process, on stderr, that kernels of this package are being compiled."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        module = str(event.data["dispatcher"].py_func.__module__)
        if not self.said and module.startswith(f"{PACKAGE}."):
            self.said = True
            print(f"{PACKAGE}: compiling: this takes seconds, the first time only", file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Nothing is said of the end."""
