"""LOLA by exact gradients: against a slow twin, finite differences, and what is published of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import paymaster
from paymaster import make, make_mechanism
from paymaster.contracts.loop import AgentView
from paymaster.core.config import UsageError
from paymaster.equilibria.tables.table import Table, tabular
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning import phases
from paymaster.learning.agents.lola import LOLA
from paymaster.learning.agents.tabular import TabularPolicy
from paymaster.learning.exact_gradients import ExactReturns, ascents, probabilities

DILEMMA = "matrix/iterated-prisoners-dilemma"
GAMMA = 0.96


def returns_of(id: str, discount: float) -> tuple[ExactReturns, Table]:
    game = make(id)
    table = tabulate(game)
    N = len(game.agents)
    situations = np.repeat(np.arange(table.states)[:, None], N, axis=1)  # all see the state
    return ExactReturns(table, situations, discount), table


def logits_of(table: Table, seed: int = 0) -> list[torch.Tensor]:
    N = table.rewards.shape[2]
    drawn = np.random.default_rng(seed).normal(size=(N, table.states, table.action_count - 1))
    return [torch.from_numpy(each).requires_grad_() for each in drawn]


def slow_returns(table: Table, logits: list[torch.Tensor], discount: float) -> np.ndarray:
    """(N,): rewards summed while the distribution over states is carried forward, step by step."""
    chances = [probabilities(each.detach()).numpy() for each in logits]
    share, total = table.start.copy(), np.zeros(len(logits))
    for t in range(2000):
        after = np.zeros_like(share)
        for s in range(table.states):
            for j, joint in enumerate(table.actions):
                part = share[s] * np.prod([chances[i][s, a] for i, a in enumerate(joint)])
                total += discount**t * part * table.rewards[s, j]
                d = table.following[s, j]
                for e in range(table.offsets[d], table.offsets[d + 1]):
                    after[table.successors[e]] += part * table.probabilities[e]
        share = after
        if discount**t < 1e-14:
            break
    return total


@pytest.mark.parametrize(
    ("id", "discount"), [(DILEMMA, 0.8), ("escape_room/3-2", 0.5), ("public_goods/one-shot-4", 0.0)]
)
def test_returns_are_those_of_the_slow_twin(id: str, discount: float) -> None:
    returns, table = returns_of(id, discount)
    logits = logits_of(table)
    np.testing.assert_allclose(returns(logits).detach().numpy(), slow_returns(table, logits, discount), atol=1e-9)


def test_returns_of_the_dilemma_by_hand() -> None:
    returns, table = returns_of(DILEMMA, GAMMA)
    always = torch.full((table.states, 1), 50.0, dtype=torch.float64)
    for sure, wanted in ((1.0, [-1.0, -1.0]), (-1.0, [-2.0, -2.0])):
        found = (1 - GAMMA) * returns([sure * always, sure * always])
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-9)
    # Tit for tat against always defecting: -3 once, -2 for ever after.
    state = {tuple(played): s for s, played in enumerate(tabular(make(DILEMMA)).representatives().played.tolist())}
    tit_for_tat = -always
    for seen in ((-1, -1), (0, 0), (1, 0)):
        tit_for_tat[state[seen]] = 50.0
    found = (1 - GAMMA) * returns([tit_for_tat, -always])
    np.testing.assert_allclose(found.numpy(), [-3 * (1 - GAMMA) - 2 * GAMMA, -2 * GAMMA], atol=1e-9)


@pytest.mark.parametrize("id", [DILEMMA, "public_goods/iterated-4"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_directions_are_finite_differences_after_the_others_have_moved(id: str, order: int) -> None:
    returns, table = returns_of(id, 0.7)
    logits, look_ahead, nudge = logits_of(table, 1), 0.3, 1e-5
    found = ascents(returns, logits, order, look_ahead)

    def value(i: int, place: tuple[int, int], by: float) -> float:
        there = [each.detach().clone() for each in logits]
        there[i][place] += by
        moved = [each.clone() for each in there]
        if order:
            free = [each.requires_grad_() for each in there]
            steps = ascents(returns, free, order - 1, look_ahead)
            moved = [own if k == i else own + look_ahead * steps[k] for k, own in enumerate(free)]
        return float(returns(moved)[i].detach())

    for i in range(len(logits)):
        for s in range(i % 3, table.states, 3):
            slope = (value(i, (s, 0), nudge) - value(i, (s, 0), -nudge)) / (2 * nudge)
            assert found[i][s, 0].item() == pytest.approx(slope, abs=1e-6)


def mean_rewards(order: int, seeds: int) -> np.ndarray:
    """(seeds,): the exact mean reward of a step of learned agents, discounted."""
    game = make(DILEMMA)
    mechanism = make_mechanism("selfish", game)
    returns, _ = returns_of(DILEMMA, GAMMA)
    found = []
    for seed in range(seeds):
        policy = phases.train_agents(game, mechanism, None, LOLA(order=order), seed=seed, steps=1).result()
        shown = game.observe(tabular(game).representatives())
        chances = policy.probabilities(AgentView(shown, np.zeros((len(shown), 2, 0), np.float32)))[..., 0]
        logits = np.log(chances.astype(np.float64) + 1e-12) - np.log1p(1e-12 - chances)
        found.append(float((1 - GAMMA) * returns([torch.from_numpy(logits[:, i : i + 1]) for i in range(2)]).mean()))
    return np.array(found)


def test_naive_learners_defect_and_lola_agents_cooperate() -> None:
    """Foerster et al. 2018 report -1.98 (0.14) and -1.06 (0.19), by exact gradients at a discount of 0.96."""
    assert mean_rewards(0, 3).max() < -1.9
    aware = mean_rewards(1, 6)
    assert np.median(aware) > -1.1
    assert np.mean(aware > -1.2) > 0.6


def test_agents_draw_their_actions_by_the_episodes_draws() -> None:
    situations = np.array([[[0], [1]], [[0], [1]]], np.uint8)
    chances = np.array([[[0.25, 0.75], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    policy = TabularPolicy(situations, chances, "sampled")
    seen = AgentView(
        np.array([[[0], [1]], [[0], [0]], [[1], [1]]], np.uint8), np.zeros((3, 2, 0), np.float32),
        np.array([[0.2, 0.9], [0.25, 0.5], [0.999999, 0.0]]),
    )  # fmt: skip
    assert policy(seen).tolist() == [[0, 1], [1, 1], [0, 1]]
    wanted = [[[0.25, 0.75], [0, 1]], [[0.25, 0.75], [0.5, 0.5]], [[1, 0], [0, 1]]]
    assert policy.probabilities(seen).tolist() == wanted
    greedy = TabularPolicy(situations, chances, "greedy")
    assert greedy(seen).tolist() == [[1, 1], [1, 0], [0, 1]]
    with pytest.raises(UsageError, match="agents see what their table does not list"):
        policy(seen._replace(observations=seen.observations + 7))


@pytest.mark.parametrize(("id", "message"), [("cleanup/lio-7x7", "76,800 states"), ("harvest/ssd", "does not list")])
def test_games_that_are_too_large_are_refused_before_anything_is_learned(id: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LOLA().check(make_mechanism("selfish", make(id)))


@pytest.mark.parametrize("mechanism", ["inequity-aversion", "mate"])
def test_mechanisms_beyond_the_table_are_refused_too(mechanism: str) -> None:
    game = make(DILEMMA)
    with pytest.raises(UsageError, match="LOLA climbs exact returns, and "):
        LOLA().check(make_mechanism(mechanism, game))


def test_agents_must_not_see_more_than_the_table_tells_apart() -> None:
    """On a torus boards that are moved as a whole are one state; agents that see them as they lie tell them apart."""
    with pytest.raises(UsageError, match="shows agents more than its exact states tell apart"):
        LOLA().check(make_mechanism("selfish", make("coin_game/ivanov-3x3")))
    game = make("coin_game/ivanov-3x3", observation="mutual")
    mechanism = make_mechanism("selfish", game)
    LOLA().check(mechanism)
    policy = phases.train_agents(game, mechanism, None, LOLA(updates=1), seed=0, steps=1).result()
    assert phases.evaluate(game, mechanism, None, policy, seed=0, episodes=64).length.sum() == 64 * 20


def test_situations_may_be_fewer_than_states() -> None:
    """An agent that sees nothing has one situation, and its returns are those of one action for all states."""
    returns, table = returns_of(DILEMMA, 0.8)
    blind = ExactReturns(table, np.stack([np.arange(5), np.zeros(5, np.int64)], axis=1), 0.8)
    first, second = logits_of(table)
    alike = second[:1].expand(5, 1)
    torch.testing.assert_close(blind([first, second[:1]]), returns([first, alike]))


def test_lola_agents_in_a_run_that_is_loaded_again(tmp_path: Path) -> None:
    """Under a wage, which is part of what they climb, naive agents cooperate too."""
    result = paymaster.run(
        DILEMMA, mechanism="committed-rates", rates={"cooperated": 2.5}, algorithm="lola", order=0, horizon=10,
        steps=10, episodes=16, seed=3, out=tmp_path,
    )  # fmt: skip
    assert result.welfare == pytest.approx(-20.0, abs=1.0)
    assert result.payment == pytest.approx(50.0, abs=2.5)
    loaded = paymaster.load(result.folder)
    shown = loaded.game.observe(loaded.game.reset(np.zeros(1, np.uint64)))
    assert loaded.policy.probabilities(AgentView(shown, np.zeros((1, 2, 1), np.float32)))[0, :, 0].min() > 0.9
