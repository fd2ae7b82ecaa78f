"""Roles: what is asked of anything that learns, inside and outside the package, with RLlib and without."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns as RLlibColumns
from ray.rllib.evaluation.postprocessing import Postprocessing

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.ledger import Ledger
from paymaster.contracts.loop import AgentView, Minds, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism, Transition
from paymaster.contracts.rates import RatesContract
from paymaster.core.checkpoint import Checkpoint, Saved
from paymaster.core.config import configuration
from paymaster.equilibria.induced_game import induce
from paymaster.learning import ROLES, algorithms, principal_class, register_role
from paymaster.learning.agents.a2c import A2C
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.policy import Policy
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.networks import ActorCritic
from paymaster.learning.phases import agents_config, evaluate, train_agents, train_principal
from paymaster.learning.replay import ReplayedRole, ReplayMemory
from paymaster.learning.rllib.training import configuration_of
from paymaster.learning.role import TRAIN, VALIDATE, Role, Task, Update
from paymaster.learning.trained import PRINCIPAL, Batch, Col, Context, Losses, Net, Peer, Trained
from paymaster.views.making import view

DILEMMA = make("matrix/prisoners-dilemma")  # one shot: 3, 0, 4, 1
COINS = make("coin_game/ivanov-3x3", observation="egocentric")
SMALL: dict[str, Any] = {"hidden": (16,), "environments": 16, "rollout_length": 8}
AGENTS = [DQN(**SMALL, batch=16, warm_up=0, replay=1000), PPO(**SMALL, minibatches=2, epochs=2), A2C(**SMALL)]
IDS = ["dqn", "ppo", "a2c"]


def test_columns_have_the_names_that_rllibs_losses_read() -> None:
    assert (Col.OBS, Col.NEXT_OBS) == (RLlibColumns.OBS, RLlibColumns.NEXT_OBS)
    assert (Col.ACTIONS, Col.REWARDS) == (RLlibColumns.ACTIONS, RLlibColumns.REWARDS)
    assert (Col.TERMINATEDS, Col.LOGP) == (RLlibColumns.TERMINATEDS, RLlibColumns.ACTION_LOGP)
    assert (Col.LOGITS, Col.VALUES) == (RLlibColumns.ACTION_DIST_INPUTS, RLlibColumns.VF_PREDS)
    assert (Col.ADVANTAGES, Col.VALUE_TARGETS) == (Postprocessing.ADVANTAGES, Postprocessing.VALUE_TARGETS)


# The registry


def test_roles_that_play_agents_are_algorithms() -> None:
    assert {"dqn", "ppo", "a2c", "follow", "best-response"} <= set(algorithms())
    assert not {"principal-dqn", "principal-ppo", "outcome-dqn", "principal-exact"} & set(algorithms())


def test_a_class_that_is_no_role_is_refused() -> None:
    with pytest.raises(UsageError, match="is no subclass of Role"):
        register_role("mine")(dict)
    with pytest.raises(UsageError, match="already taken"):
        register_role("dqn")(A2C)
    with pytest.raises(UsageError, match="put @configuration above it"):
        register_role("mine")(type("Bare", (Role,), {}))
    assert "mine" not in ROLES


def test_a_mechanism_whose_principal_nobody_knows_is_told() -> None:
    def asking(principal: object) -> type[Mechanism]:
        return type("Asking", (Mechanism,), {"principal": principal})

    with pytest.raises(UsageError, match=r"Asking asks for an unknown principal 'mine'.*--plugin"):
        principal_class(asking("mine"))
    with pytest.raises(UsageError, match="unknown principal 'dqn'"):
        principal_class(asking("dqn"))  # it plays the agents
    with pytest.raises(UsageError, match="the principal of Asking: int is no subclass of Role"):
        principal_class(asking(int))
    assert principal_class(asking("")) is None
    assert principal_class(asking(Toll)) is Toll


# A2C


def test_the_loss_of_a2c_by_hand() -> None:
    """Two actions, equally probable: log p = -log 2, entropy log 2; values 1 and 0 against targets 2 and 1."""

    class Net(torch.nn.Module):
        def evaluated(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.zeros(2, 2), rows[:, 0]

    batch = {
        Col.OBS: torch.tensor([[1.0], [0.0]]), Col.ACTIONS: torch.tensor([0, 1]),
        Col.ADVANTAGES: torch.tensor([3.0, 1.0]), Col.VALUE_TARGETS: torch.tensor([2.0, 1.0]),
    }  # fmt: skip
    total, parts, errors = A2C(entropy=0.5).loss(Net(), None, batch, {})
    log2 = float(np.log(2.0))
    assert float(parts["policy_loss"]) == pytest.approx(2.0 * log2)
    assert float(parts["vf_loss"]) == pytest.approx(1.0)
    assert float(parts["entropy"]) == pytest.approx(log2)
    assert float(total) == pytest.approx(2.0 * log2 + 0.5 - 0.5 * log2)
    assert errors is None


def test_a2c_learns_what_pays() -> None:
    """Each agent of a team that wants the same cooperates: 6 together, against 2 where each is for itself."""
    settings = A2C(hidden=(16,), lr=1e-2)
    for id, welfare in (("joint", 6.0), ("selfish", 2.0)):
        mechanism = make_mechanism(id, DILEMMA)
        with train_agents(DILEMMA, mechanism, None, settings, seed=100, steps=30_000) as phase:
            training = [update.training for update in phase]
        found = evaluate(DILEMMA, mechanism, None, phase.result(), seed=100, episodes=8)
        np.testing.assert_array_equal(found.returns.sum(axis=1), welfare)
    assert {"agents/policy_loss", "agents/vf_loss", "agents/entropy"} == set(training[0])


# What mechanisms may ask of agents, and do for them


@configuration
class Told(Mechanism):
    """Shapes by the probability with which each agent chose the first action."""

    needs_probabilities: ClassVar[bool] = True

    def settle(self, memory: Any, transition: Transition) -> tuple[Ledger, Any]:
        assert transition.probabilities is not None
        np.testing.assert_allclose(transition.probabilities.sum(axis=-1), 1.0, rtol=1e-5)
        shaping = transition.probabilities[..., 0]
        return Ledger.zeros(*transition.rewards.shape)._replace(shaping=shaping), memory


@pytest.mark.parametrize("settings", AGENTS, ids=IDS)
def test_a_mechanism_may_ask_with_which_probabilities_agents_act(settings: Any) -> None:
    mechanism = Told(game=COINS)
    with train_agents(COINS, mechanism, None, settings, seed=0, steps=256) as phase:
        policy = phase.result()
    loop = Simulation(COINS, mechanism, 64, seed=0, minds=Minds.of(policy))
    chosen = policy(loop.seen)
    shaping = loop.step(chosen).ledger.shaping
    np.testing.assert_array_equal(shaping, chosen == 0)  # a greedy policy does the best action with certainty
    evaluate(COINS, mechanism, None, policy, seed=0, episodes=4)


def test_a_policy_that_draws_tells_its_probabilities() -> None:
    seen = Simulation(COINS, Mechanism(game=COINS), 8, seed=0).seen
    with train_agents(COINS, Mechanism(game=COINS), None, AGENTS[1], seed=0, steps=256) as phase:
        greedy = phase.result()
    drawing = Policy(greedy.kind, greedy.players, greedy.network, play="sampled")
    rows = torch.from_numpy(seen.observations.reshape(16, -1).astype(np.float32))
    with torch.no_grad():
        expected = drawing.networks["agents"](rows).softmax(dim=-1).numpy().reshape(8, 2, -1)
    np.testing.assert_allclose(drawing.probabilities(seen), expected, rtol=1e-6)


def test_agents_that_tell_no_probabilities_are_refused() -> None:
    loop = Simulation(COINS, Told(game=COINS), 2, seed=0)
    with pytest.raises(UsageError, match="Told needs the probabilities of actions, and these agents tell none"):
        loop.step(np.zeros((2, 2), np.int64))


@configuration
class Agreed(Mechanism):
    """Does the first action for agent 1, whatever it chooses."""

    def act(self, terms: Any, actions: np.ndarray) -> np.ndarray:
        return np.where(np.arange(actions.shape[1]) == 1, 0, actions)


def test_a_mechanism_may_act_for_agents() -> None:
    loop = Simulation(DILEMMA, Agreed(game=DILEMMA), 2, seed=0)
    step = loop.step(np.array([[1, 1], [0, 1]]))
    np.testing.assert_array_equal(step.transition.actions, [[1, 0], [0, 0]])  # what is done
    expected = Simulation(DILEMMA, Mechanism(game=DILEMMA), 2, seed=0).step(np.array([[1, 0], [0, 0]]))
    np.testing.assert_array_equal(step.transition.rewards, expected.transition.rewards)


@pytest.mark.parametrize(("mechanism", "why"), [(Agreed, "acts for agents"), (Told, "the agents' probabilities")])
def test_what_is_no_table_of_joint_actions_is_not_judged_exactly(mechanism: type[Mechanism], why: str) -> None:
    with pytest.raises(UsageError, match=f"{mechanism.__name__} cannot be judged exactly.*{why}"):
        induce(DILEMMA, mechanism(game=DILEMMA))


def test_a_view_has_no_agents_to_ask() -> None:
    with pytest.raises(UsageError, match="Told needs the probabilities of actions of the agents"):
        view(COINS, Told(game=COINS))


# A role outside the package that RLlib trains: its loss sees its peers


class Rate(torch.nn.Module):
    """One rate for all facts."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(0.5))


class Kept(Saved):
    """The rate that was learned, for every fact in every state."""

    def __init__(self, net: Rate) -> None:
        self.net = net

    def __call__(self, game: Any, state: Any) -> Decisions:
        shape = (*game.observe(state).shape[:2], len(game.verifiable))
        return Decisions(np.full(shape[:2], -1), np.full(shape, float(self.net.rate), np.float32))

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({}, {"rate": self.net.rate.detach().numpy()})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        net = Rate()
        net.load_state_dict({"rate": torch.from_numpy(checkpoint.arrays["rate"])})
        return cls(net)


@configuration
class Toll(Trained):
    """Raises its rate by how sure the agents are of what they did in the rows from which they last learned."""

    steps: int = 1024
    lr: float = 1e-2
    lr_final: float = 1e-2

    sees_peers: ClassVar[bool] = True

    def roles(self) -> tuple[Trained, ...]:
        return (AGENTS[0], self)

    def network(self, task: Task) -> Net:
        return Rate()

    def decide(self, net: Net, context: Context, situation: Any) -> Decisions:
        return Kept(net)(context.game, situation.state)

    def batch_of(self, task: Task, rollouts: Any) -> Batch:
        """A batch of one row for every rollout."""
        return Batch({PRINCIPAL: {Col.OBS: np.zeros((1, 1), np.float32)}}, 1)

    def loss(self, net: Net, target: Net | None, batch: Any, peers: Mapping[str, Peer]) -> Losses:
        agents = peers["agents"]
        sure = agents.net(agents.batch[Col.OBS]).softmax(dim=-1).amax(dim=-1).mean()
        rows = torch.tensor(float(len(agents.batch[Col.OBS])))
        return Losses(-net.rate * sure, {"sure": sure, "rows": rows})

    def frozen(self, weights: Mapping[str, Any], task: Task) -> Kept:
        net = Rate()
        net.load_state_dict(weights[PRINCIPAL])
        return Kept(net)

    def kept(self) -> type[Kept]:
        return Kept


def test_a_loss_sees_its_peers_and_moves_only_its_own_networks() -> None:
    """A principal of one number learns beside DQN agents, whose networks its gradient must leave alone."""
    contract = RatesContract(game=DILEMMA, highest=8.0)
    with train_principal(DILEMMA, Toll(), seed=0, mechanism=contract) as phase:
        updates = list(phase)
        principal = phase.result()
    assert updates[-1].training["principal/rows"] == 16 * 2  # the last minibatch of both agents
    assert 0.5 <= updates[-1].training["principal/sure"] <= 1.0
    assert "agents/qf_loss" in updates[-1].training  # a DQN's loss beside another's, in one Learner
    assert float(principal.net.rate) == pytest.approx(0.5 + 0.01 * len(updates), abs=2e-3)  # Adam moves by lr
    assert not principal.net.rate.requires_grad

    @configuration
    class Blind(Toll):
        """The same without moving: its agents must learn the very same."""

        lr: float = 1e-12
        lr_final: float = 1e-12

    with train_principal(DILEMMA, Blind(), seed=0, mechanism=contract) as phase:
        first = next(phase)
    assert first.training["agents/qf_loss"] == updates[0].training["agents/qf_loss"]


def test_peers_need_one_learner() -> None:
    from paymaster.learning.settings import Resources

    contract = RatesContract(game=DILEMMA)
    with (
        pytest.raises(UsageError, match="one Learner"),
        train_principal(DILEMMA, Toll(), seed=0, mechanism=contract, resources=Resources(learners=2)) as phase,
    ):
        next(phase)


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray], part: str) -> bool:
    return any(np.any(after[name] != before[name]) for name in before if name.startswith(part))


@configuration
class Silent(Toll):
    """Records nothing of its loss, and learns nothing from its peers."""

    sees_peers: ClassVar[bool] = False

    def loss(self, net: Net, target: Net | None, batch: Any, peers: Mapping[str, Peer]) -> Losses:
        assert not peers
        return Losses(-net.rate, {})


def test_what_is_learned_is_played_also_where_nothing_is_recorded() -> None:
    contract = RatesContract(game=DILEMMA, highest=8.0)
    task = Task(DILEMMA, contract, TRAIN._replace(learns=("principal",)), 0, 512)
    algorithm: Any = configuration_of(Silent(), task).build_algo()
    while algorithm.steps < 512:
        algorithm.train()
    assert algorithm.training == {}
    held = algorithm.env_runner.net(PRINCIPAL).rate.detach()
    assert float(held) == float(algorithm.weights()[PRINCIPAL]["net.rate"]) > 0.5
    algorithm.stop()


def test_targets_follow_only_their_own_module() -> None:
    """DQN agents that are not trained stand still with their targets while a principal beside them learns."""
    contract = RatesContract(game=DILEMMA, highest=8.0)
    algorithm: Any = configuration_of(Silent(), Task(DILEMMA, contract, TRAIN, 0, 512)).build_algo()
    algorithm.train()
    agents, principal = algorithm.memories
    before = algorithm.weights()
    algorithm._learned(*principal, principal[1].add([], 0, {}))
    after = algorithm.weights()
    assert moved(before[PRINCIPAL], after[PRINCIPAL], "net.")
    assert not moved(before["agents"], after["agents"], "")
    algorithm._learned(*agents, agents[1].add([], 512, {}))
    last = algorithm.weights()
    assert moved(after["agents"], last["agents"], "target.")
    algorithm.stop()


def test_a_role_beside_the_first_has_settings_of_its_own() -> None:
    contract = RatesContract(game=DILEMMA)
    phase = TRAIN._replace(generations=2)
    config = configuration_of(Silent(discount=0.5), Task(DILEMMA, contract, phase, 0, 512))
    own = config.get_config_for_module(PRINCIPAL)
    assert (own.gamma, own.grad_clip, own.entropy_coeff) == (0.5, None, 0.0)
    assert own.lr == [[0, 1e-2], [512, 1e-2]]  # it does not begin anew with the agents
    assert config.lr == [[0, 1e-3], [255, 1e-4], [256, 1e-3], [511, 1e-4]]
    assert config.grad_clip == 10.0


def test_agents_of_a_new_generation_forget_what_they_played_and_explore_anew() -> None:
    contract = RatesContract(game=DILEMMA, highest=8.0)
    task = Task(DILEMMA, contract, TRAIN._replace(generations=2), 0, 512)
    algorithm: Any = configuration_of(Silent(), task).build_algo()
    kept, generation = algorithm.memories[0][1].kept, []
    sizes = []
    while algorithm.steps < 512:
        generation.append(algorithm.env_runner.context.generation)
        algorithm.train()
        sizes.append(kept.size)
    assert sizes == [128, 0, 128, 256]  # the second rollout ends the first generation
    assert generation == [0.0, 0.5, 0.0, 0.5]
    algorithm.stop()


def test_a_replay_with_priorities_needs_errors() -> None:
    memory = ReplayMemory(DQN(priority=0.5), Task(COINS, Mechanism(game=COINS), VALIDATE, 0, 1))
    with pytest.raises(UsageError, match="the loss of DQN gives no errors"):
        memory.learned({})


def test_agents_without_a_critic_are_refused_where_one_is_asked_for() -> None:
    @configuration
    class Blank(A2C):
        """Its network tells neither values nor probabilities."""

        def network(self, task: Task) -> Net:
            return torch.nn.Linear(int(np.prod(COINS.observation_space.shape)), len(COINS.action_names))

    with pytest.raises(UsageError, match="Told needs the probabilities of actions, and these agents tell none"):
        train_agents(COINS, Told(game=COINS), None, Blank(**SMALL), seed=0, steps=64).result()


# Roles without RLlib


class Guess(Saved):
    """An action for every agent, drawn once; `grown` counts what it did since."""

    def __init__(self, action: int) -> None:
        self.action, self.net = action, torch.nn.Linear(1, 1)

    def __call__(self, seen: AgentView) -> np.ndarray:
        return np.full(seen.terms.shape[:2], self.action)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint({"action": self.action}, {"weight": self.net.weight.detach().numpy()})

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        made = cls(checkpoint.about["action"])
        made.net.weight.data = torch.from_numpy(checkpoint.arrays["weight"])
        return made


@configuration
class Guessing(Role):
    """Draws from every global generator, as roles from elsewhere may."""

    plays: ClassVar[str] = "agents"

    def learn(self, task: Task) -> Generator[Update, None, Guess]:
        loop = task.simulation(4)
        while loop.steps < task.steps:
            step = loop.step(np.random.randint(2, size=(4, loop.N)))  # noqa: NPY002
            yield Update(loop.steps, task.steps, step.episodes, {"noise": float(torch.rand(()))})
        return Guess(int(torch.randint(2, ())))

    def kept(self) -> type[Guess]:
        return Guess


def test_a_role_without_rllib_is_seeded_by_the_run_and_frozen() -> None:
    def learned(seed: int) -> tuple[list[float], Guess]:
        with train_agents(DILEMMA, Mechanism(game=DILEMMA), None, Guessing(), seed=seed, steps=64) as phase:
            updates = list(phase)
        assert [update.steps for update in updates] == list(range(4, 65, 4))
        assert all(update.episodes is not None and len(update.episodes.key) == 4 for update in updates)
        return [update.training["noise"] for update in updates], phase.result()

    (first, one), (again, same), (other, _) = learned(0), learned(0), learned(1)
    assert first == again != other
    assert torch.equal(one.net.weight, same.net.weight)
    assert not any(parameter.requires_grad for parameter in one.net.parameters())


def test_agents_that_cannot_go_on_are_not_given_a_policy() -> None:
    with pytest.raises(UsageError, match="Guessing cannot go on from a policy"):
        train_agents(DILEMMA, Mechanism(game=DILEMMA), None, Guessing(), seed=0, steps=8, begin=Guess(0))
    with pytest.raises(UsageError, match="Guessing is not trained by RLlib"):
        agents_config(DILEMMA, Mechanism(game=DILEMMA), None, Guessing(), seed=0, steps=8)  # type: ignore[arg-type]


def test_a_result_that_is_not_there_is_told() -> None:
    @configuration
    class Failing(Guessing):
        """Fails at its second step."""

        def learn(self, task: Task) -> Generator[Update, None, Guess]:
            yield Update(1, task.steps, None, {})
            raise ArithmeticError("on the way")

    with train_agents(DILEMMA, Mechanism(game=DILEMMA), None, Failing(), seed=0, steps=8) as phase:
        with pytest.raises(ArithmeticError):
            list(phase)
        with pytest.raises(RuntimeError, match="Failing was not finished"):
            phase.result()
    with train_agents(DILEMMA, Mechanism(game=DILEMMA), None, Guessing(), seed=0, steps=8) as phase:
        next(phase)
    with pytest.raises(RuntimeError, match="Guessing was not finished"):
        phase.result()


def test_what_cannot_be_saved_is_told() -> None:
    @configuration
    class Careless(Guessing):
        """Returns what has no checkpoint."""

        def learn(self, task: Task) -> Generator[Update, None, Any]:
            yield from ()
            return object()

    with pytest.raises(UsageError, match=r"what Careless learned cannot be saved and read again \(AttributeError"):
        train_agents(DILEMMA, Mechanism(game=DILEMMA), None, Careless(), seed=0, steps=8).result()


def test_a_network_of_the_agents_is_an_actor_critic_or_a_q_network() -> None:
    assert isinstance(A2C().network(Task(COINS, Mechanism(game=COINS), None, 0, 1)), ActorCritic)  # type: ignore[arg-type]
    assert issubclass(DQN, ReplayedRole)
