"""Where a setting is searched for: declared beside the setting, read by `paymaster tune`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Range(NamedTuple):
    """Values from `low` to `high`, by their logarithm where `log`."""

    low: float
    high: float
    log: bool = False


Choices = tuple[float | str | bool, ...]
SearchSpace = Mapping[str, Range | Choices]  # by the stored name of a setting
