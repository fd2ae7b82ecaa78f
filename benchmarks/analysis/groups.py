"""What is compared: a line holds all seeds of one variant, a group all lines of the same rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import isclose
from typing import NamedTuple

import numpy as np

from ...core.config import UsageError, to_json
from ...envs import make
from ...equilibria.tolerances import WELFARE_TIE
from ..measures.columns import CONVERGED, GAIN, WELFARE
from ..measures.exact_solutions import HIGHEST, OPTIMUM, Exact
from ..measures.statistics import Estimate, Judged, Rate, estimate, success_rate
from .dataset import Evaluated

JOINT = "joint"  # the mechanism under which agents want the welfare itself
HALF = 0.5  # a seed succeeds where it closes this fraction of the gap from the selfish equilibrium to the optimum
NEAR = 0.9  # ... or, where no equilibrium is known, where its welfare is this fraction of joint's


class Line(NamedTuple):
    """A mechanism and a learner: all seeds of one variant in one table or folder."""

    name: str  # no other line of the same group, learner and source has it
    algorithm: str
    source: str  # the table or folder from which it was read
    seeds: dict[int, Evaluated]
    alone: bool = True  # whether no other source holds a line that is called the same

    @property
    def first(self) -> Evaluated:
        return next(iter(self.seeds.values()))

    @property
    def label(self) -> str:
        """The line's name in its group, where no other has it."""
        return f"{self.name}/{self.algorithm}" + (f" ({self.source})" if not self.alone else "")

    def values(self, metric: str) -> dict[int, float]:
        """The metric by seed, of the seeds that have one."""
        found = {seed: row[metric] for seed, row in sorted(self.seeds.items())}
        return {seed: value for seed, value in found.items() if value is not None}

    def estimate(self, metric: str) -> Estimate:
        return estimate(np.array(list(self.values(metric).values())))

    @property
    def converged(self) -> bool | None:
        """Whether, in the mean over the seeds that are audited, no best response adds much; None where none is."""
        gain = self.estimate(GAIN).mean
        return None if np.isnan(gain) else bool(gain <= CONVERGED)


class Difference(NamedTuple):
    """A line's welfare less that of the line to which it is compared, among all differences of its group."""

    base: str  # its label
    judged: Judged


class Interquartile(NamedTuple):
    """A line's score over several games."""

    estimate: Estimate
    games: int


class Group(NamedTuple):
    """All runs that were played under the same rules."""

    game: str
    version: int
    rules: Mapping[str, object]
    horizon: int
    agents: int
    exact: list[Exact]  # those of the game that learners are given come first; empty where the game has no table
    lines: list[Line]
    differences: dict[str, Difference]  # by label; none for lines that others are compared to, or that have no base
    at_total: dict[str, Difference]  # by label; to a base with as many steps as the line and its mechanism together

    @property
    def title(self) -> str:
        parts = [f"{rule} {value}" for rule, value in self._changed.items() if rule not in ("horizon", "players")]
        parts += [f"horizon {self.horizon}", f"{self.agents} agents"]
        return f"{self.game}, version {self.version}: {', '.join(parts)}"

    @property
    def short(self) -> str:
        """The game, and the rules that are not those of its preset."""
        return ", ".join([self.game, *(f"{rule} {value}" for rule, value in self._changed.items())])

    @property
    def _changed(self) -> dict[str, object]:
        preset = preset_rules(self.game)
        return {rule: value for rule, value in self.rules.items() if preset.get(rule) != value}

    @property
    def given(self) -> list[Exact]:
        """The exact solutions of the game that learners are given: one kind, each once."""
        return [each for each in self.exact if each.kind == self.exact[0].kind]

    def scores(self, line: Line) -> np.ndarray:
        """(S,): the normalised welfare, 0 at the selfish equilibrium of highest welfare and 1 at the optimum.

        Empty where these are unknown or the same.
        """
        if self._gap is None:
            return np.array([])
        low, high = self._gap
        return (welfare_of(line) - low) / (high - low)

    @property
    def success_threshold(self) -> float | None:
        """The welfare from which a seed counts as a success; None where none can be told.

        Half of the gap from the selfish equilibrium of highest welfare to the optimum. Where the game has no table,
        90% of the mean under `joint`, of the learner that does best there in the steps of most of its lines.
        """
        if self._gap is not None:
            low, high = self._gap
            return low + HALF * (high - low)
        lines = [line for line in self.lines if line.first.mechanism == JOINT]
        usual = Counter(line.first.steps for line in self.lines).most_common(1)[0][0]
        joint = [float(welfare_of(line).mean()) for line in lines if line.first.steps == usual or len(lines) == 1]
        return NEAR * max(joint) if joint and max(joint) > 0 and not self.exact else None

    def success_rate(self, line: Line) -> Rate | None:
        """The fraction of the seeds whose welfare is at least `success_threshold`; None where there is none."""
        threshold = self.success_threshold
        return None if threshold is None else success_rate(welfare_of(line), threshold)

    @property
    def _gap(self) -> tuple[float, float] | None:
        """Welfare at the selfish equilibrium of highest welfare and at the optimum, where both count and differ."""
        known = {each.name: each.welfare for each in self.given if each.counts and each.welfare is not None}
        if not known.keys() >= {OPTIMUM, HIGHEST} or isclose(known[OPTIMUM], known[HIGHEST], abs_tol=WELFARE_TIE):
            return None
        return known[HIGHEST], known[OPTIMUM]


def welfare_of(line: Line) -> np.ndarray:
    """(S,): the welfare of each seed."""
    return np.array(list(line.values(WELFARE).values()))


def preset_rules(game: str) -> dict[str, object]:
    """The rules of a game's preset; none for a game that is unknown here."""
    try:
        return to_json(make(game))
    except UsageError:
        return {}
