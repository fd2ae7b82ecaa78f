"""Formal contracts: who owes whom by hand, which contract is signed, and runs under what another run's agents sign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from paymaster import UsageError, make, make_mechanism
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.benchmarks.runs.load import load
from paymaster.benchmarks.runs.record import read_about, read_episodes
from paymaster.benchmarks.runs.run import perform
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import Reference, RunSpec
from paymaster.benchmarks.specs.suites import Suite, expand
from paymaster.contracts.formal import clause, shown
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.contracts.mechanism import Transition
from paymaster.envs.cleanup import game as cleanup
from paymaster.envs.harvest import game as harvest
from paymaster.equilibria.induced_game import evaluate, induce
from paymaster.equilibria.solve import solve
from paymaster.learning.signing import PROPOSALS, STARTS, Choice, Rule, choose, negotiated, solved

from .. import unlearned
from ..envs.plain_game import PlainGame

COINS = "coin_game/ivanov-3x3"
CLEANUP, HARVEST = make("cleanup/ssd", players=3), make("harvest/ssd", players=3)


def cleaned(*cells: int) -> cleanup.Events:
    each, no = np.array([cells], np.int16), np.zeros((1, len(cells)), bool)
    return cleanup.Events(no, each, no, no.astype(np.int16))


def eaten(*low_density: bool) -> harvest.Events:
    each, no = np.array([low_density]), np.zeros((1, len(low_density)), bool)
    return harvest.Events(np.ones_like(each), each, no, no, no.astype(np.int16))


def transition(events: Any, N: int = 3, terms: Any = ()) -> Transition:
    none = np.zeros(1, bool)
    return Transition((), terms, np.zeros((1, N), np.int64), events, np.zeros((1, N), np.float32), (), none, none)


# Who owes whom


def test_who_cleans_is_paid_for_every_cell_evenly_by_the_others() -> None:
    mechanism = make_mechanism("formal-contract", CLEANUP, theta=0.2)
    settled, _ = mechanism.settle((), transition(cleaned(2, 0, 1)))
    np.testing.assert_allclose(settled.transfers, [[[0, 0, 0.1], [0.2, 0, 0.1], [0.2, 0, 0]]], atol=1e-7)
    np.testing.assert_allclose(settled.received(), [[0.3, -0.3, 0.0]], atol=1e-7)


def test_who_eats_of_low_density_pays_the_others() -> None:
    mechanism = make_mechanism("formal-contract", HARVEST, theta=3.0)
    settled, _ = mechanism.settle((), transition(eaten(True, False, False)))
    np.testing.assert_allclose(settled.transfers, [[[0, 1.5, 1.5], [0, 0, 0], [0, 0, 0]]])


def test_the_drawn_contract_pays_the_same_at_its_price() -> None:
    mechanism = make_mechanism("drawn-contract", CLEANUP, null_probability=0.0)
    terms = mechanism.start(np.arange(1, dtype=np.uint64))
    assert 0 < terms.price[0] <= 0.2
    settled, _ = mechanism.settle(terms, transition(cleaned(2, 0, 1), terms=terms))
    same = make_mechanism("formal-contract", CLEANUP, theta=float(terms.price[0]))
    np.testing.assert_allclose(settled.transfers, same.settle((), transition(cleaned(2, 0, 1)))[0].transfers)


@pytest.mark.parametrize(
    ("game", "highest"),
    [
        (make(COINS), 2.0), (CLEANUP, 0.2), (make("cleanup/lio-7x7"), 1.0), (make("cleanup/lio-10x10"), 1.0),
        (make("cleanup_features/ssd"), 0.2), (HARVEST, 10.0),
    ],
)  # fmt: skip
def test_the_highest_price_is_the_games_own(game: Any, highest: float) -> None:
    keys = np.arange(4000, dtype=np.uint64)
    mechanism = make_mechanism("drawn-contract", game)
    price = mechanism.start(keys).price
    assert 0.98 * highest < price.max() <= highest
    assert make_mechanism("drawn-contract", game, theta_max=0.5).start(keys).price.max() <= 0.5


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.int16, (2, 4), elements=st.integers(0, 3)), st.permutations(range(4)))
def test_what_is_owed_is_never_negative_sums_to_zero_and_knows_no_names(counts: np.ndarray, order: list[int]) -> None:
    no = np.zeros(counts.shape, bool)
    for game, events in (
        (CLEANUP, lambda each: cleanup.Events(no, each, no, no.astype(np.int16))),
        (HARVEST, lambda each: harvest.Events(no, each > 1, no, no, no.astype(np.int16))),
    ):
        owed = clause(game).owed(events(counts))
        assert (owed >= 0).all()
        assert not np.diagonal(owed, axis1=1, axis2=2).any()
        np.testing.assert_allclose(owed.sum(axis=1).sum(axis=1), owed.sum(axis=2).sum(axis=1), rtol=1e-6)
        np.testing.assert_array_equal(clause(game).owed(events(counts[:, order])), owed[:, order][:, :, order])


def test_played_in_cleanup_the_money_is_that_of_the_cells_cleaned() -> None:
    game = make("cleanup/lio-7x7")
    loop = Simulation(game, make_mechanism("drawn-contract", game, null_probability=0.5), 8, seed=0)
    clean, up = game.action_names.index("clean"), game.action_names.index("up")
    cells = 0
    for t in range(50):
        actions = np.full((8, 2), up if t < 4 else clean)
        step = loop.step(actions)
        counts, price = step.transition.events.cleaned, step.transition.terms.price
        cells += counts.sum()
        np.testing.assert_allclose(step.ledger.received()[:, 0], price * (counts[:, 0] - counts[:, 1]), atol=1e-6)
        np.testing.assert_allclose(step.earned.sum(axis=1), step.transition.rewards.sum(axis=1), atol=1e-5)
    assert cells > 0


def test_an_episode_records_its_contract() -> None:
    game = make(COINS, horizon=2)
    drawn = Simulation(game, make_mechanism("drawn-contract", game, null_probability=0.5), 64, seed=0)
    price, held = drawn.memory
    assert 0 < held.sum() < 64
    for _ in range(2):
        ended = drawn.step(np.zeros((64, 2), np.int64)).episodes
    assert drawn.mechanism.recorded == ("theta", "held")
    np.testing.assert_allclose(ended.terms[:, 0], np.where(held, price, np.nan), rtol=1e-6)
    np.testing.assert_array_equal(ended.terms[:, 1], held)
    for theta, kept in ((0.7, [0.7, 1]), (0.0, [0, 1]), (None, [np.nan, 0])):
        np.testing.assert_array_equal(make_mechanism("formal-contract", game, theta=theta).record((), 2), [kept, kept])


def test_the_null_contract_is_no_contract_of_price_zero() -> None:
    game = make(COINS)
    null, free = make_mechanism("formal-contract", game), make_mechanism("formal-contract", game, theta=0.0)
    np.testing.assert_array_equal(null.view((), 2), np.zeros((2, 2, 2)))
    np.testing.assert_array_equal(free.view((), 2), np.tile([0.0, 1.0], (2, 2, 1)))


def test_a_game_without_a_contract_is_told() -> None:
    for id in ("drawn-contract", "formal-contract"):
        with pytest.raises(UsageError, match="got a PlainGame, choose a Coin Game, Cleanup or Harvest"):
            make_mechanism(id, PlainGame())


# Which contract is signed


def test_the_solver_takes_the_highest_sum_and_null_if_nothing_beats_it() -> None:
    values = np.array([[1.0, 5.0], [4.0, 3.0], [0.0, 6.5]])
    assert solved(values, np.array([3.0, 3.0]), vote=False) == 1
    assert solved(values, np.array([3.0, 4.0]), vote=False) is None


@pytest.mark.parametrize(
    ("values", "signed"),
    [
        ([9.0, 1.0], True),  # one of two prefers it
        ([9.0, 1.0, 1.0], False),  # one of three does
        ([9.0, 3.0, 1.0, 3.0], True),  # two of four do
        ([9.0, 3.0, 2.0, 2.0, 1.0], False),  # two of five: who is indifferent does not
    ],
)
def test_the_vote_needs_as_many_who_strictly_prefer_as_who_do_not(values: list[float], signed: bool) -> None:
    null = np.full(len(values), 2.0)
    assert solved(np.array([values]), null, vote=True) == (0 if signed else None)
    assert solved(np.array([values]), null, vote=False) == 0


def test_the_proposer_takes_what_is_best_for_itself_among_what_is_accepted() -> None:
    values, null = np.array([[9.0, 1.0], [4.0, 3.0], [3.0, 9.0]]), np.array([2.0, 2.0])
    draws = np.array([0.0, 0.0, 0.999])
    assert negotiated(values, null, (values > null).astype(float), draws) == 1
    # with chances it weighs: .2 * 9 + .8 * 2 = 3.4 against .4 * 4 + .6 * 2 = 2.8 and .9 * 3 + .1 * 2 = 2.9
    willing = np.array([[1.0, 0.2], [1.0, 0.4], [1.0, 0.9]])
    assert negotiated(values, null, willing, np.array([0.0, 0.0, 0.1])) == 0
    assert negotiated(values, null, willing, np.array([0.0, 0.0, 0.3])) is None, "it was refused"


def test_all_others_must_accept_where_there_are_two() -> None:
    values, null = np.array([[9.0, 3.0, 3.0]]), np.full(3, 2.0)
    for last, signed in ((0.59, 0), (0.61, None)):
        assert negotiated(values, null, np.array([[0.0, 1.0, 0.6]]), np.array([0.0, 0.0, last])) == signed
    assert negotiated(values, null, np.array([[0.0, 1.0, 0.0]]), np.zeros(3)) is None, "so it is not proposed"


def test_two_of_more_others_are_drawn_to_vote() -> None:
    """Of four others one refuses: of the six pairs it is in three, so half of all votes pass."""
    values, null = np.full((1, 5), 9.0), np.full(5, 2.0)
    willing = np.array([[0.0, 1.0, 1.0, 1.0, 0.0]])
    draws = np.random.default_rng(0).random((4000, 3))
    signed = np.array([negotiated(values, null, willing, each) is not None for each in draws])
    assert abs(signed.mean() - 0.5) < 0.03
    # the proposer expects 9 with chance 1/2, else 2: it takes a sure 5.6 for itself instead, and leaves a sure 5.4
    for sure, proposal in ((5.6, 1), (5.4, 0)):
        both = np.array([[9.0] * 5, [sure] * 5])
        assert negotiated(both, null, np.array([willing[0], np.ones(5)]), np.array([0.0, 0.0, 0.0])) == proposal


def test_nothing_is_proposed_that_promises_the_proposer_no_more() -> None:
    assert negotiated(np.array([[2.0, 9.0]]), np.array([2.0, 1.0]), np.ones((1, 2)), np.zeros(3)) is None


def value_of(theta: Any, null: float) -> Any:
    """Agents who expect `theta(price)` under a contract and `null` without one, less 1 for the second."""

    def value(seen: AgentView) -> np.ndarray:
        assert seen.observations.shape == (STARTS, 2, 4, 3, 3)
        price, held = seen.terms[..., 0], seen.terms[..., 1]
        return np.where(held == 1, theta(price), null) - np.array([0.0, 1.0])

    return value


@pytest.mark.parametrize("rule", ["best", "voted", "negotiated"])
def test_agents_sign_the_price_from_which_they_expect_most(rule: Any) -> None:
    value = value_of(lambda price: 3 * price * (1 - price), 0.6)  # 0.75 at a price of one half
    choice = choose(make(COINS), value, 2.0, rule=rule, seed=1)
    assert choice.theta == choice.prices[abs(choice.prices - 0.5).argmin()]
    assert choice.theta == pytest.approx(0.5, abs=0.05)
    assert choice.values.shape == (PROPOSALS, 2)
    np.testing.assert_allclose(choice.null, [0.6, -0.4])
    np.testing.assert_allclose(np.sort(choice.prices), np.linspace(0, 2, PROPOSALS), atol=0.25)
    assert choose(make(COINS), value, 2.0, rule=rule, seed=2).theta != choice.theta, "other prices are drawn"


def test_those_in_favour_are_told() -> None:
    values = np.array([[9.0, 0.0, 9.0, 9.0], [3.0, 2.0, 1.0, 3.0]])

    def choice(theta: float | None) -> Choice:
        return Choice(theta, values, np.full(4, 2.0), np.array([0.1, 0.2]))

    assert choice(0.1).in_favour == 0.75
    assert choice(0.2).in_favour == 0.5  # who is indifferent is not in favour
    assert np.isnan(choice(None).in_favour)


@pytest.mark.parametrize("rule", ["best", "voted", "negotiated"])
def test_agents_sign_nothing_where_null_promises_more_than_any_price(rule: Any) -> None:
    assert choose(make(COINS), value_of(lambda price: 0 * price, 0.1), 2.0, rule=rule, seed=1).theta is None


def test_what_is_shown_of_the_null_contract_hides_its_price() -> None:
    both = shown(np.array([0.5, 0.5]), np.array([True, False]), 3)
    np.testing.assert_array_equal(both[:, 0], [[0.5, 1], [0, 0]])


# What a contract brings about, exactly


@pytest.mark.parametrize(("theta", "welfare"), [(None, 10.901), (0.0, 10.901), (0.8, 13.860), (2.0, 13.860)])
def test_at_a_price_of_four_fifths_others_coins_are_left_to_them(theta: float | None, welfare: float) -> None:
    """Who takes another's coin keeps 0.2 of the 1 it is worth to its owner: 0.8 is what is lost, of 13.900 at best."""
    game = make(COINS)
    under = induce(game, make_mechanism("formal-contract", game, theta=theta))
    found = evaluate(under, solve(under.earned, "highest", game.horizon).actions)
    assert found.welfare == pytest.approx(welfare, abs=1e-3)
    assert found.payment == 0


# A run under what another run's agents sign


@pytest.fixture
def _unlearned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)


def run(spec: RunSpec, out: Path) -> Path:
    for _ in perform(resolve(spec), out):
        pass
    return out / resolve(spec).folder


SMALL: dict[str, Any] = {"game": COINS, "steps": 200, "episodes": 16}


@pytest.mark.usefixtures("_unlearned")
@pytest.mark.parametrize(("seed", "null"), [(0, False), (1, True)])  # what networks as drawn happen to expect
def test_a_run_plays_under_the_contract_that_anothers_agents_sign(seed: int, null: bool, tmp_path: Path) -> None:
    source = RunSpec(mechanism="drawn-contract", seed=seed, **SMALL)
    learned = load(run(source, tmp_path))
    for rule in get_args(Rule):
        choice = choose(learned.game, learned.policy.values, 2.0, rule=rule, seed=seed)
        theta = choice.theta
        assert (theta is None) == null
        reference = Reference(source=source, column=f"{rule}_theta")
        spec = RunSpec(mechanism="formal-contract", parameters={"theta": reference}, seed=seed, **SMALL)
        folder = run(spec, tmp_path)
        about = read_about(folder / "run.json")
        assert about["resolved"]["given"]["theta"] == theta
        assert about["name"] == f"formal-contract theta=drawn-contract/dqn.{rule}_theta"
        assert load(folder).mechanism.theta == theta  # type: ignore[attr-defined]
        episodes = read_episodes(folder)
        told = episodes[["terms_theta", "terms_held", "in_favour"]].drop_duplicates().to_numpy()
        np.testing.assert_allclose(told, [[np.nan, 0, np.nan] if null else [theta, 1, choice.in_favour]])
        assert of_run(folder)["acceptance"] == float(not null)
        coins = episodes["transfer_volume"][episodes["phase"] == "evaluate"] / (theta or 1.0)
        assert bool(coins.any()) != null
        np.testing.assert_allclose(coins, coins.round(), atol=1e-3)  # one price for all


def test_a_price_is_signed_under_drawn_contracts_only() -> None:
    source = RunSpec(mechanism="joint", **SMALL)
    reference = Reference(source=source, column="voted_theta")
    with pytest.raises(UsageError, match=r"take it from a run of drawn-contract \(got joint\)"):
        resolve(RunSpec(mechanism="formal-contract", parameters={"theta": reference}, **SMALL))


def suite(column: str) -> Suite:
    runs = [
        {"mechanism": "drawn-contract"},
        {"mechanism": "formal-contract", "parameters": {"theta": {"from": f"drawn-contract/dqn.{column}"}}},
    ]
    return Suite.model_validate({"game": COINS, "steps": 100, "seeds": 1, "runs": runs})


def test_a_suite_says_by_which_rule_a_contract_is_signed() -> None:
    drawn, formal = expand(suite("negotiated_theta"))
    assert list(formal.needs()) == [drawn]
    assert resolve(formal).values["parameters"]["theta"]["from"] == "drawn-contract/dqn.negotiated_theta"
    with pytest.raises(UsageError, match=r"another run's payment_share or payment or .* \(got 'theta'\)"):
        expand(suite("theta"))
