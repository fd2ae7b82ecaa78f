"""Statistics of a few seeds: intervals that cover, differences that are corrected over a table, scores over games.

Seeds are independent draws. A slow test simulates how often what is printed here holds: Student's interval covers 95%
of normal seeds and 88% of exponential ones from three seeds on, where a percentile bootstrap covers 75 and 71%. Where
seeds fall to one of two outcomes, three seeds can hide the other, and no interval covers (75%); from five on it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, stdtr, stdtrit

RESAMPLES = 10_000
ERROR = 0.05  # how often an interval may miss, and a table may hold a false verdict
ENOUGH = 3  # seeds; with fewer there is no verdict


class Estimate(NamedTuple):
    """A mean and its 95% interval, which is nan for a single value."""

    mean: float
    low: float
    high: float
    seeds: int


class Rate(NamedTuple):
    """The fraction of the seeds that succeeded, and its exact binomial 95% interval."""

    share: float
    low: float
    high: float
    seeds: int


class Contrast(NamedTuple):
    """The difference of two means over independent seeds, before it is judged."""

    mean: float
    error: float  # its standard error; nan where one of the two has a single seed
    seeds: int  # of the one that has fewer
    floor: float  # no p-value is smaller: see `contrast`

    @property
    def p(self) -> float:
        """Of a difference as large or larger where there is none; nan where it is undefined."""
        if np.isnan(self.mean) or np.isnan(self.error):
            return np.nan
        if self.error == 0.0:
            return self.floor if self.mean else 1.0
        return max(float(2.0 * stdtr(self.seeds - 1, -abs(self.mean) / self.error)), self.floor)

    def within(self, error: float) -> tuple[float, float]:
        """The interval that misses the true difference with the probability `error`."""
        reach = self.error and float(stdtrit(self.seeds - 1, 1.0 - error / 2.0)) * self.error
        return self.mean - reach, self.mean + reach


class Judged(NamedTuple):
    """A difference among all those of a table, judged by Holm's step-down procedure (Holm 1979)."""

    estimate: Estimate  # its interval is that of its step, 95% or wider, and excludes 0 where the verdict is one
    p: float  # corrected over the table; nan where it is undefined
    verdict: str  # "better", "worse", "n.s.", "undefined", or "n/a" with the seeds that are missing


def estimate(values: np.ndarray) -> Estimate:
    """The mean of (S,) values, one a seed, with Student's interval."""
    values = np.asarray(values, np.float64)
    count = len(values)
    mean = float(values.mean()) if count else np.nan
    if count < 2:
        return Estimate(mean, np.nan, np.nan, count)
    reach = float(stdtrit(count - 1, 1.0 - ERROR / 2.0) * values.std(ddof=1)) / sqrt(count)
    return Estimate(mean, mean - reach, mean + reach, count)


def contrast(ours: np.ndarray, theirs: np.ndarray) -> Contrast:
    """The mean of `ours` (S,) less that of `theirs` (S',), seeds of which are independent of each other.

    The standard error is Welch's, of two variances. The degrees of freedom are n - 1, of the one with fewer seeds:
    Welch's own are right for normal seeds and too many for skewed ones where the numbers of seeds differ. Where every
    seed falls to one of two outcomes, two times n seeds lie as far apart as they can with a probability of up to
    2 / 4^n, though nothing differs, and their variance tells nothing of it. So no p-value is smaller than this: .03 for
    three seeds, .002 for five, 2e-6 for ten.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    n, m = len(ours), len(theirs)
    if not n or not m:
        return Contrast(np.nan, np.nan, 0, np.nan)
    few, mean = min(n, m), float(ours.mean() - theirs.mean())
    if few < 2:
        return Contrast(mean, np.nan, few, np.nan)
    error = sqrt(float(ours.var(ddof=1)) / n + float(theirs.var(ddof=1)) / m)
    return Contrast(mean, error, few, 2.0 * 0.25**few)


def fraction_closed(ours: np.ndarray, base: np.ndarray, top: np.ndarray | float) -> Estimate:
    """By which fraction the mean of `ours` (S,) closes the gap from that of `base` (S',) to `top`.

    That is a number that is known exactly, or seeds (S'',). Seeds of the three are independent of each other. The
    interval is that of the delta method, with the degrees of freedom of `contrast`: it means nothing where the gap
    itself may be none. Undefined where there is no gap, and without an interval where one of the parts has one seed.
    """
    exact = isinstance(top, float)
    parts = [np.asarray(each, np.float64).ravel() for each in (ours, base, top)]
    mean, low, high = (float(each.mean()) if len(each) else np.nan for each in parts)
    drawn = parts[:2] if exact else parts
    seeds, gap = min(map(len, drawn)), high - low
    if not gap:
        return Estimate(np.nan, np.nan, np.nan, seeds)
    closed = (mean - low) / gap
    if seeds < 2:
        return Estimate(closed, np.nan, np.nan, seeds)
    slopes = (1.0, closed - 1.0, -closed)  # by each of the three means, times the gap
    errors = (slope**2 * float(each.var(ddof=1)) / len(each) for slope, each in zip(slopes, drawn, strict=False))
    reach = float(stdtrit(seeds - 1, 1.0 - ERROR / 2.0)) * sqrt(sum(errors)) / abs(gap)
    return Estimate(closed, closed - reach, closed + reach, seeds)


def judged(contrasts: Sequence[Contrast]) -> list[Judged]:
    """The differences of one table: in `ERROR` of all tables without any difference, some verdict is false.

    Those with fewer than `ENOUGH` seeds are not judged, and those that are undefined are not either.
    """
    known = [at for at, each in enumerate(contrasts) if each.seeds >= ENOUGH and not np.isnan(each.p)]
    found = [_not_judged(each) for each in contrasts]
    corrected, stopped = 0.0, 0.0  # the largest p so far; the level of the step that rejected nothing
    for step, at in enumerate(sorted(known, key=lambda at: contrasts[at].p)):
        level = stopped or ERROR / (len(known) - step)
        corrected = max(corrected, min(1.0, contrasts[at].p * (len(known) - step)))
        if corrected >= ERROR:
            stopped = level
        found[at] = _judged(contrasts[at], corrected, level)
    return found


def _judged(found: Contrast, p: float, level: float) -> Judged:
    if p < ERROR:
        verdict = "better" if found.mean > 0 else "worse"
    elif found.floor >= level:
        verdict = f"n/a (n < {next(n for n in range(ENOUGH, 100) if 2.0 * 0.25**n < level)})"
    else:
        verdict = "n.s."
    return Judged(Estimate(found.mean, *found.within(level), found.seeds), p, verdict)


def _not_judged(found: Contrast) -> Judged:
    few = 0 < found.seeds < ENOUGH and not np.isnan(found.mean)
    verdict = f"n/a (n < {ENOUGH})" if few else "undefined"
    return Judged(Estimate(found.mean, *found.within(ERROR), found.seeds), np.nan, verdict)


def success_rate(scores: np.ndarray, threshold: float) -> Rate:
    """The fraction of (S,) scores that reach the threshold, and its interval (Clopper and Pearson 1934)."""
    reached, count = int((np.asarray(scores) >= threshold).sum()), len(scores)
    if not count:
        return Rate(np.nan, np.nan, np.nan, 0)
    low = float(betaincinv(reached, count - reached + 1, ERROR / 2.0)) if reached else 0.0
    high = float(betaincinv(reached + 1, count - reached, 1.0 - ERROR / 2.0)) if reached < count else 1.0
    return Rate(reached / count, low, high, count)


def interquartile_mean(scores: Mapping[str, np.ndarray]) -> Estimate:
    """The mean of the middle half of the scores of all games and seeds; `scores` holds (S,) for each game.

    Its standard error is that of stratified resamples: seeds are drawn within each game, so that every game keeps its
    weight (Agarwal et al. 2021). Of n seeds a resample has a variance that is too small by (n - 1) / n, and its few
    seeds make tails of Student's kind, with degrees of freedom of no more than half of those that count (by
    simulation); percentiles of the resamples ignore all three and are too narrow. Scores must mean the same in every
    game: 0 for one named outcome, 1 for another.
    """
    parts = [np.asarray(each, np.float64) for each in scores.values()]
    everything = np.concatenate(parts)
    counted = 1.0 - 2 * (len(everything) // 4) / len(everything)
    freedom = max(1, round(counted * sum(len(each) - 1 for each in parts) / 2))
    mean = float(_middle_mean(everything[None])[0])
    if all(len(each) < 2 for each in parts):
        return Estimate(mean, np.nan, np.nan, len(everything))
    resampled = np.concatenate([_resampled(each) for each in parts], axis=1)
    error = float(_middle_mean(resampled).std())
    reach = float(stdtrit(freedom, 1.0 - ERROR / 2.0)) * error
    return Estimate(mean, mean - reach, mean + reach, len(everything))


def _resampled(values: np.ndarray) -> np.ndarray:
    """(RESAMPLES, S): draws with replacement, as far apart as draws of new seeds would be.

    The same number of seeds always gives the same draws.
    """
    count = len(values)
    drawn = values[np.random.default_rng(0).integers(count, size=(RESAMPLES, count))]
    return values.mean() + (drawn - values.mean()) * sqrt(count / max(count - 1, 1))


def _middle_mean(values: np.ndarray) -> np.ndarray:
    """(R,): the mean of (R, n) without the lowest and the highest quarter, rounded down, of each row."""
    ordered = np.sort(values, axis=1)
    cut = values.shape[1] // 4
    return ordered[:, cut : values.shape[1] - cut].mean(axis=1)
