"""What is said of seeds: against numbers worked out by hand, against scipy, and against what it promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from paymaster.benchmarks.measures import statistics
from paymaster.benchmarks.measures.statistics import (
    contrast,
    estimate,
    interquartile_mean,
    judged,
    success_rate,
)

RANDOM = np.random.default_rng(1)
SEEDS = [3, 5, 10, 20]
DRAWN: dict[str, tuple[Callable[[tuple[int, ...]], np.ndarray], float]] = {  # draws of seeds, and their mean
    "normal": (lambda shape: RANDOM.normal(size=shape), 0.0),
    "skewed": (lambda shape: RANDOM.exponential(size=shape), 1.0),
    "two-peaked": (lambda shape: (RANDOM.random(shape) < 0.5) + 0.05 * RANDOM.normal(size=shape), 0.5),
}


def test_three_seeds() -> None:
    # mean 2, standard deviation 1, and Student's 4.3027 of two degrees of freedom: 2 -+ 4.3027 / sqrt(3)
    found = estimate(np.array([1.0, 2.0, 3.0]))
    assert found == pytest.approx((2.0, -0.48414, 4.48414, 3), abs=1e-5)


@pytest.mark.parametrize("count", SEEDS)
def test_intervals_and_p_values_are_those_of_scipy(count: int) -> None:
    ours, theirs = RANDOM.normal(1.0, 2.0, count), RANDOM.normal(size=count + 2)
    low, high = stats.ttest_1samp(ours, 0.0).confidence_interval(0.95)
    assert estimate(ours)[1:3] == pytest.approx((low, high))
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    found = contrast(ours, theirs)
    assert found.mean / found.error == pytest.approx(welch.statistic)
    assert found.p == pytest.approx(max(2 * stats.t.sf(abs(welch.statistic), count - 1), 2 / 4**count))
    assert found.within(0.01) == pytest.approx(stats.t.interval(0.99, count - 1, found.mean, found.error))
    assert found.p >= welch.pvalue


def test_a_single_seed_has_no_interval_and_none_no_mean() -> None:
    one, none = estimate(np.array([4.0])), estimate(np.array([]))
    assert one.mean == 4.0
    assert np.isnan([one.low, one.high, none.mean, none.low, none.high]).all()
    assert none.seeds == 0


LOW, HIGH = np.array([0.0, 0.1, 0.2, 0.1, 0.1]), np.array([1.0, 1.1, 1.2, 1.1, 1.1])


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (HIGH, LOW, "better"),
        (LOW, HIGH, "worse"),
        (LOW, LOW + 0.01, "n.s."),
        (HIGH[:2], LOW, "n/a (n < 3)"),
        (HIGH, LOW[:1], "n/a (n < 3)"),
        (HIGH, np.array([]), "undefined"),
        (np.array([np.nan, 1.0, 1.0]), LOW, "undefined"),
        (np.array([np.nan, np.nan]), LOW, "undefined"),
        (np.full(5, 9.0), np.full(5, 0.0), "better"),  # without any variance
        (np.full(5, 9.0), np.full(5, 9.0), "n.s."),
        (np.full(3, 9.0), np.full(3, 0.0), "better"),
    ],
)
def test_a_verdict_needs_three_seeds_and_a_difference(ours: np.ndarray, theirs: np.ndarray, verdict: str) -> None:
    (found,) = judged([contrast(ours, theirs)])
    assert found.verdict == verdict
    excludes = found.estimate.low > 0 or found.estimate.high < 0
    assert excludes or verdict not in ("better", "worse")


def test_three_seeds_say_too_little_for_two_comparisons() -> None:
    # three seeds against three fall to two outcomes so by chance in 2 / 64 of all tables; half of .05 is less
    found = judged([contrast(HIGH[:3], LOW[:3]), contrast(LOW[:3], LOW[:3])])
    assert [each.verdict for each in found] == ["n/a (n < 4)", "n/a (n < 4)"]
    assert found[0].p == pytest.approx(2 * 2 / 64)


def test_verdicts_are_corrected_over_a_table() -> None:
    # p of .01, .02 and .03 alone: Holm multiplies them by 3, 2 and 1, and none is smaller than the one before
    def of(p: float) -> statistics.Contrast:
        return statistics.Contrast(float(stats.t.isf(p / 2, 9)), 1.0, 10, 0.0)

    found = judged([of(0.03), of(0.01), of(0.02)])
    assert [each.p for each in found] == pytest.approx([0.04, 0.03, 0.04])
    assert {each.verdict for each in found} == {"better"}
    found = judged([of(0.03), of(0.02), of(0.02)])
    assert [each.p for each in found] == pytest.approx([0.06, 0.06, 0.06])
    assert {each.verdict for each in found} == {"n.s."}
    assert all(each.estimate.low < 0 for each in found)  # at .05 / 3, the step at which nothing is rejected
    few = [statistics.Contrast(1.0, 1.0, 2, 0.0), statistics.Contrast(np.nan, np.nan, 0, np.nan)]
    assert judged([of(0.04), *few])[0].verdict == "better"  # what cannot be judged is no part of the table


def test_success_has_an_exact_interval() -> None:
    scores = np.array([0.49, 0.5, 0.9, -1.0, 0.6])
    found = success_rate(scores, 0.5)
    expected = stats.binomtest(3, 5).proportion_ci(0.95, "exact")
    assert found == pytest.approx((0.6, expected.low, expected.high, 5))
    assert success_rate(scores, -2.0) == pytest.approx((1.0, 0.025 ** (1 / 5), 1.0, 5))
    assert success_rate(scores, 2.0) == pytest.approx((0.0, 0.0, 1.0 - 0.025 ** (1 / 5), 5))


def test_the_interquartile_mean_leaves_out_a_quarter_on_either_side() -> None:
    # 8 scores in order 0 0 2 3 4 5 100 1000: without the two lowest and highest (2 + 3 + 4 + 5) / 4
    found = interquartile_mean({"a": np.array([1000.0, 0.0, 3.0, 5.0]), "b": np.array([0.0, 2.0, 4.0, 100.0])})
    assert found.mean == 3.5
    assert found.seeds == 8


def test_games_keep_their_weight_when_seeds_are_resampled() -> None:
    # every seed of a game is the same, so a stratified resample changes nothing
    found = interquartile_mean({"a": np.full(4, 1.0), "b": np.full(4, 2.0)})
    assert (found.low, found.mean, found.high) == (1.5, 1.5, 1.5)
    alone = interquartile_mean({"a": np.array([1.0]), "b": np.array([2.0])})
    assert np.isnan([alone.low, alone.high]).all()


def covered(name: str, count: int, tables: int) -> float:
    draw, mean = DRAWN[name]
    held = [low <= mean <= high for _, low, high, _ in map(estimate, draw((tables, count)))]
    return float(np.mean(held))


def any_verdict(name: str, count: int, tables: int, mechanisms: int = 8, seeds_of_base: int = 0) -> float:
    """How often a table of `mechanisms` that differ in nothing from their base holds a verdict."""
    draw, _ = DRAWN[name]
    false = 0
    for base, others in zip(draw((tables, seeds_of_base or count)), draw((tables, mechanisms, count)), strict=True):
        false += any(each.verdict in ("better", "worse") for each in judged([contrast(each, base) for each in others]))
    return false / tables


def test_intervals_cover_and_verdicts_are_true_quickly() -> None:
    assert covered("normal", 5, 1000) >= 0.93
    assert any_verdict("normal", 5, 300) <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("count", SEEDS)
def test_intervals_cover_and_verdicts_are_true(count: int) -> None:
    """What is printed as 95% covers that, and a table without any difference holds a verdict in 5% of cases.

    Three seeds that fall to two outcomes are all the same in a quarter of cases: no interval knows of the other.
    """
    tables = 10_000
    found = {name: covered(name, count, tables) for name in DRAWN}
    false = {name: any_verdict(name, count, tables) for name in DRAWN}
    print(f"{count} seeds: coverage {found}, tables with a false verdict {false}")
    assert found["normal"] >= 0.94
    assert found["skewed"] >= (0.87 if count == 3 else 0.88)
    assert found["two-peaked"] >= (0.74 if count == 3 else 0.93)
    assert max(false.values()) <= 0.05
    scores = {name: scored(draw, mean, count) for name, (draw, mean) in DRAWN.items() if name != "two-peaked"}
    print(f"{count} seeds: coverage of scores over games {scores}")
    assert scores["normal"] >= (0.91 if count == 3 else 0.93)
    assert scores["skewed"] >= 0.88


@pytest.mark.slow
@pytest.mark.parametrize(("count", "base", "mechanisms"), [(3, 10, 1), (5, 10, 2), (5, 10, 8), (10, 5, 8), (5, 20, 8)])
def test_verdicts_are_true_beside_a_base_of_more_or_fewer_seeds(count: int, base: int, mechanisms: int) -> None:
    """Twenty seeds of two outcomes beside five: the five may all be the same, and know nothing of the other outcome."""
    false = {name: any_verdict(name, count, 5_000, mechanisms, base) for name in DRAWN}
    print(f"{count} seeds, {base} of the base, {mechanisms} differences: tables with a false verdict {false}")
    assert max(false["normal"], false["skewed"]) <= 0.05
    assert false["two-peaked"] <= (0.1 if base == 20 else 0.05)


def scored(draw: Callable[[tuple[int, ...]], np.ndarray], mean: float, count: int, games: int = 5) -> float:
    """How often the interval of a score over games holds what it would be for a great many seeds."""
    many = {str(game): draw((40_000,)) + game for game in range(games)}
    truth, held = interquartile_mean_of(many), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 400)
        for _ in range(1_000):
            found = interquartile_mean({str(game): draw((count,)) + game for game in range(games)})
            held += found.low <= truth <= found.high
    return held / 1_000


def interquartile_mean_of(scores: dict[str, np.ndarray]) -> float:
    return float(stats.trim_mean(np.concatenate([*scores.values()]), 0.25))
