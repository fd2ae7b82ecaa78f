"""The phases of a run: a principal learns, fresh agents learn under it, and what they learned is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from ..contracts.episodes import Episodes
from ..contracts.following import FollowedContract
from ..contracts.loop import Act, Principal, Simulation
from ..contracts.margins import PaymentMargins
from ..contracts.mechanism import Mechanism
from ..contracts.outcomes import OutcomeContract
from ..contracts.rates import RatesContract
from ..core.config import UsageError
from ..envs.game import Game, symmetries
from ..equilibria.exact_principal import ExactPrincipal
from ..equilibria.principal.proportional_margins import staked_payments
from ..equilibria.solve import solve
from ..equilibria.tables.tabulate import tabulate
from .networks import shape_of
from .policies.networks import AnyPolicy, Policy
from .policies.scripted import untrained
from .principals.loading import AnyPrincipal
from .principals.outcomes import OutcomePrincipal, check
from .principals.rates import RatesPrincipal, world_shape
from .principals.recommending import TrainedPrincipal
from .rllib.agents_dqn import QModule, dqn_config
from .rllib.agents_ppo import ActorCriticModule, ValuedRunner, ppo_config
from .rllib.algorithm import ALONE, ArrayAlgorithm, configured
from .rllib.outcomes import OutcomeModule, OutcomeRunner, outcome_config
from .rllib.rates import RatesRunner, rates_config, with_principal
from .rllib.recommending import MODULE, PrincipalModule, PrincipalRunner, principal_config
from .rllib.runner import EVALUATE, TRAIN, VALIDATE, Task
from .settings import (
    AgentSettings,
    AnyPrincipalSettings,
    BestResponseSettings,
    DQNSettings,
    ExactSettings,
    FollowSettings,
    OutcomeSettings,
    PPOSettings,
    RatesSettings,
    Resources,
)

P = TypeVar("P", TrainedPrincipal, OutcomePrincipal)
T = TypeVar("T", covariant=True)


class Update(NamedTuple):
    """What happened since the last update of a phase."""

    steps: int  # environment steps of the phase so far
    total: int  # its budget
    episodes: Episodes | None  # those that finished
    training: dict[str, float]  # losses


class Phase(Generic[T]):
    """A phase of learning: iterate over it to its end, then take its `result()`. Use it in a `with` statement."""

    def __init__(self, algorithm: ArrayAlgorithm, total: int, result: Callable[[ArrayAlgorithm], T]) -> None:
        self.algorithm, self.total, self._result = algorithm, total, result

    def __iter__(self) -> Iterator[Update]:
        while self.algorithm.steps < self.total:
            self.algorithm.train()
            yield Update(self.algorithm.steps, self.total, self.algorithm.drain(), self.algorithm.training)

    def result(self) -> T:
        return self._result(self.algorithm)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.algorithm.stop()


class NoPhase(Phase[T]):
    """A phase in which nothing is learned: `policy` is there from the start."""

    def __init__(self, policy: T) -> None:
        self.policy = policy

    def __iter__(self) -> Iterator[Update]:
        return iter(())

    def result(self) -> T:
        return self.policy

    def __exit__(self, *error: object) -> None: ...


def train_agents(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    settings: AgentSettings,
    *,
    seed: int,
    steps: int,
    resources: Resources = ALONE,
    begin: AnyPolicy | None = None,
) -> Phase[AnyPolicy]:
    """Agents learn for `steps` environment steps under a mechanism; the result is their `Policy`.

    They are fresh, or begin with the networks of the policy `begin`; what else there is to learning, optimisers, replay
    and schedules, is fresh either way. Agents that learn nothing take no steps. Raises UsageError where `begin` has
    other networks than theirs.
    """
    if isinstance(settings, FollowSettings | BestResponseSettings):
        return NoPhase(untrained(game, mechanism, principal, settings))
    config = agents_config(game, mechanism, principal, settings, seed=seed, steps=steps, resources=resources)
    kind = "q" if isinstance(settings, DQNSettings) else "actor-critic"
    players, network = _players(game, settings.policies), _network(game, mechanism, settings)
    policy = Policy(kind, players, network, settings.play if isinstance(settings, PPOSettings) else "greedy")
    algorithm = config.build_algo()
    if begin is not None:
        if not isinstance(begin, Policy):
            raise UsageError(f"agents cannot begin with a {type(begin).__name__}, which has no networks; leave it out")
        algorithm.go_on_from(_begun(algorithm.weights(), begin))
    return Phase(algorithm, steps, lambda algorithm: _learned(algorithm, policy))


def agents_config(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    settings: DQNSettings | PPOSettings,
    *,
    seed: int,
    steps: int,
    resources: Resources = ALONE,
) -> AlgorithmConfig:
    """The RLlib configuration with which `train_agents` trains; Tune takes it as its parameter space.

    Schedules run over `steps`. Raises UsageError for more remote actors than Ray has cores.
    """
    task = Task(game, mechanism, principal, _players(game, settings.policies), VALIDATE, steps)
    model: dict[str, Any] = {"network": _network(game, mechanism, settings)}
    rates = (settings.lr, settings.lr_final)
    if isinstance(settings, DQNSettings):
        model["explore"] = (settings.epsilon, settings.epsilon_final, settings.exploration_fraction)
        return configured(dqn_config(settings), task, QModule, model, rates, seed=seed, resources=resources)
    return configured(
        ppo_config(settings), task, ActorCriticModule, model, rates,
        seed=seed, resources=resources, runner_class=ValuedRunner,
    )  # fmt: skip


def train_principal(
    game: Game,
    settings: AnyPrincipalSettings,
    *,
    seed: int,
    resources: Resources = ALONE,
    mechanism: Mechanism | None = None,
) -> Phase[AnyPrincipal]:
    """A principal learns by Algorithm 3, by Algorithm 2 or by PPO, or is solved for; it decides for `(game, state)`.

    By PPO it learns under the `mechanism` under which it is to promise, a `RatesContract` of defaults unless given; the
    others bring their own. Raises UsageError for a game that it is not for.
    """
    if isinstance(settings, ExactSettings):
        return NoPhase(_exact_principal(game, settings))
    if isinstance(settings, OutcomeSettings):
        return _train_outcome_principal(game, settings, seed, resources)
    if isinstance(settings, RatesSettings):
        contract = mechanism if isinstance(mechanism, RatesContract) else RatesContract(game=game)
        return _train_rates(game, contract, settings, seed, resources)
    if settings.mirrored and not symmetries(game):
        raise UsageError("mirrored: the game has no symmetries; leave mirrored out, or set it to false")
    shape = {
        "players": len(game.agents), "shape": shape_of(game), "actions": len(game.action_names),
        "encoder": settings.encoder, "hidden": settings.hidden, "dueling": True, "told_apart": settings.favour > 0.0,
    }  # fmt: skip
    followed = FollowedContract(game=game, follow=settings.follow)
    task = Task(game, followed, None, {MODULE: tuple(range(len(game.agents)))}, TRAIN, settings.steps)
    config = configured(
        principal_config(settings), task, PrincipalModule, {"shape": shape}, (settings.lr, settings.lr_final),
        seed=seed, resources=resources, runner_class=PrincipalRunner,
    )  # fmt: skip
    promise = PaymentMargins(**{each.name: getattr(settings, each.name) for each in fields(PaymentMargins)})
    principal = TrainedPrincipal(shape, promise, mirrored=settings.mirrored)
    return Phase(config.build_algo(), settings.steps, lambda algorithm: _averaged(algorithm, principal))


def _exact_principal(game: Game, settings: ExactSettings) -> ExactPrincipal:
    rule = "principal" if settings.against == "recommended" else "dominant"
    table = tabulate(game)
    solution = solve(
        table, rule, game.horizon, discount=settings.discount, alpha=settings.alpha, favour=settings.favour
    )
    if settings.proportional_margin:
        staked = staked_payments(
            table, solution.actions, stake=settings.proportional_margin, discount=settings.discount
        )
        solution = solution._replace(promised=staked)
    return ExactPrincipal(solution, settings.margin)


def _train_outcome_principal(
    game: Game, settings: OutcomeSettings, seed: int, resources: Resources
) -> Phase[OutcomePrincipal]:
    check(game)
    shape = {"classes": game.classes, "actions": len(game.action_names), "hidden": settings.hidden}
    task = Task(game, OutcomeContract(game=game), None, {MODULE: (0,)}, TRAIN, settings.steps)
    config = configured(
        outcome_config(settings), task, OutcomeModule, {"shape": shape}, (settings.lr, settings.lr_final),
        seed=seed, resources=resources, runner_class=OutcomeRunner,
    )  # fmt: skip
    principal = OutcomePrincipal(shape, nudge=settings.margin)
    return Phase(config.build_algo(), settings.steps, lambda algorithm: _averaged(algorithm, principal))


def _train_rates(
    game: Game, contract: RatesContract, settings: RatesSettings, seed: int, resources: Resources
) -> Phase[RatesPrincipal]:
    agents, facts = contract.promised_shape
    heads = facts if settings.offers == "same" else agents * facts
    network = {
        "shape": world_shape(game), "heads": heads, "rungs": settings.rungs,
        "encoder": settings.encoder, "hidden": settings.hidden,
    }  # fmt: skip
    task = Task(game, contract, None, _players(game, settings.agents.policies), TRAIN, settings.steps)
    config = configured(
        rates_config(settings, network), task, ActorCriticModule,
        {"network": _network(game, contract, settings.agents)}, (settings.agents.lr, settings.agents.lr_final),
        seed=seed, resources=resources, runner_class=RatesRunner,
    )  # fmt: skip
    principal = RatesPrincipal(network, contract.promised_shape, contract.highest)

    def learned(algorithm: ArrayAlgorithm) -> RatesPrincipal:
        principal.network.load_state_dict(_tensors(algorithm.weights()[MODULE], "net."))
        return principal

    return Phase(with_principal(config, settings).build_algo(), settings.steps, learned)


def evaluate(
    game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act, *, seed: int, episodes: int = 1024
) -> Episodes:
    """Play of `episodes` episodes on keys that no training saw."""
    value = getattr(policy, "values", None)
    loop = Simulation(game, mechanism, episodes, seed=seed, stream=EVALUATE, principal=principal, value=value)
    finished: Episodes | None = None
    while not (loop.episode > 0).all():
        step = loop.step(policy(loop.seen))
        if step.episodes is not None:  # an environment counts with its first episode only: long ones weigh the same
            first = step.episodes.select(loop.episode[step.ended] == 1)
            finished = first if finished is None else finished + first
    assert finished is not None
    return finished


def _network(game: Game, mechanism: Mechanism, settings: DQNSettings | PPOSettings) -> dict[str, Any]:
    network = {
        "shape": shape_of(game), "beside": mechanism.terms_size,
        "actions": len(game.action_names), "encoder": settings.encoder, "hidden": settings.hidden,
    }  # fmt: skip
    return {**network, "dueling": True} if isinstance(settings, DQNSettings) else network


def _players(game: Game, policies: str) -> dict[str, tuple[int, ...]]:
    if policies == "shared":
        return {"agents": tuple(range(len(game.agents)))}
    return {name: (index,) for index, name in enumerate(game.agents)}


def _averaged(algorithm: ArrayAlgorithm, principal: P) -> P:
    """`principal` with the averaged networks, which are steadier than the last ones."""
    principal.networks.load_state_dict(_tensors(algorithm.weights()[MODULE], "target."))
    return principal


def _learned(algorithm: ArrayAlgorithm, policy: Policy) -> Policy:
    """`policy` with the networks as they are now."""
    for name, state in algorithm.weights().items():
        policy.networks[name].load_state_dict(_tensors(state, "net."))
    return policy


def _begun(weights: dict[str, Any], begin: Policy) -> dict[str, Any]:
    """The modules' states with every network, averages too, as in `begin`."""
    given = {name: begin.networks[name].state_dict() for name in begin.networks}
    begun: dict[str, Any] = {name: {} for name in weights}
    for name, state in weights.items():
        for key, value in state.items():
            tensor = given.get(name, {}).get(key.partition(".")[2])
            if tensor is None or tensor.shape != value.shape:
                raise UsageError(
                    f"agents cannot begin with a policy of other networks than theirs: {name} has no {key} of shape "
                    f"{tuple(value.shape)} there; give both the same game, algorithm, policies, encoder and hidden"
                )
            begun[name][key] = tensor.numpy()
    return begun


def _tensors(state: dict[str, Any], prefix: str) -> dict[str, torch.Tensor]:
    """The part of a module's state whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): torch.as_tensor(v) for key, v in state.items() if key.startswith(prefix)}
