"""A principal that learns rates: what they pay, its advantages and rewards by hand, what it learns, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from paymaster import UsageError, load, make, make_mechanism, parallel_env, run
from paymaster.benchmarks.cli.show import show
from paymaster.benchmarks.reports import rates as showing
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.benchmarks.runs.replay import load_replay
from paymaster.contracts.loop import Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism, Transition
from paymaster.contracts.rates import THERMOMETER_BINS, Rates, RatesContract
from paymaster.envs.coin_game import game as coin_game
from paymaster.learning.agents.best_response import BestResponse
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.phases import evaluate, train_agents, train_principal
from paymaster.learning.principals.rates import RatesNetwork, RatesPrincipal, offered
from paymaster.learning.principals.rates_ppo import CHOSEN, CHOSEN_LOGP, CLOCK, DUE, REWARD, WORLD, RatesPPO
from paymaster.learning.returns import advantages, interval_advantages
from paymaster.learning.rllib.training import configuration_of
from paymaster.learning.role import TRAIN, Task
from paymaster.learning.trained import PRINCIPAL
from paymaster.learning.worlds import world_rows, world_shape

from ..envs.plain_game import PlainGame

GAME = make("matrix/prisoners-dilemma", horizon=7)
SMALL = RatesPPO(
    steps=2240, hidden=(16,), batch=32, generations=1, burn_in=0.2,
    agents=PPO(hidden=(16,), environments=16, fragment=10, minibatches=2)
)  # fmt: skip


def contract(game: Any = GAME, **parameters: Any) -> RatesContract:
    made = make_mechanism("principal-ppo", game, **parameters)
    assert isinstance(made, RatesContract)
    return made


def shares(terms: np.ndarray) -> np.ndarray:
    """(..., K) of what agents are shown: each rate as a share of the highest."""
    return terms.reshape(*terms.shape[:-1], -1, THERMOMETER_BINS).mean(axis=-1)


class Counting:
    """A principal that offers its number of calls as the rate of every fact."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, game: Any, state: Any) -> Decisions:
        self.calls += 1
        shape = len(state.key), len(game.agents), len(game.verifiable)
        return Decisions(np.full(shape[:2], -1), np.full(shape, self.calls, np.float32))


# The contract


def test_rates_hold_for_every_steps_and_end_with_the_episode() -> None:
    principal = Counting()
    loop = Simulation(GAME, contract(every=3, highest=8.0), 1, seed=0, principal=principal)
    held = []
    for _ in range(14):
        held.append(float(loop.terms.rates[0, 1, 0]))
        np.testing.assert_array_equal(shares(loop.seen.terms), loop.terms.rates / 8)
        loop.step(np.zeros((1, 2), np.int64))
    # the last interval of an episode of 7 steps is one step long; at its end the loop asks what follows, then anew
    assert held == [1, 1, 1, 2, 2, 2, 3, 4, 4, 4, 5, 5, 5, 6]
    assert principal.calls == 7


def test_rates_may_hold_for_the_episode_or_for_a_step() -> None:
    for every, calls in ((7, 2), (100, 2), (1, 8)):
        principal = Counting()
        loop = Simulation(GAME, contract(every=every), 1, seed=0, principal=principal)
        for _ in range(7):
            loop.step(np.zeros((1, 2), np.int64))
        assert principal.calls == calls, (
            "at the start, where rates are due, and for the new episode: nobody asks at the end of one"
        )


def test_an_episode_records_the_mean_rate_of_each_fact() -> None:
    loop = Simulation(GAME, contract(every=3, highest=8.0), 1, seed=0, principal=Counting())
    assert loop.mechanism.recorded == ("rate_cooperated",)
    ended = [loop.step(np.zeros((1, 2), np.int64)).episodes for _ in range(14)]
    assert ended[6] is not None
    assert ended[13] is not None
    np.testing.assert_allclose(ended[6].terms, [[12 / 7]])  # 1 1 1 2 2 2 3
    np.testing.assert_allclose(ended[13].terms, [[33 / 7]])  # 4 4 4 5 5 5 6
    rates = np.array([[[0.5, 0.0], [1.5, 1.0]]], np.float32)
    np.testing.assert_allclose(contract().record(Rates(rates), 1), [[1.0, 0.5]])  # over the agents


def test_agents_see_a_rate_as_a_thermometer() -> None:
    rates = np.array([[[0.6], [2.5]]], np.float32)  # of a highest of 2: 2.4 marks of 8, and all of them
    seen = contract(highest=2.0).view(Rates(rates), 1)
    np.testing.assert_allclose(seen, [[[1, 1, 0.4, 0, 0, 0, 0, 0], [1] * 8]], atol=1e-6)


def test_rates_pay_for_facts_by_hand() -> None:
    game = make("coin_game/ivanov-3x3")
    made = contract(game, cap=1.0, every=10)
    picked, left = np.array([[[True, False], [False, False]]]), np.array([[[False, True], [True, False]]])
    events = coin_game.Events(picked, left, np.array([True]))  # both left the other's coin, agent 0 took its own
    zeros = np.zeros((1, 2), np.float32)
    terms = Rates(np.array([[[0.5, 0.1], [0.5, 0.3]]], np.float32))
    step = Transition((), terms, zeros.astype(np.int64), events, zeros, (), zeros[:, 0] > 0, zeros[:, 0] > 0)
    memory = made.start(np.zeros(1, np.uint64))
    settled, memory = made.settle(memory, step)
    np.testing.assert_allclose(settled.payments, [[0.6, 0.3]], rtol=1e-6)
    assert not settled.transfers.any()
    assert not settled.shaping.any()
    # 0.1 of the cap is left and 0.9 would be due: all are cut to a ninth, and then nothing is promised any more
    settled, memory = made.settle(memory, step)
    np.testing.assert_allclose(settled.payments, [[0.6 / 9, 0.3 / 9]], rtol=1e-5)
    assert made.left(memory)[0] == pytest.approx(0.0, abs=1e-6)
    assert not made.offer(
        memory._replace(age=np.array([10])), (), Counting()(game, game.reset(np.zeros(1, np.uint64)))
    )[0].rates.any()


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000), every=st.integers(1, 9), cap=st.floats(0, 3), highest=st.floats(0.1, 5),
)  # fmt: skip
def test_the_principal_never_takes_and_never_pays_more_than_the_cap(
    seed: int, every: int, cap: float, highest: float
) -> None:
    dice = np.random.default_rng(seed)
    game = PlainGame(N=3)

    def principal(game: Any, state: Any) -> Decisions:
        B = len(state.key)
        return offered(torch.from_numpy(dice.integers(0, 5, (B, 3))), (3, 1), highest, 5)

    capped = Simulation(game, contract(game, every=every, highest=highest, cap=cap), 8, seed=seed, principal=principal)
    paid = np.zeros(8)
    for _ in range(5):
        rates = capped.terms.rates
        step = capped.step(dice.integers(0, 3, (8, 3)))
        assert (step.ledger.payments >= 0).all()
        assert (rates >= 0).all()
        assert (rates <= highest * (1 + 1e-6)).all()
        paid += step.ledger.payments.sum(axis=1)
        assert (paid <= cap + 1e-5).all()
        assert (step.ledger.payments <= rates[..., 0] + 1e-6).all(), "no more than was promised"


def test_parameters_that_are_not_allowed_are_told() -> None:
    with pytest.raises(UsageError, match=r"every: .*greater than or equal to 1 .got 0"):
        contract(every=0)
    with pytest.raises(UsageError, match=r"cap: .*greater than or equal to 0 .got -1"):
        contract(cap=-1.0)


def test_a_contract_without_a_principal_is_refused_where_rates_are_due() -> None:
    with pytest.raises(ValueError, match="RatesContract needs a principal's decisions"):
        Simulation(GAME, contract(), 1, seed=0)


def test_a_principal_outside_offers_rates_and_is_charged_what_they_pay() -> None:
    """PettingZoo's view: it promises and recommends nothing; where rates hold, what it says changes nothing."""
    view = parallel_env(GAME, "principal-ppo", "agent", alpha=0.5)
    observations, _ = view.reset(seed=0)
    for promised in ([[0.5], [0.25]], [[0.0], [0.0]]):
        action = {"promised": np.array(promised, np.float32)}
        assert view.action_space("principal").contains(action)
        observations, *_ = view.step({"principal": action})
        seen = np.array([observations[name]["terms"] for name in GAME.agents])
        np.testing.assert_array_equal(shares(seen), [[0.5], [0.25]])
        _, rewards, _, _, infos = view.step({"agent_0": 0, "agent_1": 1})  # pays 0, 4; agent 0 alone cooperates
        assert rewards == {"principal": 4 / 0.5 - 0.5, "agent_0": 0.5, "agent_1": 4.0}
        assert infos["principal"]["paid"] == 0.5
    with pytest.raises(UsageError, match="must be a dict of 'promised'"):
        view.step({"principal": {"recommended": [0, 0], "promised": [[0.5], [0.25]]}})


def test_a_best_response_to_what_holds_for_longer_is_refused() -> None:
    with pytest.raises(UsageError, match="RatesContract remembers more than the state"):
        train_agents(GAME, contract(), Counting(), BestResponse(), seed=0, steps=1)


# The network and what is kept of it


def network(game: Any, **changed: Any) -> dict[str, Any]:
    heads = int(np.prod(contract(game).promised_shape))
    return {"shape": world_shape(game), "heads": heads, "rungs": 5, "encoder": "mlp", "hidden": (8,), **changed}


@pytest.mark.parametrize(
    ("id", "encoder"),
    [
        ("coin_game/ivanov-3x3", "mlp"), ("coin_game/ivanov-7x7", "conv"), ("cleanup/lio-7x7", "conv"),
        ("cleanup/ssd", "conv"), ("harvest/ssd", "mlp"), ("matrix/prisoners-dilemma", "mlp"),
        ("escape_room/3-2", "mlp"), ("public_goods/iterated-4", "mlp"), ("tree/ivanov-d10", "mlp"),
    ],
)  # fmt: skip
def test_rates_are_offered_for_the_world_of_every_game(id: str, encoder: str) -> None:
    game = make(id)
    state = game.reset(np.arange(3, dtype=np.uint64))
    for _ in range(20):
        actions = np.random.default_rng(0).integers(len(game.action_names), size=(3, len(game.agents)))
        if not game.terminated(state).any():
            state, _ = game.step(state, actions)
    classes = world_shape(game).classes
    assert not classes or int(game.world(state).max()) < classes
    principal = RatesPrincipal(network(game, encoder=encoder), contract(game).promised_shape, 2.0)
    promised = principal(game, state).promised
    assert promised.shape == (3, len(game.agents), len(game.verifiable))
    assert ((promised >= 0.0) & (promised <= 2.0)).all()


def test_the_mean_is_offered_and_no_rung_is_likelier_at_the_start() -> None:
    torch.manual_seed(0)
    principal = RatesPrincipal(network(GAME), (2, 1), 2.0)
    state = GAME.reset(np.zeros(2, np.uint64))
    chances = principal.network.chances(world_rows(GAME.world(state))).exp()
    assert chances.shape == (2, 2, 5)
    np.testing.assert_allclose(chances.detach().numpy(), 0.2, atol=0.02)
    np.testing.assert_allclose(principal(GAME, state).promised, 1.0, atol=0.05)
    with torch.no_grad():
        principal.network.policy.bias[[2, 3, 5]] = 20.0  # of agent 0 rungs 2 and 3, of agent 1 the lowest
    np.testing.assert_allclose(principal(GAME, state).promised[..., 0], [[1.25, 0.0]] * 2, atol=0.02)


def test_what_stands_beside_is_told_to_the_critic_alone() -> None:
    net = RatesNetwork(**network(GAME))
    rows = torch.cat([world_rows(GAME.world(GAME.reset(np.zeros(2, np.uint64)))), torch.tensor([[0.0, 1], [1, 0]])], 1)
    assert torch.equal(*net.logits(rows))
    assert not torch.equal(*net.values(rows))


def test_a_principal_is_kept_as_tensors(tmp_path: Path) -> None:
    game = make("cleanup/lio-7x7")
    principal = RatesPrincipal(network(game), (2, 2), 0.7)
    principal.save(tmp_path / "principal")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    kept = RatesPrincipal.load(tmp_path / "principal")
    state = game.reset(np.arange(5, dtype=np.uint64))
    np.testing.assert_array_equal(kept(game, state).promised, principal(game, state).promised)


# Advantages over intervals


def test_advantages_over_intervals_by_hand() -> None:
    # discount .5, lambda .5; decisions at 0 (for 2 steps) and 2 (for 1 step, to the end), then at 3, cut after 2
    rewards = np.array([[1.0], [2.0], [4.0], [8.0], [2.0]])
    values = np.array([[3.0], [9.0], [2.0], [1.0], [9.0]])  # 9: nothing was due, so nobody reads it
    due = np.array([[True], [False], [True], [True], [False]])
    ended = np.array([[False], [False], [True], [False], [False]])
    found = interval_advantages(rewards, values, np.array([4.0]), due, ended, 0.5, 0.5)
    # at 3: 8 + .5 * 2 + .25 * 4 - 1 = 9;  at 2: 4 - 2 = 2;  at 0: 1 + .5 * 2 + .25 * 2 - 3 = -.5, + .25 * .5 * 2
    assert found.ravel().tolist() == [-0.25, 0.0, 2.0, 9.0, 0.0]


@hypothesis_settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_decisions_of_one_step_have_the_advantages_of_ppo(seed: int) -> None:
    dice = np.random.default_rng(seed)
    rewards, values = dice.normal(size=(2, 9, 3))
    last, ended = dice.normal(size=3), dice.random((9, 3)) < 0.3
    found = interval_advantages(rewards, values, last, np.ones((9, 3), bool), ended, 0.9, 0.8)
    following = np.concatenate([values[1:], last[None]])
    expected = advantages(rewards[..., None], values[..., None], following[..., None], ended, ended, 0.9, 0.8)
    np.testing.assert_allclose(found, expected[..., 0])


# Learning


def built(settings: RatesPPO, mechanism: RatesContract) -> Any:
    """The RLlib Algorithm that trains the principal and its agents."""
    task = settings.prepared(Task(GAME, mechanism, TRAIN, 3, settings.steps))
    return configuration_of(settings, task).build_algo()


@pytest.mark.parametrize("offers", ["same", "each"])
def test_the_principal_is_rewarded_by_welfare_less_what_it_pays(offers: str) -> None:
    mechanism = contract(every=3)
    settings = RatesPPO(**{**SMALL.__dict__, "offers": offers})
    algorithm = built(settings, mechanism)
    runner = algorithm.env_runner
    with torch.no_grad():
        rollout = runner._sampled(14)
    net = runner.net(PRINCIPAL)
    algorithm.stop()
    episodes, noted = rollout.episodes, rollout.extras
    utility = (episodes.returns.sum(axis=1) - 0.1 * episodes.payments.sum(axis=1)) / 2
    rewards = np.concatenate([noted[REWARD][:7].sum(axis=0), noted[REWARD][7:].sum(axis=0)])
    np.testing.assert_allclose(rewards, utility, rtol=1e-5)
    assert episodes.payments.sum() > 0

    due, chosen = noted[DUE], noted[CHOSEN]
    np.testing.assert_array_equal(np.flatnonzero(due[:, 0]), [0, 3, 6, 7, 10, 13])
    assert chosen.shape == (14, 16, 1 if offers == "same" else 2)
    seen = shares(rollout.terms)[..., 0]
    np.testing.assert_allclose(seen, np.broadcast_to(chosen / 10, (14, 16, 2)), atol=1e-6)
    assert (seen[..., 0] == seen[..., 1]).all() == (offers == "same")
    chances = net.chances(world_rows(noted[WORLD][due])).detach().numpy()
    taken = np.take_along_axis(chances, chosen[due][..., None], axis=-1).sum(axis=(1, 2))
    np.testing.assert_allclose(noted[CHOSEN_LOGP][due], taken, rtol=1e-5)


def trained(settings: RatesPPO = SMALL, **parameters: Any) -> tuple[Any, RatesPrincipal]:
    with train_principal(GAME, settings, seed=3, mechanism=contract(**parameters)) as phase:
        updates = list(phase)
        return updates, phase.result()


def test_the_principal_learns_from_whole_episodes_after_a_while_and_repeats_itself() -> None:
    updates, principal = trained(every=3)
    # a rollout has 160 steps. From a fifth of 2240 on, the third being the last to wait: 16 environments decide 3 times
    # in 7 steps, so 32 decisions are there after 7, and one step more is waited for
    learned = [update.steps for update in updates if f"{PRINCIPAL}/entropy" in update.training]
    assert learned[0] == 160 * 3
    assert all("agents/entropy" in update.training for update in updates)
    again, same = trained(every=3)
    assert [update.training for update in updates] == [update.training for update in again]
    for one, other in zip(principal.network.parameters(), same.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_learns_from_whole_episodes_once() -> None:
    """What is left begins where an episode begins, and is less than a batch and a rollout: nothing is kept twice."""
    algorithm = built(SMALL, contract(every=7))
    memory: Any = algorithm.memories[1][1]
    while algorithm.steps < SMALL.steps:
        algorithm.train()
        left = memory.gathered
        assert bool(left) == (algorithm.steps > 0.2 * SMALL.steps)
        if left:
            assert not left[CLOCK][0, :, 0].any()
            assert len(left[CLOCK]) <= 14 + 10
    algorithm.stop()


def test_while_it_waits_the_principal_stands_still() -> None:
    settings = RatesPPO(**{**SMALL.__dict__, "burn_in": 0.99})
    algorithm = built(settings, contract())
    before = {name: value.copy() for name, value in algorithm.weights()[PRINCIPAL].items()}
    agents = algorithm.weights()["agents"]
    while algorithm.steps < 1600:
        algorithm.train()
    for name, value in algorithm.weights()[PRINCIPAL].items():
        np.testing.assert_array_equal(value, before[name])
    assert any((value != agents[name]).any() for name, value in algorithm.weights()["agents"].items())
    algorithm.stop()


def test_a_phase_says_who_learns() -> None:
    task = SMALL.prepared(Task(GAME, contract(), TRAIN._replace(learns=("principal",)), 3, 640))
    algorithm = configuration_of(SMALL, task).build_algo()
    before = algorithm.weights()
    while algorithm.steps < 640:
        algorithm.train()
    after = algorithm.weights()
    moved = {
        id: any((now[name] != was[name]).any() for name in now) for id, now in after.items() for was in [before[id]]
    }
    assert moved == {"agents": False, PRINCIPAL: True}
    algorithm.stop()


def test_agents_begin_anew_and_the_principal_does_not() -> None:
    """Of 4 generations of 560 steps, the second begins at 640, the first rollout that ends in it."""
    settings = RatesPPO(**{**SMALL.__dict__, "generations": 4})
    algorithm = built(settings, contract(every=7))
    states, steps = [], []
    fresh = algorithm.weights()
    while algorithm.steps < 960:
        algorithm.train()
        states.append(algorithm.weights())
        steps.append(algorithm.steps)
    held = algorithm.env_runner.module["agents"].state_dict()
    algorithm.stop()
    anew = [
        step
        for step, state in zip(steps, states, strict=True)
        if all((value == fresh["agents"][name]).all() for name, value in state["agents"].items())
    ]
    assert anew == [640]
    for name, value in states[-1]["agents"].items():
        np.testing.assert_array_equal(value, held[name].numpy())
    moved = [
        any((value != fresh[PRINCIPAL][name]).any() for name, value in state[PRINCIPAL].items()) for state in states
    ]
    assert moved == [step >= 320 for step in steps]


def test_the_runner_plays_with_what_the_principal_learned() -> None:
    algorithm = built(SMALL, contract(every=7))
    while algorithm.steps < SMALL.steps:
        algorithm.train()
    held = algorithm.env_runner.module[PRINCIPAL].state_dict()
    for name, value in algorithm.weights()[PRINCIPAL].items():
        np.testing.assert_array_equal(value, held[name].numpy())
    algorithm.stop()


DILEMMA = make("matrix/prisoners-dilemma")  # one shot: 3, 0, 4, 1, so whatever the other does, defecting earns 1 more
LEARNS = RatesPPO(
    steps=80_000, hidden=(32,), lr=3e-3, lr_final=1e-3, rungs=6, alpha=0.5,
    agents=PPO(hidden=(32,), environments=64, fragment=16, lr=3e-3, lr_final=1e-3),
)  # fmt: skip


def test_it_pays_what_cooperation_costs() -> None:
    mechanism = contract(DILEMMA, highest=2.0)
    with train_principal(DILEMMA, LEARNS, seed=100, mechanism=mechanism) as phase:
        for _ in phase:
            pass
        principal = phase.result()
    rates = principal(DILEMMA, DILEMMA.reset(np.zeros(1, np.uint64))).promised[0, :, 0]
    assert ((rates > 1.0) & (rates < 1.5)).all(), rates
    agents = PPO(hidden=(32,), environments=64, fragment=16)
    with train_agents(DILEMMA, mechanism, principal, agents, seed=100, steps=20_000) as phase:
        for _ in phase:
            pass
        policy = phase.result()
    found = evaluate(DILEMMA, mechanism, principal, policy, seed=100, episodes=16)
    np.testing.assert_array_equal(found.returns, 3.0)
    np.testing.assert_allclose(found.payments, np.tile(rates, (16, 1)), rtol=1e-6)


# Runs


def test_a_run_is_recorded_loaded_and_shown(tmp_path: Path) -> None:
    rules: dict[str, Any] = {
        "horizon": 10, "every": 5, "cap": 3.0, "episodes": 8, "principal.steps": 1600, "principal.hidden": [8],
        "agents.hidden": [8], "agents.environments": 16, "agents.fragment": 10, "principal.batch": 32,
        "algorithm.hidden": [8], "environments": 16, "algorithm.batch": 32, "warm_up": 0,
    }  # fmt: skip
    made = run(
        "cleanup/lio-7x7", mechanism="principal-ppo", algorithm="dqn", steps=640, seed=3, out=tmp_path,
        **rules,
    )  # fmt: skip
    episodes = read_episodes(made.folder)
    assert set(episodes["phase"]) == {"train", "validate", "evaluate"}
    assert (episodes["principal_payment"] <= 3.0 + 1e-5).all()
    assert episodes["terms_rate_cleaned"].between(0, 1).all()
    assert (episodes["terms_rate_cleaned"] > 0).any()
    loaded = load(made.folder)
    assert isinstance(loaded.principal, RatesPrincipal)
    assert load_replay(made.folder).terms[0, 0].startswith("rates ")

    found = showing.played(loaded, 8)
    assert found.rates.shape == (80, 2, 1)
    state = loaded.game.reset(np.zeros(1, np.uint64))
    promised = loaded.principal(loaded.game, state).promised[0]
    listed = list(showing.situations(found))
    steps = [each for each in listed if each.what == "step"]
    assert [(each.low, each.high) for each in steps] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    np.testing.assert_allclose(steps[0].rates, promised, rtol=1e-6)  # starts are fixed, and rates hold for 5 steps
    for what in found.situations:
        assert sum(each.share for each in listed if each.what == what) == pytest.approx(1.0)
    told = show(made.folder, tmp_path / "rates.png")
    assert "cleaned: rate" in told
    assert "step 8-9" in told
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_what_promises_nothing_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="promises rates; show a run of one that has"):
        showing.names(GAME, Mechanism(game=GAME).summary((), 1))
    with pytest.raises(UsageError, match=r"drawn to a .png"):
        show(tmp_path, tmp_path / "rates.txt")
