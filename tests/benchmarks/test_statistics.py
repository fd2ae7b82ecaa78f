"""What is said of seeds, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from paymaster.benchmarks.measures.statistics import (
    Estimate,
    estimate,
    interquartile_mean,
    paired_difference,
    success_rate,
)


def test_two_seeds() -> None:
    # resampled means: 1 (a quarter of the time), 2 (half), 3 (a quarter): the 2.5% and 97.5% points are 1 and 3
    assert estimate(np.array([1.0, 3.0])) == Estimate(2.0, 1.0, 3.0, 2)


def test_five_seeds_one_of_them_apart() -> None:
    # mean = 2 k, k ~ Binomial(5, 1/5) draws of the 10: P(k = 0) = .328, P(k <= 3) = .9933, P(k <= 2) = .942
    assert estimate(np.array([0.0, 0.0, 0.0, 0.0, 10.0])) == Estimate(2.0, 0.0, 6.0, 5)


def test_a_single_seed_has_no_interval_and_none_no_mean() -> None:
    one, none = estimate(np.array([4.0])), estimate(np.array([]))
    assert one.mean == 4.0
    assert np.isnan([one.low, one.high, none.mean, none.low, none.high]).all()
    assert none.seeds == 0


def test_the_interval_holds_the_true_mean_as_often_as_said() -> None:
    random = np.random.default_rng(1)
    held = [found.low < 0 < found.high for found in (estimate(random.normal(size=40)) for _ in range(300))]
    assert 0.90 < np.mean(held) < 0.98


def test_differences_are_taken_seed_by_seed() -> None:
    ours, theirs = {0: 10.0, 1: 20.0, 2: 30.0, 7: 99.0}, {2: 29.0, 0: 9.0, 1: 19.0, 5: -99.0}
    assert paired_difference(ours, theirs) == Estimate(1.0, 1.0, 1.0, 3)  # though the seeds themselves lie far apart


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.1, 0.2, 0.3], "better"),
        ([-0.1, -0.2, -0.3], "worse"),
        ([-0.1, 0.2, 0.3], "n.s."),
        ([0.0, 0.2, 0.3], "n.s."),  # the interval begins at 0
        ([0.1, 0.2], "n/a (n < 3)"),
        ([], "n/a (n < 3)"),
    ],
)
def test_better_means_that_the_interval_excludes_0(differences: list[float], verdict: str) -> None:
    assert estimate(np.array(differences)).verdict == verdict


def test_the_interquartile_mean_leaves_out_a_quarter_on_either_side() -> None:
    # 8 scores in order 0 0 2 3 4 5 100 1000: without the two lowest and highest (2 + 3 + 4 + 5) / 4
    found = interquartile_mean({"a": np.array([1000.0, 0.0, 3.0, 5.0]), "b": np.array([0.0, 2.0, 4.0, 100.0])})
    assert found.mean == 3.5
    assert found.seeds == 8


def test_games_keep_their_weight_when_seeds_are_resampled() -> None:
    # every seed of a game is the same, so a stratified resample changes nothing
    found = interquartile_mean({"a": np.full(4, 1.0), "b": np.full(4, 2.0)})
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)


def test_success_rate() -> None:
    assert success_rate(np.array([0.49, 0.5, 0.9, -1.0]), 0.5) == 0.5
