"""Every mechanism against numbers computed by hand, and the properties that all of them share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paymaster import UsageError, make, make_mechanism
from paymaster.baselines import MECHANISMS, mechanism_class
from paymaster.contracts.ledger import Ledger
from paymaster.contracts.loop import AgentView, Minds, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism, Transition
from paymaster.contracts.recommendation import others_index
from paymaster.envs.coin_game.game import Events

from ..envs.plain_game import PlainGame

GAME = PlainGame()
THREE = PlainGame(N=3)
REWARDS = np.array([[1.0, 0.2], [-2.0, 1.0]], np.float32)


def transition(rewards: np.ndarray, terms: Any = (), actions: np.ndarray | None = None, events: Any = ()) -> Transition:
    B = len(rewards)
    actions = np.zeros(rewards.shape, np.int64) if actions is None else actions
    return Transition((), terms, actions, events, rewards, (), np.zeros(B, bool), np.zeros(B, bool))


def ledger(mechanism: Mechanism, rewards: np.ndarray) -> Ledger:
    return mechanism.settle(mechanism.start(np.arange(len(rewards), dtype=np.uint64)), transition(rewards))[0]


# By hand


def test_selfish_moves_nothing() -> None:
    for part in ledger(make_mechanism("selfish", GAME), REWARDS):
        assert not part.any()


def test_joint_agents_learn_from_the_welfare() -> None:
    settled = ledger(make_mechanism("joint", GAME), REWARDS)
    np.testing.assert_allclose(REWARDS + settled.shaping, [[1.2, 1.2], [-1.0, -1.0]], rtol=1e-6)
    assert not settled.payments.any()
    assert not settled.transfers.any()


def test_prosocial_agents_weigh_the_others() -> None:
    settled = ledger(make_mechanism("prosocial", THREE, eta=0.25), np.array([[1.0, 0.2, -2.0]], np.float32))
    np.testing.assert_allclose(settled.shaping, [[0.25 * -1.8, 0.25 * -1.0, 0.25 * 1.2]], rtol=1e-6)


def test_redistributed_share_is_paid_by_who_had_more() -> None:
    settled = ledger(make_mechanism("constant-share", GAME, share=0.5), REWARDS)
    np.testing.assert_allclose(settled.transfers, [[[0, 0.2], [0, 0]], [[0, 0], [0.75, 0]]], rtol=1e-6)
    # (1 - p) r + p W / N
    np.testing.assert_allclose(REWARDS + settled.income(), [[0.8, 0.4], [-1.25, 0.25]], rtol=1e-6)
    assert not settled.payments.any()
    assert not settled.shaping.any()


@pytest.mark.parametrize(("share", "earned"), [(0.0, [1.0, 0.2, -2.0]), (1.0, [-0.8 / 3] * 3)])
def test_redistributed_share_runs_from_selfish_to_an_equal_split(share: float, earned: list[float]) -> None:
    rewards = np.array([[1.0, 0.2, -2.0]], np.float32)
    settled = ledger(make_mechanism("constant-share", THREE, share=share), rewards)
    np.testing.assert_allclose(rewards + settled.income(), [earned], rtol=1e-5)


def test_funded_share_is_paid_by_the_principal_out_of_a_positive_welfare() -> None:
    settled = ledger(make_mechanism("funded-share", GAME, share=0.5), REWARDS)
    np.testing.assert_allclose(settled.payments, [[0.3, 0.3], [0.0, 0.0]], rtol=1e-6)
    assert not settled.transfers.any()


def test_a_budget_is_spread_evenly_over_agents_and_steps() -> None:
    game = PlainGame(N=3)
    mechanism = make_mechanism("spread-budget", game, budget=6.0)
    rewards = np.array([[5.0, 0.0, 0.0], [0.0, -3.0, 0.0]], np.float32)
    settled = ledger(mechanism, rewards)
    np.testing.assert_allclose(settled.payments, np.full((2, 3), 6.0 / game.horizon / 3), rtol=1e-6)
    assert not settled.transfers.any()
    assert not settled.shaping.any()


def test_a_budget_is_spent_where_the_welfare_is_as_expected() -> None:
    mechanism = make_mechanism("spread-budget", GAME, budget=3.0, welfare=4.0)
    steps = [[1.0, 2.0], [-2.0, 1.0], [0.0, 1.0]]  # welfares of 3, -1 and 1: 4 of it positive
    paid = [ledger(mechanism, np.array([rewards], np.float32)).payments[0] for rewards in steps]
    np.testing.assert_allclose(paid, [[1.125, 1.125], [0, 0], [0.375, 0.375]])
    assert np.sum(paid) == 3.0


def test_who_does_not_follow_is_on_probation() -> None:
    mechanism = make_mechanism("principal-dqn", GAME, probation=2)
    memory = mechanism.start(np.zeros(1, np.uint64))
    decisions = Decisions(np.array([[1, 1]]), np.array([[0.5, 0.25]], np.float32))
    paid, waiting = [], []
    for actions in ([1, 1], [0, 1], [1, 1], [1, 0], [1, 1]):
        terms, memory = mechanism.offer(memory, (), decisions)
        waiting.append(mechanism.view(terms, 1)[0, :, -1].tolist())
        settled, memory = mechanism.settle(memory, transition(np.zeros((1, 2)), terms, np.array([actions])))
        paid.append(settled.payments[0].tolist())
    assert paid == [[0.5, 0.25], [0.0, 0.25], [0.0, 0.25], [0.0, 0.0], [0.5, 0.0]]
    assert waiting == [[0, 0], [0, 0], [1, 0], [0.5, 0], [0, 1]]
    assert mechanism.terms_size == make_mechanism("principal-dqn", GAME).terms_size + 1


# What three agents with four actions are promised: agent i for the others' joint action k, 100 i + k
BY_OTHERS = (100 * np.arange(3)[:, None] + np.arange(16)).astype(np.float32)[None]


def test_others_joint_actions_are_in_lexicographic_order() -> None:
    assert others_index(np.array([[3, 1, 2], [0, 0, 1]]), 4).tolist() == [[6, 14, 13], [1, 1, 0]]
    assert others_index(np.array([[3], [1]]), 4).tolist() == [[0], [0]]


def test_who_follows_is_paid_by_what_the_others_did() -> None:
    mechanism = make_mechanism("principal-dqn", THREE, shows_pay=True)
    decisions = Decisions(np.array([[1, 1, 1]]), BY_OTHERS)
    terms, _ = mechanism.offer((), (), decisions)
    for actions, paid in (
        ([1, 1, 1], [5, 105, 205]),  # the others' joint action is (1, 1)
        ([1, 2, 1], [9, 0, 206]),  # (2, 1) beside agent 0, (1, 2) beside agent 2
        ([3, 2, 1], [0, 0, 214]),
    ):
        settled, _ = mechanism.settle((), transition(np.zeros((1, 3)), terms, np.array([actions])))
        assert settled.payments.tolist() == [paid]
    assert mechanism.view(terms, 1)[0, :, -1].tolist() == [5, 105, 205]  # if all follow
    summary = mechanism.summary(terms, 1)
    assert summary.promised.tolist() == [[5, 105, 205]]
    assert set(summary.words.ravel()) == {"if all follow"}


def test_contingent_pay_waits_for_the_end_of_probation_too() -> None:
    mechanism = make_mechanism("principal-dqn", THREE, probation=1)
    memory, decisions = mechanism.start(np.zeros(1, np.uint64)), Decisions(np.array([[1, 1, 1]]), BY_OTHERS)
    paid = []
    for actions in ([0, 1, 1], [1, 1, 1]):
        terms, memory = mechanism.offer(memory, (), decisions)
        settled, memory = mechanism.settle(memory, transition(np.zeros((1, 3)), terms, np.array([actions])))
        paid.append(settled.payments[0].tolist())
    assert paid == [[0, 101, 201], [0, 105, 205]]


def test_a_promise_of_another_shape_is_refused() -> None:
    mechanism = make_mechanism("principal-dqn", THREE)
    with pytest.raises(UsageError, match=r"\(3,\) or \(3, 16\)"):
        mechanism.offer((), (), Decisions(np.array([[1, 1, 1]]), BY_OTHERS[..., :15]))


def test_inequity_hurts_both_ways() -> None:
    settled = ledger(make_mechanism("inequity-aversion", GAME), REWARDS)
    # the lead is 0.8 for agent 0 in the first environment and 3 for agent 1 in the second; envy 5, guilt .05
    np.testing.assert_allclose(settled.shaping, [[-0.05 * 0.8, -5 * 0.8], [-5 * 3.0, -0.05 * 3.0]], rtol=1e-5)


def test_inequity_is_averaged_over_the_others() -> None:
    mechanism = make_mechanism("inequity-aversion", THREE, envy=4.0, guilt=1.0)
    settled = ledger(mechanism, np.array([[3.0, 1.0, 0.0]], np.float32))
    np.testing.assert_allclose(settled.shaping, [[-(2 + 3) / 2, -4 * 2 / 2 - 1 / 2, -4 * (3 + 1) / 2]], rtol=1e-6)


def test_inequity_remembers_smoothed_rewards() -> None:
    mechanism = make_mechanism("inequity-aversion", GAME, envy=1.0, guilt=0.0, discount=0.5, smoothing=0.5)
    memory = mechanism.start(np.zeros(1, np.uint64))
    _, memory = mechanism.settle(memory, transition(np.array([[8.0, 0.0]], np.float32)))
    settled, memory = mechanism.settle(memory, transition(np.array([[0.0, 1.0]], np.float32)))
    np.testing.assert_allclose(memory, [[2.0, 1.0]])
    np.testing.assert_allclose(settled.shaping, [[0.0, -1.0]])


def test_who_picks_anothers_coin_pays_its_owner_the_price() -> None:
    mechanism = make_mechanism("drawn-contract", make("coin_game/ivanov-3x3"))
    picked = np.zeros((3, 2, 2), bool)
    picked[0, 1, 0] = picked[1, 0, 0] = picked[2, 0, 1] = True
    events = Events(picked, np.zeros_like(picked), np.ones(3, bool))
    terms = mechanism.start(np.arange(3, dtype=np.uint64))
    terms = type(terms)(np.array([0.5, 0.5, 0.0], np.float32), np.array([True, True, False]))
    settled, _ = mechanism.settle(terms, transition(np.zeros((3, 2), np.float32), terms, events=events))
    np.testing.assert_allclose(settled.received(), [[0.5, -0.5], [0, 0], [0, 0]])


def test_drawn_prices_are_uniform_and_the_null_contract_has_its_own_flag() -> None:
    mechanism = make_mechanism("drawn-contract", make("coin_game/ivanov-3x3"), theta_max=0.4, null_probability=0.25)
    memory = mechanism.start(np.arange(20_000, dtype=np.uint64))
    terms, _ = mechanism.offer(memory, None, None)
    price, held = mechanism.view(terms, 20_000)[:, 0].T
    assert set(np.unique(held)) == {0.0, 1.0}
    assert abs(held.mean() - 0.75) < 0.01
    assert not price[held == 0].any()
    drawn = np.sort(price[held == 1])
    np.testing.assert_allclose(drawn, np.linspace(0, 0.4, len(drawn)), atol=0.01)


def test_a_price_does_not_tell_where_the_game_starts() -> None:
    game = make("coin_game/ivanov-3x3")
    keys = np.arange(20_000, dtype=np.uint64)
    price = make_mechanism("drawn-contract", game, null_probability=0.0).start(keys).price
    state = game.reset(keys)
    for fact in (state.agents[:, 0, 0], state.agents[:, 1, 1], state.coins[:, 0, 0], state.owners[:, 0]):
        assert abs(np.corrcoef(price, fact)[0, 1]) < 0.03


def test_a_drawn_contract_needs_to_know_who_picked_whose_coin() -> None:
    with pytest.raises(UsageError, match="choose a Coin Game"):
        make_mechanism("drawn-contract", GAME)


@pytest.mark.parametrize(
    ("id", "paid"), [("principal-dqn", [[0.5, 0.0]]), ("advice", [[0.0, 0.0]]), ("joint-advice", [[0.0, 0.0]])]
)
def test_following_a_recommendation_is_paid_and_advice_is_not(id: str, paid: list[list[float]]) -> None:
    mechanism = make_mechanism(id, GAME)
    decisions = Decisions(np.array([[3, 1]]), np.array([[0.5, 0.7]], np.float32))
    terms, memory = mechanism.offer((), None, decisions)
    np.testing.assert_array_equal(mechanism.view(terms, 1), [[[0, 0, 0, 1], [0, 1, 0, 0]]])
    actions = np.array([[3, 2]])
    settled, _ = mechanism.settle(memory, transition(np.zeros((1, 2), np.float32), terms, actions))
    np.testing.assert_allclose(settled.payments, paid)
    np.testing.assert_array_equal(mechanism.complied(terms, actions), [[True, False]])


def test_advised_agents_of_a_team_learn_from_the_welfare() -> None:
    mechanism = make_mechanism("joint-advice", GAME)
    terms, memory = mechanism.offer((), None, Decisions(np.array([[3, 1], [0, 0]]), np.full((2, 2), 0.7, np.float32)))
    settled, _ = mechanism.settle(memory, transition(REWARDS, terms, np.array([[3, 2], [0, 0]])))
    np.testing.assert_allclose(REWARDS + settled.income(), [[1.2, 1.2], [-1.0, -1.0]], rtol=1e-6)
    assert not settled.payments.any()
    assert not settled.transfers.any()


@pytest.mark.parametrize(
    ("id", "parameters", "told"),
    [
        ("constant-share", {"share": 1.5}, "share: .*less than or equal to 1 .got 1.5"),
        ("funded-share", {"share": -0.1}, "share: .*greater than or equal to 0 .got -0.1"),
        ("spread-budget", {"welfare": 0.0}, "welfare: .*greater than 0 .got 0.0"),
        ("prosocial", {"eta": float("nan")}, "eta"),
        ("inequity-aversion", {"envyy": 1.0}, "Did you mean 'envy'"),
        ("drawn-contract", {"theta_max": "high"}, "theta_max"),
    ],
)
def test_bad_parameters_are_told(id: str, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_mechanism(id, make("coin_game/ivanov-3x3"), **parameters)


# What holds for all


@st.composite
def steps(draw: st.DrawFn) -> tuple[Transition, np.ndarray, np.ndarray]:
    """A step of a few Coin Games with any rewards, its keys, and a relabelling of the agents."""
    B, N = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    rewards = draw(hnp.arrays(np.float32, (B, N), elements=st.floats(-100, 100, width=32)))
    keys = draw(hnp.arrays(np.uint64, B, elements=st.integers(0, 2**64 - 1)))
    picked = draw(hnp.arrays(bool, (B, N, N)))
    actions = draw(hnp.arrays(np.int64, (B, N), elements=st.integers(0, 5)))
    decisions = Decisions(
        draw(hnp.arrays(np.int64, (B, N), elements=st.integers(0, 3))),
        draw(hnp.arrays(np.float32, (B, N), elements=st.floats(0, 10, width=32))),
    )
    events = Events(picked, np.zeros_like(picked), np.ones(B, bool))
    values, following = (draw(hnp.arrays(np.float32, (B, N), elements=st.floats(-9, 9, width=32))) for _ in range(2))
    step = transition(rewards, decisions, actions, events)._replace(values=values, next_values=following)
    return step, keys, np.array(draw(st.permutations(range(N))))


def settle(mechanism: Mechanism, step: Transition, keys: np.ndarray) -> Ledger:
    """The ledger of `step`, its terms (a principal's decisions) offered first."""
    decisions, shape, A = step.terms, mechanism.promised_shape, len(mechanism.game.action_names)
    N = step.rewards.shape[1]
    if shape == (2**N,):  # the chances of all signals together
        decisions = decisions._replace(promised=np.ones((len(step.rewards), 2**N), np.float32))
    elif shape[1:] == (A**N,):  # to each agent, or from it, by what all do
        signs = (-1.0) ** np.indices((A,) * N).sum(axis=0).ravel().astype(np.float32)
        decisions = decisions._replace(promised=decisions.promised[..., None] * signs)
        step = step._replace(actions=np.minimum(step.actions, A - 1))
    elif len(shape) == 2:  # promises so much for each verifiable fact
        each = np.arange(1, 1 + len(mechanism.game.verifiable), dtype=np.float32)
        decisions = decisions._replace(promised=decisions.promised[..., None] * each)
    elif len(shape) == 3:  # from each agent to each other one, by what the others do
        others = (1.0 - np.eye(N, dtype=np.float32))[..., None] * np.ones(shape[2], np.float32)
        decisions = decisions._replace(promised=decisions.promised[:, None, :, None] * others)
        step = step._replace(actions=np.minimum(step.actions, A - 1))
    terms, memory = mechanism.offer(mechanism.start(keys), (), decisions)
    return mechanism.settle(memory, step._replace(terms=terms))[0]


def relabelled(step: Transition, order: np.ndarray) -> Transition:
    events = step.events._replace(picked=step.events.picked[:, order][:, :, order])
    decisions = Decisions(*(part[:, order] for part in step.terms))
    assert step.values is not None
    assert step.next_values is not None
    return step._replace(
        rewards=step.rewards[:, order], actions=step.actions[:, order], events=events, terms=decisions,
        values=step.values[:, order], next_values=step.next_values[:, order],
    )  # fmt: skip


@pytest.mark.parametrize("id", MECHANISMS)
@settings(max_examples=40, deadline=None)
@given(drawn=steps())
def test_money_keeps_its_kinds(id: str, drawn: tuple[Transition, np.ndarray, np.ndarray]) -> None:
    step, keys, order = drawn
    B, N = step.rewards.shape
    symmetric = {"reciprocity": {"innovators": 0}, "signals": {"signals": 2}}.get(id, {})
    mechanism = make_mechanism(id, make("coin_game/ivanov-7x7", players=N, stay=True), **symmetric)
    settled = settle(mechanism, step, keys)
    assert settled.payments.shape == settled.shaping.shape == (B, N)
    assert settled.transfers.shape == (B, N, N)
    assert (settled.payments >= 0).all(), "the principal never takes"
    assert (settled.taxes >= 0).all(), "the principal never gives by a tax"
    assert (settled.transfers >= 0).all(), "a transfer goes from payer to payee"
    assert not np.diagonal(settled.transfers, axis1=1, axis2=2).any(), "nobody pays itself"
    np.testing.assert_allclose(settled.received().sum(axis=1), 0, atol=1e-3)

    other = settle(mechanism, relabelled(step, order), keys)
    np.testing.assert_allclose(other.payments, settled.payments[:, order], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(other.transfers, settled.transfers[:, order][:, :, order], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(other.shaping, settled.shaping[:, order], rtol=1e-4, atol=1e-3)


def test_no_contract_changes_nothing() -> None:
    game = make("coin_game/ivanov-3x3")
    actions = np.random.default_rng(0).integers(0, 4, (60, 8, 2))
    loop = Simulation(game, make_mechanism("selfish", game), 8, seed=3)
    without = make_mechanism("drawn-contract", game, null_probability=1.0)
    other = Simulation(game, without, 8, seed=3)
    for chosen in actions:
        one, two = loop.step(chosen), other.step(chosen)
        np.testing.assert_array_equal(one.earned, one.transition.rewards)
        np.testing.assert_array_equal(one.earned, two.earned)
        np.testing.assert_array_equal(loop.seen_after(one).observations, other.seen_after(two).observations)


def coins_near(seen: AgentView) -> np.ndarray:
    """Some value (B, N): the coins in the top row, as each agent sees them."""
    return seen.observations[:, :, 2:, 0].sum(axis=(2, 3)).astype(np.float32)


@pytest.mark.parametrize("id", [id for id in MECHANISMS if not mechanism_class(id).principal])
def test_the_number_of_environments_changes_nothing(id: str) -> None:
    mechanism = make_mechanism(id, make("coin_game/ivanov-3x3", horizon=7, stay=True))
    game = mechanism.played
    actions = np.random.default_rng(1).integers(0, len(game.action_names), (40, 4, 2))
    together = Simulation(game, mechanism, 4, seed=5, minds=Minds(coins_near))
    alone = [Simulation(game, mechanism, 1, seed=5, first=b, minds=Minds(coins_near)) for b in range(4)]
    for chosen in actions:
        step = together.step(chosen)
        for b, loop in enumerate(alone):
            one = loop.step(chosen[b : b + 1])
            np.testing.assert_array_equal(step.earned[b], one.earned[0])
            np.testing.assert_array_equal(together.seen_after(step).terms[b], loop.seen_after(one).terms[0])
