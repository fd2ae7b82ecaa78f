"""`paymaster league`: how much of the gap to the optimum each mechanism closes in each game."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..analysis.league import league, reference_tables
from ..reports.league_table import text


def show_league(own: Sequence[Path], game: str | None) -> int:
    """Print the league of the reference tables and of one's `own` folders and tables, and return the exit code.

    Raises UsageError for a path at which nothing is, and for a game in which nothing stands.
    """
    print(text(league(*reference_tables(), *own), game))
    return 0
