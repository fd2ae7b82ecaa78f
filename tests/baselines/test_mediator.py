"""A mediator: whom it acts for and how, by hand; what it learns; and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines import mediator as module
from paymaster.baselines.mediator import LearnedMediator, Mediation
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.core.checkpoint import Checkpoint
from paymaster.learning.phases import evaluate, train_principal
from paymaster.learning.principals.mediator import Mediator

DILEMMA = make("matrix/prisoners-dilemma")  # 3, 0, 4, 1
COOPERATE, DEFECT, DELEGATE = 0, 1, 2


def contract(game: Any = DILEMMA) -> Mediation:
    made = make_mechanism("mediator", game)
    assert isinstance(made, Mediation)
    return made


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
    np.testing.assert_allclose(role.advantages(rewards, values, counts, truncates=False).flatten(), [1.5, 1.0])
    # Where the horizon cuts, half of the last value follows: 2 + .5 - 1, and so .25 more before it.
    np.testing.assert_allclose(role.advantages(rewards, values, counts, truncates=True).flatten(), [1.75, 1.5])


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
