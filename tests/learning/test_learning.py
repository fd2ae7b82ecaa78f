"""Learning over arrays: returns and advantages by hand, rollouts, replay, and that it learns and repeats itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.episodes import Episodes
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.core.random import Stream
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.policy import Policy
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.phases import agents_config, evaluate, train_agents, train_principal
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.replay import Replay
from paymaster.learning.returns import advantages, n_step
from paymaster.learning.rllib.training import begun
from paymaster.learning.role import REPLAY
from paymaster.learning.settings import Resources

SMALL: dict[str, Any] = {"hidden": (16,), "environments": 8, "fragment": 8}
SMALL_DQN = DQN(**SMALL, batch=16, warm_up=0, replay=1000)
SMALL_PPO = PPO(**SMALL, minibatches=2, epochs=2)
PRINCIPAL = Algorithm3(**SMALL, batch=16, warm_up=0, replay=1000, steps=640)


def column(*values: float) -> np.ndarray:
    """(T, 1, 1) of one environment and one agent."""
    return np.array(values).reshape(-1, 1, 1)


def test_advantages_by_hand() -> None:
    # discount 0.5, lambda 0.5; the last step is where the rollout is cut, its value bootstraps
    found = advantages(
        column(1.0, 2.0), column(0.5, 1.0), column(1.0, 4.0),
        np.zeros((2, 1), bool), np.zeros((2, 1), bool), 0.5, 0.5,
    )  # fmt: skip
    # delta = (1 + .5 - .5, 2 + 2 - 1) = (1, 3); A_1 = 3, A_0 = 1 + .25 * 3
    assert found.ravel().tolist() == [1.75, 3.0]


def test_truncation_bootstraps_and_termination_does_not() -> None:
    cut = np.array([[True], [False]])
    same = (column(1.0, 2.0), column(0.5, 1.0), column(1.0, 4.0))
    truncated = advantages(*same, np.zeros((2, 1), bool), cut, 0.5, 0.5)
    terminated = advantages(*same, cut, cut, 0.5, 0.5)
    assert truncated.ravel().tolist() == [1.0, 3.0]  # the value of the state it was cut at, but no later delta
    assert terminated.ravel().tolist() == [0.5, 3.0]


def test_n_step_returns_by_hand() -> None:
    rewards = column(1.0, 2.0, 4.0, 8.0)
    ended = np.array([[False], [True], [False], [False]])
    total, count, last, terminated = n_step(rewards, ended, ended, 3, 0.5)
    # the first stops at the end of the episode (1 + .5 * 2), the third at the end of the rollout (4 + .5 * 8)
    assert total.ravel().tolist() == [2.0, 2.0, 8.0, 8.0]
    assert count.ravel().tolist() == [2, 1, 2, 1]
    assert last.ravel().tolist() == [1, 1, 3, 3]
    assert terminated.ravel().tolist() == [True, True, False, False]


def test_one_step_returns_are_the_rewards() -> None:
    rewards = column(1.0, 2.0)
    total, count, last, _ = n_step(rewards, np.zeros((2, 1), bool), np.zeros((2, 1), bool), 1, 0.5)
    assert (total == rewards).all()
    assert (count == 1).all()
    assert last.ravel().tolist() == [0, 1]


def test_returns_longer_than_the_rollout_stop_at_its_end() -> None:
    total, count, _, _ = n_step(column(1.0, 2.0), np.zeros((2, 1), bool), np.zeros((2, 1), bool), 9, 0.5)
    assert total.ravel().tolist() == [2.0, 2.0]
    assert count.ravel().tolist() == [2, 1]


def test_averaged_targets_keep_no_gradients() -> None:
    algorithm = built(SMALL_DQN, seed=0, steps=128)
    while algorithm.steps < 128:
        algorithm.train()
    module = algorithm.learner_group._learner.module["agents"]
    online = [parameter.detach().clone() for parameter in module.net.parameters()]
    algorithm.stop()
    targets = list(module.target.parameters())
    assert all(target.is_leaf and not target.requires_grad for target in targets)
    assert not any(torch.equal(one, other) for one, other in zip(targets, online, strict=True))


def test_replay_overwrites_the_oldest_and_draws_by_priority() -> None:
    replay = Replay(4, 1.0, Stream(0, REPLAY))
    replay.add({"x": np.arange(3)})
    replay.add({"x": np.arange(3, 6)})
    assert sorted(replay.rows(np.arange(4))["x"].tolist()) == [2, 3, 4, 5]
    replay.reprioritise(np.arange(4), np.array([0.0, 1.0, 0.0, 3.0]))
    counts = np.bincount(replay.draw(8000), minlength=4) / 8000
    assert counts == pytest.approx([0, 0.25, 0, 0.75], abs=0.02)


def test_new_rows_are_drawn_as_often_as_the_most_surprising() -> None:
    replay = Replay(4, 1.0, Stream(0, REPLAY))
    replay.add({"x": np.arange(2)})
    replay.reprioritise(np.arange(2), np.array([5.0, 5.0]))
    replay.add({"x": np.arange(1)})
    counts = np.bincount(replay.draw(9000), minlength=3) / 9000
    assert counts == pytest.approx([1 / 3] * 3, abs=0.02)


def built(settings: Any, mechanism: str = "selfish", **further: Any) -> Any:
    """The RLlib Algorithm that trains agents on the small Coin Game."""
    game = make("coin_game/ivanov-3x3")
    return agents_config(game, make_mechanism(mechanism, game), None, settings, **further).build_algo()


@pytest.mark.parametrize("settings", [SMALL_DQN, SMALL_PPO], ids=["dqn", "ppo"])
def test_tune_takes_a_configuration_as_its_parameters(settings: Any) -> None:
    game = make("coin_game/ivanov-3x3")
    config = agents_config(game, make_mechanism("selfish", game), None, settings, seed=0, steps=128)
    again = config.algo_class.get_default_config().update_from_dict(config.to_dict())
    assert config.algo_class.default_resource_request(config.to_dict()) is not None
    for name in ("gamma", "lr", "tau", "grad_clip", "clip_param", "entropy_coeff", "double_q", "env_config"):
        assert getattr(again, name) == getattr(config, name), name


def learned(settings: Any, mechanism: str = "selfish", steps: int = 640, **resources: Any) -> tuple[Episodes, Policy]:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    bound = make_mechanism(mechanism, game)
    episodes = []
    with train_agents(game, bound, None, settings, seed=3, steps=steps, resources=Resources(**resources)) as phase:
        for update in phase:
            assert update.total == steps
            episodes += [update.episodes] if update.episodes else []
        return sum(episodes[1:], episodes[0]), phase.result()


@pytest.mark.parametrize("settings", [SMALL_DQN, SMALL_PPO], ids=["dqn", "ppo"])
def test_every_episode_is_recorded_and_the_same_seed_gives_the_same_run(settings: Any) -> None:
    first, policy = learned(settings)
    again, same = learned(settings)
    assert len(first.key) == 8 * (640 // 8 // 20)
    assert (first.length == 20).all()
    for name, column in first.columns.items():
        np.testing.assert_array_equal(column, again.columns[name])
    for one, other in zip(policy.networks.parameters(), same.networks.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_is_tensors_and_brings_the_weights_back(tmp_path: Path) -> None:
    trained, fresh = (built(SMALL_DQN, seed=seed, steps=128) for seed in (0, 1))
    while trained.steps < 128:
        trained.train()
    trained.save_checkpoint(str(tmp_path))
    fresh.load_checkpoint(str(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    wanted = trained.weights()["agents"]
    for name, value in fresh.weights()["agents"].items():
        np.testing.assert_array_equal(value, wanted[name])
    for name, value in weights_of(fresh.env_runner).items():
        np.testing.assert_array_equal(value, wanted[name])
    trained.stop()
    fresh.stop()


@pytest.mark.parametrize("settings", [SMALL_DQN, SMALL_PPO], ids=["dqn", "ppo"])
def test_agents_begin_with_the_networks_of_others(settings: Any) -> None:
    game = make("coin_game/ivanov-3x3")
    selfish, joint = (make_mechanism(id, game) for id in ("selfish", "joint"))
    with train_agents(game, selfish, None, settings, seed=0, steps=128) as phase:
        for _ in phase:
            pass
        policy = phase.result()
    algorithm = built(settings, "joint", seed=1, steps=128)
    algorithm.go_on_from(begun(algorithm.weights(), policy))
    wanted, given = policy.networks["agents"].state_dict(), algorithm.weights()["agents"]
    assert len(given) == len(wanted) * (2 if settings is SMALL_DQN else 1)  # averages too
    for name, value in given.items():
        np.testing.assert_array_equal(value, wanted[name.partition(".")[2]].numpy())
    for name, value in weights_of(algorithm.env_runner).items():
        np.testing.assert_array_equal(value, given[name])
    algorithm.stop()
    with train_agents(game, joint, None, settings, seed=1, steps=128, begin=policy) as phase:
        learned_on = phase.result()
    assert any(
        not torch.equal(one, other)
        for one, other in zip(learned_on.networks.parameters(), policy.networks.parameters(), strict=True)
    )


@pytest.mark.parametrize("changed", [{"hidden": (8,)}, {"policies": "separate"}])
def test_agents_cannot_begin_with_other_networks(changed: dict[str, Any]) -> None:
    _, policy = learned(SMALL_PPO)
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    settings = PPO(**{**SMALL, **changed})
    with pytest.raises(UsageError, match="other networks than theirs"):
        train_agents(game, make_mechanism("selfish", game), None, settings, seed=0, steps=128, begin=policy).result()


def test_a_budget_below_the_warm_up_still_learns() -> None:
    game = make("coin_game/ivanov-3x3")
    settings = DQN(**SMALL, batch=16, replay=1000, warm_up=5000)
    with train_agents(game, make_mechanism("selfish", game), None, settings, seed=0, steps=640) as phase:
        assert [bool(update.training) for update in phase].count(True) >= 8


@pytest.mark.parametrize("policies", ["shared", "separate"])
def test_policies_are_shared_or_separate_and_kept_as_tensors(policies: str, tmp_path: Path) -> None:
    settings = DQN(**{**SMALL, "policies": policies}, batch=16, warm_up=0, replay=1000)
    _, policy = learned(settings, mechanism="joint")
    assert set(policy.players) == ({"agents"} if policies == "shared" else set(make("coin_game/ivanov-3x3").agents))
    policy.save(tmp_path / "policy")
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    loop = Simulation(game, make_mechanism("joint", game), 64, seed=0)
    np.testing.assert_array_equal(Policy.load(tmp_path / "policy")(loop.seen), policy(loop.seen))


def weights_of(runner: Any) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in runner.module["agents"].state_dict().items()}


@pytest.mark.parametrize(
    ("settings", "resources"),
    [
        pytest.param(SMALL_DQN, {"runners": 2}, marks=pytest.mark.slow),
        (SMALL_PPO, {"runners": 1, "learners": 1}),
    ],
)
def test_remote_runners_play_with_what_remote_learners_learned(settings: Any, resources: dict[str, int]) -> None:
    runners, episodes = resources["runners"], []
    algorithm = built(settings, seed=3, steps=640, resources=Resources(**resources))
    while algorithm.steps < 640:
        algorithm.train()
        finished = algorithm.drain()
        episodes += [finished] if finished else []
    held = algorithm.env_runner_group.foreach_env_runner(weights_of, local_env_runner=False)
    final = algorithm.weights()["agents"]
    algorithm.stop()
    keys = np.concatenate([part.key for part in episodes])
    assert len(set(keys.tolist())) == len(keys) == 8 * runners * (640 // (8 * runners) // 20)
    assert len(held) == runners
    for weights in held:
        for name, value in weights.items():
            np.testing.assert_array_equal(value, final[name])


@pytest.mark.slow
def test_the_same_seed_and_runners_give_the_same_run() -> None:
    first, _ = learned(SMALL_DQN, runners=2)
    again, _ = learned(SMALL_DQN, runners=2)
    for name, column in first.columns.items():
        np.testing.assert_array_equal(column, again.columns[name])


@pytest.mark.slow
def test_a_principal_trains_with_remote_runners_and_a_remote_learner() -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    with train_principal(game, PRINCIPAL, seed=0, resources=Resources(runners=1, learners=1)) as phase:
        assert any(update.training for update in phase)


def test_more_remote_actors_than_cores_are_refused() -> None:
    with pytest.raises(UsageError, match="1000 remote runners and 0 remote learners need as many cores"):
        learned(SMALL_DQN, runners=1000)


def test_evaluation_counts_each_environment_once_on_unseen_keys() -> None:
    seen, policy = learned(SMALL_PPO)
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    found = evaluate(game, make_mechanism("selfish", game), None, policy, seed=3, episodes=50)
    assert len(found.key) == 50
    assert not set(found.key.tolist()) & set(seen.key.tolist())


def test_a_principal_trains_and_fresh_agents_are_paid_only_for_following() -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    with train_principal(game, PRINCIPAL, seed=0) as phase:
        recorded = [update.episodes for update in phase if update.episodes]
        principal = phase.result()
    assert all(0 < part.compliance.mean() <= 1 for part in recorded)
    assert sum(part.payments.sum() for part in recorded) > 0
    contract = make_mechanism("principal-dqn", game)
    with train_agents(game, contract, principal, SMALL_DQN, seed=0, steps=640) as phase:
        for update in phase:
            if update.episodes:
                paid = update.episodes.payments.sum(axis=1)
                assert (paid >= 0).all()
                assert (update.episodes.compliance[paid > 0] > 0).all()
        policy = phase.result()
    seen = Simulation(game, contract, 4, seed=0, principal=principal).seen
    assert seen.terms.shape == (4, 2, 4)
    assert policy(AgentView(*seen)).shape == (4, 2)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [DQN(), PPO()], ids=["dqn", "ppo"])
def test_a_team_learns_what_the_coin_game_is_worth(settings: Any) -> None:
    _, policy = learned(settings, mechanism="joint", steps=150_000)
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    found = evaluate(game, make_mechanism("joint", game), None, policy, seed=3)
    assert found.returns.sum(axis=1).mean() > 13.0  # of 13.90, the optimum


def test_sampled_play_draws_each_action_with_its_chance_from_the_episodes_own_draws(tmp_path: Path) -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    mechanism = make_mechanism("selfish", game)
    _, greedy = learned(PPO(environments=8, fragment=8), mechanism="selfish")
    drawing = Policy(greedy.kind, greedy.players, greedy.network, play="sampled")
    drawing.networks.load_state_dict(greedy.networks.state_dict())
    drawing.save(tmp_path / "policy")
    many, few = (Simulation(game, mechanism, B, seed=3) for B in (4096, 5))
    again = Policy.load(tmp_path / "policy")
    for _ in range(3):
        actions = drawing(many.seen)
        chosen = again(few.seen)
        np.testing.assert_array_equal(chosen, actions[:5])  # whoever plays beside
        many.step(actions)
        few.step(chosen)
    rows = torch.from_numpy(many.seen.observations.reshape(4096 * 2, -1).astype(np.float32))
    with torch.no_grad():
        chances = drawing.networks["agents"](rows).softmax(dim=-1).numpy().mean(axis=0)
    shares = np.bincount(drawing(many.seen).ravel(), minlength=len(chances)) / len(rows)
    np.testing.assert_allclose(shares, chances, atol=0.03)
    assert not np.array_equal(drawing(many.seen), greedy(many.seen))
