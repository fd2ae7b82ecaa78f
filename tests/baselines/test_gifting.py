"""Gifting: who pays whom, that a gift is a stay in the game, and that everything that plays knows the new action."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make, make_mechanism, parallel_env
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.benchmarks.runs.load import load
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.run import perform
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Transition
from paymaster.equilibria.tables.tabulate import tabulate

from .. import unlearned

COINS: dict[str, Any] = {"game": "coin_game/ivanov-3x3", "rules": {"stay": True}}
GAME = make("coin_game/ivanov-3x3", stay=True)
GIFT, STAY = 5, 4


def test_who_gives_pays_all_others_alike() -> None:
    mechanism = make_mechanism("gifting", make("coin_game/ivanov-7x7", players=3, stay=True), gift=1.0)
    actions, rewards = np.array([[GIFT, STAY, GIFT]]), np.zeros((1, 3), np.float32)
    none = np.zeros(1, bool)
    settled, _ = mechanism.settle((), Transition((), (), actions, (), rewards, (), none, none))
    np.testing.assert_array_equal(settled.transfers, [[[0, 0.5, 0.5], [0, 0, 0], [0.5, 0.5, 0]]])
    np.testing.assert_array_equal(settled.received(), [[-0.5, 1.0, -0.5]])


@pytest.mark.parametrize("game", [GAME, make("cleanup/lio-7x7"), make("harvest/ssd", horizon=10)])
def test_in_the_game_a_gift_is_to_stay(game: Any) -> None:
    mechanism = make_mechanism("gifting", game, gift=0.5)
    names = mechanism.played.action_names
    assert names == (*game.action_names, "gift")
    giving = Simulation(mechanism.played, mechanism, 4, seed=0)
    staying = Simulation(game, make_mechanism("selfish", game), 4, seed=0)
    random = np.random.default_rng(0)
    for _ in range(25):
        actions = random.integers(0, len(names), (4, len(game.agents)))
        gave = actions == names.index("gift")
        one, other = giving.step(actions), staying.step(np.where(gave, names.index("stay"), actions))
        for mine, theirs in zip(one.transition.next_state, other.transition.next_state, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(giving.seen_after(one).observations, staying.seen_after(other).observations)
        others = gave.sum(axis=1, keepdims=True) - gave
        np.testing.assert_allclose(one.ledger.received(), 0.5 * (others / (len(game.agents) - 1) - gave), atol=1e-6)


@pytest.mark.parametrize("id", ["coin_game/ivanov-3x3", "matrix/chicken", "tree/ivanov-d10"])
def test_where_nobody_can_stay_nobody_can_give(id: str) -> None:
    with pytest.raises(UsageError, match="choose Cleanup, Harvest, or a Coin Game with stay=true"):
        make_mechanism("gifting", make(id))


def test_a_game_with_gifts_is_a_value_without_a_table() -> None:
    played = make_mechanism("gifting", GAME).played
    assert pickle.loads(pickle.dumps(played)) == played
    with pytest.raises(UsageError, match="cannot be solved exactly"):
        tabulate(played)
    with pytest.raises(UsageError, match="0 to 5 are allowed"):
        played.step(played.reset(np.zeros(1, np.uint64)), np.array([[6, 0]]))


def test_pettingzoo_agents_may_give() -> None:
    view = parallel_env("coin_game/ivanov-3x3", "gifting", stay=True)
    view.reset(seed=0)
    assert view.action_space("red").n == 6  # type: ignore[attr-defined]
    _, earned, *_ = view.step({"red": GIFT, "blue": STAY})
    assert (earned["red"], earned["blue"]) == (-1.0, 1.0)


def test_who_gives_from_a_budget_gives_what_it_has_earned() -> None:
    mechanism = make_mechanism("budget-gifting", make("coin_game/ivanov-7x7", players=3, stay=True), gift=0.5)
    memory, none = mechanism.start(np.zeros(1, np.uint64)), np.zeros(1, bool)
    chosen = [[GIFT, 0, 0], [GIFT, GIFT, 0], [GIFT, GIFT, 0], [GIFT, 0, GIFT]]
    rewards = [[0.2, 1.0, 0.0], [0.3, -2.0, 0.4], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    done, can_give, given, budgets = [], [], [], []
    for actions, reward in zip(chosen, rewards, strict=True):
        terms, memory = mechanism.offer(memory, (), None)
        can_give.append(mechanism.view(terms, 1)[0, :, 0].tolist())
        acted = mechanism.act(terms, np.array([actions]))
        done.append(acted[0].tolist())
        transition = Transition((), terms, acted, (), np.array([reward], np.float32), (), none, none)
        settled, memory = mechanism.settle(memory, transition)
        given.append(settled.transfers[0].sum(axis=1).tolist())
        budgets.append(memory.budget[0].tolist())
    # agent 0 earns 0.2 and then 0.3, which buys one gift; agent 1 keeps what it earned though it loses 2 later
    assert can_give == [[0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert done == [[STAY, 0, 0], [STAY, GIFT, 0], [GIFT, GIFT, 0], [STAY, 0, STAY]]
    assert given == [[0, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]]
    np.testing.assert_allclose(budgets, [[0.2, 1, 0], [0.5, 0.5, 0.4], [0, 0, 0.4], [0, 0, 0.4]], atol=1e-6)
    np.testing.assert_array_equal(mechanism.start(np.zeros(2, np.uint64)).budget, np.zeros((2, 3)))


def test_nobody_ever_gives_more_than_it_earned() -> None:
    mechanism = make_mechanism("budget-gifting", GAME, gift=0.3)
    loop, random = Simulation(mechanism.played, mechanism, 64, seed=0), np.random.default_rng(0)
    gave, earned = np.zeros((64, 2)), np.zeros((64, 2))
    while not loop.episode.any():
        step = loop.step(random.integers(GIFT, size=(64, 2), endpoint=True))
        gave += step.ledger.transfers.sum(axis=2)
        assert (gave <= earned + 1e-5).all()
        earned += step.transition.rewards
    assert step.episodes is not None
    np.testing.assert_allclose(step.episodes.transfer_volume, gave.sum(axis=1), atol=1e-5)
    assert (gave > 0).all(axis=1).any()


def test_a_run_records_the_gifts_that_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)
    spec = RunSpec(**COINS, mechanism="gifting", parameters={"gift": 0.25}, steps=160, episodes=16)
    for _ in perform(resolve(spec), tmp_path):
        pass
    folder = tmp_path / resolve(spec).folder
    learned = load(folder)
    assert learned.game.action_names[GIFT] == "gift"
    loop = Simulation(learned.game, learned.mechanism, 16, seed=0, stream=unlearned.EVALUATE.stream)
    gifts = sum((actions == GIFT).sum(axis=1) for actions in _played(loop, learned.policy))
    moved = read_episodes(folder, "evaluate", ["transfer_volume"])["transfer_volume"]
    np.testing.assert_allclose(moved, 0.25 * gifts)
    assert moved.any()
    assert of_run(folder)["transfer_volume"] == pytest.approx(0.25 * gifts.mean())  # as comparisons show it


def _played(loop: Simulation, policy: Any) -> Any:
    for _ in range(20):
        actions = policy(loop.seen)
        yield actions
        loop.step(actions)
