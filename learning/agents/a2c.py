"""`a2c`: the advantage actor-critic of the agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from ...core.config import configuration
from ..settings import Count
from ..trained import Col, Losses, Net, Peer, Tensors
from .ppo import ActorCriticAgents


@configuration
class A2C(ActorCriticAgents):
    """The synchronous advantage actor-critic (Mnih et al. 2016): one gradient step on each short rollout.

    Its advantages are generalised and normalised as PPO's are here, and its optimiser is Adam.
    """

    environments: Count = 64
    rollout_length: Annotated[int, Field(ge=1, alias="fragment")] = 8

    traceable: ClassVar[bool] = True

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        """- mean A log pi(a) + 1/2 mean (V - R)^2 - entropy mean H(pi), with R the value target (section 4, S3)."""
        logits, values = net.evaluated(batch[Col.OBS])
        logp = logits.log_softmax(dim=-1)
        taken = logp.gather(-1, batch[Col.ACTIONS].unsqueeze(-1)).squeeze(-1)
        policy = -(batch[Col.ADVANTAGES] * taken).mean()
        critic = (values - batch[Col.VALUE_TARGETS]).square().mean()
        entropy = -(logp.exp() * logp).sum(dim=-1).mean()
        parts = {"policy_loss": policy, "vf_loss": critic, "entropy": entropy}
        return Losses(policy + 0.5 * critic - self.entropy * entropy, parts)
