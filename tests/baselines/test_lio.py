"""LIO: its gradients against finite differences, its money by hand, what it learns, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.baselines.lio import LIO, LearnedIncentives
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.loop import AgentView, Loop
from paymaster.contracts.mechanism import Decisions, Transition
from paymaster.core.checkpoint import Checkpoint
from paymaster.core.config import configure
from paymaster.learning.agents.beside import Beside
from paymaster.learning.agents.companions import Companions, Sight
from paymaster.learning.incentives import (
    Climb,
    Played,
    Stack,
    climbed,
    influence,
    log_chances,
    outputs,
    own_gradients,
    returns,
    stack,
)
from paymaster.learning.networks import shape_of
from paymaster.learning.phases import evaluate, train_principal
from paymaster.learning.principals.incentives import Incentives
from paymaster.learning.role import TRAIN, Task

ESCAPE = make("escape_room/2-1")
DILEMMA = make("matrix/iterated-prisoners-dilemma", horizon=5)
QUICK = LIO(steps=64_000, lr=0.04, incentive_lr=0.1, cost_lr=0.0, entropy=0.1, epsilon=1.0, epsilon_final=0.01)


def contract(game: Any = ESCAPE, **parameters: Any) -> LearnedIncentives:
    made = make_mechanism("lio", game, **parameters)
    assert isinstance(made, LearnedIncentives)
    return made


# The gradients


def double(networks: Stack) -> Stack:
    return [part.detach().double().requires_grad_() for part in networks]


def drawn(N: int = 3, T: int = 4, B: int = 5, D: int = 2, A: int = 3) -> Played:
    rng = torch.Generator().manual_seed(0)
    ends = torch.tensor([4, 1, 3, 4, 2])
    return Played(
        torch.randn(N, T, B, D, generator=rng, dtype=torch.float64),
        torch.randint(A, (N, T, B), generator=rng),
        torch.randn(N, T, B, generator=rng, dtype=torch.float64),
        (torch.arange(T)[:, None] < ends).double(),
    )


def test_returns_by_hand() -> None:
    # Two episodes, of three steps and of one. From step 0 on: 1 + .5 * 2 + .25 * 4 = 3, and 5; their mean is 4. From
    # step 1 on, where one episode is left, it is its own mean.
    rewards = torch.tensor([[[1.0, 5.0], [2.0, 9.0], [4.0, 9.0]]])
    counts = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    found = returns(rewards, counts, 0.5)
    np.testing.assert_allclose(found[0, 0], [-1.0, 1.0])
    np.testing.assert_allclose((found * counts)[0, 1:], 0.0, atol=1e-6)


def test_a_step_of_the_agents_is_the_policy_gradient() -> None:
    """One step, one agent, logits alone: grad log pi = one-hot less the chances."""
    bias = torch.tensor([[[0.0, np.log(3.0)]]], dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(1, 1, 2, dtype=torch.float64, requires_grad=True)
    played = Played(
        torch.zeros(1, 1, 2, 1, dtype=torch.float64), torch.tensor([[[0, 1]]]),
        torch.tensor([[[3.0, 1.0]]], dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64),
    )  # fmt: skip
    received = torch.tensor([[[4.0, 0.0]]], dtype=torch.float64)
    _, after = climbed([weights, bias], played, received, 0.0, Climb(lr=0.1, discount=1.0, entropy=0.0))
    # Earned 7 and 1, less their mean 3 and -3; chances 1/4 and 3/4. Mean of 3 (3/4, -3/4) and -3 (-1/4, 1/4): 3/2.
    np.testing.assert_allclose((after - bias).detach()[0, 0], [0.15, -0.15])


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
def test_a_givers_gradient_goes_through_the_others_step(epsilon: float) -> None:
    """Against differences of what each giver wants, by one weight after the other."""
    torch.manual_seed(1)
    first, second = drawn(), drawn()._replace(actions=drawn().actions.flip(1))
    policies, givers = double(stack(3, 2, (4,), 3)), double(stack(3, 2, (3,), 2))
    others = torch.ones(3, 3) - torch.eye(3)

    def wanted(networks: Stack) -> torch.Tensor:
        amounts = torch.sigmoid(outputs(networks, first.rows.flatten(1, 2))).unflatten(1, (4, 5)).movedim(-1, 1)
        nothing = torch.zeros_like(amounts[0, 0])
        given = torch.stack([torch.stack([*part[:i], nothing, *part[i:]]) for i, part in enumerate(amounts)])
        after = climbed(policies, first, given.sum(dim=0), epsilon, Climb(lr=2.0, discount=0.9, entropy=0.1))
        return (influence(after, second, second.rewards, epsilon, 0.9) * others).sum(dim=1)

    found = own_gradients(wanted(givers), givers)
    for part, gradient in zip(givers, found, strict=True):
        for place in [(g, *rest) for g in range(3) for rest in [(0, 0), (part.shape[1] - 1, part.shape[2] - 1)]]:
            moved = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    part[place] += step
                moved.append(wanted(givers)[place[0]].item())
                with torch.no_grad():
                    part[place] -= step
            assert gradient[place].item() == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-5, abs=1e-9)


def test_a_stack_is_its_networks_one_by_one() -> None:
    networks, rows = stack(2, 3, (5, 4), 2), torch.randn(2, 7, 3)
    for n in range(2):
        one = rows[n]
        for place in range(0, len(networks), 2):
            one = (one.relu() if place else one) @ networks[place][n] + networks[place + 1][n]
        np.testing.assert_allclose(outputs(networks, rows)[n].detach(), one.detach(), atol=1e-6)
    chances = log_chances(networks, rows[:, :, None], 0.4).exp().detach()
    np.testing.assert_allclose(chances.sum(dim=-1), 1.0, atol=1e-6)
    assert chances.min() >= 0.2


# The money


def money(mechanism: LearnedIncentives, promised: np.ndarray, actions: list[int]) -> Any:
    game, played = mechanism.game, np.array([actions])
    state = game.reset(np.zeros(1, np.uint64))
    following, events = game.step(state, played)
    terms = Decisions(np.full(played.shape, -1), promised[None].astype(np.float32))
    no = np.zeros(1, bool)
    transition = Transition(state, terms, played, events, game.rewards(events), following, no, no)
    return mechanism.settle((), transition)[0]


def test_created_incentives_are_shaping_and_charged_ones_are_transfers() -> None:
    promised = np.zeros((2, 2, 3))
    promised[0, 1] = [1.5, 0.2, 0.0]  # agent 0 to agent 1, by what agent 1 does
    promised[1, 0] = [0.7, 0.1, 0.4]
    created = money(contract(), promised, [2, 0])
    np.testing.assert_allclose(created.shaping, [[0.4, 1.5]])
    assert not created.payments.any()
    assert not created.transfers.any()
    charged = money(contract(charged=True), promised, [2, 0])
    np.testing.assert_allclose(charged.transfers, [[[0.0, 1.5], [0.4, 0.0]]])
    np.testing.assert_allclose(charged.income(), [[-1.1, 1.1]])
    assert not charged.shaping.any()


def test_with_three_agents_a_gift_hangs_on_what_both_others_do() -> None:
    promised = np.zeros((3, 3, 9))
    promised[1, 0, 3 * 2 + 1] = 0.6  # agent 1 to agent 0, where agent 0 goes to the door and agent 2 stays
    mechanism = contract(make("escape_room/3-2"))
    np.testing.assert_allclose(money(mechanism, promised, [2, 0, 1]).shaping, [[0.6, 0.0, 0.0]])
    np.testing.assert_allclose(money(mechanism, promised, [2, 0, 2]).shaping, 0.0)


def test_people_are_told_who_gives_most_for_what() -> None:
    promised = np.zeros((1, 2, 2, 3))
    promised[0, 0, 1] = [1.5, 0.2, 0.0]
    summary = contract().summary(Decisions(np.full((1, 2), -1), promised), 1)
    assert summary.words.tolist() == [["1.50 to agent_1 for lever", "nothing to agent_0"]]


# What is kept


def test_what_is_kept_comes_back_and_decides_the_same() -> None:
    game = make("escape_room/3-2")
    with train_principal(game, LIO(steps=500, environments=8), seed=100, mechanism=contract(game)) as learning:
        learned = learning.result()
    assert isinstance(learned, Incentives)
    back = Incentives.restored(Checkpoint(*learned.checkpoint()))
    state = game.reset(np.arange(4, dtype=np.uint64))
    before, after = learned(game, state), back(game, state)
    assert before.promised.shape == (4, 3, 3, 9)
    np.testing.assert_array_equal(before.promised, after.promised)
    assert not np.einsum("biik->bik", before.promised).any()  # nobody gives to itself
    noise = np.random.default_rng(0).random((4, 3))
    seen = AgentView(game.observe(state), np.zeros((4, 3, 0), np.float32), noise)
    np.testing.assert_array_equal(learned.agents(seen), back.agents(seen))
    greedy = Companions(learned.agents.shape, 0, learned.agents.policies, "greedy")
    np.testing.assert_array_equal(greedy(seen), learned.agents.probabilities(seen).argmax(axis=-1))


def test_a_decision_is_the_network_on_what_is_seen_and_done() -> None:
    game = make("escape_room/3-2")
    with train_principal(game, LIO(steps=500, environments=8), seed=101, mechanism=contract(game)) as learning:
        learned = learning.result()
    state = game.reset(np.arange(2, dtype=np.uint64))
    decided = learned(game, state).promised
    seen = torch.from_numpy(game.observe(state).astype(np.float32).swapaxes(0, 1).copy())
    done = torch.zeros(3, 2, 6)
    done[..., 2] = done[..., 3 + 1] = 1.0  # the first of the others does action 2, the second action 1
    amounts = 2.0 * torch.sigmoid(outputs(learned.networks, torch.cat([seen, done], dim=-1)))
    for giver, receivers in enumerate([(1, 2), (0, 2), (0, 1)]):
        np.testing.assert_allclose(decided[:, giver, receivers, 3 * 2 + 1], amounts[giver].detach(), atol=1e-6)


def test_a_batch_begins_new_episodes_everywhere() -> None:
    loop = Loop(ESCAPE, make_mechanism("selfish", ESCAPE), 3, seed=0)
    keys = loop.keys
    loop.step(np.ones((3, 2), np.int64))
    loop.begin_anew()
    assert not np.isin(loop.keys, keys).any()
    assert loop.steps == 3
    assert not loop.t.any()
    for _ in range(5):
        step = loop.step(np.ones((3, 2), np.int64))
    assert step.episodes is not None
    np.testing.assert_array_equal(step.episodes.length, 5)  # the step that was given up counts in none


@pytest.mark.parametrize("charged", [False, True])
def test_what_givers_count_is_what_the_ledger_has(charged: bool) -> None:
    """What each agent received in a batch, and what each gave, is the money of the same steps."""
    game = make("escape_room/3-2")
    mechanism = contract(game, charged=charged)
    shape = shape_of(game)
    agents = Companions(shape, 0, stack(3, Sight(shape, 0).width, (8,), 3))
    task = Task(game, mechanism, TRAIN, 0, 160)
    givers = LIO(incentive_hidden=(8,)).begin(task, agents)
    loop, actions = task.loop(16), torch.from_numpy(np.random.default_rng(0).integers(3, size=(3, 1, 16)))
    seen = givers.sees(loop)
    received, spent = givers.given(seen[:, None], actions)
    with torch.no_grad():
        loop.offer(givers.decide(seen))
    ledger = loop.step(actions[:, 0].T.numpy()).ledger
    np.testing.assert_allclose(received[:, 0].detach().T, ledger.income(), atol=1e-5)
    gone = ledger.transfers.sum(axis=2) if charged else None
    np.testing.assert_allclose(spent[:, 0].detach().T.sum(), (gone if charged else ledger.shaping).sum(), rtol=1e-5)
    if charged:
        np.testing.assert_allclose(spent[:, 0].detach().T, gone, rtol=1e-5)


@pytest.mark.parametrize("prices", [{"cost_lr": 0.05}, {"cost_lr": 0.0, "cost": 1.0}])
def test_givers_learn_to_give_less_where_it_costs(prices: dict[str, float]) -> None:
    """Agents that hardly learn are worth no gift: what is given falls from R/2 towards nothing."""
    settings = LIO(steps=6_400, environments=8, lr=1e-6, incentive_lr=0.05, **prices)
    with train_principal(ESCAPE, settings, seed=100, mechanism=contract()) as learning:
        given = [update.training["given"] for update in learning]
    assert given[-1] < 0.3 * given[0]


# What it learns


def test_agents_in_a_dilemma_learn_to_give_for_cooperation() -> None:
    """Yang et al. 2020, iterated prisoner's dilemma: both cooperate, -1 for each in each of five steps."""
    mechanism = contract(DILEMMA, highest=3.0)
    with train_principal(DILEMMA, QUICK, seed=100, mechanism=mechanism) as learning:
        learned = learning.result()
    played = evaluate(DILEMMA, mechanism, learned, learned.agents, seed=100, episodes=64)
    assert played.returns.sum(axis=1).mean() > -11.0  # -10 where both cooperate, -20 where both defect
    assert played.shaping.sum(axis=1).mean() > 20.0  # created, and nobody is charged
    assert not played.transfer_volume.any()
    assert not played.payments.any()


def test_runs_from_end_to_end(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"principal.steps": 2000, "principal.environments": 8, "mechanism.charged": True}
    done = run("escape_room/2-1", mechanism="lio", algorithm="beside", seed=100, steps=100, out=tmp_path, **settings)
    back = load(done.folder)
    assert isinstance(back.principal, Incentives)
    episodes = read_episodes(done.folder)
    assert episodes["transfer_volume"].mean() > 0.0
    assert not episodes[["shaping_0", "shaping_1", "payment_0"]].to_numpy().any()


# What is refused


def test_a_team_too_large_to_tell_apart_is_refused() -> None:
    with pytest.raises(UsageError, match=r"amounts in every state.*fewer agents"):
        contract(make("escape_room/2-1", players=9))
    with pytest.raises(UsageError, match="give incentives to each other"):
        contract(make("tree/ivanov-d10"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden": [0]}, "hidden"), ({"lr": float("inf")}, "lr"), ({"environments": 1}, "environments"),
        ({"incentive_hidden": [-3]}, "incentive_hidden"),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(LIO, setting, what="principal")


def test_agents_that_diverge_are_an_error_that_says_what_to_do() -> None:
    settings = LIO(steps=2_000, lr=1e30)
    with (
        pytest.raises(UsageError, match="have diverged: choose smaller steps"),
        train_principal(ESCAPE, settings, seed=0, mechanism=contract()) as learning,
    ):
        learning.result()


def test_roles_are_for_their_mechanisms() -> None:
    with pytest.raises(UsageError, match="needs the mechanism lio"):
        LIO().check(make_mechanism("selfish", ESCAPE))
    with pytest.raises(UsageError, match="keeps no agents"):
        Beside().check(make_mechanism("selfish", ESCAPE))
