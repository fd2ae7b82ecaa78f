"""Algorithm 2's loss and payments against numbers worked out by hand, what it learns, and its runs end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, parallel_env, run
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.benchmarks.runs.record import read_about, read_episodes
from paymaster.benchmarks.specs.suites import expand, load_suite
from paymaster.contracts.loop import AgentView, Simulation
from paymaster.contracts.mechanism import Decisions
from paymaster.equilibria.exact_outcomes import ExactOutcomePrincipal
from paymaster.equilibria.principal import hidden_actions
from paymaster.equilibria.principal.hidden_actions import best_response, contracts_of, played, subgame_perfect_contracts
from paymaster.equilibria.tables.table import tabular
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning.agents.best_response import BestResponse
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.follow import Follow
from paymaster.learning.losses.algorithm_2 import Transitions, Values, acting, inducing, losses
from paymaster.learning.payments_on_outcomes import least_payments_on_outcomes
from paymaster.learning.phases import evaluate, train_agents, train_principal
from paymaster.learning.principals.algorithm_2 import Algorithm2
from paymaster.learning.principals.outcomes import ClassNetwork, OutcomePrincipal, outcome_chance

NINE = torch.tensor([[[0.9, 0.1], [0.1, 0.9]]])  # (1, A, 2)
GAME = make("tree/ivanov-d10", horizon=3)
SMALL = Algorithm2(steps=640, hidden=(16,), environments=16, batch=32, fragment=8, replay=1000)


def q(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


# The payments


@pytest.mark.parametrize("nudge", [0.0, 0.03])
def test_payments_are_those_of_the_exact_solution(nudge: float) -> None:
    dice = np.random.default_rng(0)
    values = dice.normal(size=(200, 2))
    p = dice.uniform(0.05, 0.95, (200, 2))
    chance = np.stack([1 - p, p], axis=-1)
    expected = hidden_actions.least_payments(values, chance, nudge)
    for action in (0, 1):
        actions = torch.full((200,), action)
        found = least_payments_on_outcomes(torch.from_numpy(values), torch.from_numpy(chance), actions, nudge)
        np.testing.assert_allclose(found, expected[:, action], atol=1e-12)


# The loss


def hand_worked() -> tuple[Values, Transitions]:
    values = Values(
        agent_t=q(0.0, 0.6, 5.0, -1.0),  # for action 1 and outcome 1: .6 and -1
        # Q = (.3 - .1, .9 - .9) = (.2, 0): inducing action 1 next takes b(1) = .2 / .8 = .25, .225 of it expected
        agent_tp1_target=q(0.3, 0.9, 0.0, -1.0),
        principal_t=q(0.0, 2.0),
        principal_tp1_target=q(0.5, 3.0),  # q(0) = .9 * .5 + .1 * 3 = .75, q(1) = .05 + 2.7 - .225 = 2.525: induces 1
    )
    batch = Transitions(
        actions_t=torch.tensor([1]),
        outcomes_t=torch.tensor([[0.0, 1.0]]),
        rewards_t=torch.tensor([-0.4]),
        principal_t=torch.tensor([1.0]),
        chance_tp1=NINE,
        terminated_t=torch.tensor([0.0]),
    )
    return values, batch


def test_what_inducing_is_worth_by_hand() -> None:
    worth, paid = inducing(q(0.5, 3.0), q(0.2, 0.0), NINE, nudge=0.0)
    torch.testing.assert_close(worth, q(0.75, 2.525))
    torch.testing.assert_close(paid, q(0.0, 0.225))


def test_the_agents_values_of_actions_by_hand() -> None:
    torch.testing.assert_close(acting(q(0.3, 0.9, 0.0, -1.0), NINE), q(0.2, 0.0))


def test_all_regressions_by_hand() -> None:
    values, batch = hand_worked()
    found = losses(values, batch, discount=0.5, nudge=0.0)
    # u: -.4 against .6, Huber .5; w: y = .5 (.225 + 0) = .1125 against -1, Huber 1.1125 - .5
    assert found.agent.item() == pytest.approx(0.5 + 0.6125)
    # z: y = 1 + .5 * 2.525 = 2.2625 against 2
    assert found.principal.item() == pytest.approx(0.5 * 0.2625**2, rel=1e-4)
    assert found.errors.tolist() == pytest.approx([1.0 + 1.1125 + 0.2625])


def test_the_outcome_that_came_is_valued_and_no_other() -> None:
    values, batch = hand_worked()
    found = losses(values, batch._replace(outcomes_t=torch.tensor([[1.0, 0.0]])), discount=0.5, nudge=0.0)
    # w: y = .1125 against 5; z: y = 2.2625 against 0
    assert found.agent.item() == pytest.approx(0.5 + 4.8875 - 0.5)
    assert found.principal.item() == pytest.approx(2.2625 - 0.5)


def test_a_nudge_raises_what_is_paid_and_what_the_agent_expects() -> None:
    values, batch = hand_worked()
    found = losses(values, batch, discount=0.5, nudge=0.08)
    # b(1) = .35 next, .315 expected: y_w = .5 * .315 = .1575, y_z = 1 + .5 (2.75 - .315) = 2.2175
    assert found.agent.item() == pytest.approx(0.5 + 1.1575 - 0.5, rel=1e-4)
    assert found.principal.item() == pytest.approx(0.5 * 0.2175**2, rel=1e-4)


def test_nothing_follows_a_terminal_step() -> None:
    values, batch = hand_worked()
    found = losses(values, batch._replace(terminated_t=torch.tensor([1.0])), discount=0.5, nudge=0.0)
    assert found.errors.tolist() == pytest.approx([1.0 + 1.0 + 1.0])  # y = -.4, 0 and 1 against .6, -1 and 2


def test_targets_carry_no_gradient() -> None:
    values, batch = hand_worked()
    values = Values(*(value.requires_grad_() for value in values))
    found = losses(values, batch, discount=0.5, nudge=0.0)
    (found.agent + found.principal).backward()
    assert [name for name in Values._fields if getattr(values, name).grad is not None] == ["agent_t", "principal_t"]


def test_at_the_exact_values_nothing_is_left_to_learn() -> None:
    """The equilibrium is where all regressions rest, at every node and action and whatever outcome came."""
    game: Any = GAME
    table = tabulate(game)
    follow, chance = hidden_actions._following(table), table.facts[:, :, 0]
    agent = principal = np.zeros(7)
    for _ in range(3):
        q_agent = table.rewards[..., 0] + follow(agent)
        contracts = hidden_actions.least_payments(q_agent, chance)
        paid = (contracts * chance).sum(axis=-1)
        q_principal = table.objective + follow(principal) - paid
        best = q_principal.argmax(axis=1)
        agent, principal = (q_agent + paid)[np.arange(7), best], q_principal[np.arange(7), best]
    nodes = np.arange(1, 8)
    after = 2 * nodes[:, None] + [0, 1]
    over, following = after > 7, np.minimum(after, 7) - 1
    u = -game.costs[nodes][:, None] * [0, 1]
    w = np.where(over, 0.0, agent[following])
    z = game.values[nodes][:, None] * [0, 1] + np.where(over, 0.0, principal[following])
    of_agent = torch.from_numpy(np.concatenate([u, w], axis=1))
    node, aim, outcome = (torch.from_numpy(a.ravel()) for a in np.indices((7, 2, 2)))
    there = torch.from_numpy(following)[node, outcome]
    values = Values(of_agent[node], of_agent[there], torch.from_numpy(z)[node], torch.from_numpy(z)[there])
    batch = Transitions(
        aim, torch.nn.functional.one_hot(outcome, 2), torch.from_numpy(u)[node, aim],
        torch.from_numpy(game.values[nodes])[node] * outcome, NINE.double().expand(28, 2, 2),
        torch.from_numpy(over)[node, outcome].double(),
    )  # fmt: skip
    np.testing.assert_allclose(losses(values, batch, discount=1.0, nudge=0.0).errors, 0.0, atol=1e-6)


def test_the_first_layer_is_that_of_a_one_hot_class() -> None:
    network = ClassNetwork(classes=5, outputs=2, hidden=(8, 4))
    seen = torch.tensor([3, 0, 4])
    one_hot = torch.nn.functional.one_hot(seen, 5).float()
    torch.testing.assert_close(network(seen), network.rest(one_hot @ network.first.weight))


# Contracts that are played


def test_the_outcome_is_paid_whatever_was_aimed_at() -> None:
    def principal(game: Any, state: Any) -> Decisions:
        B = len(state.key)
        return Decisions(np.ones((B, 1), np.int64), np.tile(np.float32([0.25, 0.5]), (B, 1, 1)))

    loop = Simulation(GAME, make_mechanism("outcome-dqn", GAME), 64, seed=1, principal=principal)
    np.testing.assert_array_equal(loop.seen.terms[0, 0], [0, 1, 0.25, 0.5])
    step = loop.step(np.arange(64)[:, None] % 2)
    outcome = step.transition.events.outcome
    np.testing.assert_array_equal(step.ledger.payments[:, 0], np.where(outcome == 1, 0.5, 0.25).astype(np.float32))
    assert step.complied is not None
    np.testing.assert_array_equal(step.complied[:, 0], np.arange(64) % 2 == 1)


exact = ExactOutcomePrincipal(GAME)


@pytest.mark.parametrize("settings", [Follow(), BestResponse()])
def test_under_the_exact_contract_the_best_response_is_to_follow(settings: Any) -> None:
    mechanism = make_mechanism("outcome-dqn", GAME)
    with train_agents(GAME, mechanism, exact, settings, seed=0, steps=1) as phase:
        assert list(phase) == []
        policy = phase.result()
    found = evaluate(GAME, mechanism, exact, policy, seed=0, episodes=4000)
    table = tabulate(GAME)
    expected = best_response(table, subgame_perfect_contracts(table, 3))
    assert (found.compliance == 1).all()
    utility = found.principal_returns - found.payments[:, 0]
    assert utility.mean() == pytest.approx(expected.utility, abs=5 * utility.std() / 4000**0.5 + 1e-3)
    assert found.returns.mean() == pytest.approx(expected.agent_return, abs=0.03)


def test_a_principal_outside_prices_each_outcome() -> None:
    """PettingZoo's view: the first agent is the principal, and its prices stand in what the other sees and earns."""
    view = parallel_env(GAME, "outcome-dqn", "agent", alpha=1.0)
    view.reset(seed=0)
    promise = {"recommended": np.array([1]), "promised": np.array([[0.25, 0.5]], np.float32)}
    assert view.action_space("principal").contains(promise)
    observations, *_ = view.step({"principal": promise})
    np.testing.assert_array_equal(observations["agent_0"]["terms"], [0, 1, 0.25, 0.5])
    _, rewards, _, _, infos = view.step({"agent_0": 1})
    right = infos["principal"]["reward"] > 0
    assert infos["principal"]["paid"] == (0.5 if right else 0.25)
    assert rewards["principal"] == pytest.approx(infos["principal"]["reward"] - infos["principal"]["paid"])
    with pytest.raises(UsageError, match=r"allowed: finite numbers \(1, 2\), 0 or more"):
        view.step({"principal": {"recommended": [1], "promised": [0.5]}})


def test_agents_that_are_told_nothing_cannot_follow() -> None:
    with pytest.raises(UsageError, match="Selfish recommends nothing that agents could follow"):
        train_agents(GAME, make_mechanism("selfish", GAME), None, Follow(), seed=0, steps=1)


def test_fresh_agents_learn_under_contracts_on_outcomes() -> None:
    settings = DQN(hidden=(16,), environments=16, batch=32, replay=1000, discount=1.0)
    with train_agents(GAME, make_mechanism("outcome-dqn", GAME), exact, settings, seed=0, steps=640) as phase:
        assert any(update.training for update in phase)
        assert phase.result()(AgentView(np.ones((3, 1, 1, 1), np.uint16), np.zeros((3, 1, 4), np.float32))).shape == (
            3,
            1,
        )


# What is learned


def test_a_small_tree_is_learned_to_the_optimum(tmp_path: Path) -> None:
    """Depth 3: obeyed, and so by an agent that does what is best for itself, every state right."""
    settings = Algorithm2(
        steps=25_600, nudge=0.02, hidden=(32,), environments=64, fragment=64, batch=512, lr=1e-2, replay=25_600,
        warm_up=500, tau=0.05,
    )  # fmt: skip
    with train_principal(GAME, settings, seed=100) as phase:
        recorded = [update.episodes for update in phase if update.episodes]
        principal = phase.result()
    assert sum(len(part.key) for part in recorded) == 64 * (448 // 3), "every episode, of 7 fragments of 64 steps"
    table = tabulate(GAME)
    contracts, found = subgame_perfect_contracts(table, 3), contracts_of(principal, GAME)
    best = best_response(table, contracts)
    np.testing.assert_array_equal(found.induced[0], contracts.induced[0])
    obeyed, replied = played(table, found.payments, found.induced), best_response(table, found)
    np.testing.assert_array_equal(replied.actions[0], contracts.induced[0])
    assert obeyed.utility == pytest.approx(replied.utility)
    assert 0.9 * best.utility < obeyed.utility < 1.001 * best.utility

    principal.save(tmp_path / "principal")
    state = GAME.reset(np.arange(4, dtype=np.uint64))
    for one, other in zip(
        OutcomePrincipal.load(tmp_path / "principal")(GAME, state), principal(GAME, state), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_principal() -> None:
    kept = []
    for _ in range(2):
        with train_principal(GAME, SMALL, seed=3) as phase:
            for _ in phase:
                pass
            kept.append(phase.result().network.state_dict())
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_the_principal_knows_how_probable_outcomes_are() -> None:
    state = GAME.reset(np.arange(3, dtype=np.uint64))
    np.testing.assert_allclose(outcome_chance(GAME, state), NINE.numpy().repeat(3, axis=0), rtol=1e-6)


def test_other_games_are_refused() -> None:
    with pytest.raises(UsageError, match="CoinGame has 2 agents, 4 actions, 2 verifiable facts"):
        train_principal(make("coin_game/ivanov-3x3"), SMALL, seed=0)


# Runs


def test_a_run_is_recorded_and_compared_with_what_is_exact(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "horizon": 3, "principal.steps": 3200, "hidden": [16], "environments": 16, "batch": 64, "nudge": 0.01,
    }  # fmt: skip
    made = run(
        "tree/ivanov-d10", mechanism="outcome-dqn", algorithm="best-response", out=tmp_path, episodes=64, **settings
    )
    episodes = read_episodes(made.folder)
    assert set(episodes["phase"]) == {"train", "evaluate"}
    assert episodes["principal_return"].notna().all()
    row = of_run(made.folder)
    assert row["principal_return"] == pytest.approx(
        episodes[episodes["phase"] == "evaluate"]["principal_return"].mean()
    )
    assert 0.0 <= row["states_right"] <= 1.0  # type: ignore[operator]
    assert read_about(made.folder / "run.json")["evaluated"]["states_right"] == row["states_right"]
    assert row["best_states_right"] == row["states_right"]  # it is what these agents do
    loaded = load(made.folder)
    assert loaded.principal is not None
    table, found = tabulate(loaded.game), contracts_of(loaded.principal, loaded.game)
    wanted, states = subgame_perfect_contracts(table, 3).induced, tabular(loaded.game).representatives()
    same = [found.induced[t, s] == wanted[t, s] for s, t in enumerate(states.t)]
    assert row["followed_states_right"] == pytest.approx(np.mean(same))
    state = loaded.game.reset(np.arange(2, dtype=np.uint64))
    terms = loaded.mechanism.view(loaded.principal(loaded.game, state), 2)  # type: ignore[misc]
    assert loaded.policy(AgentView(loaded.game.observe(state), terms)).shape == (2, 1)


def test_the_suite_is_three_trees_five_times() -> None:
    specs = expand(load_suite("tree"))
    learned = [spec for spec in specs if spec.mechanism == "outcome-dqn" and spec.principal_from is None]
    assert sorted((spec.rules["tree"], spec.seed) for spec in learned) == [(t, s) for t in range(3) for s in range(5)]
    for spec in specs:
        if spec.principal_from is not None:
            assert spec.principal_from.rules == spec.rules
