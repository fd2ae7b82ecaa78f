"""Contractual reinforcement learning: thresholds and plans by hand, plans against the exact solver, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.contractual_rl import ContractualPrincipal
from paymaster.benchmarks.cli.show import show
from paymaster.benchmarks.reports.regret import in_words, on_outcomes
from paymaster.benchmarks.runs.record import read_episodes, read_training
from paymaster.contracts.mechanism import Mechanism
from paymaster.core.random import Stream
from paymaster.envs.tree import Tree
from paymaster.equilibria.principal.hidden_actions import best_response, contracts_of, played, subgame_perfect_contracts
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning import Resources
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.contractual import OVER, Contractual, Happened
from paymaster.learning.principals.outcome_table import OutcomeTable

MANY = 1e12  # counts, after which chances are known
SMALL = make("tree/ivanov-d10", horizon=4, tree=3)


def step(state: int, aimed: int, outcome: int, value: float = 0.0, following: int = OVER) -> Happened:
    return Happened(*(np.array([each]) for each in (state, aimed, outcome, value, following)))


def knowing(game: Tree) -> Contractual:
    """Who knows all of a tree: going right takes cost / (2 accuracy - 1), and unpaid the agent earns nothing."""
    S, steps = game.states, np.asarray(game.representatives().t)
    known = Contractual(steps, highest=2.0, tolerance=0.1, margin=0.0)
    known.low = known.high = game.costs[1:] / (2 * game.accuracy - 1)
    chance = np.array([[game.accuracy, 1 - game.accuracy], [1 - game.accuracy, game.accuracy]])
    known.counts[:] = MANY * chance
    known.totals[:, 1] = known.counts[:, :, 1].sum(axis=1) * game.values[1:]
    after = 2 * np.arange(1, S + 1)[:, None] + [0, 1]
    known.following = np.where(after > S, OVER, after - 1)
    known.end_search()
    return known


# The plan


def test_a_state_by_hand() -> None:
    """Right takes x = 0.5: it is worth 0.9 (2 - 0.5) = 1.35, and left 0.1 * 2 = 0.2, for which nothing is due."""
    known = Contractual(np.zeros(1, np.int64), highest=2.0, tolerance=0.1, margin=0.0)
    known.low[:] = known.high[:] = 0.5
    known.counts[:] = MANY * np.array([[0.9, 0.1], [0.1, 0.9]])
    known.totals[:] = [[0.0, 2 * MANY]]
    known.end_search()
    contract = known.plan()
    np.testing.assert_array_equal(contract.induced, [1])
    np.testing.assert_allclose(contract.payments, [[0.0, 0.5]])
    known.totals[:] = [[0.0, 0.4 * MANY]]  # 0.9 (0.4 - 0.5) is less than 0.04
    np.testing.assert_array_equal(known.plan().payments, [[0.0, 0.0]])
    known.totals[:] = [[2 * MANY, 0.0]]
    known.low[:] = known.high[:] = -0.5  # unpaid the agent goes right, and left takes 0.5
    np.testing.assert_allclose(known.plan().payments, [[0.5, 0.0]])


def test_the_rent_that_lies_ahead_is_part_of_the_pay() -> None:
    """State 1 lies right of state 0, and right takes 0.5 in both: the agent has 0.1 * 0.5 there, so 0.45 is due."""
    known = Contractual(np.array([0, 1]), highest=2.0, tolerance=0.1, margin=0.0)
    known.low[:] = known.high[:] = 0.5
    known.counts[:] = MANY * np.array([[0.9, 0.1], [0.1, 0.9]])
    known.totals[:, 1] = 2 * MANY
    known.following[0] = [OVER, 1]
    known.end_search()
    np.testing.assert_allclose(known.plan().payments, [[0.0, 0.45], [0.0, 0.5]])
    known.margins[:] = 0.1  # of the margin in state 1 the agent has 0.9 * 0.6 - 0.8 * 0.5 = 0.14 there: 0.6 - 0.14
    np.testing.assert_allclose(known.plan().payments, [[0.0, 0.46], [0.0, 0.6]])


@pytest.mark.parametrize("tree", range(5))
def test_who_knows_all_plans_the_exact_contract(tree: int) -> None:
    game: Any = make("tree/ivanov-d10", horizon=6, tree=tree, accuracy=0.8)
    table, contract = tabulate(game), knowing(game).plan()
    exact, t = subgame_perfect_contracts(table, 6), game.representatives().t
    here = t, np.arange(len(t))
    np.testing.assert_array_equal(contract.induced, exact.induced[here])
    np.testing.assert_allclose(contract.payments, exact.payments[here], atol=1e-5)
    found = contracts_of(contract, game)
    assert played(table, found.payments, found.induced).utility == pytest.approx(
        best_response(table, exact).utility, abs=1e-5
    )


# The search


def test_a_threshold_is_halved_towards() -> None:
    """The threshold is 0.3: 0 is too little, 1 and 0.5 are enough, and then it is known to 0.5."""
    known = Contractual(np.zeros(1, np.int64), highest=2.0, tolerance=0.5, margin=0.1)
    for offered in (0.0, 1.0, 0.5):
        assert known.searching
        contract = known.search(Stream(0, 6))
        np.testing.assert_allclose(contract.payments, [[0.0, offered]])
        known.observe(step(0, int(offered > 0.3), 0), contract)
    assert (known.low.item(), known.high.item()) == (0.0, 0.5)
    assert not known.searching


def test_nothing_is_paid_behind_what_is_searched() -> None:
    known = Contractual(np.array([0, 1, 1]), highest=2.0, tolerance=1.0, margin=0.1)
    known.low[0] = 1.0
    contract = known.search(Stream(0, 6))
    np.testing.assert_allclose(contract.payments, [[0.0, 1.5], [0.0, 0.0], [0.0, 0.0]])


def test_it_leads_to_what_is_open() -> None:
    known = Contractual(np.array([0, 1, 1]), highest=2.0, tolerance=1.0, margin=0.1)
    known.low[:2] = known.high[:2] = 0.5  # state 2 alone is open, to the right
    known.following[0] = [1, 2]
    known.level = 1
    draws = Stream(0, 6)
    assert all(known.search(draws).induced[0] == 1 for _ in range(20))


def test_margins_double_where_the_agent_does_something_else() -> None:
    known = Contractual(np.array([0, 1, 1]), highest=2.0, tolerance=1.0, margin=0.1)
    known.end_search()
    contract = OutcomeTable(np.array([1, 0, 1]), np.zeros((3, 2)))
    known.observe(step(0, 1, 0), contract)
    known.observe(step(1, 1, 0), contract)
    known.observe(step(1, 1, 1), contract)
    np.testing.assert_allclose(known.margins, [0.1, 0.4, 0.1])


# Learning


def test_it_comes_close_to_the_exact_principal() -> None:
    mechanism, role = make_mechanism("contractual-rl", SMALL), ContractualPrincipal(steps=60_000, tolerance=0.002)
    with train_principal(SMALL, role, seed=100, mechanism=mechanism) as phase:
        told = [update.training["principal/open"] for update in phase]
        principal = phase.result()
    assert told[0] == 1.0
    assert told[-1] == 0.0
    table = tabulate(SMALL)
    exact = best_response(table, subgame_perfect_contracts(table, 4)).utility
    assert 0.98 * exact < best_response(table, contracts_of(principal, SMALL)).utility <= exact


def test_what_it_cannot_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the mechanism contractual-rl"):
        ContractualPrincipal().check(Mechanism(game=SMALL))
    with pytest.raises(UsageError, match="ask for a tree"):
        make_mechanism("contractual-rl", make("matrix/prisoners-dilemma")).check_principal()
    mechanism, remote = make_mechanism("contractual-rl", SMALL), Resources(runners=1)
    with pytest.raises(UsageError, match="leave runners out"):
        next(iter(train_principal(SMALL, ContractualPrincipal(), seed=3, resources=remote, mechanism=mechanism)))


# Runs


def test_a_run_is_recorded_loaded_and_its_regret_shown(tmp_path: Path) -> None:
    rules: dict[str, Any] = {"horizon": 3, "episodes": 64, "principal.steps": 9_000, "principal.environments": 32}
    made = run(
        "tree/ivanov-d10", mechanism="contractual-rl", algorithm="best-response", steps=100, seed=3, out=tmp_path,
        **rules,
    )  # fmt: skip
    loaded = load(made.folder)
    assert isinstance(loaded.principal, OutcomeTable)
    assert set(read_training(made.folder)["name"]) == {"principal/open"}
    assert len(read_episodes(made.folder, "train")) >= 3_000
    text = show(made.folder, tmp_path / "pays.png")
    assert "principal, subgame-perfect; utility" in text
    assert (tmp_path / "pays-regret.png").read_bytes().startswith(b"\x89PNG")


def test_regret_is_what_an_episode_lost_against_the_exact_principal() -> None:
    episodes = pd.DataFrame({"steps": [64, 64], "principal_return": [2.0, 6.0], "principal_payment": [0.0, 3.0]})
    found = on_outcomes({"utility": 4.0}, episodes)
    np.testing.assert_array_equal(found.values, [2.0, 1.0])
    assert "principal, subgame-perfect; utility 4.00" in in_words(found)
