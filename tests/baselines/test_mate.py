"""Mutual acknowledgment: requests and answers by hand, and that agents' own values reach the mechanism."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster import UsageError, make, make_mechanism, parallel_env
from paymaster.benchmarks.runs.load import load
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.run import perform
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.contracts.loop import AgentView, Minds, Simulation
from paymaster.contracts.mechanism import Transition
from paymaster.equilibria.induced_game import induce

from .. import unlearned
from ..envs.plain_game import PlainGame


def shaping(improved: list[float], token: float = 1.0, ended: bool = False) -> list[float]:
    """What agents learn from who earn nothing and expect 1 before, and after it so much that `improved` results."""
    wanted = np.array([improved], np.float32)
    values = np.ones_like(wanted)
    following = (wanted + values) / 0.5
    mechanism = make_mechanism("mate", PlainGame(N=len(improved)), token=token, discount=0.5)
    actions, end = np.zeros(wanted.shape, np.int64), np.array([ended])
    step = Transition((), (), actions, (), 0 * wanted, (), end, ~end, values, following)
    settled, _ = mechanism.settle((), step)
    assert not settled.transfers.any()
    assert not settled.payments.any()
    return settled.shaping[0].tolist()


@pytest.mark.parametrize(
    ("improved", "learned"),
    [
        ([0.5, -0.5], [1.0, 1.0]),  # 0 asks, 1 gains a token and so is content: it approves
        ([0.5, -1.5], [-1.0, 1.0]),  # even with the token 1 is worse off: it disapproves
        ([0.0, 0.0], [2.0, 2.0]),  # as good as before is enough: both ask, both approve
        ([-0.1, -0.1], [0.0, 0.0]),  # nobody asks
        ([0.5, -1.0], [1.0, 1.0]),  # one token makes up for it just so
    ],
)
def test_two_agents_by_hand(improved: list[float], learned: list[float]) -> None:
    assert shaping(improved) == learned


def test_of_many_requests_one_token_is_gained_and_of_many_answers_the_least() -> None:
    assert shaping([1.0, 1.0, 1.0, -0.5]) == [2.0, 2.0, 2.0, 1.0]
    assert shaping([1.0, 1.0, 1.0, -1.5]) == [0.0, 0.0, 0.0, 1.0]
    assert shaping([1.0, -0.5, -1.5]) == [-1.0, 1.0, 1.0]


def test_tokens_are_as_large_as_is_said() -> None:
    assert shaping([0.5, -1.5], token=2.0) == [2.0, 2.0]
    assert shaping([0.5, -1.5], token=0.25) == [-0.25, 0.25]
    assert shaping([0.5, -1.5], token=0.0) == [0.0, 0.0]


def test_nothing_is_expected_after_the_end() -> None:
    """Who earned nothing and expected 1 has lost 1: nobody asks, whatever the critic says of what never comes."""
    assert shaping([0.5, 0.5]) == [2.0, 2.0]
    assert shaping([0.5, 0.5], ended=True) == [0.0, 0.0]


def test_the_loop_asks_what_agents_expect_before_and_after_and_before_any_reset() -> None:
    game = PlainGame(horizon=2)
    asked: list[np.ndarray] = []

    def value(seen: AgentView) -> np.ndarray:
        asked.append(seen.observations[..., 0])
        return seen.observations[..., 0]

    loop = Simulation(game, make_mechanism("mate", game), 3, seed=0, minds=Minds(value))
    for t in range(4):
        before = loop.seen.observations[..., 0]
        step = loop.step(np.zeros((3, 2), np.int64))
        assert step.transition.values is not None
        assert step.transition.next_values is not None
        np.testing.assert_array_equal(step.transition.values, before)
        np.testing.assert_array_equal(step.transition.next_values, loop.seen_after(step).observations[..., 0])
        if t == 1:
            assert step.ended.all()
            assert (loop.seen.observations != loop.seen_after(step).observations).any()
    assert len(asked) == 8


def test_no_other_mechanism_makes_agents_think() -> None:
    def value(seen: AgentView) -> np.ndarray:
        raise AssertionError("nobody asked")

    game = PlainGame()
    Simulation(game, make_mechanism("joint", game), 2, seed=0, minds=Minds(value)).step(np.zeros((2, 2), np.int64))


def test_where_nobody_expects_anything_that_is_told() -> None:
    game = make("coin_game/ivanov-3x3")
    mechanism = make_mechanism("mate", game)
    with pytest.raises(
        UsageError,
        match="needs value estimates, and these agents have no critic; play it with agents learned by dqn or ppo",
    ):
        Simulation(game, mechanism, 1, seed=0).step(np.zeros((1, 2), np.int64))
    with pytest.raises(UsageError, match="which a view does not have"):
        parallel_env(game, mechanism)
    with pytest.raises(UsageError, match="cannot be judged exactly, since it needs value estimates"):
        induce(game, mechanism)


def test_a_run_records_what_its_own_policies_approve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)
    small: dict[str, Any] = {"game": "coin_game/ivanov-3x3", "steps": 160, "episodes": 16}
    spec = RunSpec(mechanism="mate", parameters={"token": 0.5}, **small)
    for _ in perform(resolve(spec), tmp_path):
        pass
    folder = tmp_path / resolve(spec).folder
    learned = load(folder)
    loop = Simulation(
        learned.game, learned.mechanism, 16, seed=0, stream=unlearned.EVALUATE.stream, minds=Minds.of(learned.policy)
    )
    total = sum(loop.step(learned.policy(loop.seen)).ledger.shaping for _ in range(20))
    shaped = read_episodes(folder, "evaluate", ["shaping_0", "shaping_1"])
    np.testing.assert_allclose(shaped.to_numpy(), total, atol=1e-4)
    assert shaped.to_numpy().any()
