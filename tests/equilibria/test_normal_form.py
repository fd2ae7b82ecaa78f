"""Matrix games whose equilibria are known by hand, and random ones against an independent enumeration of supports."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster import UsageError, list_equilibria
from paymaster.equilibria.normal_form.list_equilibria import NashEquilibrium

from .slow_solver import mixed_totals, random_game

PRISONERS = [[(3, 3), (0, 4)], [(4, 0), (1, 1)]]
PENNIES = [[(1, -1), (-1, 1)], [(-1, 1), (1, -1)]]
BATTLE = [[(3, 2), (0, 0)], [(0, 0), (2, 3)]]
INDIFFERENT = [[(1, 1), (1, 0)], [(1, 0), (0, 1)]]
ROCK_PAPER_SCISSORS = [[(0, 0), (-1, 1), (1, -1)], [(1, -1), (0, 0), (-1, 1)], [(-1, 1), (1, -1), (0, 0)]]


def to_json(found: list[NashEquilibrium]) -> list[tuple[list[list[float]], list[float]]]:
    return [([s.round(9).tolist() for s in each.strategies], each.payoffs.round(9).tolist()) for each in found]


def test_the_prisoners_defect() -> None:
    assert to_json(list_equilibria(PRISONERS)) == [([[0, 1], [0, 1]], [1, 1])]
    assert list_equilibria(PRISONERS)[0].is_pure


def test_matching_pennies_has_no_pure_equilibrium() -> None:
    (found,) = list_equilibria(PENNIES)
    assert to_json([found]) == [([[0.5, 0.5], [0.5, 0.5]], [0, 0])]
    assert not found.is_pure


def test_the_battle_of_the_sexes_has_two_pure_equilibria_and_a_mixed_one() -> None:
    """Each goes where it likes best with 3/5: the other then earns 6/5 wherever it goes."""
    assert to_json(list_equilibria(BATTLE)) == [
        ([[1, 0], [1, 0]], [3, 2]),
        ([[0, 1], [0, 1]], [2, 3]),
        ([[0.6, 0.4], [0.4, 0.6]], [1.2, 1.2]),
    ]


def test_a_degenerate_game_lists_its_extreme_equilibria() -> None:
    """The second agent prefers left to the first row, right to the second; the first is indifferent against left.

    Against left it may mix, and left stays a best response up to 1/2: every mix in between is an equilibrium.
    """
    assert to_json(list_equilibria(INDIFFERENT)) == [([[1, 0], [1, 0]], [1, 1]), ([[0.5, 0.5], [1, 0]], [1, 0.5])]


def test_where_nothing_matters_every_pair_of_actions_is_an_extreme_equilibrium() -> None:
    assert len(list_equilibria(np.zeros((2, 3, 2)))) == 6


def test_rock_paper_scissors_is_mixed_evenly() -> None:
    (found,) = list_equilibria(ROCK_PAPER_SCISSORS)
    np.testing.assert_allclose(found.strategies, 1 / 3)


def test_agents_may_have_different_numbers_of_actions() -> None:
    """Pennies with a third, dominated action of the second agent."""
    payoffs = [[(1, -1), (-1, 1), (0, -3)], [(-1, 1), (1, -1), (0, -3)]]
    assert to_json(list_equilibria(payoffs)) == [([[0.5, 0.5], [0.5, 0.5, 0]], [0, 0])]


def test_of_three_agents_without_a_pure_equilibrium_a_mixed_one_is_listed() -> None:
    """0 would match 1, 1 would match 2, 2 would differ from 0; 2 has a third action, which is no use."""
    payoffs = np.zeros((2, 2, 3, 3))
    for a, b, c in np.ndindex(2, 2, 3):
        payoffs[a, b, c] = a == b, b == c, (c != a) - 2 * (c == 2)
    (found,) = list_equilibria(payoffs)
    assert to_json([found]) == [([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5, 0]], [0.5, 0.5, 0.5])]


def test_of_three_agents_the_pure_equilibria_are_listed() -> None:
    """Three pick a side and earn 1 if all agree: two pure equilibria where they do. The mixed ones are left out."""
    payoffs = np.zeros((2, 2, 2, 3))
    payoffs[0, 0, 0] = payoffs[1, 1, 1] = 1.0
    found = list_equilibria(payoffs)
    assert [each.payoffs.tolist() for each in found] == [[1, 1, 1], [1, 1, 1]]
    assert all(each.is_pure for each in found)


def test_joint_actions_in_lexicographic_order_are_the_same_game() -> None:
    joint = [row[b] for row in BATTLE for b in range(2)]
    assert to_json(list_equilibria(joint)) == to_json(list_equilibria(BATTLE))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), shape=st.sampled_from([(2, 2), (2, 4), (3, 3), (5, 2), (4, 4)]))
def test_nobody_gains_by_deviating_from_any_of_them(seed: int, shape: tuple[int, int]) -> None:
    game = np.random.default_rng(seed).integers(-3, 4, (*shape, 2)).astype(float)
    found = list_equilibria(game)
    assert found, "every finite game has an equilibrium"
    for x, y in (each.strategies for each in found):
        assert x.sum() == pytest.approx(1.0)
        assert y.sum() == pytest.approx(1.0)
        assert (game[..., 0] @ y).max() <= x @ game[..., 0] @ y + 1e-8
        assert (x @ game[..., 1]).max() <= x @ game[..., 1] @ y + 1e-8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), A=st.sampled_from([2, 3]))
def test_equilibria_of_every_support_are_among_them(seed: int, A: int) -> None:
    small = random_game(seed, 1, A, 2)
    game = np.array([[small.rewards[0, (a, b)] for b in range(A)] for a in range(A)], float)
    totals = [each.payoffs.sum() for each in list_equilibria(game)]
    for total in mixed_totals(small):
        assert min(totals) - 1e-9 <= float(total) <= max(totals) + 1e-9


@pytest.mark.parametrize(
    ("payoffs", "message"),
    [
        (np.zeros((3, 2)), r"payoffs of shape \(3, 2\)"),
        (np.zeros((2, 2, 3)), r"payoffs of shape \(2, 2, 3\)"),
        (np.zeros(4), r"payoffs of shape \(4,\)"),
        (np.full((2, 2, 2), np.nan), "not finite"),
        (np.zeros((20, 20, 2)), "20 and 20 actions are too many"),
    ],
)
def test_what_is_no_matrix_game_is_refused(payoffs: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list_equilibria(payoffs)


def test_one_agent_takes_its_best_actions() -> None:
    assert [each.strategies[0].tolist() for each in list_equilibria([[1.0], [3.0], [3.0]])] == [[0, 1, 0], [0, 0, 1]]


def test_every_joint_action_of_two_constant_agents_is_listed_once() -> None:
    found = {tuple(int(s.argmax()) for s in each.strategies) for each in list_equilibria(np.ones((3, 3, 2)))}
    assert found == set(product(range(3), range(3)))
