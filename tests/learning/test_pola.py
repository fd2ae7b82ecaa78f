"""POLA by exact gradients: by hand, against slow twins in other parameters, and what it learns in the dilemma."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import paymaster
from paymaster import make, make_mechanism
from paymaster.contracts.loop import AgentView
from paymaster.core.config import UsageError, configure
from paymaster.equilibria.tables.tabulate import tabulate
from paymaster.learning.agents.pola import POLA
from paymaster.learning.exact_gradients import ExactReturns, ascents, log_probabilities, probabilities
from paymaster.learning.proximal import Ascent, respond, shape
from paymaster.learning.role import VALIDATE, Task

DILEMMA = "matrix/iterated-prisoners-dilemma"
GAMMA = 0.96


def returns_of(id: str, discount: float) -> ExactReturns:
    table = tabulate(make(id))
    N = table.rewards.shape[2]
    return ExactReturns(table, np.repeat(np.arange(table.states)[:, None], N, axis=1), discount)


def logits_of(returns: ExactReturns, seed: int) -> list[torch.Tensor]:
    """Of agents with two actions."""
    S, _, N = returns.rewards.shape
    return list(torch.from_numpy(np.random.default_rng(seed).normal(size=(N, S, 1))))


def divergence(policy: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """KL(policy || old) (C, A), added up over situations."""
    return (policy * (policy / old).log()).sum()


def test_where_an_action_is_better_by_the_same_always_a_step_is_known_by_hand() -> None:
    """In the prisoner's dilemma defecting earns 1 more, whatever the other does, so by pi ~ pi_old exp(G / beta) the
    logit of cooperating falls by 1 / beta: of the response, and of whoever shapes it in vain."""
    returns = returns_of("matrix/prisoners-dilemma", 0.0)
    logits = [torch.tensor([[0.3]], dtype=torch.float64), torch.tensor([[-0.2]], dtype=torch.float64)]
    logs = [log_probabilities(each) for each in logits]
    response = respond(returns, [each.exp() for each in logs], 1, logs[1], Ascent(40, 0.5, 2.0))
    torch.testing.assert_close(response, probabilities(torch.tensor([[-0.7]], dtype=torch.float64)))
    moved = shape(returns, logs, 0, Ascent(5, 0.5, 2.0), Ascent(40, 0.5, 4.0))
    torch.testing.assert_close(moved.exp(), probabilities(torch.tensor([[0.05]], dtype=torch.float64)))


@pytest.mark.parametrize("id", ["matrix/chicken", "matrix/stag-hunt"])
def test_shaping_finds_the_highest_point_of_a_fine_grid(id: str) -> None:
    """With one situation and two actions, the other's response has a closed form in the own probability."""
    returns = returns_of(id, 0.0)
    R, T, S, P = {"matrix/chicken": (3, 4, 1, 0), "matrix/stag-hunt": (4, 3, 0, 1)}[id]
    beta_in, beta_out = 0.5, 1.5
    for seed in range(2):
        first, second = logits_of(returns, seed)
        p, old = np.linspace(1e-6, 1 - 1e-6, 100_001), float(probabilities(first)[0, 0])
        gain = p * (R - T) + (1 - p) * (S - P)  # of cooperating, to the other
        q = 1 / (1 + np.exp(-(float(second[0, 0]) + gain / beta_in)))
        value = p * (q * R + (1 - q) * S) + (1 - p) * (q * T + (1 - q) * P)
        objective = value - beta_out * (p * np.log(p / old) + (1 - p) * np.log((1 - p) / (1 - old)))
        logs = [log_probabilities(each) for each in (first, second)]
        found = shape(returns, logs, 0, Ascent(20, 0.5, beta_in), Ascent(40, 0.5, beta_out))
        assert found.exp()[0, 0].item() == pytest.approx(p[objective.argmax()], abs=1e-4)


STRETCHED = torch.tensor([[3.0], [1.0], [0.5], [2.0], [1.0]], dtype=torch.float64)


def climbed(objective: object, theta: torch.Tensor) -> torch.Tensor:
    """Where plain L-BFGS comes to from the parameters `theta`."""
    theta = theta.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([theta], max_iter=400, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = -objective(theta)  # type: ignore[operator]
        value.backward()
        return value

    optimiser.step(loss)
    return theta.detach()


@pytest.mark.parametrize("stretched", [torch.ones(5, 1, dtype=torch.float64), STRETCHED, 0.3 * STRETCHED])
def test_what_is_learned_does_not_depend_on_parameters(stretched: torch.Tensor) -> None:
    """Policies whose logits are theta * `stretched` come to the same by any ascent in theta; those of LOLA do not."""
    returns = returns_of(DILEMMA, GAMMA)
    logits = logits_of(returns, 3)
    thetas, logs = [each / stretched for each in logits], [log_probabilities(each) for each in logits]
    policies = [each.exp() for each in logs]

    def of_response(theta: torch.Tensor) -> torch.Tensor:
        policy = probabilities(theta * stretched)
        return returns.of([policies[0], policy])[1] - 20.0 * divergence(policy, policies[1])

    response = respond(returns, policies, 1, logs[1], Ascent(100, 0.5, 20.0)).detach()
    twin = probabilities(climbed(of_response, thetas[1]) * stretched)
    torch.testing.assert_close(response, twin, atol=1e-5, rtol=0)

    inner = Ascent(3, 0.5, 20.0)

    def of_shaper(theta: torch.Tensor) -> torch.Tensor:
        policy = probabilities(theta * stretched)
        answered = respond(returns, [policy, policies[1]], 1, logs[1], inner)
        return returns.of([policy, answered])[0] - 20.0 * divergence(policy, policies[0])

    shaped = shape(returns, logs, 0, inner, Ascent(100, 0.5, 20.0)).exp()
    twin = probabilities(climbed(of_shaper, thetas[0]) * stretched)
    torch.testing.assert_close(shaped, twin, atol=1e-5, rtol=0)


def test_lola_depends_on_parameters() -> None:
    returns = returns_of(DILEMMA, GAMMA)
    logits = logits_of(returns, 3)

    def moved(stretched: torch.Tensor) -> torch.Tensor:
        def stretched_returns(free: list[torch.Tensor]) -> torch.Tensor:
            return returns([each * stretched for each in free])

        free = [(each / stretched).requires_grad_() for each in logits]
        steps = ascents(stretched_returns, free, 1, 1.0)  # type: ignore[arg-type]
        return probabilities((free[0] + steps[0]).detach() * stretched)

    plain = moved(torch.ones(5, 1, dtype=torch.float64))
    assert (plain - moved(STRETCHED)).abs().max() > 0.3


def test_gradients_through_the_response_are_finite_differences() -> None:
    returns = returns_of(DILEMMA, 0.8)
    logs = [log_probabilities(each) for each in logits_of(returns, 1)]
    policies, by, nudge = [each.exp() for each in logs], Ascent(4, 0.4, 3.0), 1e-6
    own = policies[0].clone().requires_grad_()
    found = torch.autograd.grad(returns.of([own, respond(returns, [own, policies[1]], 1, logs[1], by)])[0], own)[0]

    def value(state: int, action: int, by_how_much: float) -> float:
        there = policies[0].clone()
        there[state, action] += by_how_much
        return float(returns.of([there, respond(returns, [there, policies[1]], 1, logs[1], by)])[0].detach())

    for state in range(5):
        for action in range(2):
            slope = (value(state, action, nudge) - value(state, action, -nudge)) / (2 * nudge)
            assert found[state, action].item() == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize("id", [DILEMMA, "public_goods/one-shot-4"])
def test_no_agent_ends_below_where_it_began(id: str) -> None:
    """Also where steps are much too long at first."""
    returns = returns_of(id, 0.96 if id == DILEMMA else 0.0)
    inner, outer = Ascent(5, 0.5, 5.0), Ascent(12, 1.0, 0.5)
    for seed in range(3):
        logs = [log_probabilities(each) for each in logits_of(returns, seed)]

        def objective(log: torch.Tensor, i: int, logs: list[torch.Tensor] = logs) -> float:
            met = [log.exp() if j == i else each.exp() for j, each in enumerate(logs)]
            after = [each if j == i else respond(returns, met, j, logs[j], inner) for j, each in enumerate(met)]
            return float((returns.of(after)[i] - outer.beta * divergence(met[i], logs[i].exp())).detach())

        for i in range(len(logs)):
            assert objective(shape(returns, logs, i, inner, outer), i) > objective(logs[i], i)


def mean_rewards(role: POLA, seeds: range) -> np.ndarray:
    """(seeds,): the exact mean reward of a step of learned agents, discounted."""
    game = make(DILEMMA)
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        (update,) = role.learn(Task(game, make_mechanism("selfish", game), VALIDATE, seed, steps=1))
        found.append((1 - GAMMA) * update.training["mean_return"])
    return np.array(found)


def test_pairs_cooperate_after_few_updates() -> None:
    """Nobody cooperates at the start: random pairs have -1.5, and naive learners come to -2."""
    assert mean_rewards(POLA(updates=8), range(2)).min() > -1.01


@pytest.mark.slow
def test_nearly_all_pairs_cooperate() -> None:
    """Of LOLA's, which are drawn alike, one in ten does not."""
    found = mean_rewards(POLA(), range(100, 125))
    assert np.mean(found > -1.2) > 0.85
    assert np.median(found) > -1.001


def test_a_run_learns_tit_for_tat_and_is_loaded_again(tmp_path: Path) -> None:
    result = paymaster.run(
        DILEMMA, algorithm="pola", updates=4, steps=10, horizon=20, episodes=16, seed=1, out=tmp_path
    )
    loaded = paymaster.load(result.folder)
    played = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # 0 is to cooperate
    states = [loaded.game.step(loaded.game.reset(np.zeros(1, np.uint64)), each[None])[0] for each in played]
    seen = np.concatenate([loaded.game.observe(state) for state in states])
    cooperate = loaded.policy.probabilities(AgentView(seen, np.zeros((4, 2, 1), np.float32)))[..., 0]
    assert cooperate[0].min() > 0.99
    assert cooperate[3].max() < 0.01
    assert cooperate[1, 0] < 0.01  # the first cooperated alone
    assert cooperate[2, 1] < 0.01


@pytest.mark.parametrize(
    ("name", "value"),
    [("beta_out", 0.0), ("beta_in", -1.0), ("outer_lr", 1.5), ("inner_lr", 0.0), ("outer_steps", 0), ("inner_steps", 0),
     ("discount", 1.0), ("order", 1)],
)  # fmt: skip
def test_settings_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        configure(POLA, {name: value}, what="algorithm pola")


def test_mechanisms_and_games_beyond_the_table_are_refused() -> None:
    with pytest.raises(UsageError, match="POLA climbs exact returns, and Mate needs value estimates"):
        POLA().check(make_mechanism("mate", make(DILEMMA)))
    with pytest.raises(UsageError, match="of which POLA needs all transitions at once"):
        POLA().check(make_mechanism("selfish", make("cleanup/lio-7x7")))
