"""Linear contracts: what they come to, that the search finds good ones, and the mechanism that pays them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Transition
from paymaster.envs.coin_game.game import Events
from paymaster.equilibria.markov import backward_induction, stage_games, value_iteration
from paymaster.equilibria.principal.linear_contracts import GRID, best_linear_contract, evaluate_rates
from paymaster.equilibria.solve import solve, summary
from paymaster.equilibria.tables.table import Table
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, random_game, solve_slowly
from .test_equilibrium import matrix_game

COIN = "coin_game/ivanov-3x3"
COOPERATES = [[[[1], [1]], [[1], [0]]], [[[0], [1]], [[0], [0]]]]  # of each pair of actions and agent: the fact
PRISONERS = matrix_game([[(3, 3), (0, 4)], [(4, 0), (1, 1)]], COOPERATES)


def test_a_wage_for_cooperating_by_hand() -> None:
    """At 1.5 a prisoner earns 4.5 > 4 and 1.5 > 1 by cooperating; at 0.5 it earns 3.5 < 4."""
    enough = evaluate_rates(PRISONERS, (1.5,), 3)
    assert (enough.welfare, enough.payment) == (18, 9)
    assert enough.gains.tolist() == [0, 0]
    little = evaluate_rates(PRISONERS, (0.5,), 3)
    assert (little.welfare, little.payment) == (6, 0)


@pytest.mark.parametrize("discount", [None, 0.9])
def test_the_search_finds_the_least_wage(discount: float | None) -> None:
    """1 makes it a tie in which cooperation has the higher value; 15/16 does not."""
    found = best_linear_contract(PRISONERS, 3, discount=discount)
    assert found.rates == (1.0,)
    assert (found.welfare, found.payment) == (18, 6)


def test_a_principal_who_values_welfare_little_pays_nothing() -> None:
    """Cooperation adds 4 to welfare and costs 2: 4 / alpha > 2."""
    assert best_linear_contract(PRISONERS, 1, alpha=1.9).rates == (1.0,)
    assert best_linear_contract(PRISONERS, 1, alpha=2.1).rates == (0.0,)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(seed=st.integers(0, 10**9), horizon=st.integers(1, 3), rate=st.sampled_from([0, 1, Fraction(5, 4), 3]))
def test_rates_come_to_what_the_slow_solver_says(seed: int, horizon: int, rate: Fraction) -> None:
    game = random_game(seed, 3, 2, 2)
    slow = solve_slowly(game, "highest", horizon, Fraction(1), rates=(Fraction(rate),))
    assume(slow.unresolved == 0)
    fast = evaluate_rates(as_table(game), (float(rate),), horizon)
    np.testing.assert_allclose(fast.returns, np.array(slow.returns, float), atol=1e-9)
    np.testing.assert_allclose(fast.payments, np.array(slow.payments, float), atol=1e-9)
    np.testing.assert_allclose(fast.gains, np.array(slow.gains, float), atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_no_point_of_the_grid_is_better_by_brute_force(seed: int) -> None:
    game, alpha = random_game(seed, 3, 2, 2), Fraction(1, 2)
    largest = max(abs(reward) for rewards in game.rewards.values() for reward in rewards)
    slow = [solve_slowly(game, "highest", 3, alpha, rates=(Fraction(step) * largest,)) for step in GRID]
    worth = [sum(each.returns) / alpha - sum(each.payments) for each in slow if not each.unresolved]
    assume(worth)
    best = max(worth)
    found = best_linear_contract(as_table(game), 3, alpha=float(alpha))
    assert found.welfare / float(alpha) - found.payment >= float(best) - 1e-9


def test_in_the_coin_game_it_pays_for_coins_left() -> None:
    table = tabulate(make(COIN))
    found = best_linear_contract(table, 20)
    selfish = solve(table, "highest", 20)
    own_picked, others_left = found.rates
    assert own_picked == 0
    assert 0.3 < others_left < 0.45
    assert found.gains.max() < 1e-9
    assert found.welfare == pytest.approx(13.86, abs=1e-3)
    assert found.welfare / 0.1 - found.payment > selfish.welfare / 0.1
    assert evaluate_rates(table, (0.0, 0.0), 20).returns == pytest.approx(selfish.returns)


@pytest.mark.parametrize(("preset", "by_hand"), [("mfos-3x3", (0.25, 0.25)), ("ivanov-3x3", (0.0, 0.36))])
def test_rates_that_no_single_rate_leads_to_are_found(preset: str, by_hand: tuple[float, ...]) -> None:
    game = make(f"coin_game/{preset}", last_step_pays=True)
    table = tabulate(game)
    found, known = best_linear_contract(table, game.horizon), evaluate_rates(table, by_hand, game.horizon)
    assert found.welfare / 0.1 - found.payment >= known.welfare / 0.1 - known.payment


def test_stationary_rates_are_answered_by_an_equilibrium() -> None:
    found = best_linear_contract(tabulate(make(COIN)), 20, discount=0.99)
    assert found.gains.max() < 1e-6
    assert found.welfare == pytest.approx(13.86, abs=1e-3)
    assert found.payment < 4.4


def test_the_summary_holds_the_best_rates() -> None:
    row = summary(make(COIN))["best_rate"]
    assert set(row) == {"welfare", "payment", "returns", "rates", "gain", "settled"}
    assert set(row["rates"]) == {"own_picked", "others_left"}
    assert sum(row["returns"]) == pytest.approx(row["welfare"])
    assert row["gain"] < 1e-9


def test_a_game_without_rewards_or_facts_has_nothing_to_search() -> None:
    nothing = matrix_game(np.zeros((2, 2, 2)))
    assert best_linear_contract(nothing, 2).rates == ()
    assert best_linear_contract(matrix_game(np.zeros((2, 2, 2)), COOPERATES), 2).rates == (0.0,)


@pytest.mark.parametrize("discount", [None, 0.9])
def test_rates_whose_game_has_no_equilibrium_that_is_found_have_no_value(
    discount: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if nothing were found below 1, where a principal who values welfare little would be; then at any wage."""
    swept, least = stage_games.sweep, [1.0]

    def lost(table: Table, values: np.ndarray, **arguments: Any) -> stage_games.Stage:
        stage = swept(table, values, **arguments)
        wage = table.rewards[0, 0, 0] - 3.0  # of the prisoners, who earn 3 by cooperating
        return stage._replace(unresolved=stage.unresolved | (wage < least[0]))

    for module in (backward_induction, value_iteration):
        monkeypatch.setattr(module, "sweep", lost)
    found = best_linear_contract(PRISONERS, 3, discount=discount, alpha=10.0)
    assert found is not None
    assert (found.rates, found.answered) == ((1.0,), True)
    least[0] = np.inf
    assert best_linear_contract(PRISONERS, 3, discount=discount) is None


# The mechanism


def test_rates_are_paid_for_every_fact() -> None:
    game = make(COIN)
    picked, left = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    picked[0, 0, 0] = left[0, 1, 0] = True  # red picks its own coin, blue leaves it
    events = Events(picked, left, np.ones(2, bool))
    rewards = np.array([[1, 0], [0, 0]], np.float32)
    end = np.zeros(2, bool)
    for rates in ({"others_left": 0.4, "own_picked": 0.1}, (0.1, 0.4)):
        mechanism = make_mechanism("committed-rates", game, rates=rates)
        ledger, _ = mechanism.settle((), Transition((), (), rewards, events, rewards, (), end, end))
        np.testing.assert_allclose(ledger.payments, [[0.1, 0.4], [0, 0]], rtol=1e-6)
        assert not ledger.transfers.any()
        assert not ledger.shaping.any()
    unpaid = make_mechanism("committed-rates", game, rates={"others_left": 0.4})
    ledger, _ = unpaid.settle((), Transition((), (), rewards, events, rewards, (), end, end))
    np.testing.assert_allclose(ledger.payments, [[0, 0.4], [0, 0]], rtol=1e-6)


def test_agents_that_answer_as_computed_are_paid_as_computed() -> None:
    """The exact answer to the rates, played by the rules."""
    game, table = make(COIN), tabulate(make(COIN))
    rates = (0.0, 0.375)
    found = evaluate_rates(table, rates, game.horizon)
    answer = solve(table._replace(rewards=table.rewards + table.facts @ np.array(rates)), "highest", game.horizon)
    loop = Simulation(game, make_mechanism("committed-rates", game, rates=rates), 2000, seed=3)
    for t in range(game.horizon):
        step = loop.step(answer.actions[t][game.index(loop.state)].astype(np.int64))  # type: ignore[attr-defined]
    assert step.episodes is not None
    for episodes, exact in ((step.episodes.returns, found.welfare), (step.episodes.payments, found.payment)):
        total = episodes.sum(axis=1)
        assert abs(total.mean() - exact) < 4 * total.std() / np.sqrt(len(total))


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"others_lefd": 0.4}, "Did you mean 'others_left'"),
        ({"others_left": -0.4}, "greater than or equal to 0"),
        ((0.4,), "got 1 rates; give one for each of own_picked, others_left"),
        ({"others_left": float("nan")}, "rates"),
    ],
)
def test_rates_that_cannot_be_are_refused(rates: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_mechanism("committed-rates", make(COIN), rates=rates)
