"""Algorithm 2 of Ivanov et al. 2024 as a role: a principal that sees only outcomes, and pays for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from ...contracts.loop import Situation, Step
from ...contracts.mechanism import Decisions, Mechanism
from ...contracts.outcomes import OutcomeContract
from ...core.config import configuration
from ...core.random import Stream
from ...core.search_space import Range, SearchSpace
from ...envs.game import Game
from ..replay import ReplayedRole
from ..role import Task
from ..settings import Count, Rate, Share, Widths
from ..trained import PRINCIPAL, Col, Columns, Context, Losses, Net, Peer, Rollout, Tensors, flat

if TYPE_CHECKING:
    import torch

    from .outcomes import OutcomePrincipal, OutcomeShape

OUTCOME, VALUE, NEXT_CHANCE = "outcome", "value", "next_chance"


@configuration
class Algorithm2(ReplayedRole):
    """Algorithm 2 of Ivanov et al. 2024: training of a principal that sees only outcomes, and its model of the agent.

    The paper's are two layers of 256, 20,000 gradient steps of 128 rows for 8 environment steps each, targets copied
    every 100; as many environment steps as here, and batches that see each of them several times, leave less noise.
    """

    steps: Count = 1_280_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    margin: Annotated[float, Field(ge=0.0, alias="nudge")] = 0.0
    """The margin by which the induced action is better for the agent than any other."""
    hidden: Widths = (64, 64)
    """Widths of the dense layers of both networks."""
    discount: Share = 1.0
    lr: Rate = 2e-3
    lr_final: Rate = 1e-5
    epsilon: Share = 1.0
    epsilon_final: Share = 0.2
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 1.0
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    environments: Count = 256
    batch: Count = 2048
    replay: Annotated[int, Field(ge=1000)] = 1_280_000
    """Capacity of the replay buffer, in environment steps: by default all, since no transition becomes outdated."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 20

    keeps: ClassVar[str] = ".principals.outcomes:OutcomePrincipal"
    traceable: ClassVar[bool] = True
    tuned: ClassVar[SearchSpace] = {"nudge": Range(1e-4, 0.1, log=True), "lr": Range(2e-4, 2e-2, log=True)}

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a game to which Algorithm 2 does not apply."""
        OutcomeContract(game=mechanism.game).check_principal()

    def prepared(self, task: Task) -> Task:
        """One agent does what the principal induces."""
        return replace(task, mechanism=OutcomeContract(game=task.game))

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        """One module, which plays the agent as well: the principal's model of it."""
        return {PRINCIPAL: (0,)}

    def shape(self, game: Game) -> OutcomeShape:
        """The arguments of its networks, as they are stored with a principal."""
        return {"classes": game.classes, "actions": len(game.action_names), "hidden": self.hidden}

    def network(self, task: Task) -> torch.nn.Module:
        from .outcomes import outcome_networks

        return outcome_networks(**self.shape(task.game))

    def act(self, net: Net, context: Context, players: tuple[int, ...]) -> Columns:
        """The agent takes the induced action."""
        return {Col.ACTIONS: context.loop.terms.recommended.ravel()}

    def decide(self, net: Net, context: Context, situation: Situation) -> Decisions:
        """The induced actions, with exploration, and their payments, by the online networks."""
        from .outcomes import decide

        noise = context.drawn(situation, 1)[:, 0]
        return decide(
            net, context.game, situation.state, nudge=self.margin,
            explore=lambda induced: self.explore(induced, context, noise),
        )  # fmt: skip

    def after(self, net: Net, game: Game, step: Step) -> Columns:
        """The outcome that came, what it is worth to the principal, and the chances of the next ones."""
        from .outcomes import outcome_chance

        moved = step.transition
        return {
            OUTCOME: game.facts(moved.events)[:, 0],
            VALUE: game.principal_reward(moved.events),
            NEXT_CHANCE: outcome_chance(game, moved.next_state),
        }

    def transitions(self, task: Task, rollout: Rollout) -> Columns:
        """Rows (T * B, ...) of the one agent, rewards from the environment alone."""
        n = rollout.ended.size
        columns = {
            Col.OBS: rollout.observations.astype(np.int64), Col.NEXT_OBS: rollout.next_observations.astype(np.int64),
            Col.ACTIONS: rollout.actions, Col.REWARDS: rollout.rewards.astype(np.float32),
            Col.TERMINATEDS: rollout.terminated.astype(np.float32),
        }  # fmt: skip
        return {**{name: column.reshape(n) for name, column in columns.items()}, **flat(rollout, rollout.extras)}

    def replayed(self, task: Task, rows: Columns, rng: Stream) -> Mapping[str, Columns]:
        return {PRINCIPAL: rows}

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        """The three regressions of Algorithm 2."""
        from ..losses.algorithm_2 import Transitions, losses, values_at

        happened = Transitions(
            batch[Col.ACTIONS],
            batch[OUTCOME],
            batch[Col.REWARDS],
            batch[VALUE],
            batch[NEXT_CHANCE],
            batch[Col.TERMINATEDS],
        )
        found = values_at(net, target, batch[Col.OBS], batch[Col.NEXT_OBS])
        agent, principal, errors = losses(found, happened, discount=self.discount, nudge=self.margin)
        return Losses(agent + principal, {"agent_loss": agent, "principal_loss": principal}, errors)

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> OutcomePrincipal:
        from .outcomes import OutcomePrincipal

        principal = OutcomePrincipal(self.shape(task.game), nudge=self.margin)
        principal.network.load_state_dict(weights[PRINCIPAL])
        return principal
