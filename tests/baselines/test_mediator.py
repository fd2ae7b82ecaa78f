"""A mediator: whom it acts for and how, by hand; what it learns; and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines import mediator as module
from paymaster.baselines.mediator import LearnedMediator, Mediating, Mediation
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.loop import Loop, Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.core.checkpoint import Checkpoint
from paymaster.learning import beside_agents, whole_episodes
from paymaster.learning.agents.companions import Companions
from paymaster.learning.incentives import stack
from paymaster.learning.networks import shape_of
from paymaster.learning.phases import evaluate, train_principal
from paymaster.learning.principals.mediator import Mediator
from paymaster.learning.role import TRAIN, Task

DILEMMA = make("matrix/prisoners-dilemma")  # 3, 0, 4, 1
COOPERATE, DEFECT, DELEGATE = 0, 1, 2


def contract(game: Any = DILEMMA) -> Mediation:
    made = make_mechanism("mediator", game)
    assert isinstance(made, Mediation)
    return made


def played(loop: Loop, agents: Companions, learning: Mediating) -> whole_episodes.Batch:
    """A batch in which all actions are random."""
    return whole_episodes.played(loop, agents, agents.policies, 1.0, learning.offer, learning.random)


def rule(game: Any, state: Any) -> Decisions:
    """Cooperates for both, and defects for one whose other stays outside."""
    plan = np.array([[[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]], np.float32)  # (1, N, coalitions {}, {0}, {1}, all)
    B = len(game.world(state))
    return Decisions(np.zeros((B, 2), np.int64), np.repeat(plan, B, axis=0))


@pytest.mark.parametrize(
    ("chosen", "done", "earned"),
    [
        ([DELEGATE, DELEGATE], [COOPERATE, COOPERATE], [3.0, 3.0]),
        ([DELEGATE, DEFECT], [DEFECT, DEFECT], [1.0, 1.0]),
        ([COOPERATE, DELEGATE], [COOPERATE, DEFECT], [0.0, 4.0]),
        ([COOPERATE, DEFECT], [COOPERATE, DEFECT], [0.0, 4.0]),
    ],
)
def test_it_acts_for_those_who_delegate(
    chosen: tuple[int, ...], done: tuple[int, ...], earned: tuple[int, ...]
) -> None:
    mechanism = contract()
    loop = Simulation(mechanism.played, mechanism, 1, seed=0, principal=rule)
    step = loop.step(np.array([chosen]))
    np.testing.assert_array_equal(step.transition.actions, [done])
    np.testing.assert_array_equal(step.transition.chosen, [chosen])
    np.testing.assert_array_equal(step.earned, [earned])
    assert step.complied is not None
    np.testing.assert_array_equal(step.complied, [[each == DELEGATE for each in chosen]])
    assert not step.ledger.income().any()


def test_people_are_told_its_rule() -> None:
    mechanism = contract()
    words = mechanism.summary(rule(DILEMMA, DILEMMA.reset(np.zeros(1, np.uint64))), 1).words
    assert words.tolist() == [["delegate: cooperate; else they defect"] * 2]


def test_a_coalition_of_three_is_counted_by_its_members() -> None:
    mechanism = contract(make("public_goods/one-shot-4", players=3))
    promised = np.zeros((1, 3, 8), np.float32)
    promised[0, [0, 2], 0b101] = 1.0  # agents 0 and 2
    acted = mechanism.act(Decisions(np.zeros((1, 3), int), promised), np.array([[2, 0, 2]]))
    np.testing.assert_array_equal(acted, [[1, 0, 1]])


# Learning


def test_advantages_by_hand() -> None:
    """Rewards 1 and 2, values 0.5 and 1; discount .5, lambda 1: 2 - 1 at the end, before it 1 + .5 - .5 + .5 * 1."""
    role = LearnedMediator(discount=0.5, gae_lambda=1.0)
    rewards, values, counts = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[0.5], [1.0]]]), torch.ones(2, 1)
    np.testing.assert_allclose(role.advantages(rewards, values, counts, torch.zeros(2, 1)).flatten(), [1.5, 1.0])
    # Where the horizon cuts, half of the last value follows: 2 + .5 - 1, and so .25 more before it.
    cut = torch.tensor([[0.0], [1.0]])
    np.testing.assert_allclose(role.advantages(rewards, values, counts, cut).flatten(), [1.75, 1.5])


def test_nothing_follows_a_natural_end_in_a_game_that_is_cut() -> None:
    """Two episodes, one of which ends by itself in the first step; the horizon cuts the other after the second."""
    role = LearnedMediator(discount=0.5, gae_lambda=1.0)
    rewards = torch.tensor([[[1.0, 6.0], [2.0, 9.0]]])
    values, counts = torch.tensor([[[0.5, 4.0], [1.0, 9.0]]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    found = role.advantages(rewards, values, counts, torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(found[0, :, 0], [1.75, 1.5])
    assert found[0, 0, 1].item() == pytest.approx(6.0 - 4.0)


def test_a_batch_tells_where_episodes_were_cut() -> None:
    game = make("escape_room/2-1", truncates=True)
    mechanism = contract(game)
    loop = Loop(mechanism.played, mechanism, 64, seed=0)
    agents = Companions(shape_of(mechanism.played), 0, stack(2, 8, (4,), 4))
    task = Task(mechanism.played, mechanism, TRAIN, 0, 640)
    batch = played(loop, agents, Mediating(LearnedMediator(), task, agents))
    escaped = (batch.rewards == 10.0).any(dim=0) & (batch.counts == 1.0)  # (T, B): they end by themselves
    np.testing.assert_array_equal(batch.cut[:4], 0.0)
    np.testing.assert_array_equal(batch.cut[4] == 1.0, ~escaped.any(dim=0))
    assert escaped[4].any()
    assert batch.cut.any()


def test_what_is_centred_by_coalition() -> None:
    values, kinds = torch.tensor([[1.0, 3.0, 10.0, 7.0]]), torch.tensor([[0, 0, 1, 0]])
    centred, share = module._centred(values, kinds, torch.tensor([[1.0, 1.0, 1.0, 0.0]]), 2)
    np.testing.assert_allclose(centred[0, :3], [-1.0, 1.0, 0.0])
    np.testing.assert_allclose(share, [[0.5, 0.5, 1.0, 0.0]])


def test_the_slack_of_a_constraint_by_hand() -> None:
    earned = torch.tensor([[[3.0, 4.0, 0.0]], [[3.0, 1.0, 4.0]]])
    coalitions, counts = torch.tensor([[0b11, 0b10, 0b01]]), torch.ones(1, 3)
    # Agent 0 is outside where agent 1 alone delegates (0b10), and has 4 there.
    np.testing.assert_allclose(module._slack(earned, coalitions, counts), [-1.0, -1.0])
    np.testing.assert_allclose(module._slack(earned, torch.zeros_like(coalitions), counts), 0.0)


def test_multipliers_move_against_the_constraint_where_it_was_measured() -> None:
    """Agent 0 has 1 less where all delegate than outside: log lambda rises by .02. Where nobody knows, it stays."""
    mechanism = contract()
    agents = Companions(shape_of(mechanism.played), 0, stack(2, 7, (4,), 3))
    learning = Mediating(LearnedMediator(constraint_lr=0.02), Task(mechanism.played, mechanism, TRAIN, 0, 64), agents)
    batch = played(Loop(mechanism.played, mechanism, 3, seed=0), agents, learning)
    batch = batch._replace(chosen=torch.tensor([[[2, 0, 2]], [[2, 2, 2]]]))  # coalitions all, {1}, all
    learning.learn(batch, torch.tensor([[[3.0, 4.0, 3.0]], [[0.0, 0.0, 0.0]]]), 1.0, 0.1)
    np.testing.assert_allclose(learning.multipliers, [0.02, 0.0], atol=1e-7)
    learning.learn(batch._replace(chosen=torch.zeros(2, 1, 3, dtype=torch.int64)), torch.ones(2, 1, 3), 1.0, 0.1)
    np.testing.assert_allclose(learning.multipliers, [0.02, 0.0], atol=1e-7)


def test_the_constraint_decides_what_a_mediator_plays() -> None:
    """One agent alone delegates: its own return asks to play defect against a defector, 1 instead of 0; what hurts the
    other is to defect, too. Where the game turns it round, so that cooperating hurts, only the multiplier says so."""
    game = make("matrix/prisoners-dilemma", pairwise=(3.0, 1.0, 2.0, 0.0))  # cooperating dominates; defecting hurts
    mechanism = contract(game)
    for multiplier, planned in ((-4.0, COOPERATE), (4.0, DEFECT)):
        torch.manual_seed(0)
        agents = Companions(shape_of(mechanism.played), 0, stack(2, 7, (8,), 3, last=0.01))
        role = LearnedMediator(lr=0.05, constraint_lr=0.0001)
        learning = Mediating(role, Task(mechanism.played, mechanism, TRAIN, 0, 64), agents)
        learning.multipliers[:] = multiplier
        loop = Loop(mechanism.played, mechanism, 256, seed=0)
        for _ in range(60):
            batch = played(loop, agents, learning)
            centred = batch.rewards - batch.rewards.mean(dim=(1, 2), keepdim=True)
            learning.learn(batch, beside_agents.scaled(centred, batch.counts), 1.0, 0.0)
        plan = learning.kept(game, game.reset(np.zeros(1, np.uint64))).promised[0].astype(int)
        assert (plan[0, 0b01], plan[1, 0b10]) == (planned, planned)


def test_agents_learn_to_delegate_in_the_dilemma() -> None:
    """Both delegate and cooperate, since the mediator defects for one whose other stays outside."""
    mechanism = contract()
    role = LearnedMediator(steps=48_000, lr=0.01, agents_lr=0.01)
    with train_principal(mechanism.played, role, seed=100, mechanism=mechanism) as learning:
        learned = learning.result()
    assert isinstance(learned, Mediator)
    plan = learned(DILEMMA, DILEMMA.reset(np.zeros(1, np.uint64))).promised[0].astype(int)
    assert plan[:, 0b11].tolist() == [COOPERATE, COOPERATE]
    assert (plan[0, 0b01], plan[1, 0b10]) == (DEFECT, DEFECT)
    played = evaluate(mechanism.played, mechanism, learned, learned.agents, seed=100, episodes=128)
    assert played.returns.sum(axis=1).mean() > 5.7
    assert played.compliance.mean() > 0.9
    back = Mediator.restored(Checkpoint(*learned.checkpoint()))
    state = DILEMMA.reset(np.arange(3, dtype=np.uint64))
    np.testing.assert_array_equal(back(DILEMMA, state).promised, learned(DILEMMA, state).promised)


def test_runs_from_end_to_end(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"principal.steps": 2000, "algorithm.policies": "separate"}
    done = run("matrix/chicken", mechanism="mediator", seed=100, steps=600, out=tmp_path, **settings)
    assert isinstance(load(done.folder).principal, Mediator)
    episodes = read_episodes(done.folder, "evaluate")
    assert episodes["compliance"].between(0.0, 1.0).all()
    assert not episodes[["payment_0", "tax_0", "shaping_0", "transfer_volume"]].to_numpy().any()


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="coalitions of 2 to 6 agents"):
        contract(make("escape_room/2-1", players=7))
    with pytest.raises(UsageError, match="needs the mechanism mediator"):
        LearnedMediator().check(make_mechanism("selfish", DILEMMA))
