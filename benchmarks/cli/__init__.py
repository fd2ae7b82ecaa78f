"""The command line: a file for each command that has more to do than to call one function."""

from .app import main

__all__ = ["main"]
