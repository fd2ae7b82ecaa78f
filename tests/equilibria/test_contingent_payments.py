"""Payments contingent on what the others did: by hand, against a slow plain twin, and dominant in every stage."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from paymaster import make
from paymaster.equilibria.markov.backward_induction import backward_induction
from paymaster.equilibria.markov.rules import Rule
from paymaster.equilibria.markov.stage_games import chosen
from paymaster.equilibria.principal.contingent_payments import contingent_payments, stage_payments
from paymaster.equilibria.solve import solve
from paymaster.equilibria.tables.table import Table
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, contingent_slowly, random_game
from .test_equilibrium import CHICKEN, PRISONERS, STAG_HUNT, TEMPTING

COIN = "coin_game/ivanov-3x3"


@pytest.mark.parametrize(
    ("table", "paid"),  # to cooperate where the other cooperates, and where it defects
    [
        (PRISONERS, [1, 1]),
        (CHICKEN, [1, 0]),
        (STAG_HUNT, [0, 1]),
        (TEMPTING, [2, 2]),
    ],
)
def test_following_pays_what_the_other_s_action_makes_it_cost(table: Table, paid: list[float]) -> None:
    cooperate = np.zeros((1, 2), int)
    assert stage_payments(table, cooperate, np.zeros((1, 2)), 1.0).tolist() == [[paid, paid]]
    stationary = contingent_payments(table, cooperate, np.zeros((1, 2)), discount=0.9)
    np.testing.assert_allclose(stationary, [[paid, paid]])


def test_in_a_circle_only_what_the_next_one_does_matters() -> None:
    """Each hunts with the next agent: 5 agents, so 16 joint actions of the others."""
    table = tabulate(make("matrix/cyclical-stag-hunt", players=5))
    N = table.rewards.shape[2]
    paid = stage_payments(table, np.zeros((table.states, N), int), np.zeros((table.states, N)), 1.0)
    assert paid.shape == (table.states, N, 2 ** (N - 1))
    assert not paid[:, :, 0].any()  # all hunt
    assert paid.max(axis=2).sum(axis=1) == pytest.approx(5.0)  # the flat price of dominance


@pytest.mark.parametrize(("S", "A", "N"), [(3, 2, 2), (2, 3, 2), (2, 2, 3), (3, 3, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_every_price_is_the_slow_twin_s(S: int, A: int, N: int, seed: int) -> None:
    game, alpha, horizon = random_game(seed, S, A, N), Fraction(1, 10), 3
    table, values = as_table(game), np.zeros((S, N))
    others = list(product(range(A), repeat=N - 1))
    stages = backward_induction(table, Rule.CONTINGENT, horizon, float(alpha))
    for stage, slow in zip(stages, contingent_slowly(game, horizon, alpha), strict=True):
        paid = stage_payments(table, chosen(table, stage), values, 1.0)
        wanted = [[[float(slow[s, i, each]) for each in others] for i in range(N)] for s in range(S)]
        np.testing.assert_allclose(paid, wanted, atol=1e-9)
        values = stage.values[:, :N]


@pytest.fixture(scope="module")
def coin() -> tuple[Table, np.ndarray, np.ndarray, np.ndarray]:
    """A board, what is recommended on it, what is paid on the path, and by what the other did."""
    table = tabulate(make(COIN))
    solution = solve(table, "contingent", 20, discount=0.99)
    paid = contingent_payments(table, solution.actions, solution.promised, discount=0.99)
    return table, solution.actions, solution.promised, paid


def test_the_rule_is_the_subgame_perfect_principal_s_on_the_path() -> None:
    table = tabulate(make(COIN))
    for discount in (None, 0.99):
        contingent, principal = (solve(table, rule, 20, discount=discount) for rule in ("contingent", "principal"))
        np.testing.assert_array_equal(contingent.actions, principal.actions)
        np.testing.assert_array_equal(contingent.promised, principal.promised)


def test_while_the_other_follows_the_subgame_perfect_payments_are_paid(coin) -> None:
    _, recommended, promised, paid = coin
    s = np.arange(len(paid))
    for i in range(2):
        np.testing.assert_allclose(paid[s, i, recommended[s, 1 - i]], promised[:, i], atol=1e-9)
    assert paid.max() > promised.max() + 0.1  # elsewhere more


def test_following_is_dominant_in_every_stage_and_nothing_is_paid_in_vain(coin) -> None:
    """By enumeration: every state, agent, action of the other, and own action, with values of plain iteration."""
    table, recommended, promised, paid = coin
    values = _plain_values(table, recommended, promised)
    for s, i, other in product(range(table.states), range(2), range(4)):
        earned = []
        for own in range(4):
            j = 4 * own + other if i == 0 else 4 * other + own
            d = table.following[s, j]
            entries = range(table.offsets[d], table.offsets[d + 1])
            ahead = sum(table.probabilities[e] * values[table.successors[e], i] for e in entries)
            earned.append(table.rewards[s, j, i] + 0.99 * ahead)
        due = max(earned) - earned[recommended[s, i]]
        assert paid[s, i, other] == pytest.approx(due, abs=1e-7)


def _plain_values(table: Table, recommended: np.ndarray, promised: np.ndarray) -> np.ndarray:
    """(S, N): the values of following, payments included, of the stationary game, by solving linear equations."""
    joint, S = table.joint(recommended), table.states
    step = np.zeros((S, S))
    for s in range(S):
        d = table.following[s, joint[s]]
        for e in range(table.offsets[d], table.offsets[d + 1]):
            step[s, table.successors[e]] += table.probabilities[e]
    earned = table.rewards[np.arange(S), joint] + promised
    return np.linalg.solve(np.eye(S) - 0.99 * step, earned)
