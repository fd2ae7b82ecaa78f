"""Runs of a principal that is computed: what it decides is the solution, and agents that obey it are judged by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paymaster import make, run
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.equilibria.markov.evaluation import evaluate_policy, principal_table
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.exact import ExactSolution

COIN = "coin_game/ivanov-3x3"


@pytest.mark.parametrize("favour", [0.0, 0.2])
def test_it_decides_as_the_solution_does(favour: float) -> None:
    game = make(COIN)
    with train_principal(game, ExactSolution(favour=favour, nudge=0.05), seed=0) as phase:
        principal = phase.result()
    solution = solve(tabulate(game), "principal", game.horizon, discount=0.99, alpha=0.1, favour=favour)
    recommended, promised = principal_table(principal, game)
    np.testing.assert_array_equal(recommended, solution.actions)
    np.testing.assert_allclose(promised, solution.promised + 0.05 * (solution.promised > 0), rtol=1e-5)


def test_agents_that_obey_are_audited_too(tmp_path: Path) -> None:
    """They have no discount of their own: they are judged by that of agents that learn."""
    made = run(COIN, mechanism="principal-exact", algorithm="follow", out=tmp_path, steps=100, episodes=512)
    game, row = make(COIN), of_run(made.folder)
    table = tabulate(game)
    solution = solve(table, "principal", game.horizon, discount=0.99, alpha=0.1)
    exactly = evaluate_policy(table, solution.actions, solution.promised, game.horizon)
    assert row["compliance"] == 1.0
    assert row["followed_welfare"] == pytest.approx(exactly.welfare, rel=1e-5)
    assert row["followed_payment"] == pytest.approx(exactly.payment, rel=1e-5)
    assert row["welfare"] == pytest.approx(exactly.welfare, abs=0.2)
    assert row["deviation_regret"] == pytest.approx(0.0, abs=1e-3)
