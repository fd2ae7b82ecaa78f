"""Advantage alignment: its products by hand and by a slow twin, its tie to PPO, what it learns, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import paymaster
from paymaster import UsageError, make, make_mechanism
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.ledger import Ledger
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.contracts.mechanism import Mechanism, Transition
from paymaster.core.config import configuration, configure
from paymaster.learning.agents.advantage_alignment import AdvantageAlignment, alignment, standardised
from paymaster.learning.agents.mixed import Mixed
from paymaster.learning.agents.policy import Policy
from paymaster.learning.agents.ppo import NEXT_VALUES, PPO
from paymaster.learning.phases import evaluate, train_agents
from paymaster.learning.returns import advantages
from paymaster.learning.role import VALIDATE, Task
from paymaster.learning.trained import Col, Rollout

DILEMMA = make("matrix/iterated-prisoners-dilemma")  # -1, -3, 0, -2
SMALL: dict[str, Any] = {"policies": "separate", "hidden": (16,), "environments": 16, "discount": 0.96}
TASK = Task(DILEMMA, make_mechanism("selfish", DILEMMA), VALIDATE, 0, 1000)


def rollout(T: int, B: int, seed: int = 0) -> Rollout:
    """Random steps of two agents in the dilemma; a fifth of them end an episode, half of these by termination."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(4, T, B, 2)).astype(np.float32)
    ended = rng.random((T, B)) < 0.2
    terminated = ended & (rng.random((T, B)) < 0.5)
    seen, terms = rng.integers(0, 2, (T, B, 2, 7)).astype(np.uint8), np.zeros((T, B, 2, 0), np.float32)
    extras = {
        Col.VALUES: drawn[1], NEXT_VALUES: drawn[2], Col.LOGP: drawn[3], Col.LOGITS: np.zeros((T, B, 2, 2), np.float32),
    }  # fmt: skip
    actions = rng.integers(0, 2, (T, B, 2))
    return Rollout(seen, terms, actions, drawn[0], drawn[0], seen, terms, terminated, ended, extras, None)


def plainly(advantages: np.ndarray, ended: np.ndarray, discount: float) -> np.ndarray:
    """The alignment of advantages (T, B, N), term by term."""
    T, B, N = advantages.shape
    found = np.zeros((T, B, N))
    for t, b, i in np.ndindex(T, B, N):
        for k in range(t):
            if not ended[k:t, b].any():  # the same episode
                others = sum(advantages[t, b, j] for j in range(N) if j != i)
                found[t, b, i] += discount ** (t - k) * advantages[k, b, i] * others
    return found


def test_alignment_by_hand() -> None:
    """Two agents, three steps in which nothing ends: pasts are 0; 1 and 2, halved; then (1/2 + 3)/2 and (1 - 1)/2."""
    own = np.array([[[1.0, 2.0]], [[3.0, -1.0]], [[-2.0, 5.0]]])
    found = alignment(own, np.zeros((3, 1), bool), 0.5)
    np.testing.assert_allclose(found[:, 0], [[0.0, 0.0], [0.5 * -1.0, 1.0 * 3.0], [1.75 * 5.0, 0.0 * -2.0]])


def test_a_past_ends_with_its_episode() -> None:
    """The same steps, the second of which ends an episode: the third has no past, and the second its own."""
    own = np.array([[[1.0, 2.0]], [[3.0, -1.0]], [[-2.0, 5.0]]])
    found = alignment(own, np.array([[False], [True], [False]]), 0.5)
    np.testing.assert_allclose(found[:, 0], [[0.0, 0.0], [0.5 * -1.0, 1.0 * 3.0], [0.0, 0.0]])
    found = alignment(own, np.array([[True], [False], [False]]), 0.5)
    np.testing.assert_allclose(found[:, 0], [[0.0, 0.0], [0.0, 0.0], [1.5 * 5.0, -0.5 * -2.0]])


@pytest.mark.parametrize("N", [2, 3, 5])
def test_alignment_is_what_a_plain_twin_finds(N: int) -> None:
    rng = np.random.default_rng(N)
    own, ended = rng.normal(size=(12, 3, N)), rng.random((12, 3)) < 0.2
    np.testing.assert_allclose(alignment(own, ended, 0.9), plainly(own, ended, 0.9), atol=1e-12)


def test_what_is_learned_from_is_the_papers_advantage() -> None:
    """Of one-step advantages the product, in units of PPO's advantage; targets of the critic are those of PPO."""
    each, role = rollout(20, 4), AdvantageAlignment(beta=2.0, discount=0.9)
    values, following = each.extras[Col.VALUES], each.extras[NEXT_VALUES]
    td_error = each.earned + 0.9 * np.where(each.terminated[..., None], 0.0, following) - values
    scaled = (td_error - td_error.mean(axis=(0, 1))) / td_error.std(axis=(0, 1))
    own = advantages(each.earned, values, following, each.terminated, each.ended, 0.9, 0.95)
    wanted = own + 2.0 * own.std(axis=(0, 1)) * plainly(scaled, each.ended, 0.9)
    found, of_ppo = role._columns(each), PPO(discount=0.9)._columns(each)
    np.testing.assert_allclose(found[Col.ADVANTAGES], wanted.reshape(-1, 2), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[Col.VALUE_TARGETS], of_ppo[Col.VALUE_TARGETS])


def test_the_unit_of_rewards_does_not_matter() -> None:
    each = rollout(20, 4)
    extras = {**each.extras, **{name: 10.0 * each.extras[name] for name in (Col.VALUES, NEXT_VALUES)}}
    larger = each._replace(earned=10.0 * each.earned, extras=extras)
    role = AdvantageAlignment()
    found, of_larger = (role._columns(r)[Col.ADVANTAGES] for r in (each, larger))
    np.testing.assert_allclose(of_larger, 10.0 * found, rtol=1e-3, atol=1e-3)
    flat = standardised(np.zeros((3, 2, 2)))
    np.testing.assert_array_equal(flat, 0.0)  # nothing to align where nothing is at stake


def test_without_weight_it_is_ppo_to_the_digit() -> None:
    role, ppo, parts = AdvantageAlignment(beta=0.0, **SMALL), PPO(**SMALL), [rollout(8, 3), rollout(8, 3, seed=1)]
    found, of_ppo = role.batch_of(TASK, parts).columns, ppo.batch_of(TASK, parts).columns
    for module in of_ppo:
        for name, column in of_ppo[module].items():
            np.testing.assert_array_equal(found[module][name], column)

    def learned(role: Any) -> Policy:
        with train_agents(DILEMMA, TASK.mechanism, None, role, seed=100, steps=1024) as learning:
            policy: Policy = learning.result()
            return policy

    arrays = learned(role).checkpoint().arrays
    for name, array in learned(ppo).checkpoint().arrays.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_agents_learn_to_answer_in_kind() -> None:
    """Tit for tat, or what answers defecting alone; PPO's agents defect."""
    role = AdvantageAlignment(**{**SMALL, "environments": 64}, lr=0.01)
    with train_agents(DILEMMA, TASK.mechanism, None, role, seed=100, steps=60_000) as learning:
        policy = learning.result()
    played = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # 0 is to cooperate
    states = [DILEMMA.step(DILEMMA.reset(np.zeros(1, np.uint64)), each[None])[0] for each in played]
    seen = np.concatenate([DILEMMA.observe(state) for state in states])
    cooperate = policy.probabilities(AgentView(seen, np.zeros((4, 2, 0), np.float32)))[..., 0]
    assert cooperate[0].min() > 0.9
    assert cooperate[3].max() < 0.1
    assert cooperate[1, 0] < 0.1  # the first cooperated alone
    assert cooperate[2, 1] < 0.1


@configuration
class Remembered(Mechanism):
    """Pays nothing; agents are shown whether each of them, itself first, picked its own coin last, or the other's."""

    terms_size: ClassVar[int] = 4

    def start(self, keys: np.ndarray) -> np.ndarray:
        return np.zeros((len(keys), 2, 2), np.float32)  # of each agent: its own coin, the other's

    def offer(self, memory: np.ndarray, state: Any, decisions: Any) -> tuple[np.ndarray, np.ndarray]:
        return memory, memory

    def view(self, terms: np.ndarray, B: int) -> np.ndarray:
        return np.concatenate([terms, terms[:, ::-1]], axis=2)

    def settle(self, memory: np.ndarray, transition: Transition) -> tuple[Ledger, np.ndarray]:
        picked = transition.events.picked
        own = np.einsum("bii->bi", picked)
        now = np.stack([own, picked.any(axis=2) & ~own], axis=2).astype(np.float32)
        return Ledger.zeros(*transition.rewards.shape), np.where(picked.any(axis=2)[..., None], now, memory)


@pytest.mark.slow
def test_in_the_coin_game_agents_leave_coins_to_each_other_if_they_see_what_was_done() -> None:
    """In a million steps; what the game shows of itself, where agents and the coin are, is not enough."""
    coins = make("coin_game/lola-3x3")
    role = AdvantageAlignment(discount=0.96, hidden=(64, 64), play="sampled")

    def welfare(mechanism: Mechanism) -> float:
        with train_agents(coins, mechanism, None, role, seed=100, steps=1_000_000) as learning:
            policy = learning.result()
        played = evaluate(coins, mechanism, None, policy, seed=100, episodes=64)
        return float(played.returns.sum(axis=1).mean())

    assert welfare(Remembered(game=coins)) > 20.0
    assert welfare(Mechanism(game=coins)) < 15.0


def test_it_learns_beside_others() -> None:
    role = Mixed(agents=("advantage-alignment", "ppo"), discount=0.96)
    with train_agents(DILEMMA, TASK.mechanism, None, role, seed=100, steps=4096) as learning:
        policy = learning.result()
    assert policy(Simulation(DILEMMA, TASK.mechanism, 4, seed=0).seen).shape == (4, 2)


def test_runs_end_to_end(tmp_path: Path) -> None:
    done = paymaster.run(
        "coin_game/lola-3x3", algorithm="advantage-alignment", seed=100, steps=640, episodes=4, horizon=10,
        out=tmp_path, **{"algorithm.beta": 0.5, "algorithm.environments": 8, "algorithm.rollout_length": 16},
    )  # fmt: skip
    loaded = paymaster.load(done.folder)
    assert isinstance(loaded.policy, Policy)
    assert len(read_episodes(done.folder, "evaluate")) == 4


def test_a_game_with_one_agent_is_refused() -> None:
    with pytest.raises(UsageError, match="has 1 agent: choose ppo, or a game with 2 or more"):
        AdvantageAlignment().check(make_mechanism("selfish", make("tree/ivanov-d10")))
    AdvantageAlignment().check(make_mechanism("selfish", make("harvest/ssd")))


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="beta"):
        configure(AdvantageAlignment, {"beta": -1.0}, what="algorithm advantage-alignment")
