"""Runs of a principal that is computed: what it decides is the solution, and agents that obey it are judged by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paymaster import make, run
from paymaster.baselines import make_mechanism
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.equilibria.exact_principal import ExactPrincipal
from paymaster.equilibria.induced_game import equilibria, induce
from paymaster.equilibria.markov.best_response import action_values, stationary_best_response
from paymaster.equilibria.markov.evaluation import evaluate_policy, principal_table
from paymaster.equilibria.principal.contingent_payments import contingent_payments
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.table import tabular
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


def realised(**margins: float) -> ExactPrincipal:
    with train_principal(make(COIN), ExactSolution(against="realised", **margins), seed=0) as phase:
        return phase.result()


def test_it_promises_by_what_the_other_does() -> None:
    """On the path what the subgame-perfect principal pays; margins are added where they are due, a fee everywhere."""
    game, table = make(COIN), tabulate(make(COIN))
    solution = solve(table, "principal", game.horizon, discount=0.99)
    least = contingent_payments(table, solution.actions, solution.promised, discount=0.99)
    for principal, wanted in (
        (realised(), least),
        (realised(nudge=0.05), least + 0.05 * (least > 0)),
        (realised(bonus=0.02), least + 0.02),
    ):
        recommended, promised = principal(game, tabular(game).representatives())
        np.testing.assert_array_equal(recommended, solution.actions)
        np.testing.assert_allclose(promised, wanted, atol=1e-6)
        other = solution.actions[:, ::-1, None].astype(int)
        on_path = np.take_along_axis(promised, other, axis=2)[..., 0]
        np.testing.assert_allclose(on_path, np.take_along_axis(wanted, other, axis=2)[..., 0], atol=1e-6)
    on_path = np.take_along_axis(least, other, axis=2)[..., 0]
    np.testing.assert_allclose(on_path, solution.promised, atol=1e-9)


def test_a_fee_is_added_to_flat_payments_too() -> None:
    game = make(COIN)
    with train_principal(game, ExactSolution(bonus=0.02), seed=0) as phase:
        _, promised = principal_table(phase.result(), game)
    solution = solve(tabulate(game), "principal", game.horizon, discount=0.99)
    np.testing.assert_allclose(promised, solution.promised + 0.02, atol=1e-6)


def test_contingent_promises_are_saved_and_read_again(tmp_path: Path) -> None:
    game, principal = make(COIN), realised(bonus=0.02)
    principal.save(tmp_path / "principal")
    states = tabular(game).representatives()
    for one, other in zip(
        principal(game, states), ExactPrincipal.load(tmp_path / "principal")(game, states), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mechanism", ["principal-exact", "advice"])
def test_under_contingent_pay_every_stage_has_following_as_its_dominant_strategy(mechanism: str) -> None:
    """By enumeration in the induced game, with a small fee: strictly, and only obedience is an equilibrium of it."""
    game, fee = make(COIN), 0.01
    induced = induce(game, make_mechanism(mechanism, game), realised(bonus=fee), discount=0.99)
    assert induced.decisions is not None
    told, earned = induced.decisions.recommended, induced.earned
    margins = []
    for i in range(2):
        values, _ = stationary_best_response(earned, earned.joint(told), np.zeros(told.shape), i, 0.99, improve=False)
        for other in range(4):
            actions = np.full(told.shape, other)
            actions[:, i] = told[:, i]
            q = action_values(earned, earned.joint(actions), i, values, 0.99)
            followed = q[np.arange(len(q)), told[:, i]]
            q[np.arange(len(q)), told[:, i]] = -np.inf
            margins.append(followed - q.max(axis=1))
    if mechanism == "advice":  # nothing is paid
        assert np.min(margins) < -0.1
        return
    assert np.min(margins) == pytest.approx(fee, abs=1e-5)
    for found in equilibria(induced, {"what is recommended": told}):
        assert found.gain < 1e-6
        assert found.evaluation.welfare == pytest.approx(13.86, abs=1e-2)


@pytest.mark.parametrize("against", ["recommended", "realised"])
def test_agents_that_obey_are_audited_too(against: str, tmp_path: Path) -> None:
    """They have no discount of their own: they are judged by that of agents that learn."""
    about = {"mechanism": "principal-exact", "algorithm": "follow", "against": against}
    made = run(COIN, out=tmp_path, steps=100, episodes=512, **about)
    game, row = make(COIN), of_run(made.folder)
    table = tabulate(game)
    solution = solve(table, "principal", game.horizon, discount=0.99, alpha=0.1)
    exactly = evaluate_policy(table, solution.actions, solution.promised, game.horizon)
    assert row["compliance"] == 1.0
    assert row["followed_welfare"] == pytest.approx(exactly.welfare, rel=1e-5)
    assert row["followed_payment"] == pytest.approx(exactly.payment, rel=1e-5)
    assert row["welfare"] == pytest.approx(exactly.welfare, abs=0.2)
    assert row["deviation_regret"] == pytest.approx(0.0, abs=1e-3)
