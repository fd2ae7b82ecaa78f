"""The self-interest level of a Markov game: the largest share of its reward that an agent can keep while all cooperate.

Under symmetric transfers every agent keeps the share `s` of its reward. Where `s = 1` agents are selfish, and where
`s = 1 / N` all maximise the welfare. Willis et al. 2025, "Quantifying the self-interest level of Markov social
dilemmas" (arXiv:2501.16138), let agents learn at ever lower levels and find the largest at which they cooperate.

Many games have no action called cooperation, so the definition is ours: the agents of a level *cooperate* where their
normalised welfare, 0 at the evaluated welfare of selfish agents and 1 at that of agents who all maximise the welfare,
is at least `COOPERATES` in the mean over seeds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from ..measures.statistics import contrast, judged

RATIOS = (20.0, 10.0, 5.0, 3.0, 5 / 2, 2.0, 5 / 3, 4 / 3, 1.0)
"""What an agent keeps of its reward divided by what each other agent gets of it, by level (Willis et al. 2025)."""
COOPERATES = 0.8  # the normalised welfare from which agents count as cooperating
TOLERANCE = 0.03  # between the largest level at which agents cooperate and the next at which they do not
DIGITS = 4  # to which a level is rounded

Welfare = dict[int, float]  # by seed


class Trial(NamedTuple):
    """What agents learned at one level."""

    level: float  # s
    fresh: bool  # or warm-started from the level before
    welfare: Welfare

    @property
    def mean(self) -> float:
        return float(np.mean([*self.welfare.values()]))


class Found(NamedTuple):
    """The result of a search."""

    trials: list[Trial]  # in the order in which they were made
    level: float  # s*: the largest level found at which fresh agents cooperate; nan where no social dilemma is detected
    above: float  # the smallest level found above it at which fresh agents do not

    @property
    def selfish(self) -> Trial:
        return self.trials[0]

    @property
    def joint(self) -> Trial:
        return self.trials[1]

    def way(self, trial: Trial) -> float:
        """A trial's normalised welfare: 0 if selfish, 1 if joint; nan where no social dilemma is detected."""
        return _way(trial, self.selfish, self.joint) if self.level > 0 else float("nan")


class Play(Protocol):
    """Lets agents learn at the level s, fresh or warm-started, and returns the evaluated welfare of each seed."""

    def __call__(self, level: float, *, fresh: bool) -> Welfare: ...


def levels(players: int) -> list[float]:
    """The levels of selfish agents, 1, and then of `s = r / (N + r - 1)` for the `RATIOS` r, down to `1 / N`."""
    return [1.0, *(round(ratio / (players + ratio - 1), DIGITS) for ratio in RATIOS)]


def search(play: Play, players: int, tolerance: float = TOLERANCE) -> Found:
    """The largest level at which agents cooperate, to within `tolerance`.

    Agents go down the `levels`, warm-started at each from the one before, until they cooperate. There fresh agents are
    tried, and then level by level up or down, until fresh agents cooperate at one level and not at the next above. The
    interval between the two is halved until it is small enough. The search assumes that agents who cooperate at one
    level do so at every lower one.
    """
    ladder = levels(players)
    selfish, joint = (Trial(level, fresh=True, welfare=play(level, fresh=True)) for level in (ladder[0], ladder[-1]))
    trials = [selfish, joint]
    if not _better(joint.welfare, selfish.welfare):
        return Found(trials, float("nan"), float("nan"))

    def cooperate(level: float, *, fresh: bool) -> bool:
        known = [trial for trial in trials if trial.level == level and trial.fresh and fresh]
        if not known:
            trials.append(Trial(level, fresh, play(level, fresh=fresh)))
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
    """Whether the welfare is higher beyond chance (Welch's t)."""
    (found,) = judged([contrast(np.array([*ours.values()]), np.array([*theirs.values()]))])
    return found.verdict == "better"


def _way(trial: Trial, selfish: Trial, joint: Trial) -> float:
    return (trial.mean - selfish.mean) / (joint.mean - selfish.mean)
