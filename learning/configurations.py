"""The RLlib configurations of the phases: what a game, a mechanism and settings mean to the engine.

The shapes of networks made here are stored with policies and principals.
"""

from __future__ import annotations

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from ..contracts.following import FollowedContract
from ..contracts.loop import Principal
from ..contracts.mechanism import Mechanism
from ..contracts.outcomes import OutcomeContract
from ..contracts.rates import RatesContract
from ..envs.game import Game
from .agents.dqn import DQN
from .agents.ppo import PPO
from .joint_networks import JointShape
from .networks import NetworkShape, shape_of
from .principals.algorithm_2 import Algorithm2
from .principals.algorithm_3 import Algorithm3
from .principals.outcomes import OutcomeShape
from .principals.rates import RatesShape, world_shape
from .principals.rates_ppo import RatesPPO
from .rllib.agents_dqn import QModule, dqn_config
from .rllib.agents_ppo import ActorCriticModule, ValuedRunner, ppo_config
from .rllib.algorithm import ALONE, configured
from .rllib.outcomes import OutcomeModule, OutcomeRunner, outcome_config
from .rllib.rates import RatesRunner, rates_config, with_principal
from .rllib.recommending import MODULE, PrincipalModule, PrincipalRunner, principal_config
from .rllib.runner import TRAIN, VALIDATE, Task
from .settings import Resources


def agents_config(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    settings: DQN | PPO,
    *,
    seed: int,
    steps: int,
    resources: Resources = ALONE,
) -> AlgorithmConfig:
    """The RLlib configuration with which `train_agents` trains; Tune takes it as its parameter space.

    Schedules run over `steps`. Raises UsageError for more remote actors than Ray has cores.
    """
    task = Task(game, mechanism, principal, players_of(game, settings.policies), VALIDATE, steps)
    network = agents_network(game, mechanism, settings)
    lr = (settings.lr, settings.lr_final)
    if isinstance(settings, DQN):
        explore = (settings.epsilon, settings.epsilon_final, settings.exploration_fraction)
        model = {"network": network, "explore": explore}
        return configured(dqn_config(settings), task, QModule, model, lr, seed=seed, resources=resources)
    return configured(
        ppo_config(settings), task, ActorCriticModule, {"network": network}, lr,
        seed=seed, resources=resources, runner_class=ValuedRunner,
    )  # fmt: skip


def agents_network(game: Game, mechanism: Mechanism, settings: DQN | PPO) -> NetworkShape:
    """The shape of the network of each of the agents' policies."""
    network: NetworkShape = {
        "shape": shape_of(game), "beside": mechanism.terms_size,
        "actions": len(game.action_names), "encoder": settings.encoder, "hidden": settings.hidden,
    }  # fmt: skip
    return {**network, "dueling": True} if isinstance(settings, DQN) else network


def players_of(game: Game, policies: str) -> dict[str, tuple[int, ...]]:
    """The agents that each policy plays: all of them where `policies` is "shared", else one each."""
    if policies == "shared":
        return {"agents": tuple(range(len(game.agents)))}
    return {name: (index,) for index, name in enumerate(game.agents)}


def joint_shape(game: Game, settings: Algorithm3) -> JointShape:
    """The shape of the networks that Algorithm 3 learns."""
    return {
        "players": len(game.agents), "shape": shape_of(game), "actions": len(game.action_names),
        "encoder": settings.encoder, "hidden": settings.hidden, "dueling": True, "told_apart": settings.favour > 0.0,
    }  # fmt: skip


def recommending_principal_config(
    game: Game, shape: JointShape, settings: Algorithm3, *, seed: int, resources: Resources
) -> AlgorithmConfig:
    """Algorithm 3, with agents that follow or not, as the settings draw them."""
    followed = FollowedContract(game=game, follow=settings.follow)
    task = Task(game, followed, None, {MODULE: tuple(range(len(game.agents)))}, TRAIN, settings.steps)
    return configured(
        principal_config(settings), task, PrincipalModule, {"shape": shape}, (settings.lr, settings.lr_final),
        seed=seed, resources=resources, runner_class=PrincipalRunner,
    )  # fmt: skip


def outcome_shape(game: Game, settings: Algorithm2) -> OutcomeShape:
    """The shape of the networks that Algorithm 2 learns."""
    return {"classes": game.classes, "actions": len(game.action_names), "hidden": settings.hidden}


def outcome_principal_config(
    game: Game, shape: OutcomeShape, settings: Algorithm2, *, seed: int, resources: Resources
) -> AlgorithmConfig:
    """Algorithm 2, with one agent that does what the principal induces."""
    task = Task(game, OutcomeContract(game=game), None, {MODULE: (0,)}, TRAIN, settings.steps)
    return configured(
        outcome_config(settings), task, OutcomeModule, {"shape": shape}, (settings.lr, settings.lr_final),
        seed=seed, resources=resources, runner_class=OutcomeRunner,
    )  # fmt: skip


def rates_shape(game: Game, contract: RatesContract, settings: RatesPPO) -> RatesShape:
    """The shape of the network that learns rates."""
    agents, facts = contract.promised_shape
    return {
        "shape": world_shape(game), "heads": facts if settings.offers == "same" else agents * facts,
        "rungs": settings.rungs, "encoder": settings.encoder, "hidden": settings.hidden,
    }  # fmt: skip


def rates_principal_config(
    game: Game, contract: RatesContract, shape: RatesShape, settings: RatesPPO, *, seed: int, resources: Resources
) -> AlgorithmConfig:
    """PPO of the principal and of the agents that it pays."""
    task = Task(game, contract, None, players_of(game, settings.agents.policies), TRAIN, settings.steps)
    config = configured(
        rates_config(settings, shape), task, ActorCriticModule,
        {"network": agents_network(game, contract, settings.agents)}, (settings.agents.lr, settings.agents.lr_final),
        seed=seed, resources=resources, runner_class=RatesRunner,
    )  # fmt: skip
    return with_principal(config, settings)
