"""The phases of a run: a principal learns, fresh agents learn under it, and their policy is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch

from ..contracts.episodes import Episodes
from ..contracts.loop import Act, Principal, Simulation
from ..contracts.margins import PaymentMargins
from ..contracts.mechanism import Mechanism
from ..contracts.rates import RatesContract
from ..core.config import UsageError
from ..envs.game import Game, symmetries
from ..equilibria.exact_principal import ExactPrincipal
from ..equilibria.principal.proportional_margins import staked_payments
from ..equilibria.solve import solve
from ..equilibria.tables.tabulate import tabulate
from .configurations import (
    agents_config,
    agents_network,
    joint_shape,
    outcome_principal_config,
    outcome_shape,
    players_of,
    rates_principal_config,
    rates_shape,
    recommending_principal_config,
)
from .policies.networks import AnyPolicy, Policy
from .policies.scripted import untrained
from .principals.loading import AnyPrincipal
from .principals.outcomes import OutcomePrincipal, check
from .principals.rates import RatesPrincipal
from .principals.recommending import TrainedPrincipal
from .rllib.algorithm import ALONE, ArrayAlgorithm, Weights
from .rllib.recommending import MODULE
from .rllib.runner import EVALUATE
from .settings import (
    AgentSettings,
    AnyPrincipalSettings,
    BestResponseSettings,
    DQNSettings,
    ExactSettings,
    FollowSettings,
    OutcomeSettings,
    PPOSettings,
    PrincipalSettings,
    RatesSettings,
    Resources,
)

P = TypeVar("P", TrainedPrincipal, OutcomePrincipal)
T = TypeVar("T", covariant=True)


class Update(NamedTuple):
    """Progress of a phase since its last update."""

    steps: int  # environment steps of the phase so far
    total: int  # its budget
    episodes: Episodes | None  # the finished ones
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
    """A phase without learning: its result is there from the start."""

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

    The agents are fresh, or start from the networks of the policy `begin`; optimisers, replay and schedules are fresh
    either way. Agents that learn nothing take no steps. Raises UsageError where `begin` has other networks than theirs.
    """
    if isinstance(settings, FollowSettings | BestResponseSettings):
        return NoPhase(untrained(game, mechanism, principal, settings))
    config = agents_config(game, mechanism, principal, settings, seed=seed, steps=steps, resources=resources)
    kind = "q" if isinstance(settings, DQNSettings) else "actor-critic"
    players, network = players_of(game, settings.policies), agents_network(game, mechanism, settings)
    policy = Policy(kind, players, network, settings.play if isinstance(settings, PPOSettings) else "greedy")
    algorithm = config.build_algo()
    if begin is not None:
        if not isinstance(begin, Policy):
            raise UsageError(f"agents cannot begin with a {type(begin).__name__}, which has no networks; leave it out")
        algorithm.go_on_from(_begun(algorithm.weights(), begin))
    return Phase(algorithm, steps, lambda algorithm: _learned(algorithm, policy))


def train_principal(
    game: Game,
    settings: AnyPrincipalSettings,
    *,
    seed: int,
    resources: Resources = ALONE,
    mechanism: Mechanism | None = None,
) -> Phase[AnyPrincipal]:
    """A principal is learned by Algorithm 3, by Algorithm 2 or by PPO, or is solved; it decides for `(game, state)`.

    PPO learns under the `mechanism` whose terms the principal will offer, by default a `RatesContract` of defaults; the
    other algorithms bring their own. Raises UsageError for a game to which the algorithm does not apply.
    """
    if isinstance(settings, ExactSettings):
        return NoPhase(_exact_principal(game, settings))
    if isinstance(settings, OutcomeSettings):
        return _train_outcome_principal(game, settings, seed, resources)
    if isinstance(settings, RatesSettings):
        contract = mechanism if isinstance(mechanism, RatesContract) else RatesContract(game=game)
        return _train_rates(game, contract, settings, seed, resources)
    return _train_recommending_principal(game, settings, seed, resources)


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


def _train_recommending_principal(
    game: Game, settings: PrincipalSettings, seed: int, resources: Resources
) -> Phase[TrainedPrincipal]:
    if settings.mirrored and not symmetries(game):
        raise UsageError("mirrored: the game has no symmetries; leave mirrored out, or set it to false")
    shape = joint_shape(game, settings)
    config = recommending_principal_config(game, shape, settings, seed=seed, resources=resources)
    margins = PaymentMargins(**{each.name: getattr(settings, each.name) for each in fields(PaymentMargins)})
    principal = TrainedPrincipal(shape, margins, mirrored=settings.mirrored)
    return Phase(config.build_algo(), settings.steps, lambda algorithm: _averaged(algorithm, principal))


def _train_outcome_principal(
    game: Game, settings: OutcomeSettings, seed: int, resources: Resources
) -> Phase[OutcomePrincipal]:
    check(game)
    shape = outcome_shape(game, settings)
    config = outcome_principal_config(game, shape, settings, seed=seed, resources=resources)
    principal = OutcomePrincipal(shape, nudge=settings.margin)
    return Phase(config.build_algo(), settings.steps, lambda algorithm: _averaged(algorithm, principal))


def _train_rates(
    game: Game, contract: RatesContract, settings: RatesSettings, seed: int, resources: Resources
) -> Phase[RatesPrincipal]:
    shape = rates_shape(game, contract, settings)
    config = rates_principal_config(game, contract, shape, settings, seed=seed, resources=resources)
    principal = RatesPrincipal(shape, contract.promised_shape, contract.highest)

    def learned(algorithm: ArrayAlgorithm) -> RatesPrincipal:
        principal.network.load_state_dict(_tensors(algorithm.weights()[MODULE], "net."))
        return principal

    return Phase(config.build_algo(), settings.steps, learned)


def evaluate(
    game: Game, mechanism: Mechanism, principal: Principal | None, policy: Act, *, seed: int, episodes: int = 1024
) -> Episodes:
    """The policy plays `episodes` episodes on keys that training never uses."""
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


def _averaged(algorithm: ArrayAlgorithm, principal: P) -> P:
    """`principal` with the averaged networks, which vary less than the online ones."""
    principal.networks.load_state_dict(_tensors(algorithm.weights()[MODULE], "target."))
    return principal


def _learned(algorithm: ArrayAlgorithm, policy: Policy) -> Policy:
    """`policy` with the current networks."""
    for name, state in algorithm.weights().items():
        policy.networks[name].load_state_dict(_tensors(state, "net."))
    return policy


def _begun(weights: Weights, begin: Policy) -> Weights:
    """The modules' states with every network, averaged targets included, taken from `begin`."""
    given = {name: begin.networks[name].state_dict() for name in begin.networks}
    begun: Weights = {name: {} for name in weights}
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


def _tensors(state: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    """The part of a module's state whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): torch.as_tensor(v) for key, v in state.items() if key.startswith(prefix)}
