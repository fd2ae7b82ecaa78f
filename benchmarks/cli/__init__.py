"""The command line; a command that does more than call one function has a file of its own."""

from .app import main

__all__ = ["main"]
