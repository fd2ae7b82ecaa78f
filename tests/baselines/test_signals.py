"""Signals: how they are drawn and seen, the sender's gradients by hand, what it learns, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.signals import LearnedSender, Signals, obedience, trusting
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.core.checkpoint import Checkpoint
from paymaster.learning.incentives import log_chances, stack
from paymaster.learning.phases import evaluate, train_principal
from paymaster.learning.principals.sender import Sender

LETTER = make("persuasion/recommendation-letter")
CHICKEN = make("matrix/chicken")
HIRE, REJECT = 0, 1


def contract(game: Any = LETTER, **settings: Any) -> Signals:
    made = make_mechanism("signals", game, **settings)
    assert isinstance(made, Signals)
    return made


def half_of_the_bad(game: Any, state: Any) -> Decisions:
    """The obedient optimum: recommends all good candidates, and half of the bad."""
    hire = np.where(state.good, 1.0, 0.5)
    return Decisions(np.full((len(hire), 1), -1), np.stack([hire, 1.0 - hire], axis=1).astype(np.float32))


def obedient(seen: Any) -> np.ndarray:
    return seen.terms.argmax(axis=-1)


def test_signals_are_drawn_by_the_chances() -> None:
    mechanism = contract()
    loop = Simulation(mechanism.played, mechanism, 6_000, seed=0, principal=half_of_the_bad)
    good, signal = loop.state.good, loop.terms.signals[:, 0]
    assert (signal[good] == HIRE).all()
    assert abs((signal[~good] == HIRE).mean() - 0.5) < 0.03
    np.testing.assert_array_equal(loop.seen.terms[:, 0], np.eye(2)[signal])
    step = loop.step(obedient(loop.seen))
    assert abs(step.earned.mean()) < 0.03  # exactly 0 in expectation
    assert not step.ledger.income().any()


def test_an_episode_draws_the_same_whatever_is_beside_it() -> None:
    mechanism = contract(make("persuasion/recommendation-letter", horizon=6))

    def sent(B: int) -> np.ndarray:
        loop = Simulation(mechanism.played, mechanism, B, seed=3, principal=half_of_the_bad)
        found = []
        for _ in range(6):
            found.append(loop.terms.signals[:2, 0])
            loop.step(obedient(loop.seen))
        return np.array(found)

    np.testing.assert_array_equal(sent(2), sent(9))
    assert len({*map(tuple, sent(2).T)}) == 2


def test_signals_to_several_go_together() -> None:
    """Both are told the same or neither is: the chances are of all signals together, agent 0's varying slowest."""
    mechanism = contract(CHICKEN)
    np.testing.assert_array_equal(mechanism.profiles, [[0, 0], [0, 1], [1, 0], [1, 1]])

    def rule(game: Any, state: Any) -> Decisions:
        chances = np.tile(np.float32([0.0, 0.25, 0.75, 0.0]), (len(state.t), 1))
        return Decisions(np.full((len(state.t), 2), -1), chances)

    loop = Simulation(mechanism.played, mechanism, 4_000, seed=0, principal=rule)
    sent = loop.terms.signals
    assert (sent.sum(axis=1) == 1).all()
    assert abs(sent[:, 0].mean() - 0.75) < 0.03
    words = mechanism.summary(loop.terms, 4_000).words
    assert set(words[:, 0]) == {"signal 0 (of 25% here)", "signal 1 (of 75% here)"}


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="and 256 are allowed; ask for at most 2 signals"):
        contract(make("matrix/prisoners-dilemma", players=8), signals=3)
    with pytest.raises(UsageError, match="choose a game of fewer agents"):
        contract(make("matrix/prisoners-dilemma", players=9))
    with pytest.raises(UsageError, match="a sender needs the mechanism signals"):
        LearnedSender().check(make_mechanism("selfish", LETTER))
    nothing = Decisions(np.full((1, 1), -1), np.zeros((1, 2), np.float32))
    mechanism = contract()
    with pytest.raises(UsageError, match="one of them above 0"):
        mechanism.offer(mechanism.start(np.zeros(1, np.uint64)), None, nothing)


# Learning


def test_obedience_by_hand() -> None:
    """Sent 0, it hires by .8 and after 1 it would by .2; random actions make that .7 and .3.

    Hiring a good one earns 1 more than was expected and comes by (.8 - .2) / .7 as often; a bad one 1 less.
    """
    acting, meant = torch.tensor([[[[0.7, 0.3]] * 2]]), torch.tensor([[[[0.8, 0.2]] * 2]])
    acting, meant = acting.reshape(1, 1, 2, 2), meant.reshape(1, 1, 2, 2)
    sent, earned = torch.tensor([[[0], [0]]]), torch.tensor([[[1.0, -1.0]]])
    better, pairs = obedience(acting, meant, sent, earned, torch.ones(1, 2))
    np.testing.assert_allclose(better[0, 0, :, 0, 1], [0.6 / 0.7, -0.6 / 0.7], rtol=1e-6)
    assert not better[..., 1, :].any()
    np.testing.assert_allclose(pairs, 0.0, atol=1e-6)  # as many good as bad: the agent is indifferent
    _, pairs = obedience(acting, meant, sent, earned, torch.tensor([[1.0, 0.0]]))
    np.testing.assert_allclose(pairs[0], [[0.0, 0.6 / 0.7], [0.0, 0.0]], rtol=1e-6)  # the second does not count


def test_obedience_is_what_the_agent_would_lose() -> None:
    """In expectation: the sum over actions of the difference of chances times what comes of them."""
    rng = np.random.default_rng(0)
    count = 40_000
    meant = torch.tensor([[0.9, 0.2], [0.1, 0.8]])  # (A, K)
    acting = 0.8 * meant + 0.1
    worth = torch.tensor([2.0, -1.0])
    done = torch.from_numpy((rng.random(count) > acting[0, 0].item()).astype(np.int64))
    rows = [each[done].reshape(1, 1, count, 2) for each in (acting, meant)]
    sent, counts = torch.zeros(1, count, 1, dtype=torch.int64), torch.ones(1, count)
    _, pairs = obedience(*rows, sent, worth[done].reshape(1, 1, count), counts)
    assert pairs[0, 0, 1].item() == pytest.approx(((meant[:, 0] - meant[:, 1]) * worth).sum().item(), abs=0.05)


def test_agents_begin_by_trusting() -> None:
    torch.manual_seed(0)
    policies = stack(2, 5 + 3, (16, 8), 3, last=0.01)
    trusting(policies, 3)
    rows = torch.cat([torch.rand(2, 3, 5), torch.eye(3).expand(2, 3, 3)], dim=-1)
    chances = log_chances(policies, rows, 0.0).exp()
    np.testing.assert_array_equal(chances.argmax(dim=-1), [[0, 1, 2]] * 2)
    assert 0.6 < chances.max(dim=-1).values.min() < 0.9
    trusting(stack(2, 4, (16, 8), 3, last=0.01), 2)  # fewer signals than actions


def test_it_learns_to_persuade_the_recruiter() -> None:
    """It recommends all good candidates, and some of the bad: more than if it told the truth, and is believed."""
    mechanism = contract()
    role = LearnedSender(steps=100_000, lr=0.01, agents_lr=1e-3)
    with train_principal(mechanism.played, role, seed=100, mechanism=mechanism) as learning:
        learned = learning.result()
    assert isinstance(learned, Sender)
    state = LETTER.reset(np.arange(40, dtype=np.uint64))
    chances = learned(LETTER, state).promised
    assert chances[state.good, HIRE].min() > 0.9
    assert 0.15 < chances[~state.good, HIRE].mean() < 0.55
    played = evaluate(mechanism.played, mechanism, learned, learned.agents, seed=100, episodes=1_024)
    assert played.principal_returns.mean() > 0.4  # 1/3 by the truth, 2/3 at most
    back = Sender.restored(Checkpoint(*learned.checkpoint()))
    np.testing.assert_array_equal(back(LETTER, state).promised, chances)


def test_runs_end_to_end(tmp_path: Path) -> None:
    """Fresh agents under the signals, and those beside which it learned; what is kept loads again."""
    for algorithm in ("dqn", "beside"):
        more: dict[str, Any] = {"algorithm": algorithm, "principal.steps": 640}
        done = run("persuasion/recommendation-letter", mechanism="signals", seed=100, steps=640, out=tmp_path, **more)
        assert isinstance(load(done.folder).principal, Sender)
        episodes = read_episodes(done.folder, "evaluate")
        assert episodes["principal_return"].between(0.0, 1.0).all()
        assert not episodes[["payment_0", "tax_0", "shaping_0", "transfer_volume"]].to_numpy().any()
