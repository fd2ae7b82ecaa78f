"""What is compared: all seeds of one variant in a line, all lines of the same rules in a group."""

from __future__ import annotations

from math import isclose
from typing import Any, NamedTuple

import numpy as np

from ...core.config import UsageError, plain
from ...envs import make
from ...equilibria.tolerances import WELFARE_TIE
from ..measures.exact_solutions import FINITE, HIGHEST, OPTIMUM, Exact
from ..measures.statistics import Estimate, estimate, fraction_solved
from .columns import EVERY
from .dataset import Evaluated

JOINT = "joint"  # the mechanism under which agents want the welfare itself
SOLVED = 0.5  # a seed is solved where it closes half of the gap from the selfish equilibrium to the optimum, or more
NEAR = 0.9  # ... or, where no equilibrium is known, where its welfare is this part of joint's, or more


class Line(NamedTuple):
    """A mechanism and a learner: all seeds of one variant."""

    name: str
    algorithm: str
    source: str  # the table or folder, where the same seed stands in several
    seeds: dict[int, Evaluated]

    @property
    def first(self) -> Evaluated:
        return next(iter(self.seeds.values()))

    @property
    def label(self) -> str:
        return f"{self.name}/{self.algorithm}" + (f" ({self.source})" if self.source else "")

    def values(self, metric: str) -> dict[int, float]:
        """The metric of each seed that has one."""
        found = {seed: EVERY[metric](row) for seed, row in sorted(self.seeds.items())}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, metric: str) -> Estimate:
        return estimate(np.array(list(self.values(metric).values())))


class Difference(NamedTuple):
    """A line's welfare less that of the line it is compared to, seed by seed."""

    base: str  # its label
    estimate: Estimate


class Interquartile(NamedTuple):
    """A line's score over several games."""

    estimate: Estimate
    games: int


class Group(NamedTuple):
    """Everything that was played under the same rules."""

    game: str
    version: int
    rules: dict[str, Any]
    horizon: int
    agents: int
    exact: list[Exact]  # empty where the game has no table
    lines: list[Line]
    differences: dict[str, Difference]  # by label; none for the line that others are compared to

    @property
    def title(self) -> str:
        told = [f"{rule} {value}" for rule, value in self._changed.items() if rule not in ("horizon", "players")]
        told += [f"horizon {self.horizon}", f"{self.agents} agents"]
        return f"{self.game}, version {self.version}: {', '.join(told)}"

    @property
    def short(self) -> str:
        """The game, and the rules that are not those of its preset."""
        return ", ".join([self.game, *(f"{rule} {value}" for rule, value in self._changed.items())])

    @property
    def _changed(self) -> dict[str, Any]:
        preset = preset_rules(self.game)
        return {rule: value for rule, value in self.rules.items() if preset.get(rule) != value}

    def scores(self, line: Line) -> np.ndarray:
        """(S,): 0 at the selfish equilibrium of highest welfare, 1 at the optimum; empty where they are not known."""
        if self._gap is None:
            return np.array([])
        low, high = self._gap
        return (welfare_of(line) - low) / (high - low)

    @property
    def solved_from(self) -> float | None:
        """The welfare from which a seed counts as solved; None where nothing tells.

        Half of the gap from the selfish equilibrium of highest welfare to the optimum. Where the game has no table,
        90% of the mean under `joint`, of the learner that does best there.
        """
        if self._gap is not None:
            low, high = self._gap
            return low + SOLVED * (high - low)
        joint = [float(welfare_of(line).mean()) for line in self.lines if line.first.mechanism == JOINT]
        return NEAR * max(joint) if joint and max(joint) > 0 and not self.exact else None

    def solved(self, line: Line) -> float | None:
        """The part of the seeds with a welfare of at least `solved_from`; None where there is none."""
        least = self.solved_from
        return None if least is None else fraction_solved(welfare_of(line), least)

    @property
    def _gap(self) -> tuple[float, float] | None:
        """Welfare at the selfish equilibrium of highest welfare and at the optimum; None unless they differ."""
        known = {each.name: each.welfare for each in self.exact if each.kind == FINITE}
        if not known.keys() >= {OPTIMUM, HIGHEST} or isclose(known[OPTIMUM], known[HIGHEST], abs_tol=WELFARE_TIE):
            return None
        return known[HIGHEST], known[OPTIMUM]


def welfare_of(line: Line) -> np.ndarray:
    """(S,): of each seed."""
    return np.array(list(line.values("welfare").values()))


def preset_rules(game: str) -> dict[str, Any]:
    """A game's own rules; none for one that is not known here."""
    try:
        return plain(make(game))
    except UsageError:
        return {}
