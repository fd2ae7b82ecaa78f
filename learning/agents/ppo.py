"""`ppo`: proximal policy optimisation of the agents, with RLlib's loss; what other policy gradients share with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ...contracts.loop import AgentView
from ...core.config import configuration
from ..exploration import sampled
from ..features import rows as rows_of
from ..returns import advantages
from ..role import Task
from ..settings import Count, OnPolicy, PlayBy, PolicyGradient
from ..trained import Batch, Col, Columns, Context, Net, Networks, Rollout, flat
from .networked import NetworkedAgents

NEXT_VALUES = "next_values"


@configuration
class ActorCriticAgents(PolicyGradient, NetworkedAgents):
    """Agents that draw their actions from an actor's probabilities, and learn by a critic's advantages."""

    environments: Count = 128
    """Parallel environments of a runner."""
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 32
    """Vector steps in a rollout."""
    play: PlayBy = "greedy"
    """Context in the evaluation. greedy: the most probable action; sampled: draw from the policy, as in training."""

    @property
    def rollout_shape(self) -> tuple[int, int]:
        return self.environments, self.rollout_length

    def act(self, net: Net, context: Context, players: tuple[int, ...]) -> Columns:
        logits = net(context.rows(players))
        actions = sampled(logits, context.noise(players))
        logp = logits.log_softmax(dim=-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        return {Col.ACTIONS: actions.numpy(), Col.LOGP: logp.numpy(), Col.LOGITS: logits.numpy()}

    def complete(self, nets: Networks, context: Context, rollout: Rollout) -> Columns:
        """The values (T, B, N) of each step's view, and of the view after it, before any reset.

        Other roles' agents keep theirs.
        """
        from ..networks import read_each

        own = {name: (nets[name], players) for name, players in self.modules(context.game).items()}

        def expected(seen: AgentView) -> np.ndarray:
            return read_each(seen, own, lambda net, part: net.values(part))

        T, B, N = rollout.actions.shape
        seen = AgentView(*(part.reshape(T * B, *part.shape[2:]) for part in (rollout.observations, rollout.terms)))
        values = expected(seen).reshape(T, B, N)
        following = np.concatenate([values[1:], expected(context.loop.seen)[None]])
        if rollout.ended.any():
            last = AgentView(rollout.next_observations[rollout.ended], rollout.next_terms[rollout.ended])
            following[rollout.ended] = expected(last)
        found, others = {Col.VALUES: values, NEXT_VALUES: following}, rollout.extras
        return {name: others[name] + column if name in others else column for name, column in found.items()}

    def batch_of(self, task: Task, rollouts: Sequence[Rollout]) -> Batch:
        """What the modules learn from, with advantages of mean 0 and deviation 1 for each."""
        parts = [self._columns(rollout) for rollout in rollouts]
        columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        batches = self.each_module(task, columns)
        for batch in batches.values():
            advantage = batch[Col.ADVANTAGES]
            batch[Col.ADVANTAGES] = (advantage - advantage.mean()) / max(1e-4, advantage.std())
        return Batch(batches, len(columns[Col.ACTIONS]))

    def training(self, task: Task) -> dict[str, object]:
        return {
            **super().training(task), "entropy_coeff": self.entropy, "grad_clip": 0.5,
            "vf_loss_coeff": 0.5, "vf_clip_param": float("inf"), "use_kl_loss": False,
        }  # fmt: skip

    def _columns(self, rollout: Rollout) -> Columns:
        """Rows (T * B, N, ...)."""
        values = rollout.extras[Col.VALUES]
        advantage = advantages(
            rollout.earned.astype(np.float32), values, rollout.extras[NEXT_VALUES],
            rollout.terminated, rollout.ended, self.discount, self.gae_lambda,
        )  # fmt: skip
        columns = {
            Col.OBS: rows_of(AgentView(rollout.observations, rollout.terms)), Col.ACTIONS: rollout.actions,
            Col.LOGP: rollout.extras[Col.LOGP], Col.LOGITS: rollout.extras[Col.LOGITS],
            Col.ADVANTAGES: advantage, Col.VALUE_TARGETS: advantage + values,
        }  # fmt: skip
        return flat(rollout, columns)


@configuration
class PPO(OnPolicy, ActorCriticAgents):
    """Clipped policy gradient with generalised advantages, with one policy for all agents by default."""

    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Gradient steps in a pass."""

    rllib_loss: ClassVar[str] = "ppo"
    traceable: ClassVar[bool] = True

    @property
    def minibatches_and_epochs(self) -> tuple[int, int]:
        return self.minibatches, self.epochs

    def training(self, task: Task) -> dict[str, object]:
        return {**super().training(task), "clip_param": self.clip}
