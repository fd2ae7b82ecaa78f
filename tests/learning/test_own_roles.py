"""Roles from outside the package: seeded, frozen, saved, and told in a sentence what they lack."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from paymaster import make, make_mechanism
from paymaster.contracts.loop import AgentView, Loop, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism
from paymaster.contracts.recommendation import RecommendationContract
from paymaster.core.checkpoint import Checkpoint, Saved
from paymaster.core.config import UsageError, configuration
from paymaster.learning import ROLES, Role, SavedNetwork, Task, Update, principal_class, train_agents
from paymaster.learning.freezing import freeze

GAME = make("matrix/prisoners-dilemma")
SELFISH = make_mechanism("selfish", GAME)


class Linear(SavedNetwork):
    """Acts by one layer, with gradients if nobody takes them away."""

    def __init__(self, inputs: int, actions: int) -> None:
        self.about = {"inputs": inputs, "actions": actions}
        self.network = torch.nn.Linear(inputs, actions)

    def __call__(self, seen: AgentView) -> np.ndarray:
        out = self.network(torch.from_numpy(seen.observations.astype(np.float32)))
        return np.asarray(out.numpy().argmax(axis=-1))  # refuses numbers that have gradients


@configuration
class Draws(Role):
    """Weights drawn by torch, and losses drawn by numpy and by the task."""

    plays: ClassVar[str] = "agents"

    def learn(self, task: Task) -> Generator[Update, None, Saved]:
        policy = Linear(int(np.prod(task.game.observation_space.shape)), len(task.game.action_names))
        drawn = np.random.random()  # noqa: NPY002 (as code from outside does)
        yield Update(1, task.steps, None, {"drawn": drawn, "own": float(task.draws().uniform(1)[0])})
        return policy

    def kept(self) -> type[Saved]:
        return Linear


def test_what_a_role_draws_comes_from_the_seed() -> None:
    def made(seed: int) -> tuple[list[Update], Linear]:
        learning = train_agents(GAME, SELFISH, None, Draws(), seed=seed, steps=1)
        return list(learning), learning.result()

    (first, policy), (again, same), (other, _) = made(100), made(100), made(101)
    assert first == again
    assert torch.equal(policy.network.weight, same.network.weight)  # type: ignore[arg-type]
    assert first[0].training["drawn"] != other[0].training["drawn"]
    assert first[0].training["own"] != other[0].training["own"]


def test_what_was_learned_is_frozen_and_so_is_what_is_loaded(tmp_path: Any) -> None:
    policy = train_agents(GAME, SELFISH, None, Draws(), seed=100, steps=1).result()
    seen = Simulation(GAME, SELFISH, 3, seed=100).seen
    assert policy(seen).shape == (3, 2)
    policy.save(tmp_path / "policy")
    with pytest.raises(RuntimeError, match="requires grad"):
        Linear.load(tmp_path / "policy")(seen)
    loaded = freeze(Linear.load(tmp_path / "policy"))
    assert np.array_equal(loaded(seen), policy(seen))
    assert torch.equal(loaded.network.weight, policy.network.weight)  # type: ignore[arg-type]


def test_networks_are_frozen_wherever_they_stand() -> None:
    class Several:
        def __init__(self) -> None:
            self.critics = {"a": [torch.nn.Linear(1, 1)], "b": (torch.nn.Linear(1, 1),)}

    class Itself(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(1, 1)

    several, itself = freeze(Several()), freeze(Itself())
    modules = [several.critics["a"][0], several.critics["b"][0], itself.inner]
    assert not any(weight.requires_grad for module in modules for weight in module.parameters())
    assert not any(module.training for module in modules)


def test_a_role_that_lacks_something_is_told_so_before_it_learns() -> None:
    @configuration
    class Keepless(Role):
        def learn(self, task: Task) -> Generator[Update, None, Saved]:
            raise NotImplementedError

    with pytest.raises(UsageError, match="does not define kept: a role says how it learns and what it keeps"):
        ROLES.add("keepless", Keepless)

    class Under(Mechanism):
        principal: ClassVar[str | type] = Draws

    with pytest.raises(UsageError, match="the principal of Under: Draws plays the agents"):
        principal_class(Under)


def test_learn_must_yield_and_must_return() -> None:
    @configuration
    class Returns(Draws):
        def learn(self, task: Task) -> Any:
            return Linear(1, 1)

    @configuration
    class Forgets(Draws):
        def learn(self, task: Task) -> Any:
            yield from ()

    with pytest.raises(UsageError, match=r"Returns.learn gave a Linear: it must `yield` its updates"):
        train_agents(GAME, SELFISH, None, Returns(), seed=100, steps=1)
    with pytest.raises(UsageError, match="Forgets learned cannot be saved and read again"):
        train_agents(GAME, SELFISH, None, Forgets(), seed=100, steps=1).result()


def test_a_loop_without_decisions_says_who_must_decide() -> None:
    contract = RecommendationContract(game=GAME)
    with pytest.raises(UsageError, match="give a simulation its `principal`"):
        Simulation(GAME, contract, 2, seed=100)
    with pytest.raises(UsageError, match=r"offer\(decisions\) comes before the step's actions"):
        Loop(GAME, contract, 2, seed=100).step(np.zeros((2, 2), np.int64))


def test_decisions_are_the_terms_and_tell_what_they_pay_unless_a_mechanism_says_otherwise() -> None:
    mechanism, pay = Mechanism(game=GAME), np.ones((2, 2, 1))
    terms, _ = mechanism.offer((), None, Decisions.pay_only(pay))
    told = mechanism.summary(terms, 2)
    assert (told.recommended == -1).all()
    assert np.array_equal(told.promised, pay)
    assert told.promised.dtype == np.float32
    assert mechanism.offer((), None, None) == ((), ())


def test_a_principals_required_setting_needs_no_default() -> None:
    from paymaster.baselines import MECHANISMS
    from paymaster.benchmarks.specs.resolve import resolve
    from paymaster.benchmarks.specs.spec import RunSpec

    @configuration
    class Priced(Draws):
        plays: ClassVar[str] = "principal"
        steps: int = 100
        levels: int
        alpha: float = 0.1

    @configuration
    class Paid(Mechanism):
        principal: ClassVar[str | type] = Priced

    before = dict(MECHANISMS.added)
    MECHANISMS.add("priced", Paid)
    try:
        spec = RunSpec(game="matrix/chicken", mechanism="priced", principal={"levels": 3}, steps=1)
        assert resolve(spec).name == "priced"
        assert resolve(spec.model_copy(update={"principal": {"levels": 3, "alpha": 1.0}})).name == "priced alpha=1.0"
    finally:
        MECHANISMS.added = before


def test_a_checkpoint_reads_what_saved_networks_write() -> None:
    made = Linear(3, 2)
    again = Linear.restored(made.checkpoint())
    assert again.about == made.about
    assert torch.equal(again.network.weight, made.network.weight)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Linear.restored(Checkpoint({"odd": 1}))
