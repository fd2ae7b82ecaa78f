"""Payments on outcomes: the closed form against the linear programme, small trees by hand, and a slow plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paymaster import UsageError, make
from paymaster.envs.tree import Tree
from paymaster.equilibria.principal.hidden_actions import (
    OutcomeContracts,
    best_response,
    played,
    social_optimum,
    subgame_perfect_contracts,
    unpaid,
)
from paymaster.equilibria.principal.payments_on_outcomes import least_payments, linear_programme, two_outcomes
from paymaster.equilibria.tables.tabulate import tabulate

NINE = np.array([[0.9, 0.1], [0.1, 0.9]])


# The least payments of one state


def test_effort_is_paid_for_by_the_outcome_it_makes_likelier() -> None:
    """Aiming right costs 0.4, and raises the chance of right by 0.8: it takes b(right) = 0.5, of which 0.05 is rent."""
    paid = least_payments(np.array([0.0, -0.4]), NINE)
    np.testing.assert_allclose(paid, [[0.0, 0.0], [0.0, 0.5]])
    assert NINE[1] @ paid[1] - 0.4 == pytest.approx(0.05)


def test_a_nudge_is_added_to_what_the_agent_must_gain() -> None:
    np.testing.assert_allclose(least_payments(np.array([0.0, -0.4]), NINE, nudge=0.08)[1], [0.0, 0.6])
    np.testing.assert_allclose(least_payments(np.array([0.0, -0.02]), NINE, nudge=0.1)[0], [0.1, 0.0])


def test_what_it_does_anyway_costs_nothing() -> None:
    np.testing.assert_allclose(least_payments(np.array([0.3, 0.7]), NINE)[1], [0.0, 0.0])
    np.testing.assert_allclose(least_payments(np.array([0.3, 0.7]), NINE)[0], [0.5, 0.0])


def test_what_looks_like_a_better_action_cannot_be_induced() -> None:
    """The second action has the outcomes of the first, at a cost; so has a mixture of the others for the last."""
    same = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert np.isinf(least_payments(np.array([0.0, -0.1]), same)[1]).all()
    between = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    q = np.array([0.0, 0.0, -0.1])
    assert np.isinf(least_payments(q, between)[2]).all()
    assert np.isinf(linear_programme(q, between, 2)).all()


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(2, 4), st.sampled_from([0.0, 0.05]))
def test_the_closed_form_is_the_linear_programme(data: st.DataObject, A: int, nudge: float) -> None:
    q = data.draw(hnp.arrays(float, A, elements=st.floats(-2, 2).map(lambda x: round(x, 2))))
    p = data.draw(hnp.arrays(float, A, elements=st.integers(0, 20).map(lambda x: x / 20)))
    chance = np.stack([1 - p, p], axis=-1)
    closed = two_outcomes(q, chance, nudge)
    for action in range(A):
        expected = linear_programme(q, chance, action, nudge)
        assert np.isinf(closed[action]).all() == np.isinf(expected).all()
        if np.isfinite(expected).all():
            assert chance[action] @ closed[action] == pytest.approx(chance[action] @ expected, abs=1e-6)
            gain = q + chance @ closed[action]
            assert (gain[action] >= np.delete(gain, action) + nudge - 1e-9).all()


def test_rounding_does_not_forbid_what_just_meets_its_constraints() -> None:
    """-0.3 + 0.25 + 0.05 is 0, and 2.8e-17 in floating point: the last action is as much better as it must be."""
    q, chance = np.array([-0.3, 0.0, -0.25]), np.array([[1.0, 0.0], [0.95, 0.05], [1.0, 0.0]])
    np.testing.assert_allclose(two_outcomes(q, chance, 0.05)[2], linear_programme(q, chance, 2, 0.05), atol=1e-9)


def test_three_outcomes_take_the_programme() -> None:
    """The outcome that only the wanted action brings is the cheapest to pay on."""
    chance = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]])
    paid = least_payments(np.array([0.0, -1.0]), chance)
    np.testing.assert_allclose(paid[1], [0.0, 0.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(paid[0], 0.0, atol=1e-9)


# The equilibrium


def test_one_decision_by_hand() -> None:
    """Inducing effort is worth 0.8 v - 0.9 c / 0.8 to the principal, so it is done where v > 1.40625 c."""
    game = Tree(horizon=1, tree=3)
    cost, value = game.costs[1], game.values[1]
    table = tabulate(game)
    contracts = subgame_perfect_contracts(table, 1)
    worthwhile = value > 1.40625 * cost
    assert contracts.induced.tolist() == [[int(worthwhile)]]
    found = best_response(table, contracts)
    assert found.utility == pytest.approx(max(0.1 * value, 0.9 * (value - cost / 0.8)))
    assert found.agent_value == pytest.approx(0.9 * cost / 0.8 - cost if worthwhile else 0.0)


@pytest.mark.parametrize("tree", range(5))
def test_solved_by_a_slow_plain_twin(tree: int) -> None:
    """Recursion over the nodes, each contract by the general linear programme."""
    game = Tree(horizon=3, tree=tree)
    induced: dict[int, int] = {}

    def values(node: int) -> tuple[float, float]:
        """The agent's and the principal's at a node."""
        if node >= 8:
            return 0.0, 0.0
        (agent_left, left), (agent_right, right) = values(2 * node), values(2 * node + 1)
        q = NINE @ [agent_left, agent_right] - [0.0, game.costs[node]]
        worth = NINE @ [left, game.values[node] + right]
        paid = [NINE[a] @ linear_programme(q, NINE, a) for a in (0, 1)]
        induced[node] = int(worth[1] - paid[1] > worth[0] - paid[0])
        chosen = induced[node]
        return q[chosen] + paid[chosen], worth[chosen] - paid[chosen]

    agent, principal = values(1)
    table = tabulate(game)
    contracts = subgame_perfect_contracts(table, 3)
    found = best_response(table, contracts)
    assert contracts.induced[0].tolist() == [induced[node] for node in range(1, 8)]
    assert found.agent_value == pytest.approx(agent, abs=1e-6)
    assert found.utility == pytest.approx(principal, abs=1e-6)


def test_nobody_gains_by_deviating() -> None:
    """A least payment leaves the agent indifferent, so it does as is meant; no other contract is better at the root."""
    table = tabulate(Tree(horizon=4, tree=2))
    contracts = subgame_perfect_contracts(table, 4)
    found = best_response(table, contracts)
    np.testing.assert_array_equal(found.actions, contracts.induced)
    dice = np.random.default_rng(0)
    for _ in range(200):
        state, pay = dice.integers(table.states), dice.uniform(0, 1.5, 2)
        other = OutcomeContracts(contracts.induced, contracts.payments.copy())
        other.payments[:, state] = pay
        assert best_response(table, other).utility <= found.utility + 1e-9


def test_hiddenness_costs_the_principal_and_nobody_beats_the_optimum() -> None:
    for tree in range(5):
        table = tabulate(make("tree/ivanov-d10", tree=tree))
        found = best_response(table, subgame_perfect_contracts(table, 10))
        without, best = unpaid(table, 10), social_optimum(table, 10)
        assert without.utility < found.utility
        assert found.utility + found.agent_value < best.utility + best.agent_value
        assert found.agent_value > 0, "limited liability leaves a rent"
        assert without.agent_value == 0


def test_a_nudge_buys_obedience() -> None:
    """Least payments a hair too small lose the agent; with a nudge the same error loses nothing but the nudge."""
    table = tabulate(make("tree/ivanov-d10"))
    exact = best_response(table, subgame_perfect_contracts(table, 10)).utility
    for nudge, low, high in ((0.0, 0.0, 0.5), (0.01, 0.97, 1.0)):
        contracts = subgame_perfect_contracts(table, 10, nudge=nudge)
        short = contracts._replace(payments=np.maximum(contracts.payments - 1e-4, 0.0))
        assert low < best_response(table, short).utility / exact < high


def test_sixty_trees_induce_effort_in_the_relayed_share_of_states() -> None:
    """57.6%; the paper says about 60%."""
    shares = [
        subgame_perfect_contracts(tabulate(make("tree/ivanov-d10", tree=tree)), 10).induced[0].mean()
        for tree in range(60)
    ]
    assert np.mean(shares) == pytest.approx(0.576, abs=0.001)


def test_playing_is_what_the_table_says() -> None:
    """Sums over a hundred thousand episodes against the expectations."""
    game = make("tree/ivanov-d10", tree=1)
    table = tabulate(game)
    contracts = subgame_perfect_contracts(table, 10)
    expected = played(table, contracts.payments, contracts.induced)
    B = 100_000
    state = game.reset(np.arange(B, dtype=np.uint64))
    sums = np.zeros((3, B))
    for _ in range(10):
        here = game.index(state)  # type: ignore[attr-defined]
        state, events = game.step(state, contracts.induced[0][here][:, None])
        paid = (contracts.payments[0][here] * game.facts(events)[:, 0]).sum(axis=1)
        sums += [game.rewards(events)[:, 0], game.principal_reward(events), paid]
    for total, wanted in zip(sums, (expected.agent_return, expected.principal_return, expected.payment), strict=True):
        assert total.mean() == pytest.approx(wanted, abs=5 * total.std() / np.sqrt(B))


def test_several_agents_are_refused() -> None:
    with pytest.raises(UsageError, match="solved for one agent, and the game has 2"):
        subgame_perfect_contracts(tabulate(make("coin_game/ivanov-3x3")), 20)
