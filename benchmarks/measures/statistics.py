"""Statistics of a few seeds: means with bootstrap intervals, paired differences, scores over games."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
LEVEL = 95.0  # percent
ENOUGH = 3  # seeds; with fewer, an interval that excludes 0 is no evidence


class Estimate(NamedTuple):
    """A mean and its 95% interval, which is nan for a single value."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def verdict(self) -> str:
        """Of a difference: "better" or "worse" where its interval excludes 0."""
        if self.seeds < ENOUGH:
            return f"n/a (n < {ENOUGH})"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "n.s."


def estimate(values: np.ndarray) -> Estimate:
    """The mean of (S,) values, one a seed, with its percentile bootstrap interval (Efron and Tibshirani 1993)."""
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    return Estimate(float(values.mean()), *_interval(_resampled(values).mean(axis=1), len(values)), len(values))


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate:
    """The mean of `ours - theirs`, seed by seed, over the seeds that both have."""
    return estimate(np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]))


def interquartile_mean(scores: Mapping[str, np.ndarray]) -> Estimate:
    """The mean of the middle half of the scores of all games and seeds; `scores` holds (S,) for each game.

    Seeds are resampled within each game, so that every game keeps its weight (Agarwal et al. 2021). Scores must mean
    the same in every game: 0 for one named outcome, 1 for another.
    """
    everything = np.concatenate(list(scores.values()))
    resampled = np.concatenate([_resampled(np.asarray(each, np.float64)) for each in scores.values()], axis=1)
    return Estimate(
        float(_middle_mean(everything[None])[0]), *_interval(_middle_mean(resampled), len(everything)), len(everything)
    )


def success_rate(scores: np.ndarray, threshold: float) -> float:
    """The fraction of the seeds whose score reaches the threshold."""
    return float((np.asarray(scores) >= threshold).mean())


def _resampled(values: np.ndarray) -> np.ndarray:
    """(RESAMPLES, S): draws with replacement; the same number of seeds always gives the same draws."""
    return values[np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))]


def _interval(resampled: np.ndarray, count: int) -> tuple[float, float]:
    if count < 2:
        return np.nan, np.nan
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def _middle_mean(values: np.ndarray) -> np.ndarray:
    """(R,): the mean of (R, n) without the lowest and the highest quarter, rounded down, of each row."""
    ordered = np.sort(values, axis=1)
    cut = values.shape[1] // 4
    return ordered[:, cut : values.shape[1] - cut].mean(axis=1)
