"""What a mediator does who plays for agents that let it: by hand, beside correlated equilibria, against deviations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from paymaster import make
from paymaster.equilibria.markov.correlated_policy import returns_of
from paymaster.equilibria.markov.mediated_policy import mediated_policy
from paymaster.equilibria.normal_form.correlated_equilibrium import best_correlated_equilibrium
from paymaster.equilibria.normal_form.mediated_equilibrium import best_mediated_equilibrium, min_max
from paymaster.equilibria.solve import solve_all, summary
from paymaster.equilibria.tables.table import joint_actions
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, random_game


def test_a_min_max_value_by_hand() -> None:
    """Own action 0 gets 10 or 0, action 1 gets 0 or 2: the other takes its first action with 1/6, which leaves 10/6."""
    mixture, value = min_max(np.array([[10.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(mixture, [1 / 6, 5 / 6])
    assert value == pytest.approx(10 / 6)
    np.testing.assert_array_equal(min_max(np.array([[3.0, 0.0], [4.0, 1.0]]))[0], [0.0, 1.0])


def test_a_draw_gives_each_what_it_can_have_alone() -> None:
    """(0, 10), (2, 0); (4, 0), (2, 2): agent 0 can have 2, so half of the time it gets 4 instead of 0. Welfare 7."""
    payoffs = np.array([(0.0, 10.0), (2.0, 0.0), (4.0, 0.0), (2.0, 2.0)])
    found = best_mediated_equilibrium(payoffs, payoffs.sum(axis=1), joint_actions(2, 2))
    np.testing.assert_allclose(found.floors, [2.0, 10 / 6])
    np.testing.assert_allclose(found.chances, [0.5, 0.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.threats, [[0.0, 1.0], [1 / 6, 5 / 6]])


@pytest.mark.parametrize(("N", "A"), [(2, 2), (2, 4), (3, 2), (3, 3)])
def test_it_is_no_worse_than_any_correlated_equilibrium(N: int, A: int) -> None:
    rng, actions = np.random.default_rng(N * A), joint_actions(A, N)
    better = 0
    for _ in range(25):
        payoffs = rng.integers(-4, 5, (A**N, N)).astype(float)
        welfare = payoffs.sum(axis=1)
        found = best_mediated_equilibrium(payoffs, welfare, actions)
        assert found.chances.sum() == pytest.approx(1.0)
        assert (found.chances @ payoffs >= found.floors - 1e-6).all()
        for i in range(N):
            own = np.moveaxis(payoffs[:, i].reshape((A,) * N), i, 0).reshape(A, -1)
            assert (own @ found.threats[i]).max() == pytest.approx(found.floors[i])
            assert found.floors[i] >= own.min(axis=1).max() - 1e-9  # no less than what a pure action ensures
        signalled = best_correlated_equilibrium(payoffs, welfare, actions) @ welfare
        assert found.chances @ welfare >= signalled - 1e-6
        better += found.chances @ welfare > signalled + 1e-6
    assert better > 0


@pytest.mark.parametrize(
    ("id", "welfare"),
    [("matrix/prisoners-dilemma", 6.0), ("matrix/chicken", 6.0), ("matrix/stag-hunt", 8.0), ("escape_room/2-1", 9.0)],
)
def test_a_mediator_reaches_the_optimum_of_the_dilemmas_without_money(id: str, welfare: float) -> None:
    found = solve_all(make(id)).mediated
    assert found is not None
    assert found.welfare == pytest.approx(welfare)
    assert found.gains.max() < 1e-7


def test_not_delegating_gains_nothing_in_random_games_of_several_states() -> None:
    for seed in range(5):
        table = as_table(random_game(seed, 4, 2, 2))
        found = mediated_policy(table, 3)
        assert found is not None
        assert found.gains.max() < 1e-6
        # An agent that does not delegate in one step and takes one action, evaluated by carrying the states forward.
        for t, action, i in product(range(3), range(2), range(2)):
            changed = found.chances.copy()
            changed[t] = 0.0
            for other in range(2):
                joint = np.array([action, other] if i == 0 else [other, action])
                changed[t, :, int(table.joint(joint))] = found.threats[t, :, i, other]
            assert returns_of(table, changed)[i] <= found.returns[i] + 1e-6


def test_it_is_a_row_over_the_finite_horizon_of_small_games() -> None:
    game = make("matrix/iterated-prisoners-dilemma", horizon=4)
    row = summary(game)["mediated"]
    assert (row["welfare"], row["approximate"], row["drawn"]) == (-8.0, False, 0)
    assert summary(game, discount=0.5)["mediated"] is None
    assert mediated_policy(tabulate(game), 2000) is None
