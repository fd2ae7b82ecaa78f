"""Mixtures: every agent learns as it does alone, or plays what it is given, and what is kept of them plays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.loop import AgentView
from paymaster.contracts.mechanism import Decisions, Mechanism
from paymaster.contracts.recommendation import RecommendationContract
from paymaster.core.config import configure, to_json
from paymaster.envs.game import Game
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.mixed import Mixed, MixedPolicy
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.features import rows
from paymaster.learning.phases import evaluate, train_agents
from paymaster.learning.rllib.training import configuration_of
from paymaster.learning.role import VALIDATE, Task
from paymaster.learning.settings import Resources
from paymaster.learning.trained import Col

COINS = make("coin_game/ivanov-3x3", observation="egocentric")
DILEMMA = make("matrix/prisoners-dilemma")  # one shot: 3, 0, 4, 1
SMALL: dict[str, Any] = {"hidden": (16,), "environments": 16, "rollout_length": 8}
DQN_SMALL: dict[str, Any] = {**SMALL, "batch": 16, "warm_up": 0, "replay": 1000}
PPO_SMALL: dict[str, Any] = {**SMALL, "minibatches": 2, "epochs": 2}


def learned(settings: Any, game: Game = COINS, mechanism: Mechanism | None = None, **more: Any) -> Any:
    given = {"principal": None, "steps": 1280, **more}
    principal = given.pop("principal")
    mechanism = mechanism or make_mechanism("selfish", game)
    with train_agents(game, mechanism, principal, settings, seed=100, **given) as phase:
        return phase.result()


def mixed(*agents: str, **settings: Any) -> Mixed:
    return Mixed(agents=agents, settings=settings)


def views(count: int, size: int = 0) -> AgentView:
    draws = np.random.default_rng(0)
    shape = COINS.observation_space.shape
    terms = draws.random((count, 2, size)).astype(np.float32)
    return AgentView(draws.integers(0, 2, (count, 2, *shape)).astype(np.float32), terms, draws.random((count, 2)))


def asking(fee: float, action: int = 0) -> Any:
    """A principal that asks all to cooperate (or for another `action`), and pays `fee` for it."""

    def principal(game: Game, state: Any) -> Decisions:
        shape = len(state.key), len(game.agents)
        return Decisions(np.full(shape, action), np.full(shape, fee, np.float32))

    return principal


@pytest.mark.parametrize(("id", "role", "settings"), [("dqn", DQN, DQN_SMALL), ("ppo", PPO, PPO_SMALL)])
def test_a_mixture_of_one_algorithm_learns_what_the_algorithm_learns(id: str, role: Any, settings: Any) -> None:
    alone = learned(role(**settings)).checkpoint().arrays
    together = learned(mixed(id, id, **{id: settings})).checkpoint().arrays
    assert len(alone) == len(together)
    for one, other in zip(alone.values(), together.values(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("agents", [("dqn", "ppo"), ("ppo", "a2c")])
def test_every_agent_of_a_mixture_plays_by_its_own_network_and_learns(agents: tuple[str, str], tmp_path: Path) -> None:
    all_settings = {"dqn": DQN_SMALL, "ppo": {**PPO_SMALL, "environments": 32}, "a2c": SMALL}
    settings = mixed(*agents, **{id: all_settings[id] for id in agents})
    policy, fewer = learned(settings), learned(settings, steps=128)
    seen = views(50)
    for index, part in enumerate(policy.parts):
        assert (part.algorithm, part.players) == (agents[index], (index,))
        np.testing.assert_array_equal(policy(seen)[:, index], part.policy(seen)[:, index])
        np.testing.assert_array_equal(policy.values(seen)[:, index], part.policy.values(seen)[:, index])
        before, after = (each.parts[index].policy.values(seen)[:, index] for each in (fewer, policy))
        assert not np.array_equal(before, after)
        assert not any(each.requires_grad for each in part.policy.networks.parameters())
    policy.save(tmp_path / "policy")
    again = MixedPolicy.load(tmp_path / "policy")
    np.testing.assert_array_equal(again(seen), policy(seen))
    np.testing.assert_array_equal(again.probabilities(seen), policy.probabilities(seen))


def test_who_learns_from_longer_rollouts_gathers_them() -> None:
    """64 environments by 8 steps, in which DQN and A2C learn at once; PPO waits for 8 of them, its 128 by 32."""
    settings = mixed("dqn", "a2c")
    assert settings.rollout_shape == (64, 8)
    assert [role.minibatches_and_epochs for role in settings.roles()] == [(8, 1), (1, 1)]
    trained = []
    settings = mixed("a2c", "ppo", ppo={"hidden": (8,)}, a2c={"hidden": (8,)})
    with train_agents(COINS, make_mechanism("selfish", COINS), None, settings, seed=100, steps=16 * 512) as phase:
        trained = [{name.partition("/")[0] for name in update.training} for update in phase]
    assert [{"ppo-agents"} <= each for each in trained] == [False] * 7 + [True] + [False] * 7 + [True]
    assert all({"a2c-agents"} <= each for each in trained)


@pytest.mark.parametrize(
    ("id", "fee", "income", "runners"),
    [("dqn", 0.5, 4.0, 0), ("dqn", 0.5, 4.0, 1), ("dqn", 2.0, 5.0, 0), ("a2c", 0.5, 4.0, 0), ("a2c", 2.0, 5.0, 0)],
)
def test_one_learns_while_the_other_follows(id: str, fee: float, income: float, runners: int) -> None:
    """With half a coin for cooperating it earns 4 by defecting and 3.5 by following; with 2 it earns 5 by following."""
    explores = {"epsilon": 0.5, "epsilon_final": 0.5} if id == "dqn" else {}
    settings = mixed("follow", id, **{id: {"hidden": (16,), "lr": 1e-2, **explores}})
    contract, principal, resources = RecommendationContract(game=DILEMMA), asking(fee), Resources(runners=runners)
    policy = learned(settings, DILEMMA, contract, principal=principal, steps=20_000, resources=resources)
    played = evaluate(DILEMMA, contract, principal, policy, seed=100, episodes=8)
    np.testing.assert_allclose((played.returns + played.payments)[:, 1], income)
    np.testing.assert_array_equal(played.returns[:, 0], 0.0 if income == 4.0 else 3.0)
    assert not hasattr(policy, "values")  # a follower tells none


def test_who_follows_does_so_while_the_other_learns() -> None:
    contract, settings = RecommendationContract(game=DILEMMA), mixed("follow", "dqn", dqn=DQN_SMALL)
    for action in (0, 1):
        with train_agents(DILEMMA, contract, asking(0.5, action), settings, seed=100, steps=256) as phase:
            played = [update.episodes for update in phase if update.episodes is not None]
        np.testing.assert_array_equal(np.concatenate([each.payments[:, 0] for each in played]), 0.5)


def test_the_values_of_a_rollout_are_those_of_every_agents_own_critic() -> None:
    settings = mixed("a2c", "ppo", a2c=SMALL, ppo=PPO_SMALL)
    task = Task(COINS, make_mechanism("selfish", COINS), VALIDATE, 100, 1000)
    algorithm: Any = configuration_of(settings, settings.prepared(task)).build_algo()
    try:
        rollout, nets = algorithm.env_runner.sample(), algorithm.env_runner.nets
    finally:
        algorithm.stop()
    for index, name in enumerate(("a2c-agents", "ppo-agents")):
        seen = rows(AgentView(rollout.observations, rollout.terms))[:, :, index]
        with torch.no_grad():
            values = nets[name].values(torch.from_numpy(seen.reshape(-1, seen.shape[-1]))).reshape(seen.shape[:2])
        np.testing.assert_allclose(rollout.extras[Col.VALUES][:, :, index], values, atol=1e-6)


def test_all_may_follow_and_then_nobody_learns() -> None:
    contract = RecommendationContract(game=DILEMMA)
    policy = learned(mixed("follow", "follow"), DILEMMA, contract, principal=asking(0.5))
    np.testing.assert_array_equal(evaluate(DILEMMA, contract, asking(0.5), policy, seed=100, episodes=4).returns, 3.0)


def test_those_of_one_algorithm_share_a_network_or_have_one_each() -> None:
    three = make("matrix/prisoners-dilemma", players=3)
    shared = mixed("dqn", "follow", "dqn")
    assert shared.modules(three) == {"dqn-agents": (0, 2)}
    assert shared.exploiters == (0, 2)
    separate = mixed("dqn", "ppo", "dqn", dqn={"policies": "separate"})
    assert separate.modules(three) == {"dqn-agent_0": (0,), "dqn-agent_2": (2,), "ppo-agents": (1,)}
    assert separate.exploiters == ()


def test_settings_are_complete_and_the_rates_hold_for_all() -> None:
    settings = Mixed(agents=("dqn", "follow", "ppo"), lr=0.5, discount=0.9, settings={"ppo": {"lr": 0.25}})
    assert settings.settings["dqn"] == to_json(DQN(lr=0.5, discount=0.9))
    assert settings.settings["ppo"] == to_json(PPO(lr=0.25, discount=0.9))
    assert settings.settings["follow"] == {}
    assert Mixed(**to_json(settings)) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"got 0 algorithms \(none\), and CoinGame has 2 agents; name 2, such as \[dqn, dqn\]"),
        ({"agents": ["dqn"]}, r"got 1 algorithms \(dqn\), and CoinGame has 2"),
        ({"agents": ["dqn", "dqnn"]}, "unknown algorithm 'dqnn'. Did you mean 'dqn'"),
        ({"agents": ["dqn", "mixed"]}, "unknown algorithm of a mixture 'mixed'"),
        ({"agents": ["dqn", "external"]}, "unknown algorithm of a mixture 'external'"),
        ({"agents": ["dqn", "follow"]}, "recommends nothing that agents could follow"),
        ({"agents": ["dqn", "dqn"], "settings": {"ppo": {}}}, "no agent is of ppo; agents are dqn, dqn"),
        ({"agents": ["dqn", "dqn"], "settings": {"dqn": {"clip": 1}}}, "unknown parameter of algorithm dqn 'clip'"),
        ({"agents": ["dqn", "ppo"], "settings": {"ppo": {"discount": 0.5}}}, "ppo has the discount 0.5"),
    ],
)
def test_what_is_no_mixture_is_told(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(Mixed, values, what="algorithm mixed").check(make_mechanism("selfish", COINS))


def test_agents_with_a_loop_of_their_own_cannot_learn_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paymaster.learning.agents.follow.Follow.learns", True)
    with pytest.raises(UsageError, match="follow learns by a loop of its own"):
        mixed("dqn", "follow").check(RecommendationContract(game=DILEMMA))
    with pytest.raises(ValidationError):
        mixed("dqn", "nobody")


def test_the_task_has_the_policies_of_those_that_do_not_learn() -> None:
    contract = RecommendationContract(game=DILEMMA)
    task = mixed("dqn", "follow").prepared(Task(DILEMMA, contract, VALIDATE, 100, 100))
    assert list(task.beside) == [(1,)]
