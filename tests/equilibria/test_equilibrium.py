"""The exact equilibria: known values, games solved by hand, and an independent slow solver."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymaster import UsageError, make
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.contracts.recommendation import RecommendationContract
from paymaster.equilibria.exact_principal import ExactPrincipal
from paymaster.equilibria.markov.best_response import deviation_gains
from paymaster.equilibria.markov.evaluation import audit, evaluate_policy, principal_table
from paymaster.equilibria.markov.rules import Rule
from paymaster.equilibria.markov.stage_games import follow, sweep
from paymaster.equilibria.solve import RULES, Solution, solve, summary
from paymaster.equilibria.tables.table import Table, joint_actions
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, mixed_totals, random_game, solve_slowly

IVANOV, RLLIB = "coin_game/ivanov-3x3", "coin_game/rllib-3x3"


@cache
def board(id: str, **rules: float | str) -> Table:
    return tabulate(make(id, **rules))


def matrix_game(payoffs: Any, facts: Any = None) -> Table:
    """A matrix game, payoffs (A, ..., A, N), as a table of one state that repeats; `facts` (A, ..., A, N, K)."""
    rewards = np.array(payoffs, float)
    A, N = rewards.shape[0], rewards.shape[-1]
    rewards = rewards.reshape(1, A**N, N)
    counts = np.zeros((A**N, N, 0)) if facts is None else np.array(facts, float)
    return Table(
        rewards, rewards.sum(axis=2), counts.reshape(1, A**N, N, -1) if counts.size else counts[None],
        np.zeros((1, A**N), np.int32), np.arange(2), np.zeros(1, np.int32), np.ones(1), np.ones(1), joint_actions(A, N),
    )  # fmt: skip


PRISONERS = matrix_game([[(3, 3), (0, 4)], [(4, 0), (1, 1)]])
CHICKEN = matrix_game([[(3, 3), (1, 4)], [(4, 1), (0, 0)]])
STAG_HUNT = matrix_game([[(4, 4), (0, 3)], [(3, 0), (1, 1)]])
PENNIES = matrix_game([[(1, -1), (-1, 1)], [(-1, 1), (1, -1)]])
TEMPTING = matrix_game([[(3, 3), (0, 5)], [(5, 0), (2, 2)]])  # as before, but the others' action matters: 2 and 2


# The Coin Game, against values computed once by an independent program


@pytest.mark.parametrize(
    ("id", "rules", "optimum", "selfish", "welfare", "payment"),
    [
        (IVANOV, {}, 13.900, 10.901, 13.900, 2.583),
        (IVANOV, {"next_colour": "uniform"}, 13.900, 10.922, 13.900, 2.148),
        (IVANOV, {"tie": "both"}, 15.810, 15.676, 15.810, 0.160),
        (IVANOV, {"others_coin": 1.0, "owner_payoff": -2.0}, 13.860, 0.0, 13.860, 8.666),
        (RLLIB, {}, 13.860, 0.0, 13.860, 11.872),
    ],
)
def test_the_coin_game_has_its_known_values(
    id: str, rules: dict, optimum: float, selfish: float, welfare: float, payment: float
) -> None:
    table = board(id, **rules)
    assert solve(table, "cooperative", 20).welfare == pytest.approx(optimum, abs=6e-4)
    highest, principal = solve(table, "highest", 20), solve(table, "principal", 20)
    assert highest.welfare == pytest.approx(selfish, abs=6e-4)
    assert highest.gains.max() < 1e-9
    assert highest.unresolved == 0
    assert (len(highest.mixed.cells) == 0) == (selfish > 0)
    assert principal.welfare == pytest.approx(welfare, abs=6e-4)
    assert principal.payment == pytest.approx(payment, abs=6e-4)
    assert principal.gains.max() < 1e-9


def test_dominant_strategies_cost_more() -> None:
    dominant = solve(board(IVANOV), "dominant", 20)
    assert dominant.payment == pytest.approx(9.985, abs=6e-4)
    assert dominant.gains.max() < 1e-9


def test_the_stationary_principal_has_its_known_values() -> None:
    solution = solve(board(IVANOV), "principal", 20, discount=0.99)
    assert solution.actions.shape == (162, 2)
    assert solution.welfare == pytest.approx(13.86, abs=5e-3)
    assert solution.payment == pytest.approx(2.66, abs=5e-3)
    assert solution.converged
    assert solution.residual < 1e-11
    assert solution.gains.max() < 1e-9


def test_a_rule_that_does_not_settle_says_so_and_is_an_equilibrium_all_the_same() -> None:
    solution = solve(board(IVANOV), "highest", 20, discount=0.99)
    assert not solution.converged
    assert solution.unresolved == 0
    assert solution.gains.max() < 1e-9


# By hand


@pytest.mark.parametrize(
    ("table", "optimum", "highest", "lowest", "payment", "dominant"),
    [
        (PRISONERS, 6, 2, 2, 2, 2),
        (CHICKEN, 6, 5, 5, 2, 2),
        (STAG_HUNT, 8, 8, 2, 0, 2),
        (TEMPTING, 6, 4, 4, 4, 4),
    ],
)
@pytest.mark.parametrize("horizon", [1, 3])
def test_matrix_games_have_their_closed_forms(
    table: Table, optimum: float, highest: float, lowest: float, payment: float, dominant: float, horizon: int
) -> None:
    """A repeated game's only thread is the end, so every step is the one-shot game."""
    found = {rule: solve(table, rule, horizon) for rule in RULES}
    assert found["cooperative"].welfare == optimum * horizon
    assert found["highest"].welfare == highest * horizon
    assert found["lowest"].welfare == lowest * horizon
    assert (found["principal"].welfare, found["principal"].payment) == (optimum * horizon, payment * horizon)
    assert (found["dominant"].welfare, found["dominant"].payment) == (optimum * horizon, dominant * horizon)
    assert (found["contingent"].welfare, found["contingent"].payment) == (optimum * horizon, payment * horizon)


def test_a_principal_who_values_welfare_little_buys_none() -> None:
    """Cooperation adds 4 to welfare and costs 2: it pays if 4 / alpha > 2."""
    assert solve(PRISONERS, "principal", 1, alpha=1.9).welfare == 6
    assert solve(PRISONERS, "principal", 1, alpha=2.1).welfare == 2
    assert solve(PRISONERS, "principal", 1, alpha=2.1).payment == 0


def test_agents_without_a_pure_equilibrium_mix() -> None:
    """Matching pennies: half and half, at every step; nobody gains by anything else."""
    solution = solve(PENNIES, "highest", 3)
    assert (len(solution.mixed.cells), solution.unresolved) == (3, 0)
    np.testing.assert_allclose(solution.mixed.strategies, 0.5)
    np.testing.assert_allclose(solution.returns, 0.0, atol=1e-12)
    np.testing.assert_allclose(solution.gains, 0.0, atol=1e-12)
    stationary = solve(PENNIES, "lowest", 3, discount=0.9)
    assert stationary.converged
    np.testing.assert_allclose(stationary.gains, 0.0, atol=1e-9)


def test_three_agents_of_whom_two_mix() -> None:
    """Two play matching pennies, each paid 1 more if the third plays 1, which the third prefers."""
    payoffs = np.zeros((2, 2, 2, 3))
    for a, b, c in np.ndindex(2, 2, 2):
        payoffs[a, b, c] = (1 if a == b else -1) + c, (1 if a != b else -1) + c, c
    solution = solve(matrix_game(payoffs), "highest", 2)
    assert (len(solution.mixed.cells), solution.unresolved) == (2, 0)
    np.testing.assert_allclose(solution.mixed.strategies, [[[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]] * 2)
    np.testing.assert_allclose(solution.returns, [2, 2, 2], atol=1e-12)
    np.testing.assert_allclose(solution.gains, 0.0, atol=1e-12)


def test_where_all_three_must_mix_they_do() -> None:
    """Jordan's pennies: 0 would match 1, 1 would match 2, 2 would differ from 0; only half and half of all holds."""
    payoffs = np.zeros((2, 2, 2, 3))
    for a, b, c in np.ndindex(2, 2, 2):
        payoffs[a, b, c] = a == b, b == c, c != a
    solution = solve(matrix_game(payoffs), "highest", 2)
    assert (len(solution.mixed.cells), solution.unresolved) == (2, 0)
    np.testing.assert_allclose(solution.mixed.strategies, 0.5)
    np.testing.assert_allclose(solution.returns, [1, 1, 1])
    np.testing.assert_allclose(solution.gains, 0.0, atol=1e-12)


def test_two_states_by_hand() -> None:
    """Poor: if both invest (action 0) at a cost of 1, they are rich next; rich: 3 for each whatever they do, then poor.

    Investing pays only if the other does, so both equilibria stand in four steps: 2 x (6 - 2) or nothing. A principal
    pays nothing if it may count on the other; to make investing dominant it pays each the cost of 1, in both rounds.
    """
    rewards = np.array([[[-1, -1], [-1, 0], [0, -1], [0, 0]], [[3, 3]] * 4], float)
    following = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.int32)  # distribution d leads to state d
    table = Table(
        rewards, rewards.sum(axis=2), np.zeros((2, 4, 2, 0)), following, np.arange(3), np.arange(2, dtype=np.int32),
        np.ones(2), np.array([1.0, 0.0]), joint_actions(2, 2),
    )  # fmt: skip
    found = {rule: solve(table, rule, 4) for rule in RULES}
    assert [found[rule].welfare for rule in RULES] == [8, 8, 0, 8, 8, 8]
    assert [found[rule].payment for rule in RULES] == [0, 0, 0, 0, 4, 0]
    assert found["principal"].actions[0].tolist() == [[0, 0], [0, 0]]
    stationary = solve(table, "principal", 4, discount=0.9)
    assert (stationary.welfare, stationary.payment) == (8, 0)


# An independent solver


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    shape=st.sampled_from([(1, 2, 2), (2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3)]),
    horizon=st.integers(1, 4),
    rule=st.sampled_from(sorted(RULES)),
    alpha=st.sampled_from([Fraction(1, 10), Fraction(1), Fraction(7, 3)]),
)
def test_it_agrees_with_the_slow_solver(
    seed: int, shape: tuple[int, int, int], horizon: int, rule: str, alpha: Fraction
) -> None:
    S, A, N = shape
    game = random_game(seed, S, A, N)
    slow = solve_slowly(game, rule, horizon, alpha)
    fast = solve(as_table(game), rule, horizon, alpha=float(alpha))
    assert slow.unresolved > 0 or fast.unresolved + len(fast.mixed.cells) == 0
    if slow.unresolved == 0:
        np.testing.assert_allclose(fast.returns, np.array(slow.returns, float), atol=1e-9)
        np.testing.assert_allclose(fast.payments, np.array(slow.payments, float), atol=1e-9)
        np.testing.assert_allclose(fast.gains, np.array(slow.gains, float), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    A=st.sampled_from([2, 3, 4]),
    rule=st.sampled_from(["highest", "lowest"]),
)
def test_two_agents_always_have_an_equilibrium(seed: int, A: int, rule: str) -> None:
    solution = solve(as_table(random_game(seed, 2, A, 2)), rule, 4)
    assert solution.unresolved == 0
    assert solution.gains.max() < 1e-9


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**9), A=st.sampled_from([2, 3]))
def test_of_mixed_equilibria_the_rules_take_the_highest_and_the_lowest(seed: int, A: int) -> None:
    """Against the supports that leave one solution, in fractions: all of them, but where payoffs are degenerate."""
    game = random_game(seed, 1, A, 2)
    table, totals = as_table(game), [float(total) for total in mixed_totals(game)]
    highest, lowest = solve(table, "highest", 1), solve(table, "lowest", 1)
    if len(highest.mixed.cells):
        assert totals
        assert highest.welfare >= max(totals) - 1e-9
        assert lowest.welfare <= min(totals) + 1e-9


def test_several_mixed_equilibria_by_hand() -> None:
    """Two games of pennies to meet in, worth 3 and 1; who misses the other loses 9. To mix over both is worse yet."""
    pennies = [[(2, 1), (1, 2)], [(1, 2), (2, 1)]]
    other = [[(1, 0), (0, 1)], [(0, 1), (1, 0)]]
    blocks = [[pennies, [[(-9, -9)] * 2] * 2], [[[(-9, -9)] * 2] * 2, other]]
    payoffs = [[blocks[a // 2][b // 2][a % 2][b % 2] for b in range(4)] for a in range(4)]
    assert solve(matrix_game(payoffs), "highest", 1).welfare == pytest.approx(3)
    assert solve(matrix_game(payoffs), "lowest", 1).welfare < 1 + 1e-9


def begun(table: Table, steps: int = 60) -> Solution:
    """The principal's solution of a game that goes on with probability 0.6, over so many steps."""
    return solve(table._replace(probabilities=0.6 * table.probabilities), "principal", steps)


@pytest.mark.parametrize("seed", range(60))
def test_a_stationary_solution_is_what_a_long_discounted_game_begins_with(seed: int) -> None:
    """Where the principal settles, 60 steps of a game that goes on with probability 0.6 begin with its choice."""
    table = as_table(random_game(seed, 3, 2, 2))
    stationary = solve(table, "principal", 5, discount=0.6)
    if stationary.converged:
        np.testing.assert_allclose(begun(table).promised[0].sum(), stationary.promised.sum(), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_nobody_gains_by_leaving_a_stationary_solution(seed: int) -> None:
    stationary = solve(as_table(random_game(seed, 3, 2, 2)), "principal", 5, discount=0.6)
    if stationary.converged:
        np.testing.assert_allclose(stationary.gains, 0.0, atol=1e-9)


def test_a_fixed_point_that_is_one_of_several_says_so() -> None:
    """Both support themselves: dominant payments feed on those to come."""
    solution = solve(board(IVANOV, horizon=7, others_coin=0.5), "dominant", 7, discount=0.5)
    assert solution.converged
    assert solution.payment == pytest.approx(3.0880, abs=1e-4)
    assert solution.others[:, 1].tolist() == pytest.approx([2.9817], abs=1e-4)


def test_what_is_unique_has_no_other_fixed_points() -> None:
    """The social optimum, a game whose choices change nothing later, and whatever is myopic."""
    assert not len(solve(board(IVANOV), "cooperative", 20, discount=0.9).others)
    assert not len(solve(PRISONERS, "principal", 3, discount=0.9).others)
    assert not len(solve(board(IVANOV, horizon=7, others_coin=0.5), "dominant", 7, discount=0.0).others)


def test_at_discount_0_the_game_is_myopic() -> None:
    """Every state is a stage game of its own: leaving the other's coin costs what picking it pays, once."""
    solution = solve(board(IVANOV), "principal", 20, discount=0.0)
    assert solution.converged
    assert set(solution.promised.ravel().round(6)) <= {0.0, 0.1, 0.2}
    assert solution.payment > 0
    np.testing.assert_allclose(solution.gains, 0.0, atol=1e-12)


def test_a_stationary_solution_may_be_one_of_several() -> None:
    """In some 1 of 500 random games the stationary principal settles elsewhere than a long game begins; both stand."""
    table = as_table(random_game(1_280_000, 3, 2, 2))
    stationary = solve(table, "principal", 5, discount=0.6)
    first, later = begun(table).promised[:2]
    assert stationary.promised.sum() == pytest.approx(3.16, abs=1e-2)
    assert first.sum() == pytest.approx(later.sum()) == pytest.approx(0.4545, abs=1e-4)
    np.testing.assert_allclose(stationary.gains, 0.0, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), rule=st.sampled_from(["highest", "lowest"]))
def test_selfish_agents_that_are_resolved_have_nothing_to_gain(seed: int, rule: str) -> None:
    solution = solve(as_table(random_game(seed, 3, 2, 2)), rule, 5, discount=0.9)
    assert solution.unresolved > 0 or solution.gains.max() < 1e-7


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), rule=st.sampled_from(sorted(RULES)))
def test_to_follow_a_choice_is_to_sweep_while_it_stays_the_same(seed: int, rule: str) -> None:
    table, values = as_table(random_game(seed, 3, 2, 2)), np.zeros((3, 3))
    for _ in range(30):
        stage = sweep(table, values, rule=RULES[rule], alpha=0.1, discount=0.5)
        values = stage.values
    again = sweep(table, values, rule=RULES[rule], alpha=0.1, discount=0.5)
    followed = follow(table, stage, values, alpha=0.1, discount=0.5, steps=1)
    same = (again.joint == stage.joint) & (again.tempting == stage.tempting).all(axis=(1, 2))
    same &= stage.joint < len(table.actions)  # where agents mix, they may mix a little differently
    np.testing.assert_allclose(followed[same], again.values[same], atol=1e-9)


@pytest.mark.parametrize(("favour", "returns", "payment"), [(0.0, [3, 3], 2), (0.5, [3, 3], 2), (0.7, [4, 0], 1)])
def test_favourites_are_served_once_they_count_for_enough(favour: float, returns: list[float], payment: float) -> None:
    """The prisoner's dilemma: 3 (1 + w) / alpha - 2 for both to cooperate, 4 / alpha - 1 for the second alone."""
    table = tabulate(make("matrix/prisoners-dilemma"))
    found = solve(table, "principal", 1, favour=favour)
    np.testing.assert_allclose(found.returns, returns)
    assert found.payment == pytest.approx(payment)
    assert solve(table, "cooperative", 1, favour=favour).welfare == 6


# Contracts judged


def test_followers_of_an_exact_principal_earn_what_was_computed() -> None:
    game = make(IVANOV)
    solution = solve(board(IVANOV), "principal", game.horizon, discount=0.99)
    loop = Simulation(game, RecommendationContract(game=game), 2000, seed=3, principal=ExactPrincipal(solution))
    for _ in range(game.horizon):
        step = loop.step(loop.terms.recommended)
    assert step.episodes is not None
    for episodes, exact in ((step.episodes.returns, solution.welfare), (step.episodes.payments, solution.payment)):
        total = episodes.sum(axis=1)
        assert abs(total.mean() - exact) < 4 * total.std() / np.sqrt(len(total))


def test_a_nudge_is_paid_where_a_payment_is_due_and_nowhere_else() -> None:
    game = make(IVANOV)
    solution = solve(board(IVANOV), "principal", game.horizon, discount=0.99)
    recommended, promised = principal_table(ExactPrincipal(solution, nudge=0.05), game)
    np.testing.assert_array_equal(recommended, solution.actions)
    due = solution.promised > 0
    assert 0 < due.mean() < 0.5
    assert solution.promised[due].min() > 1e-4  # what is a tie but for rounding is not due
    np.testing.assert_allclose(promised[due], solution.promised[due] + 0.05, atol=1e-6)
    assert not promised[~due].any()


def test_an_audit_finds_what_advice_without_pay_is_worth() -> None:
    table = board(IVANOV)
    solution = solve(table, "principal", 20, discount=0.99)
    paid = audit(table, solution.actions, solution.promised, 20, discount=0.99)
    assert paid.followed.welfare == pytest.approx(solution.welfare)
    assert paid.gains.max() < 1e-9
    unpaid = audit(table, solution.actions, np.zeros_like(solution.promised), 20, discount=0.99)
    assert unpaid.followed.payment == 0
    assert unpaid.gains.min() > 0.1


def test_gains_by_hand() -> None:
    """Told to cooperate for 0.75 each, a prisoner gains 0.25 a step by taking 4 instead of 3.75."""
    told, promised = np.zeros((1, 2), int), np.full((1, 2), 0.75)
    assert deviation_gains(PRISONERS, told, promised, 4).tolist() == [1.0, 1.0]
    assert deviation_gains(PRISONERS, told, promised, 4, discount=0.5) == pytest.approx([0.5, 0.5])
    worth = evaluate_policy(PRISONERS, told, promised, 4)
    assert (worth.welfare, worth.payment) == (24, 6)


def test_a_policy_may_depend_on_the_step() -> None:
    """Cooperate, then defect: 3 + 1 each; a best reply defects at once, 4 + 1."""
    actions = np.array([[[0, 0]], [[1, 1]]])
    worth = evaluate_policy(PRISONERS, actions, np.zeros(actions.shape), 2)
    assert worth.returns.tolist() == [4, 4]
    assert deviation_gains(PRISONERS, actions, np.zeros(actions.shape), 2).tolist() == [1, 1]


def test_any_principal_can_be_tabulated() -> None:
    game = make(IVANOV)

    def first(game: object, state: object) -> Decisions:
        B = len(state.key)  # type: ignore[attr-defined]
        return Decisions(np.zeros((B, 2), int), np.full((B, 2), 0.5, np.float32))

    recommended, promised = principal_table(first, game)
    worth = evaluate_policy(board(IVANOV), recommended, promised, game.horizon)
    assert worth.payment == pytest.approx(0.5 * 2 * 20)


# What users see


@pytest.mark.parametrize("discount", [None, 0.9])
def test_the_summary_is_json_with_every_solution(discount: float | None) -> None:
    told = json.loads(json.dumps(summary(make(IVANOV), discount=discount)))
    assert told["game"] == IVANOV
    assert (told["states"], told["horizon"], told["discount"], told["alpha"]) == (162, 20, discount, 0.1)
    assert told["cooperative"]["welfare"] >= told["principal"]["welfare"] > told["selfish"]["highest"]["welfare"]
    assert told["selfish"]["lowest"]["welfare"] <= told["selfish"]["highest"]["welfare"] + 1e-9
    assert told["principal_contingent"] == told["principal"]  # dominant strategies, at the price of the path
    for row in (told["principal"], told["principal_dominant"]):
        assert sum(row["returns"]) == pytest.approx(row["welfare"])
        assert row["payment"] > 0
    assert told["seconds"] > 0


def test_a_game_by_rules_of_ones_own_is_named_by_its_family() -> None:
    told = summary(make(IVANOV, others_coin=0.5))
    assert told["game"] == "coin_game"
    assert told["rules"]["others_coin"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "higest"}, "Did you mean 'highest'"),
        ({"horizon": 0}, "horizon: got 0"),
        ({"discount": 1.0}, "discount: got 1.0"),
        ({"alpha": 0.0}, "alpha: got 0.0"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict, message: str) -> None:
    values = {"rule": "principal", "horizon": 3, "discount": None, "alpha": 0.1} | arguments
    with pytest.raises(UsageError, match=message):
        solve(PRISONERS, values.pop("rule"), values.pop("horizon"), **values)


def test_an_exact_principal_needs_a_stationary_solution_and_a_policy_its_table() -> None:
    game = make(IVANOV)
    finite: Solution = solve(board(IVANOV), "principal", game.horizon)
    with pytest.raises(UsageError, match="discount"):
        ExactPrincipal(finite)
    with pytest.raises(UsageError, match="leave the discount out"):
        audit(board(IVANOV), finite.actions, finite.promised, 20, discount=0.99)
    with pytest.raises(UsageError, match="shape"):
        evaluate_policy(PRISONERS, finite.actions, finite.promised, 20)


@pytest.mark.parametrize("rule", list(Rule))
def test_a_state_is_solved_alike_whatever_block_it_stands_in(rule: Rule) -> None:
    """Blocks hold as many stage games as fit in the cache; here each of 130 states also stands in one of its own."""
    table = as_table(random_game(3, 130, 2, 3))
    values = np.random.default_rng(1).integers(-3, 4, (130, 4)).astype(float)
    before = np.random.default_rng(2).integers(-1, 8, 130)
    whole = sweep(table, values, rule=rule, alpha=0.5, discount=0.9, before=before)
    mixed = 0
    for s in range(130):
        alone = table._replace(
            rewards=table.rewards[s : s + 1], objective=table.objective[s : s + 1], following=table.following[s : s + 1]
        )
        stage = sweep(alone, values, rule=rule, alpha=0.5, discount=0.9, before=before[s : s + 1])
        for name in ("values", "promised", "tempting", "unresolved"):
            np.testing.assert_array_equal(getattr(stage, name)[0], getattr(whole, name)[s])
        if len(stage.strategies):
            np.testing.assert_array_equal(stage.strategies[0], whole.strategies[mixed])
            mixed += 1
        else:
            assert stage.joint[0] == whole.joint[s]
