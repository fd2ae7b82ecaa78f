"""What signals do without money: correlated equilibria by hand, beside Nash equilibria, and against deviations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from paymaster import list_equilibria, make
from paymaster.equilibria.markov import correlated_policy as module
from paymaster.equilibria.markov.correlated_policy import correlated_policy
from paymaster.equilibria.normal_form.correlated_equilibrium import best_correlated_equilibrium
from paymaster.equilibria.solve import solve_all, summary
from paymaster.equilibria.tables.table import joint_actions
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, random_game


def obeyed(payoffs: np.ndarray, chances: np.ndarray, actions: np.ndarray) -> bool:
    """Whether no agent gains by any rule that answers each signal with an action, each rule tried in turn."""
    place = {tuple(joint): j for j, joint in enumerate(actions.tolist())}
    A = int(actions.max()) + 1
    for i in range(payoffs.shape[1]):
        for rule in product(range(A), repeat=A):
            other = [place[(*joint[:i], rule[joint[i]], *joint[i + 1 :])] for joint in actions.tolist()]
            if chances @ payoffs[other, i] > chances @ payoffs[:, i] + 1e-7:
                return False
    return True


def test_aumanns_game_of_chicken() -> None:
    """Aumann 1987: (6, 6), (2, 7), (7, 2), (0, 0). The best correlated equilibrium gives each 5.25."""
    payoffs, actions = np.array([(6.0, 6.0), (2.0, 7.0), (7.0, 2.0), (0.0, 0.0)]), joint_actions(2, 2)
    chances = best_correlated_equilibrium(payoffs, payoffs.sum(axis=1), actions)
    np.testing.assert_allclose(chances, [0.5, 0.25, 0.25, 0.0], atol=1e-9)
    assert chances @ payoffs == pytest.approx([5.25, 5.25])


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_payoffs_may_be_counted_in_any_unit(unit: float) -> None:
    payoffs = unit * np.array([(6.0, 6.0), (2.0, 7.0), (7.0, 2.0), (0.0, 0.0)])
    chances = best_correlated_equilibrium(payoffs, payoffs.sum(axis=1), joint_actions(2, 2))
    np.testing.assert_allclose(chances, [0.5, 0.25, 0.25, 0.0], atol=1e-9)


@pytest.mark.parametrize(("N", "A"), [(2, 2), (2, 4), (3, 2), (3, 3)])
def test_it_is_obeyed_and_no_worse_than_any_nash_equilibrium(N: int, A: int) -> None:
    rng, actions = np.random.default_rng(N * A), joint_actions(A, N)
    drawn = 0
    for _ in range(25):
        payoffs = rng.integers(-4, 5, (A**N, N)).astype(float)
        welfare = payoffs.sum(axis=1)
        chances = best_correlated_equilibrium(payoffs, welfare, actions)
        assert chances.sum() == pytest.approx(1.0)
        assert obeyed(payoffs, chances, actions)
        nash = [float(each.payoffs.sum()) for each in list_equilibria(payoffs)]
        assert chances @ welfare >= max(nash) - 1e-7
        drawn += np.count_nonzero(chances > 1e-9) > 1
    assert drawn > 0


@pytest.mark.parametrize(
    ("id", "welfare"),
    [
        ("matrix/chicken", 16 / 3),  # a third each for both cooperating and for either one
        ("matrix/prisoners-dilemma", 2.0),  # what is dominated is never obeyed
        ("matrix/stag-hunt", 8.0),  # an equilibrium needs no signal to be one
        ("public_goods/one-shot-4", 4.0),
    ],
)
def test_what_signals_do_in_the_dilemmas(id: str, welfare: float) -> None:
    found = solve_all(make(id)).correlated
    assert found is not None
    assert found.welfare == pytest.approx(welfare)
    assert found.gains.max() < 1e-9


def test_a_game_that_is_repeated_has_the_welfare_of_its_steps() -> None:
    game = make("matrix/chicken", horizon=4)
    found = correlated_policy(tabulate(game), 4)
    assert found is not None
    assert found.welfare == pytest.approx(4 * 16 / 3)
    assert found.drawn == 4 * 5  # the start, and what all did last


def test_no_deviation_gains_in_random_games_of_several_states() -> None:
    for seed in range(5):
        table = as_table(random_game(seed, 4, 2, 2))
        found = correlated_policy(table, 3)
        assert found is not None
        assert found.gains.max() < 1e-7
        # An agent that always deviates from one signal in one step, evaluated by carrying the states forward.
        for t, told, i in product(range(3), range(2), range(2)):
            changed = found.chances.copy()
            for j, joint in enumerate(table.actions.tolist()):
                if joint[i] == told:
                    other = int(table.joint(np.array([1 - a if k == i else a for k, a in enumerate(joint)])))
                    changed[t, :, j] = 0.0
                    changed[t, :, other] += found.chances[t, :, j]
            assert module.returns_of(table, changed)[i] <= found.returns[i] + 1e-7


def test_large_games_and_stationary_ones_have_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make("matrix/chicken")
    assert solve_all(game, discount=0.5).correlated is None
    for bound in ("STAGES", "NUMBERS"):
        with monkeypatch.context() as patch:
            patch.setattr(module, bound, 0)
            assert solve_all(game).correlated is None


def test_a_row_that_is_not_obeyed_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A joint action for certain from which an agent gains by deviating, as if the arithmetic had failed."""
    monkeypatch.setattr(module, "best_correlated_equilibrium", lambda q, objective, actions: np.eye(len(q))[0])
    found = summary(make("matrix/prisoners-dilemma"))["correlated"]
    assert (found["welfare"], found["gain"], found["approximate"]) == (6.0, 1.0, True)
