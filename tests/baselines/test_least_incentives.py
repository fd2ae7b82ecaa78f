"""Least incentives: the search and the bandit by hand and against a plain twin, what is learned, and its runs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.least_incentives import IncentivesBandit, answers
from paymaster.benchmarks.cli.show import show
from paymaster.benchmarks.runs.record import read_training
from paymaster.contracts.mechanism import Mechanism
from paymaster.core.random import Stream
from paymaster.learning import Resources
from paymaster.learning.bandits import Incentives, Pulls
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.outcome_table import OutcomeTable

FIVE = make("principal_agent_bandit/scheid-5")
TAKES = np.array([0.35, 0.0, 0.26, 0.38, 0.40])


def paid(rates: np.ndarray, takes: np.ndarray) -> np.ndarray:
    """What is paid of incentives (K, K) to an agent of which each arm takes so much."""
    return np.where(np.diag(rates) >= takes, np.diag(rates), 0.0)


def test_the_search_by_hand() -> None:
    """For 4 pulls two halvings: an arm that takes 0.3 is offered 0.5 and 0.25, one that takes 0.8, 0.5 and 0.75."""
    bandit, takes = Incentives(2, highest=1.0, pulls=4, draws=Stream(0, 6)), np.array([0.3, 0.8])
    for offered in ([0.5, 0.5], [0.25, 0.75]):
        assert bandit.searching
        rates = bandit.deal()
        np.testing.assert_array_equal(rates, np.diag(offered))
        bandit.observe(Pulls(rates, np.zeros(2), paid(rates, takes)))
    np.testing.assert_array_equal([bandit.low, bandit.high], [[0.25, 0.75], [0.5, 1.0]])
    assert not bandit.searching
    np.testing.assert_array_equal(np.sort(bandit.deal().max(axis=1)), [0.75, 1.25])  # a quarter more, one for each arm


def test_it_is_a_plain_bisection_of_every_arm() -> None:
    bandit = Incentives(5, highest=1.0, pulls=10_000, draws=Stream(0, 6))
    found = []
    for takes in TAKES:  # the twin
        low, high = 0.0, 1.0
        for _ in range(math.ceil(math.log2(10_000))):
            middle = (low + high) / 2
            low, high = (low, middle) if middle >= takes else (middle, high)
        found.append(high)
    rounds = 0
    while bandit.searching:
        rates = bandit.deal()
        bandit.observe(Pulls(rates, np.zeros(5), paid(rates, TAKES)))
        rounds += 1
    assert rounds == 14
    np.testing.assert_array_equal(bandit.high, found)
    assert ((bandit.high >= TAKES) & (bandit.high <= TAKES + 2.0**-14)).all()


def test_the_agent_pulls_what_is_best_and_what_is_paid_for_where_it_is_indifferent() -> None:
    earned, wanted = np.array([1.0, 0.5]), np.array([1, 1, 1])
    rates = np.array([[0.0, 0.4], [0.0, 0.5], [0.0, 0.6]])
    np.testing.assert_array_equal(answers(earned, rates, wanted), [0, 1, 1])


@pytest.mark.parametrize("seed", [100, 101])
def test_it_learns_the_best_arm_and_its_price(seed: int) -> None:
    mechanism, utility = make_mechanism("least-incentives", FIVE), []
    with train_principal(FIVE, IncentivesBandit(steps=5_000), seed=seed, mechanism=mechanism) as phase:
        for update in phase:
            assert update.episodes is not None
            utility.append(update.episodes.principal_returns - update.episodes.payments[:, 0])
        principal = phase.result()
    np.testing.assert_allclose(principal.payments, [[0, 0, 0.26, 0, 0]], atol=4e-4)
    assert principal.induced == [2]
    late = np.concatenate(utility[-300:])
    assert late.mean() == pytest.approx(0.62, abs=0.12)


def test_what_it_cannot_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the mechanism least-incentives"):
        IncentivesBandit().check(Mechanism(game=FIVE))
    for game in (make("tree/ivanov-d10", horizon=1), make("persuasion/recommendation-letter")):
        with pytest.raises(UsageError, match="ask for a principal_agent_bandit"):
            make_mechanism("least-incentives", game).check_principal()
    make_mechanism("least-incentives", make("tree/ivanov-d10", horizon=1, accuracy=1.0)).check_principal()
    mechanism, remote = make_mechanism("least-incentives", FIVE), Resources(runners=1)
    with pytest.raises(UsageError, match="leave runners out"):
        next(iter(train_principal(FIVE, IncentivesBandit(), seed=3, resources=remote, mechanism=mechanism)))


def test_fewer_pulls_than_the_search_takes_are_refused() -> None:
    """Five arms are each halved five times for up to 32 pulls, and six times for up to 64: 30 pulls."""
    mechanism = make_mechanism("least-incentives", FIVE)
    with pytest.raises(UsageError, match=r"takes 25 pulls of all arms \(got 20\)"):
        IncentivesBandit(steps=20).check(mechanism)
    IncentivesBandit(steps=40).check(mechanism)


def test_a_run_is_recorded_loaded_and_its_regret_shown(tmp_path: Path) -> None:
    made = run(
        "principal_agent_bandit/scheid-5", mechanism="least-incentives", algorithm="best-response", steps=100, seed=3,
        out=tmp_path, **{"principal.steps": 2_000, "episodes": 64},
    )  # fmt: skip
    assert isinstance(load(made.folder).principal, OutcomeTable)
    assert set(read_training(made.folder)["name"]) == {"principal/searching"}
    assert "principal, subgame-perfect; utility 0.62" in show(made.folder, tmp_path / "pays.png")
