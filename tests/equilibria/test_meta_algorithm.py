"""The meta-algorithm comes to what backward induction finds, in at most T + 1 rounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster import make
from paymaster.equilibria.principal.meta_algorithm import rounds
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, random_game, solve_slowly
from .test_equilibrium import CHICKEN, PRISONERS, TEMPTING


@pytest.mark.parametrize("id", ["coin_game/ivanov-3x3", "coin_game/rllib-3x3"])
def test_it_finds_the_subgame_perfect_principal_of_the_coin_game(id: str) -> None:
    game = make(id)
    table = tabulate(game)
    exact, found = solve(table, "principal", game.horizon), list(rounds(table, game.horizon))
    assert len(found) <= game.horizon + 1
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert found[-1].changed == 0
    assert min(each.changed for each in found[:-1]) > 0
    np.testing.assert_array_equal(found[-1].actions, exact.actions)
    np.testing.assert_allclose(found[-1].promised, exact.promised, atol=1e-12)
    assert found[-1].payment == pytest.approx(exact.payment)


def test_the_contracts_of_the_last_steps_are_right_first() -> None:
    game = make("coin_game/ivanov-3x3")
    table = tabulate(game)
    exact = solve(table, "principal", game.horizon)
    for each in rounds(table, game.horizon):
        last = slice(game.horizon - each.number, None) if each.number < game.horizon else slice(None)
        np.testing.assert_array_equal(each.actions[last], exact.actions[last])
        np.testing.assert_allclose(each.promised[last], exact.promised[last], atol=1e-12)


@pytest.mark.parametrize(("table", "payment"), [(PRISONERS, 2), (CHICKEN, 2), (TEMPTING, 4)])
def test_a_repeated_matrix_game_is_settled_at_once(table: object, payment: float) -> None:
    """What follows is the same whatever is played now: the first round is right, the second changes nothing."""
    found = list(rounds(table, 3))  # type: ignore[arg-type]
    assert len(found) <= 2
    assert found[-1].payment == 3 * payment


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    shape=st.sampled_from([(2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3), (3, 3, 1)]),
    horizon=st.integers(1, 4),
    alpha=st.sampled_from([Fraction(1, 10), Fraction(7, 3)]),
)
def test_it_agrees_with_the_other_solvers(
    seed: int, shape: tuple[int, int, int], horizon: int, alpha: Fraction
) -> None:
    """With backward induction also where the principal abstains, which the slow solver leaves out."""
    game = random_game(seed, *shape)
    table, slow = as_table(game), solve_slowly(game, "principal", horizon, alpha)
    *_, last = rounds(table, horizon, alpha=float(alpha))
    assert last.changed == 0
    assert last.number <= horizon + 1
    backward = solve(table, "principal", horizon, alpha=float(alpha))
    assert (last.welfare, last.payment) == pytest.approx((backward.welfare, backward.payment), abs=1e-9)
    if slow.unresolved == 0:
        assert last.welfare == pytest.approx(float(sum(slow.returns)), abs=1e-9)
        assert last.payment == pytest.approx(float(sum(slow.payments)), abs=1e-9)
