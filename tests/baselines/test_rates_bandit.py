"""A bandit over committed rates: its elimination and its reward by hand, what it learns, and its runs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.rates_bandit import ConstantRates, Pulling, RatesBandit, RatesBanditContract
from paymaster.benchmarks.cli.show import show
from paymaster.benchmarks.reports.regret import against, in_words
from paymaster.benchmarks.runs.record import read_episodes, read_training
from paymaster.contracts.episodes import Episodes
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Mechanism
from paymaster.core.random import Stream
from paymaster.learning import Resources
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.bandits import Confident, Eliminating, Elimination, Pulls, Zooming
from paymaster.learning.phases import train_principal
from paymaster.learning.role import Task, Update

DILEMMA = make("matrix/prisoners-dilemma")  # one shot: 3, 0, 4, 1, so whatever the other does, defecting earns 1 more
COINS = make("coin_game/ivanov-3x3")
AGENTS = PPO(hidden=(32,), environments=64, fragment=16, lr=3e-3, lr_final=1e-3)


def contract(game: Any = DILEMMA, **parameters: Any) -> RatesBanditContract:
    made = make_mechanism("rates-bandit", game, **parameters)
    assert isinstance(made, RatesBanditContract)
    return made


# Elimination


def test_an_arm_two_radii_below_the_best_is_eliminated() -> None:
    bandit = Elimination(3, pulls=2, delta=0.1)
    bandit.begin_round()
    ended = bandit.observe(np.array([0, 1, 2, 0, 1]), np.array([3.0, 10.0, 9.0, 5.0, 12.0]))
    assert not ended  # arm 2 has one pull, and two are due
    np.testing.assert_array_equal(bandit.recent, [4.0, 11.0, 9.0])
    # Within arms the squares are 2 + 2 + 2 of 6 pulls of 3 arms: s^2 = 2. Radius: sqrt(2 * 2 * ln(4 * 3 / 0.1) / 2).
    radius = np.sqrt(2 * np.log(120.0))
    assert radius == pytest.approx(3.094, abs=1e-3)
    other = Elimination(3, pulls=3, delta=0.1)
    other.begin_round()
    other.observe(np.array([0, 1, 2, 0, 1, 2]), np.array([3.0, 10.0, 9.0, 5.0, 12.0, 11.0]))
    np.testing.assert_allclose(other.radii, radius)
    assert bandit.observe(np.array([2]), np.array([11.0]))
    # Means 4, 11 and 10: 4 + 3.094 < 11 - 3.094 < 10 + 3.094.
    np.testing.assert_array_equal(bandit.left, [1, 2])
    np.testing.assert_array_equal(bandit.ranked, [1, 2, 0])


def test_rounds_double_and_use_their_own_rewards_alone() -> None:
    bandit = Elimination(2, pulls=2, delta=0.1)
    both = np.array([0, 1])
    for _ in range(9):
        assert not bandit.observe(both, np.array([100.0, 0.0]))  # the burn-in: nothing is eliminated
    np.testing.assert_array_equal(bandit.ranked, [0, 1])
    bandit.begin_round()
    ended = [bandit.observe(both, np.array([0.0, reward])) for reward in (-1.0, 3.0, -1.0, 3.0, -1.0, 3.0)]
    assert ended == [False, True, False, False, False, True]
    np.testing.assert_array_equal(bandit.left, both)
    np.testing.assert_array_equal(bandit.ranked, [1, 0])  # the burn-in, in which arm 0 was better, is forgotten
    np.testing.assert_array_equal(bandit.recent, [0.0, 1.0])


def test_every_arm_that_is_left_is_dealt_equally_often() -> None:
    rates = np.linspace(0.0, 2.0, 6)[:, None]
    bandit = Elimination(6, pulls=2, delta=0.1)
    bandit.left = np.array([1, 2, 5])
    arms = Pulling(Eliminating(rates, bandit, Stream(3, 6)), 2)
    state = DILEMMA.reset(np.arange(10, dtype=np.uint64))
    offers = [arms(DILEMMA, state).promised for _ in range(3)]
    assert offers[0].shape == (10, 2, 1)
    dealt, count = np.unique(np.concatenate(offers)[:, 0, 0], return_counts=True)
    np.testing.assert_allclose(dealt, rates[[1, 2, 5], 0])
    np.testing.assert_array_equal(count, 10)
    again = Pulling(Eliminating(rates, bandit, Stream(3, 6)), 2)
    np.testing.assert_array_equal(offers, [again(DILEMMA, state).promised for _ in range(3)])
    assert (offers[0] != offers[1]).any()


# Other rules, where agents cooperate for a rate of 1 or more


def answered(rates: np.ndarray, noise: np.ndarray) -> Pulls:
    """A welfare of 6 where a rate is 1 or more, at that rate for each of two agents, else of 2; in money of 2 each."""
    cooperate = rates[:, 0] >= 1.0
    return Pulls(rates, np.where(cooperate, 12.0, 4.0) + noise, np.where(cooperate, 2.0 * rates[:, 0], 0.0))


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_zooming_comes_closer_than_its_grid_would(noise: float) -> None:
    rng, bandit = np.random.default_rng(0), Zooming(2.0, 1, 8_000, Stream(3, 6))
    bandit.begin()
    dealt = []
    for _ in range(250):
        rates = bandit.deal(32)
        dealt.append(rates)
        bandit.observe(answered(rates, noise * rng.normal(size=32)))
    assert 1.0 <= bandit.best(1)[0, 0] <= 1.0 + 4 * bandit.unit
    late = np.concatenate(dealt[-50:])[:, 0]
    assert ((late >= 1.0 - 2 * bandit.unit) & (late <= 1.25)).mean() > 0.8  # where it matters
    assert bandit.playing < 2**6


def test_a_cell_is_divided_once_it_varies_by_five_radii() -> None:
    """Both corners twice; gain + paid 4 and 16, so the virtual width is 12. Utilities 4 -+ 1, 8 -+ 1: s^2 = 2.

    Radius: sqrt(2) sqrt(2 ln(T) / 4), with T = 100 2.15, five of them 10.7; with T = 1000 13.1.
    """
    for pulls, cells in ((100, 2), (1_000, 1)):
        bandit = Zooming(2.0, 1, pulls, Stream(3, 6))
        bandit.begin()
        assert sorted(bandit.deal(4)[:, 0].tolist())[::3] == [0.0, 2.0]
        rates = np.array([[0.0], [2.0], [0.0], [2.0]])
        bandit.observe(Pulls(rates, np.array([3.0, 11.0, 5.0, 13.0]), np.array([0.0, 4.0, 0.0, 4.0])))
        assert bandit.playing == cells
    assert bandit.cells == [((0,), (64,))]


def test_two_facts_are_zoomed_into_together() -> None:
    """The second fact is worth nothing: its rate stays at 0."""
    rng, bandit = np.random.default_rng(0), Zooming(2.0, 2, 10_000, Stream(3, 6))
    bandit.begin()
    for _ in range(300):
        rates = bandit.deal(32)
        found = answered(rates, 2.0 * rng.normal(size=32))
        bandit.observe(found._replace(paid=found.paid + 2.0 * rates[:, 1]))
    np.testing.assert_allclose(bandit.best(1), [[1.0, 0.0]], atol=0.15)


def test_bounds_of_confidence_deal_the_best_most_and_all_at_first() -> None:
    rates = np.linspace(0.0, 2.0, 6)[:, None]
    rng, bandit = np.random.default_rng(0), Confident(rates, 4_000, Stream(3, 6))
    before = bandit.deal(12)
    np.testing.assert_array_equal(np.unique(before, return_counts=True)[1], 2)  # all alike before it begins
    bandit.observe(answered(before, np.full(12, 100.0)))
    bandit.begin()
    assert bandit.utility == -np.inf
    np.testing.assert_array_equal(np.sort(bandit.deal(6)[:, 0]), rates[:, 0])  # each once before any twice
    bandit.observe(answered(rates, np.zeros(6)))
    dealt = []
    for _ in range(120):
        chosen = bandit.deal(32)
        dealt.append(chosen)
        bandit.observe(answered(chosen, 2.0 * rng.normal(size=32)))
    np.testing.assert_allclose(bandit.best(2)[:, 0], [1.2, 1.6])
    assert np.isclose(np.concatenate(dealt), 1.2).mean() > 0.5


# The contract


def test_rates_are_seen_and_hold_for_the_episode() -> None:
    rates = np.stack(np.meshgrid([0.0, 1.0], [0.0, 0.5, 1.0], indexing="ij"), axis=-1).reshape(-1, 2)
    arms = Pulling(Eliminating(rates, Elimination(6, 2, 0.1), Stream(3, 6)), 2)
    asked = []

    def principal(game: Any, state: Any) -> Any:
        asked.append(len(game.world(state)))
        return arms(game, state)

    loop = Simulation(COINS, contract(COINS, highest=2.0), 6, seed=3, principal=principal)
    held = loop.terms.rates
    assert len(np.unique(held[:, 0], axis=0)) == 6
    shown = loop.seen.terms.reshape(6, 2, 2, -1).mean(axis=-1)
    np.testing.assert_allclose(shown, held / 2.0)
    for t in range(COINS.horizon):
        np.testing.assert_array_equal(loop.terms.rates, held)
        step = loop.step(np.full((6, 2), t % 4))
        due = (held * COINS.facts(step.transition.events)).sum(axis=-1)
        np.testing.assert_allclose(step.ledger.payments, due)
    loop.seen_after(step)
    assert asked == [6, 6]  # at the start of each episode, and not about its last state
    np.testing.assert_allclose(step.episodes.terms, held[:, 0])  # type: ignore[union-attr]


def test_the_reward_is_the_utility_of_the_episode() -> None:
    bandit = Elimination(3, pulls=2, delta=0.1)
    arms = Pulling(Eliminating(np.array([[0.0], [0.5], [1.0]]), bandit, Stream(3, 6)), 2)
    loop = Simulation(DILEMMA, contract(), 3, seed=3, principal=arms)
    offered = loop.terms.rates[:, 0, 0]
    episodes = loop.step(np.zeros((3, 2), np.int64)).episodes  # both cooperate: 3 each
    assert episodes is not None
    arms.observe(episodes, alpha=0.5)
    np.testing.assert_array_equal(bandit.sums[0], [1, 1, 1])
    np.testing.assert_allclose(bandit.sums[1], [12.0, 11.0, 10.0])  # 6 / 0.5, less the rate for each agent
    assert sorted(offered) == [0.0, 0.5, 1.0]


# Learning


class Accustomed(PPO):
    """Agents that cooperate for anything where they have known every rate, and alone with one for more than 1 only."""

    def learn(self, task: Task) -> Generator[Update, None, Any]:
        loop = task.simulation(64)
        enough = 1.0 if isinstance(task.principal, ConstantRates) else 0.0
        while loop.steps < task.steps:
            step = loop.step(np.where(loop.terms.rates[..., 0] > enough, 0, 1))
            yield Update(loop.steps, task.steps, step.episodes, {})


def learned(seed: int, **settings: Any) -> tuple[ConstantRates, list[dict[str, float]]]:
    role = RatesBandit(**{"steps": 32_000, "rungs": 6, "alpha": 0.5, "agents": AGENTS, **settings})
    with train_principal(DILEMMA, role, seed=seed, mechanism=contract(highest=2.0)) as phase:
        told = [update.training for update in phase]
        return phase.result(), told


def test_it_finds_what_cooperation_costs() -> None:
    principal, told = learned(100, finalists=2)
    np.testing.assert_allclose(principal.rates, [1.2])  # the lowest of 0, 0.4, 0.8, 1.2, 1.6, 2 above 1
    first = told[:16]  # the half of the budget in which arms are eliminated, 1024 steps at a time
    assert {each["principal/arms"] for each in first[:6]} == {6.0}  # but in the burn-in
    assert first[-1]["principal/arms"] == 1
    assert first[-1]["principal/utility"] == pytest.approx(6 / 0.5 - 2 * 1.2, abs=0.3)


def test_fresh_agents_decide_among_the_last_arms() -> None:
    settings: dict[str, Any] = {"steps": 6400, "agents": Accustomed(), "pulls": 2}
    lowest, _ = learned(3, finalists=1, **settings)
    np.testing.assert_allclose(lowest.rates, [0.4])
    role = RatesBandit(**{"rungs": 6, "alpha": 0.5, **settings})
    episodes = []
    with train_principal(DILEMMA, role, seed=3, mechanism=contract(highest=2.0)) as phase:
        for update in phase:
            assert update.episodes is not None
            assert update.total == 6400
            episodes.append(update.episodes)
        chosen = phase.result()
    np.testing.assert_allclose(chosen.rates, [1.2])
    played = Episodes.joined(episodes)
    assert (np.diff(played.steps) >= 0).all()
    assert played.steps[-1] >= 6400
    tried = played.select(played.steps > 3400).terms[:, 0]
    np.testing.assert_allclose(np.unique(tried), [0.4, 0.8, 1.2])


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["ucb", "zooming"])
def test_other_rules_find_what_cooperation_costs(rule: str) -> None:
    principal, _ = learned(100, finalists=3, rule=rule, steps=96_000)
    assert 1.0 < principal.rates[0] <= 1.4


@pytest.mark.slow
def test_equal_seeds_learn_the_same() -> None:
    small: dict[str, Any] = {"steps": 4096, "agents": PPO(hidden=(8,), environments=64, fragment=8, minibatches=2)}
    (_, one), (_, other) = learned(3, **small), learned(3, **small)
    assert one == other


def test_what_it_cannot_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the mechanism rates-bandit"):
        RatesBandit().check(Mechanism(game=DILEMMA))
    with pytest.raises(UsageError, match="12 rates for each of 3 facts are 1728 arms"):
        RatesBandit(rungs=12).check(contract(make("harvest/ssd")))
    remote = Resources(runners=1)
    with pytest.raises(UsageError, match="leave runners out"):
        next(iter(train_principal(DILEMMA, RatesBandit(), seed=3, resources=remote, mechanism=contract())))


# Runs


def test_a_run_is_recorded_loaded_and_shown(tmp_path: Path) -> None:
    rules: dict[str, Any] = {
        "highest": 2.0, "episodes": 8, "principal.steps": 4096, "rungs": 3, "pulls": 8, "agents.hidden": [8],
        "agents.environments": 64, "agents.fragment": 8, "algorithm.hidden": [8], "algorithm.environments": 16,
    }  # fmt: skip
    made = run(
        "matrix/prisoners-dilemma", mechanism="rates-bandit", algorithm="ppo", steps=640, seed=3, out=tmp_path, **rules
    )
    episodes = read_episodes(made.folder)
    train = episodes[episodes["phase"] == "train"]
    assert set(train["terms_rate_cooperated"]) == {0.0, 1.0, 2.0}
    loaded = load(made.folder)
    assert isinstance(loaded.principal, ConstantRates)
    assert set(episodes.loc[episodes["phase"] != "train", "terms_rate_cooperated"]) == set(loaded.principal.rates)
    told = read_training(made.folder)
    arms = told.loc[told["name"] == "principal/arms", "value"]
    assert arms.iloc[0] == 3
    assert "principal/utility" in set(told["name"])
    text = show(made.folder, tmp_path / "rates.png")
    assert "best linear contract" in text
    assert (tmp_path / "rates-regret.png").read_bytes().startswith(b"\x89PNG")


def test_regret_is_what_an_episode_lost_against_the_best_rates() -> None:
    best = {"welfare": 6.0, "payment": 2.0, "rates": {"cooperated": 1.0}}
    episodes = pd.DataFrame({"steps": [64, 64, 128], "welfare": [2.0, 6.0, 6.0], "principal_payment": [0.0, 3.0, 1.0]})
    found = against(best, episodes, alpha=0.5)
    assert found.best == 10.0
    np.testing.assert_array_equal(found.values, [6.0, 1.0, -1.0])
    assert "1 for each cooperated; utility 10.00" in in_words(found)
    assert "6.00 in the first tenth, -1.00 in the last" in in_words(found)
