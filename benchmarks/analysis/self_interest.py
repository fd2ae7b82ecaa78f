"""The self-interest level of a Markov game: how much of its reward each agent may keep so that learners cooperate.

Under symmetric transfers every agent keeps the part `s` of its reward. Where `s = 1` agents are selfish, and where
`s = 1 / N` all want the same. Willis et al. 2025, "Quantifying the self-interest level of Markov social dilemmas"
(arXiv:2501.16138), let agents learn at ever lower levels and find the largest at which they cooperate.

What it is to cooperate in a game that has no action of that name is ours to say: agents of a level *cooperate* where
the mean welfare of the seeds goes at least `COOPERATES` of the way from that of selfish agents to that of agents who
want the same, all evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..measures.statistics import paired_difference

RATIOS = (20.0, 10.0, 5.0, 3.0, 5 / 2, 2.0, 5 / 3, 4 / 3, 1.0)
"""What an agent keeps of its reward against what each other gets of it, from level to level (Willis et al. 2025)."""
COOPERATES = 0.8  # of the way from selfish welfare to joint
TOLERANCE = 0.03  # between the largest level that cooperates and the next that does not
DIGITS = 4  # of a level

Welfare = dict[int, float]  # by seed


class Trial(NamedTuple):
    """What agents learned at one level."""

    level: float  # s
    fresh: bool  # or they went on from the level before
    welfare: Welfare

    @property
    def mean(self) -> float:
        return float(np.mean([*self.welfare.values()]))


class Found(NamedTuple):
    """What the search came to."""

    trials: list[Trial]  # in the order in which they were made
    level: float  # s*: the largest level found at which fresh agents cooperate; nan where no dilemma is to be seen
    above: float  # the smallest level found above it at which fresh agents do not

    @property
    def selfish(self) -> Trial:
        return self.trials[0]

    @property
    def joint(self) -> Trial:
        return self.trials[1]

    def way(self, trial: Trial) -> float:
        """How far a trial goes from selfish welfare, 0, to joint welfare, 1; nan where no dilemma is to be seen."""
        return _way(trial, self.selfish, self.joint) if self.level > 0 else float("nan")


Play = Callable[[float, bool], Welfare]  # (s, whether agents are fresh) -> the evaluated welfare of each seed


def levels(players: int) -> list[float]:
    """Selfish agents first, then `s = r / (N + r - 1)` for the `RATIOS` r, down to `1 / N`; to `DIGITS`."""
    return [1.0, *(round(ratio / (players + ratio - 1), DIGITS) for ratio in RATIOS)]


def search(play: Play, players: int, tolerance: float = TOLERANCE) -> Found:
    """The largest level at which agents cooperate, to within `tolerance`.

    Agents go down the `levels`, at each of them going on from where they were at the one before, until they cooperate.
    There fresh agents are tried, and then level by level up or down, until one level is found at which fresh agents
    cooperate while at the next above they do not; the interval between the two is halved until it is small enough.
    That assumes that agents who cooperate at one level do so at every lower one.
    """
    ladder = levels(players)
    selfish, joint = (Trial(level, True, play(level, True)) for level in (ladder[0], ladder[-1]))
    trials = [selfish, joint]
    if not _better(joint.welfare, selfish.welfare):
        return Found(trials, float("nan"), float("nan"))

    def cooperate(level: float, *, fresh: bool) -> bool:
        known = [trial for trial in trials if trial.level == level and trial.fresh and fresh]
        if not known:
            trials.append(Trial(level, fresh, play(level, fresh)))
        return _way(known[0] if known else trials[-1], selfish, joint) >= COOPERATES

    at = next((i for i, level in enumerate(ladder[1:-1], 1) if cooperate(level, fresh=False)), len(ladder) - 1)
    while not cooperate(ladder[at], fresh=True):
        at += 1
    while cooperate(ladder[at - 1], fresh=True):
        at -= 1
    low, high = ladder[at], ladder[at - 1]
    while high - low > tolerance:
        middle = round((low + high) / 2, DIGITS)
        low, high = (middle, high) if cooperate(middle, fresh=True) else (low, middle)
    return Found(trials, low, high)


def _better(ours: Welfare, theirs: Welfare) -> bool:
    """Whether the interval of the paired difference lies above 0."""
    return paired_difference(ours, theirs).low > 0


def _way(trial: Trial, selfish: Trial, joint: Trial) -> float:
    return (trial.mean - selfish.mean) / (joint.mean - selfish.mean)
