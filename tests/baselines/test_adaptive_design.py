"""Adaptive mechanism design: its gradient against the paper's formula, its money by hand, and what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.adaptive_design import AdaptiveMechanism, AdaptivePlanner
from paymaster.benchmarks.analysis.dataset import read
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.mechanism import Decisions, Transition
from paymaster.learning.incentives import Climb, Played, climbed, influence
from paymaster.learning.phases import evaluate, train_principal
from paymaster.learning.principals.incentives import Planner
from paymaster.learning.worlds import planes, width

DILEMMA = make("matrix/prisoners-dilemma")  # 3, 0, 4, 1


def contract(game: Any = DILEMMA, **parameters: Any) -> AdaptiveMechanism:
    made = make_mechanism("adaptive-mechanism-design", game, **parameters)
    assert isinstance(made, AdaptiveMechanism)
    return made


def test_to_first_order_the_objective_is_the_papers() -> None:
    """Agents that cooperate with p = 1/2, so that the four joint actions once each are their exact play.

    grad W = p (1 - p) (p (2 R - T - S) + (1 - p) (T + S - 2 P)) = 1/4 (1/2 (6 - 4) + 1/2 (4 - 2)) = 1/2 by a logit of
    cooperating (Baumann et al. 2018), and -1/2 by that of defecting. What agent i is paid in one of the four moves its
    logits by 1/4 of +-1/2. So each amount weighs 2 (1/8) (1/2) = 1/8 in the objective, with the sign of what i does.
    """
    R, S, T, P = 3.0, 0.0, 4.0, 1.0
    policies = [torch.zeros(2, 1, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    actions = torch.tensor([[[0, 0, 1, 1]], [[0, 1, 0, 1]]])
    rewards = torch.tensor([[[R, S, T, P]], [[R, T, S, P]]], dtype=torch.float64)
    played = Played(torch.zeros(2, 1, 4, 1, dtype=torch.float64), actions, rewards, torch.ones(1, 4).double())
    paid = torch.zeros(2, 1, 4, dtype=torch.float64, requires_grad=True)
    lr = 1e-4
    after = climbed(policies, played, paid, 0.0, Climb(lr, 1.0, 0.0))
    objective = influence(after, played, rewards.sum(dim=0, keepdim=True), 0.0, 1.0).sum()
    (weight,) = torch.autograd.grad(objective, paid)
    np.testing.assert_allclose(weight / lr, (1 - 2 * actions.double()) / 8, rtol=1e-3)


def test_what_is_negative_is_a_tax() -> None:
    promised = np.zeros((1, 2, 4), np.float32)
    promised[0, 0] = [3.0, 1.0, -2.0, 0.0]  # to agent 0, if both cooperate, only it, only the other, none
    promised[0, 1] = [0.5, -0.25, 0.0, 0.0]
    mechanism, no = contract(), np.zeros(1, bool)
    state = DILEMMA.reset(np.zeros(1, np.uint64))
    for actions, paid, taxed in (([0, 1], [1.0, 0.0], [0.0, 0.25]), ([1, 0], [0.0, 0.0], [2.0, 0.0])):
        following, events = DILEMMA.step(state, np.array([actions]))
        terms = Decisions(np.full((1, 2), -1), promised)
        rewards = DILEMMA.rewards(events)
        step = Transition(state, terms, np.array([actions]), events, rewards, following, no, no)
        money, _ = mechanism.settle((), step)
        np.testing.assert_array_equal(money.payments, [paid])
        np.testing.assert_array_equal(money.taxes, [taxed])
        np.testing.assert_allclose(money.income(), [np.subtract(paid, taxed)])
    words = mechanism.summary(Decisions(np.full((1, 2), -1), promised), 1).words
    assert words.tolist() == [["cooperate +2.00, defect -1.00", "cooperate +0.25, defect -0.12"]]


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("prisoners-dilemma", 6.0),
        pytest.param("chicken", 6.0, marks=pytest.mark.slow),
        pytest.param("stag-hunt", 8.0, marks=pytest.mark.slow),
    ],
)
def test_agents_learn_to_cooperate_as_published(name: str, best: float) -> None:
    game = make(f"matrix/{name}")
    mechanism = contract(game)
    settings = AdaptivePlanner(steps=24_000, incentive_lr=0.05)
    with train_principal(game, settings, seed=100, mechanism=mechanism) as learning:
        learned = learning.result()
    assert isinstance(learned, Planner)
    played = evaluate(game, mechanism, learned, learned.agents, seed=100, episodes=256)
    assert played.returns.sum(axis=1).mean() > best - 0.3
    assert not played.shaping.any()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [100, 101])
def test_amounts_fall_once_agents_cooperate(seed: int) -> None:
    """Baumann et al. 2018: the incentives that are needed decrease over time."""
    mechanism = contract()
    with train_principal(DILEMMA, AdaptivePlanner(steps=120_000), seed=seed, mechanism=mechanism) as learning:
        moved = [update.episodes.payments.sum(axis=1).mean() for update in learning if update.episodes is not None]
        learned = learning.result()
    assert isinstance(learned, Planner)
    played = evaluate(DILEMMA, mechanism, learned, learned.agents, seed=seed, episodes=256)
    assert played.returns.sum(axis=1).mean() > 5.7
    assert played.payments.sum(axis=1).mean() < max(moved) - 2.0


def test_hidden_actions_are_not_paid_for() -> None:
    with pytest.raises(UsageError, match="hides them; choose outcome-dqn"):
        contract(make("tree/ivanov-d10")).check_principal()


def test_maps_are_seen_as_planes() -> None:
    """A class of a cell is no magnitude: each has a plane of its own."""
    game = make("cleanup/lio-7x7")
    seen = planes(game, game.reset(np.arange(2, dtype=np.uint64)))
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(seen.reshape(2, 49, -1).sum(dim=-1), 1.0)
    assert width(game) == seen.shape[1]


def test_taxes_are_recorded_and_compared(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"principal.steps": 640, "principal.incentive_lr": 1e-6, "algorithm.play": "sampled"}
    done = run(
        "matrix/prisoners-dilemma", mechanism="adaptive-mechanism-design", algorithm="ppo", seed=100, steps=600,
        out=tmp_path, **settings,
    )  # fmt: skip
    assert isinstance(load(done.folder).principal, Planner)
    episodes = read_episodes(done.folder, "evaluate")
    (found,) = read(tmp_path).rows
    taken = (episodes["tax_0"] + episodes["tax_1"]).mean()
    assert found[1]["taxes"] == pytest.approx(taken)
    assert taken > 0.0
    assert (episodes[["tax_0", "tax_1", "payment_0", "payment_1"]] >= 0.0).all(axis=None)


def test_too_many_joint_actions_are_refused() -> None:
    with pytest.raises(UsageError, match="amounts in every state"):
        contract(make("escape_room/2-1", players=8))
    with pytest.raises(UsageError, match="needs the mechanism adaptive-mechanism-design"):
        AdaptivePlanner().check(make_mechanism("selfish", DILEMMA))
