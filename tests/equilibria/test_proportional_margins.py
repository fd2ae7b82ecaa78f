"""Margins by what is at stake: by hand, and against their definition in every state of a game."""

from __future__ import annotations

import numpy as np
import pytest

from paymaster import UsageError, make
from paymaster.core.config import configure
from paymaster.equilibria.markov.best_response import action_values, stationary_best_response
from paymaster.equilibria.markov.evaluation import audit
from paymaster.equilibria.principal.proportional_margins import staked_payments
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.exact import ExactSolution

from .test_equilibrium import PRISONERS

G = 0.9
COIN = "coin_game/ivanov-3x3"


@pytest.mark.parametrize(("stake", "due"), [(0.0, 1.0), (0.25, 1.5), (1.0, 3.0)])
def test_a_prisoner_is_paid_the_temptation_and_a_share_of_the_welfare_it_would_lose(stake: float, due: float) -> None:
    # told to cooperate for 3, tempted by 4; the welfare 6 would be 4
    paid = staked_payments(PRISONERS, np.zeros((1, 2), int), stake=stake, discount=G)
    np.testing.assert_allclose(paid, due)


def test_nothing_is_paid_for_what_is_best_by_the_margin_already() -> None:
    # told to defect for 1, and 0 for cooperating; the welfare 2 would be 4, so nothing is at stake
    assert not staked_payments(PRISONERS, np.ones((1, 2), int), stake=5.0, discount=G).any()


def test_without_a_stake_they_are_the_subgame_perfect_payments() -> None:
    table = tabulate(make(COIN))
    solution = solve(table, "principal", 20, discount=0.99)
    paid = staked_payments(table, solution.actions, stake=0.0, discount=0.99)
    np.testing.assert_allclose(paid, solution.promised, atol=1e-6)


def test_every_action_is_worse_than_following_by_its_stake_and_no_payment_is_larger_than_that_needs() -> None:
    table, stake, N = tabulate(make(COIN)), 0.3, 2
    solution = solve(table, "principal", 20, discount=0.99)
    paid = staked_payments(table, solution.actions, stake=stake, discount=0.99)
    assert audit(table, solution.actions, paid, 20, discount=0.99).gains.max() < 1e-6
    joint, s = table.joint(solution.actions), np.arange(table.states)
    common = table._replace(rewards=np.repeat(table.objective[..., None], N, axis=2))
    welfare, _ = stationary_best_response(common, joint, np.zeros_like(paid), 0, 0.99, improve=False)
    for i in range(N):
        told = solution.actions[:, i]
        values, _ = stationary_best_response(table, joint, paid, i, 0.99, improve=False)
        worth = action_values(common, joint, i, welfare, 0.99)
        q = action_values(table, joint, i, values, 0.99)
        margins = stake * np.maximum(worth[s, told][:, None] - worth, 0.0)
        better = (paid[:, i] + q[s, told])[:, None] - q - margins
        others = np.arange(table.action_count) != told[:, None]
        least = np.where(others, better, np.inf).min(axis=1)
        assert least.min() > -1e-6
        np.testing.assert_allclose(least[paid[:, i] > 0], 0.0, atol=1e-6)


def test_the_exact_principal_takes_a_stake_only_over_least_payments() -> None:
    game = make(COIN)
    least, staked = (train_principal(game, ExactSolution(stake=stake), seed=0).result() for stake in (0.0, 0.2))
    np.testing.assert_array_equal(least.recommended, staked.recommended)
    assert (staked.promised > least.promised + 1e-3).any()
    with pytest.raises(UsageError, match="against any"):
        configure(ExactSolution, {"stake": 0.2, "against": "any"}, what="principal")
    with pytest.raises(UsageError, match="against realised"):
        configure(ExactSolution, {"stake": 0.2, "against": "realised"}, what="principal")
