"""Algorithm 3 of Ivanov et al. 2024 as a role: a principal that recommends actions and pays for following."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numba
import numpy as np
from pydantic import Field, model_validator

from ...contracts.following import FollowedContract
from ...contracts.loop import Situation
from ...contracts.margins import PaymentMargins
from ...contracts.mechanism import Decisions, Mechanism
from ...core.config import UsageError, configuration
from ...core.random import Stream
from ...core.search_space import Range, SearchSpace
from ...envs.game import Game, Symmetry, symmetries
from ..replay import ReplayedRole
from ..role import Task
from ..settings import ActionValues, Count, Network, Objective, PaymentsBy, Share
from ..trained import PRINCIPAL, Col, Columns, Context, Losses, Net, Peer, Rollout, Tensors, flat

if TYPE_CHECKING:
    import torch

    from ..joint_networks import JointShape
    from .recommending import TrainedPrincipal

FOLLOWS = "follows"
JOINT_ACTIONS = 1024  # the most that a network values, each by an output of its own


@configuration
class Algorithm3(PaymentMargins, Objective, Network, ActionValues, ReplayedRole):
    """Algorithm 3 of Ivanov et al. 2024: training of the principal and its model of the agents, and its payments."""

    steps: Count = 200_000
    """Environment steps of the principal's own training; not part of the agents' budget."""
    mirrored: bool = False
    """Whether it learns from all symmetric views of a game (mirrored, rotated), and decides by their mean."""
    follow: Share = 0.75
    """The probability that an agent follows in an episode (f_i = 1)."""
    joint_values: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether the model of the agents values joint actions, all that payments by what the others did (`contingent`)
    need, and not an agent's own action by who follows."""
    epsilon: Share = 0.4
    epsilon_final: Share = 0.02
    exploration_fraction: Annotated[float, Field(gt=0.0, le=1.0, alias="explore_until")] = 0.7
    tau: Annotated[float, Field(gt=0.0, le=1.0)] = 0.05
    priority: Share = 0.4
    margins_in_training: bool = Field(default=False, exclude_if=lambda value: value is False)
    """Whether the margins are in force while it learns too, as the paper's nudge is, so that its values count what they
    cost; else they are added to what it promises in the end."""

    payments_by: Annotated[PaymentsBy, Field(exclude_if=lambda value: value == "double")] = "double"
    """Which networks price payments in the principal's target, which the paper leaves open. online and target: one
    network alone, whose maximum over noisy values is biased upwards; double: the online one chooses the best action,
    the target one prices it, which halves that bias."""
    others_on_policy: Annotated[bool, Field(exclude_if=lambda value: value)] = True
    """Whether the agents' values learn only where all others did as they are meant to, not from their exploration; in
    the paper they learn from every transition. Values of joint actions (`joint_values`) do so always."""
    followed_only: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether the principal's values learn only from episodes in which all follow, which the paper leaves open. What
    is played is what they value, whoever chose it, and a share of `follow` squared of two agents' steps is little."""

    keeps: ClassVar[str] = ".principals.recommending:TrainedPrincipal"
    traceable: ClassVar[bool] = True
    tuned: ClassVar[SearchSpace] = {
        "nudge": Range(0.003, 0.5, log=True), "due": Range(0.001, 0.1, log=True), "bonus": Range(0.001, 0.1, log=True),
        "follow": Range(0.25, 0.95),
    }  # fmt: skip
    margins: ClassVar[type] = PaymentMargins

    @model_validator(mode="after")
    def _contingent_on_joint_values(self) -> Self:
        if self.contingent and not self.joint_values:
            raise ValueError("contingent payments need values of joint actions: set joint_values too")
        return self

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for `mirrored` without symmetries, for margins that cannot be in force in training, and for
        too many joint actions to value each.
        """
        N, A = len(mechanism.game.agents), len(mechanism.game.action_names)
        if self.joint_values and A**N > JOINT_ACTIONS:
            raise UsageError(
                f"joint_values: {N} agents with {A} actions each have {A**N:,} joint actions, allowed are "
                f"{JOINT_ACTIONS:,} or fewer; leave joint_values out, or ask for fewer agents"
            )
        if self.mirrored:
            _check_views(mechanism.game)
        if self.margins_in_training and (self.dominant or self.proportional_margin):
            raise UsageError(
                "margins_in_training: stake and robust are for trained principals alone; leave them out, or leave "
                "margins_in_training out"
            )

    def prepared(self, task: Task) -> Task:
        """Agents follow or not, as the settings draw them."""
        return replace(task, mechanism=FollowedContract(game=task.game, follow=self.follow))

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        """One module, which plays the agents as well: the principal's model of them."""
        return {PRINCIPAL: tuple(range(len(game.agents)))}

    def shape(self, game: Game) -> JointShape:
        """The arguments of its networks, as they are stored with a principal."""
        from ..networks import shape_of

        return {
            "players": len(game.agents), "shape": shape_of(game), "actions": len(game.action_names),
            "encoder": self.encoder, "hidden": self.hidden, "dueling": self.dueling, "told_apart": self.favour > 0.0,
            "joint_values": self.joint_values,
        }  # fmt: skip

    def network(self, task: Task) -> torch.nn.Module:
        from ..joint_networks import principal_networks

        return principal_networks(**self.shape(task.game))

    def act(self, net: Net, context: Context, players: tuple[int, ...]) -> Columns:
        """Followers take the recommended action, the others the best by their own values, with exploration."""
        from .recommending import own_actions, own_actions_beside

        follows = context.loop.memory
        seen, recommended = context.loop.seen.observations, context.loop.terms.recommended
        if self.joint_values:
            own = own_actions_beside(net, seen, recommended, len(context.game.action_names))
        else:
            own = own_actions(net, seen, follows)
        own = self.explore(own, context, context.noise(players).reshape(own.shape))
        actions = np.where(follows, recommended, own.numpy())
        return {Col.ACTIONS: actions.ravel(), FOLLOWS: follows.ravel()}

    def decide(self, net: Net, context: Context, situation: Situation) -> Decisions:
        """Recommendations, with exploration, and payments by the online networks."""
        from .recommending import exploring

        noise = context.drawn(situation, len(context.game.agents))
        seen = context.game.observe(situation.state)
        return exploring(
            net, seen, lambda best: self.explore(best, context, noise), self._in_training(),
            joint_values=self.joint_values,
        )  # fmt: skip

    def transitions(self, task: Task, rollout: Rollout) -> Columns:
        """Joint rows (T * B, N, ...), rewards from the environment alone."""
        columns = {
            "observations": rollout.observations, "next_observations": rollout.next_observations,
            "actions": rollout.actions, "rewards": rollout.rewards.astype(np.float32),
            "terminated": rollout.terminated, FOLLOWS: rollout.extras[FOLLOWS],
        }  # fmt: skip
        return flat(rollout, columns)

    def replayed(self, task: Task, rows: Columns, rng: Stream) -> Mapping[str, Columns]:
        n, N = rows["actions"].shape
        columns: Columns = {
            Col.OBS: rows["observations"].reshape(n, N, -1).astype(np.float32),
            Col.NEXT_OBS: rows["next_observations"].reshape(n, N, -1).astype(np.float32),
            Col.ACTIONS: rows["actions"].astype(np.int64), Col.REWARDS: rows["rewards"],
            Col.TERMINATEDS: rows["terminated"].astype(np.float32), FOLLOWS: rows[FOLLOWS].astype(np.float32),
        }  # fmt: skip
        return {PRINCIPAL: mirrored(columns, symmetries(task.game), rng) if self.mirrored else columns}

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        """The two regressions of Algorithm 3."""
        from ..losses.algorithm_3 import Transitions, losses, values_at
        from ..losses.joint_values import joint_values_at

        happened = Transitions(batch[Col.ACTIONS], batch[FOLLOWS], batch[Col.REWARDS], batch[Col.TERMINATEDS])
        rows = batch[Col.OBS], batch[Col.NEXT_OBS]
        if self.joint_values:
            found = joint_values_at(net, target, *rows, batch[Col.ACTIONS])
        else:
            found = values_at(net, target, *rows, batch[FOLLOWS], double=self.double, payments_by=self.payments_by)
        agents, principal, errors = losses(
            found, happened, discount=self.discount, alpha=self.alpha, favour=self.favour,
            margins=self._in_training(), double=self.double, payments_by=self.payments_by,
            masked=self.others_on_policy and not self.joint_values, followed_only=self.followed_only,
        )  # fmt: skip
        return Losses(agents + principal, {"agents_loss": agents, "principal_loss": principal}, errors)

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> TrainedPrincipal:
        """The averaged networks, which vary less than the online ones."""
        from .recommending import TrainedPrincipal

        principal = TrainedPrincipal(self.shape(task.game), self._margins(), mirrored=self.mirrored)
        principal.networks.load_state_dict(weights[PRINCIPAL])
        return principal

    def _margins(self) -> PaymentMargins:
        return PaymentMargins(**{each.name: getattr(self, each.name) for each in fields(PaymentMargins)})

    def _in_training(self) -> PaymentMargins:
        """The margins that are in force while it learns."""
        return self._margins() if self.margins_in_training else PaymentMargins()


def _check_views(game: Game) -> None:
    """Raise UsageError for a game without symmetric views, or with some that do not fit what its agents see."""
    if not symmetries(game):
        raise UsageError("mirrored: the game has no symmetries; leave mirrored out, or set it to false")
    D = prod(game.observation_space.shape or ())
    for view in symmetries(game):
        if view.cells.shape != (D,) or not ((view.cells >= 0) & (view.cells < D)).all():
            raise UsageError(
                f"mirrored: a symmetry of {type(game).__name__} has cells of shape {view.cells.shape}; {D} indices of "
                "what agents see are needed"
            )


def mirrored(columns: Columns, views: Sequence[Symmetry], rng: Stream) -> Columns:
    """Every row of `columns` as it is seen in one of the `views`, drawn with `rng`."""
    drawn = rng.integers(len(views), len(columns[Col.ACTIONS]))
    cells = np.stack([view.cells for view in views])
    actions = np.stack([view.actions for view in views])[drawn]  # (n, A)
    return {
        **columns,
        Col.OBS: _viewed(columns[Col.OBS], cells, drawn),
        Col.NEXT_OBS: _viewed(columns[Col.NEXT_OBS], cells, drawn),
        Col.ACTIONS: np.take_along_axis(actions, columns[Col.ACTIONS], axis=1),
    }


@numba.njit(cache=True)
def _viewed(rows: np.ndarray, cells: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Rows (n, N, D), that at k seen as `cells[drawn[k]]` (D,) says; numpy's own indexing takes eight times as long."""
    found = np.empty_like(rows)
    for k in range(len(rows)):
        view = cells[drawn[k]]
        for i in range(rows.shape[1]):
            for d in range(len(view)):
                found[k, i, d] = rows[k, i, view[d]]
    return found
