"""Mixed equilibria of two to six agents, certified by plain loops over the definition."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from paymaster import make
from paymaster.equilibria.exact_principal import ExactPrincipal
from paymaster.equilibria.markov.best_response import deviation_gains
from paymaster.equilibria.normal_form.logit_path import logit_limit
from paymaster.equilibria.normal_form.mixed_equilibrium import mixed_equilibrium
from paymaster.equilibria.solve import solve, summary
from paymaster.equilibria.tables.table import joint_actions
from paymaster.equilibria.tables.tabulate import tabulate

from .slow_solver import as_table, largest_regret, random_game
from .test_equilibrium import matrix_game

CERTIFIED = 1e-8
NETWORKS = ("symmetrical", "cyclical", "tycoon", "circular")
DILEMMAS = ("prisoners-dilemma", "chicken", "stag-hunt")


def normal(seed: int, A: int, N: int) -> np.ndarray:
    """Payoffs without ties."""
    return np.random.default_rng(seed).normal(size=(*(A,) * N, N))


def whole(seed: int, A: int, N: int) -> np.ndarray:
    """Payoffs of a few values, so that most games are degenerate."""
    return np.random.default_rng(seed).integers(-1, 2, (*(A,) * N, N)).astype(float)


def cycle(seed: int, A: int, N: int) -> np.ndarray:
    """Each agent would do as the one before it, but for agent 0, who would do one more than the last: none is pure."""
    stakes = np.random.default_rng(seed).uniform(0.5, 2.0, (N, A))
    payoffs = np.zeros((*(A,) * N, N))
    for joint in np.ndindex(*(A,) * N):
        for i, a in enumerate(joint):
            payoffs[(*joint, i)] = stakes[i, a] * (a == (joint[i - 1] + (i == 0)) % A)
    return payoffs


def has_pure(payoffs: np.ndarray) -> bool:
    agents = range(payoffs.shape[-1])
    regrets = [payoffs[..., i].max(axis=i, keepdims=True) - payoffs[..., i] for i in agents]
    return bool((np.max(regrets, axis=0) <= 1e-9).any())


def equilibrium(payoffs: np.ndarray, sign: float = 1.0) -> tuple[bool, np.ndarray]:
    N, A = payoffs.shape[-1], payoffs.shape[0]
    found, strategies = mixed_equilibrium(payoffs.reshape(-1, N), joint_actions(A, N), A, sign)
    return bool(found), strategies


def regret_found(payoffs: np.ndarray) -> float:
    """The largest regret of what is found, infinite where nothing is; of a game whose pure equilibria do not count."""
    found, strategies = equilibrium(payoffs)
    if not found:
        return np.inf
    assert (strategies >= 0.0).all()
    np.testing.assert_allclose(strategies.sum(axis=1), 1.0)
    return largest_regret(payoffs, strategies)


@pytest.mark.parametrize("kind", [normal, whole, cycle])
@pytest.mark.parametrize(("N", "A"), [(2, 2), (2, 4), (3, 2), (3, 3), (4, 2), (5, 2)])
def test_games_without_a_pure_equilibrium_have_a_certified_one(
    kind: Callable[[int, int, int], np.ndarray], N: int, A: int
) -> None:
    games = list(islice((game for game in (kind(seed, A, N) for seed in range(100, 900)) if not has_pure(game)), 4))
    assert games
    assert max(map(regret_found, games)) < CERTIFIED


@pytest.mark.slow
def test_a_thousand_random_games_have_a_certified_equilibrium() -> None:
    """At least 99% of them, and all of two agents; half of them have ties."""
    missed, slowest, count = {2: 0, 3: 0, 4: 0}, 0.0, 0
    equilibrium(normal(0, 2, 3)), equilibrium(normal(0, 2, 2))  # compiles
    for seed in range(112):
        for N in (2, 3, 4):
            for A in (2, 3, 4):
                payoffs = (normal, whole)[seed % 2](seed, A, N)
                began = time.perf_counter()
                found, strategies = equilibrium(payoffs)
                slowest, count = max(slowest, time.perf_counter() - began), count + 1
                missed[N] += not found or largest_regret(payoffs, strategies) >= CERTIFIED
    print(f"{count} games; without a certified equilibrium, by agents: {missed}; slowest {slowest:.2f} s")
    assert missed[2] == 0
    assert sum(missed.values()) <= 0.01 * count


@pytest.mark.parametrize("N", [3, 5])
def test_agents_in_an_odd_circle_of_chicken_mix_evenly(N: int) -> None:
    """Against the next one's 1/2 both actions are worth 2; no pure profile holds, since each would differ."""
    payoffs = make("matrix/cyclical-chicken", players=N).payoffs  # type: ignore[attr-defined]
    assert not has_pure(payoffs)
    found, strategies = equilibrium(payoffs)
    assert found
    np.testing.assert_allclose(strategies, 0.5)
    solved = summary(make("matrix/cyclical-chicken", players=N))
    assert solved["selfish"]["highest"]["welfare"] == pytest.approx(2 * N)
    assert solved["selfish"]["highest"]["approximate"] is False
    assert solved["cooperative"]["welfare"] == 3 * N
    assert solved["best_rate"]["payment"] > 0  # to cooperate has its price


@pytest.mark.parametrize("N", [3, 4, 5, 6])
@pytest.mark.parametrize("name", [f"{network}-{dilemma}" for network in NETWORKS for dilemma in DILEMMAS])
def test_the_matrix_families_are_solved_at_any_number_of_players(name: str, N: int) -> None:
    table = tabulate(make(f"matrix/{name}", players=N))
    for rule in ("highest", "lowest"):
        solution = solve(table, rule, 1)
        assert not solution.approximate
        assert solution.gains.max() < CERTIFIED


@pytest.mark.parametrize("N", [3, 4, 5, 6])
def test_public_goods_are_solved_at_any_number_of_players(N: int) -> None:
    solution = solve(tabulate(make("public_goods/one-shot-4", players=N)), "highest", 1)
    assert not solution.approximate
    assert solution.gains.max() < CERTIFIED


def test_of_three_who_mix_the_rules_take_the_highest_and_the_lowest() -> None:
    """Two games of odd one out to meet in, worth 6 and 3 more; who is alone in one loses 9."""
    payoffs = np.full((4, 4, 4, 3), -9.0)
    for room in (0, 1):
        for a, b, c in np.ndindex(2, 2, 2):
            pennies = np.array([a == b, b == c, c != a], float)
            payoffs[2 * room + a, 2 * room + b, 2 * room + c] = pennies + (1 - room)
    highest, lowest = (equilibrium(payoffs, sign)[1] for sign in (1.0, -1.0))
    np.testing.assert_allclose(highest, [[0.5, 0.5, 0, 0]] * 3)
    np.testing.assert_allclose(lowest, [[0, 0, 0.5, 0.5]] * 3)


@pytest.mark.parametrize("seed", range(100, 112))
def test_the_path_of_logit_equilibria_ends_in_one(seed: int) -> None:
    """By itself; it is taken where the supports do not tell."""
    payoffs = normal(seed, 3, 3)
    found, strategies = logit_limit(payoffs.reshape(-1, 3), joint_actions(3, 3), 3)
    assert found
    assert largest_regret(payoffs, strategies) < CERTIFIED


@pytest.mark.parametrize(("N", "A", "seed"), [(3, 2, 100), (3, 2, 101), (3, 3, 102), (4, 2, 103)])
def test_markov_games_of_several_agents_are_solved(N: int, A: int, seed: int) -> None:
    """At every step and in every state nobody gains, as a best response to what is played confirms."""
    table = as_table(random_game(seed, 3, A, N))
    solution = solve(table, "highest", 4)
    assert not solution.approximate
    gains = deviation_gains(table, solution.actions, solution.promised, 4, mixed=solution.mixed)
    np.testing.assert_allclose(gains, 0.0, atol=CERTIFIED)


# A principal who abstains


def test_a_principal_pays_nothing_for_nothing() -> None:
    """Matching pennies are worth 0 whatever is played: to have any pair of actions played costs 2."""
    solution = solve(matrix_game([[(1, -1), (-1, 1)], [(-1, 1), (1, -1)]]), "principal", 3)
    assert (solution.welfare, solution.payment, solution.abstains) == (pytest.approx(0.0), 0.0, 3.0)
    np.testing.assert_allclose(solution.mixed.strategies, 0.5)
    np.testing.assert_allclose(solution.gains, 0.0, atol=1e-12)


@pytest.mark.parametrize(("bonus", "abstains"), [(0.0, True), (0.5, True), (1.0, False), (10.0, False)])
def test_it_pays_where_that_is_worth_more(bonus: float, abstains: bool) -> None:
    """One pair of sides adds `bonus` for each. To keep the second agent there costs 2 less that bonus.

    Unpaid, the agents play their sides of that pair with probability 2 / (4 - bonus) and 2 / (4 + bonus).
    """
    payoffs = np.array([[(1 + bonus, -1 + bonus), (-1, 1)], [(-1, 1), (1, -1)]])
    x, y = 2 / (4 - bonus) if bonus < 2 else 1.0, 2 / (4 + bonus)
    solution = solve(matrix_game(payoffs), "principal", 1, alpha=1.0)
    assert (solution.abstains > 0) == abstains
    unpaid = 2 * bonus * x * y
    paid = 2 * bonus - max(0.0, 2 - bonus)
    assert solution.welfare - solution.payment == pytest.approx(max(paid, unpaid))
    assert solution.gains.max() < CERTIFIED


def test_an_exact_principal_who_abstains_recommends_and_promises_nothing() -> None:
    """It names the most probable actions, which is all that it can name."""
    payoffs = [[(1, -2), (-1, 1)], [(-1, 1), (1, -1)]]  # the first plays 1 with 3/5
    solution = solve(matrix_game(payoffs), "principal", 3, discount=0.9, alpha=1.0)
    assert solution.abstains == pytest.approx(3.0)
    principal = ExactPrincipal(solution)
    assert principal.recommended[0, 0] == 1
    assert not principal.promised.any()


def test_what_is_no_equilibrium_is_approximate() -> None:
    solution = solve(matrix_game(normal(100, 2, 3)), "highest", 1)
    assert not solution.approximate
    assert solution._replace(unresolved=1).approximate
    assert solution._replace(gains=np.array([0.0, 0.02 * solution.unit, 0.0])).approximate
