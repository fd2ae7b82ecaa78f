"""The learned principal of Ivanov et al. 2024, Algorithm 3: its loss, its payments, and what is kept of it.

The agents' values Q((s, f_-i), a) are learned without payments, for every pattern f of who follows the principal's
recommendations; the principal's values q(s, a_i) are summed over the agents (VDN, Sunehag et al. 2018). Subscripts
`_t` and `_tp1` are the state of a transition and the next one; `n` transitions, `N` agents, `A` actions.

What the paper leaves open, and what is done here:
- Payments in the principal's target come from the averaged network, the agent's best action from the online one:
  max_a Q - Q(a_i) over noisy values is biased upwards, and choosing with one network and pricing with the other
  (van Hasselt et al. 2016) halves the bias. A price below zero is zero: limited liability.
- The principal learns from every transition, whoever followed: q(s, a) asks what recommending `a` is worth if it is
  followed, and that is what was played.
- Q((s, f_-i), .) is what agent i gets from others who do as they are meant to, not from others who explore: it learns
  from the transitions in which they did what the networks now would have them do.
- Where the game truncates at its horizon, targets bootstrap through it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import huber_loss

from ..core.config import configuration, plain
from ..core.random import uniform_array
from ..envs.game import Game, Symmetry, symmetries
from .core import Decisions, welfare_weights
from .networks import QNetwork
from .promise import Promise
from .recommendation import RecommendationContract

Follows = TypeVar("Follows", np.ndarray, torch.Tensor)

FOLLOW_SLOT = 1_000  # of the draws of step 0, above those of any game: who follows in an episode


class Values(NamedTuple):
    """Action values (n, N, A) at a batch of transitions."""

    agents_t: torch.Tensor  # Q((s_t, f_-i), .), online
    agents_tp1: torch.Tensor  # Q((s_t+1, f_-i), .), online
    agents_tp1_target: torch.Tensor
    followers_t: torch.Tensor  # Q((s_t, 1), .), online: everyone else follows
    followers_t_target: torch.Tensor
    principal_t: torch.Tensor  # q(s_t, .), online
    principal_tp1: torch.Tensor
    principal_tp1_target: torch.Tensor


class Transitions(NamedTuple):
    """What happened."""

    actions_t: torch.Tensor  # (n, N)
    follows_t: torch.Tensor  # (n, N) f, 1 or 0
    rewards_t: torch.Tensor  # (n, N) from the environment alone
    terminated_t: torch.Tensor  # (n,) float


class Losses(NamedTuple):
    """Means over what is learned from, and the error of each transition (n,) for the replay's priorities."""

    agents: torch.Tensor
    principal: torch.Tensor
    errors: torch.Tensor


def least_payments(q_online: torch.Tensor, q_price: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """b_i(s, a_i) = max_a Q((s, 1), a) - Q((s, 1), a_i), at least 0: (n, N).

    The least payment on `actions` that makes them best responses while the others follow. The best action is taken
    from `q_online`, both prices from `q_price`, each (n, N, A).
    """
    best = taken(q_price, q_online.argmax(dim=-1))
    return (best - taken(q_price, actions)).clamp(min=0.0)


def taken(q: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """The values (n, N) of `actions` (n, N) among `q` (n, N, A)."""
    return q.gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def losses(values: Values, batch: Transitions, *, discount: float, alpha: float, favour: float = 0.0) -> Losses:
    """Algorithm 3's two regressions, with double Q-learning and Huber loss.

    y_a = r_i + discount Q'((s', f_-i), argmax_a' Q((s', f_-i), a'))
    y_p = sum_i [ w_i r_i - alpha b_i(s, a_i) ] + discount sum_i q'(s', argmax_a' q(s', a'))

    y_a is learned from where `as_meant` is 1, and has no part in a transition's priority where it is not. The welfare
    weights w_i are 1, or with `favour` those of `welfare_weights`.
    """
    discount_t = discount * (1.0 - batch.terminated_t)
    with torch.no_grad():
        agents_tp1 = taken(values.agents_tp1_target, values.agents_tp1.argmax(dim=-1))
        y_agents = batch.rewards_t + discount_t.unsqueeze(-1) * agents_tp1
        payments_t = least_payments(values.followers_t, values.followers_t_target, batch.actions_t)
        principal_tp1 = taken(values.principal_tp1_target, values.principal_tp1.argmax(dim=-1)).sum(dim=-1)
        weights = batch.rewards_t.new_tensor(welfare_weights(batch.rewards_t.shape[1], favour))
        y_principal = (weights * batch.rewards_t - alpha * payments_t).sum(dim=-1) + discount_t * principal_tp1
    agents_t = taken(values.agents_t, batch.actions_t)
    principal_t = taken(values.principal_t, batch.actions_t).sum(dim=-1)
    meant = as_meant(values, batch)
    agents = (meant * huber_loss(agents_t, y_agents, reduction="none")).sum() / meant.sum().clamp(min=1.0)
    errors = (meant * (agents_t - y_agents).abs()).mean(dim=-1) + (principal_t - y_principal).abs()
    return Losses(agents, huber_loss(principal_t, y_principal), errors.detach())


def as_meant(values: Values, batch: Transitions) -> torch.Tensor:
    """(n, N): 1 where all agents but i did what the networks would have them do, following or not; else 0.

    With many agents that explore it is seldom 1. With views of the game it is judged in the one that was drawn.
    """
    recommended, own = values.principal_t.argmax(dim=-1), values.agents_t.argmax(dim=-1)
    strayed = (batch.actions_t != torch.where(batch.follows_t > 0.0, recommended, own)).float()
    return (strayed.sum(dim=-1, keepdim=True) - strayed == 0.0).float()


@configuration
class FollowedContract(RecommendationContract):
    """The recommendation contract of training: in each episode, agent i follows with probability `follow` (f_i = 1).

    Its memory is f, (B, N) bool, drawn from the episode's key.
    """

    follow: float = 0.5

    def start(self, keys: np.ndarray) -> np.ndarray:
        slots = FOLLOW_SLOT + np.arange(len(self.game.agents))
        return uniform_array(keys[:, None], 0, slots[None, :]) < self.follow


def others(follows: Follows) -> Follows:
    """f_-i of every agent: (n, N, N - 1) from f (n, N)."""
    N = follows.shape[1]
    return follows[:, np.array([[j for j in range(N) if j != i] for i in range(N)], np.int64)]


class TrainedPrincipal:
    """A frozen principal: recommends argmax_a q(s, a_i), and promises the least payment that makes it worthwhile.

    A payment is due where the least payment exceeds `due` (smaller ones are errors of the estimates); there `nudge` is
    added, so that following is better and not merely as good. `bonus` is paid for following everywhere. With a
    `stake`, following is better than each action by that share of what the principal would lose by it, as its own
    values have it. With `robust` the least payment is the larger of those that are enough while all others follow,
    and while none does. Nobody is paid more than `cap` in a step: prices are most wrong in states that nobody is
    meant to reach, and without it agents are paid to go there and be led back, again and again. If `mirrored`, all
    values are means over the game's symmetries.
    """

    def __init__(self, shape: dict[str, Any], promise: Promise | None = None, *, mirrored: bool = False) -> None:
        self.shape, self.promise, self.mirrored = shape, promise or Promise(), mirrored
        self.networks = principal_networks(**shape)

    def __call__(self, game: Game, state: Any) -> Decisions:
        promise, rows = self.promise, joint_rows(game.observe(state))
        views = symmetries(game) if self.mirrored else ()
        with torch.no_grad():
            worth = joint(self.networks["principal"], rows, views)
            recommended = worth.argmax(dim=-1)
            margins = promise.stake * (worth.amax(dim=-1, keepdim=True) - worth)
            following = joint(self.networks["agents"], all_follow(rows), views) + margins
            least = least_payments(following, following, recommended)
            if promise.robust:
                alone = joint(self.networks["agents"], none_follows(rows), views) + margins
                least = torch.maximum(least, least_payments(alone, alone, recommended))
        promised = promise.bonus + torch.where(least > promise.due, least + promise.nudge, 0.0)
        return Decisions(recommended.numpy(), promised.clamp(min=0.0, max=promise.cap).numpy())

    def promising(self, **changed: Any) -> TrainedPrincipal:
        """The same principal with a `Promise` of other values."""
        principal = TrainedPrincipal(self.shape, replace(self.promise, **changed), mirrored=self.mirrored)
        principal.networks = self.networks
        return principal

    def save(self, prefix: Path) -> None:
        """Write `prefix`.safetensors and `prefix`.json."""
        save_file(self.networks.state_dict(), prefix.with_suffix(".safetensors"))
        about = {"shape": self.shape, **plain(self.promise), "mirrored": self.mirrored}
        prefix.with_suffix(".json").write_text(json.dumps(about, indent=1))

    @classmethod
    def load(cls, prefix: Path) -> TrainedPrincipal:
        """The principal that `save` wrote. Nothing in its files is run."""
        about = json.loads(prefix.with_suffix(".json").read_text())
        shape, mirrored = about.pop("shape"), about.pop("mirrored", False)
        principal = cls(shape, Promise(**about), mirrored=mirrored)
        principal.networks.load_state_dict(load_file(prefix.with_suffix(".safetensors")))
        return principal


class SharedQNetwork(QNetwork):
    """A network that is shared by all `players`, and with `told_apart` sees in a last one-hot which one it plays."""

    def __init__(self, players: int, beside: int, told_apart: bool, **shape: Any) -> None:
        super().__init__(beside=beside + players * told_apart, **shape)
        self.told_apart = told_apart


def principal_networks(players: int, told_apart: bool = False, **shape: Any) -> torch.nn.ModuleDict:
    """`principal`, q(s, .) as agent i sees s, and `agents`, Q((s, f_-i), .); each is shared by all `players`."""
    beside = {"principal": 0, "agents": players - 1}
    return torch.nn.ModuleDict(
        {name: SharedQNetwork(players, count, told_apart, **shape) for name, count in beside.items()}
    )


def joint_rows(observations: np.ndarray) -> torch.Tensor:
    """Observations (n, N, ...) as joint rows (n, N, D) float32."""
    return torch.from_numpy(observations.reshape(*observations.shape[:2], -1).astype(np.float32))


def joint(network: torch.nn.Module, rows: torch.Tensor, views: Sequence[Symmetry] = ()) -> torch.Tensor:
    """The values (n, N, A) of joint rows (n, N, D); with `views`, their mean over what is seen in each."""
    if views:
        return torch.stack([joint(network, _viewed(rows, view))[..., view.actions] for view in views]).mean(dim=0)
    n, N, _ = rows.shape
    if network.told_apart:
        rows = torch.cat([rows, torch.eye(N, dtype=rows.dtype, device=rows.device).expand(n, N, N)], dim=-1)
    return network(rows.flatten(0, 1)).reshape(n, N, -1)


def _viewed(rows: torch.Tensor, view: Symmetry) -> torch.Tensor:
    """Rows (n, N, D) as in another view; what stands beside the observation stays."""
    return torch.cat([rows[..., view.cells], rows[..., len(view.cells) :]], dim=-1)


def all_follow(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 1 beside them: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_ones(n, N, N - 1)], dim=-1)


def none_follows(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 0 beside them: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_zeros(n, N, N - 1)], dim=-1)
