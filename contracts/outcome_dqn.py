"""The learned principal of Ivanov et al. 2024, Algorithm 2: its loss, its payments, and what is kept of it.

One agent whose actions are hidden. The agent's values Q(s, a) leave out the payment due now, and count all later ones
(they are truncated); the principal's values q(s, a) are those of inducing `a` by the least payments on outcomes.
Subscripts `_t` and `_tp1` are the state of a transition and the next one; `n` transitions, `A` actions, 2 outcomes,
`chance` (n, A, 2) how probable each outcome is after each action. That much of the rules the principal knows, as in
the paper: without it no payment on outcomes could be computed.

What the paper leaves open, and what is done here:
- The agent does as is meant while both learn: the contract makes that a best response by the agent's own values.
- Everything in the targets comes from the averaged networks, what is induced next too, since it is these that are
  kept: the agent's values jump where what is induced changes, so they must answer to the principal that will be.
- The principal is charged what the outcome that came pays, the agent's next payment is expected over outcomes.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import huber_loss

from ..envs.core import Game
from .core import Decisions
from .outcome_contract import OutcomeContract
from .principal_dqn import taken
from .tabulate import tabular, tabulate


class Values(NamedTuple):
    """Action values (n, A) at a batch of transitions."""

    agent_t: torch.Tensor  # Q(s_t, .), online
    agent_t_target: torch.Tensor
    agent_tp1_target: torch.Tensor
    principal_t: torch.Tensor  # q(s_t, .), online
    principal_tp1_target: torch.Tensor


class Transitions(NamedTuple):
    """What happened."""

    actions_t: torch.Tensor  # (n,) played, as it was meant
    outcomes_t: torch.Tensor  # (n, 2) 1 for the one that came, else 0
    rewards_t: torch.Tensor  # (n,) the agent's from the environment alone
    principal_t: torch.Tensor  # (n,) the principal's before it pays
    chance_t: torch.Tensor  # (n, A, 2)
    chance_tp1: torch.Tensor
    terminated_t: torch.Tensor  # (n,) float


class Losses(NamedTuple):
    """Means over the batch, and the error of each transition (n,) for the replay's priorities."""

    agent: torch.Tensor
    principal: torch.Tensor
    errors: torch.Tensor


def least_payments(q: torch.Tensor, chance: torch.Tensor, actions: torch.Tensor, nudge: float) -> torch.Tensor:
    """(n, 2): the cheapest contract on two outcomes under which `actions` (n,) are best by `nudge`, by `q` (n, A).

    Only x = b(1) - b(0) moves the agent. With p(a) the chance of outcome 1, every other action a bounds it:
    (p(a*) - p(a)) x >= q(a) - q(a*) + nudge. The cheapest x is the one nearest to 0; the smaller payment is 0.
    Where bounds contradict each other, as they can from three actions on, the upper one is kept.
    """
    index = actions.unsqueeze(-1)
    p = chance[..., 1]
    apart = p.gather(-1, index) - p
    bound = (q - q.gather(-1, index) + nudge) / torch.where(apart == 0.0, 1.0, apart)
    least = bound.where(apart > 0.0, -torch.inf).amax(dim=-1)
    most = bound.where(apart < 0.0, torch.inf).amin(dim=-1)
    x = torch.minimum(least.clamp(min=0.0), most)
    return torch.stack([(-x).clamp(min=0.0), x.clamp(min=0.0)], dim=-1)


def losses(values: Values, batch: Transitions, *, discount: float, nudge: float) -> Losses:
    """Algorithm 2's two regressions, with Huber loss. a' = argmax_a q'(s', a) is what is induced next.

    y_a = r + discount ( E_o'[b(s', a', o')] + Q'(s', a') )
    y_p = rp - b(s, a, o) + discount q'(s', a')
    """
    discount_t = discount * (1.0 - batch.terminated_t)
    with torch.no_grad():
        actions_tp1 = values.principal_tp1_target.argmax(dim=-1)
        payments_tp1 = least_payments(values.agent_tp1_target, batch.chance_tp1, actions_tp1, nudge)
        paid_tp1 = taken((batch.chance_tp1 * payments_tp1.unsqueeze(-2)).sum(dim=-1), actions_tp1)
        y_agent = batch.rewards_t + discount_t * (paid_tp1 + taken(values.agent_tp1_target, actions_tp1))
        payments_t = least_payments(values.agent_t_target, batch.chance_t, batch.actions_t, nudge)
        paid_t = (payments_t * batch.outcomes_t).sum(dim=-1)
        y_principal = batch.principal_t - paid_t + discount_t * taken(values.principal_tp1_target, actions_tp1)
    agent_t, principal_t = taken(values.agent_t, batch.actions_t), taken(values.principal_t, batch.actions_t)
    errors = (agent_t - y_agent).abs() + (principal_t - y_principal).abs()
    return Losses(huber_loss(agent_t, y_agent), huber_loss(principal_t, y_principal), errors.detach())


class ClassNetwork(torch.nn.Module):
    """Observations (n,) of classes to action values (n, A): dense layers over the one-hot class.

    The first layer is a table of its weights for each class, which is the same and takes no ones and zeros.
    """

    def __init__(self, classes: int, actions: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.first = torch.nn.Embedding(classes, hidden[0])
        torch.nn.init.normal_(self.first.weight, std=hidden[0] ** -0.5)
        layers: list[torch.nn.Module] = []
        for inputs, outputs in zip(hidden, (*hidden[1:], actions), strict=True):
            layers += [torch.nn.ReLU(), torch.nn.Linear(inputs, outputs)]
        self.rest = torch.nn.Sequential(*layers)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.rest(self.first(seen))


def outcome_networks(**shape: Any) -> torch.nn.ModuleDict:
    """`principal`, q(s, .), and `agent`, Q(s, .)."""
    return torch.nn.ModuleDict({name: ClassNetwork(**shape) for name in ("principal", "agent")})


class OutcomePrincipal:
    """A frozen principal: induces argmax_a q(s, a) by the least payments on outcomes, by its model of the agent."""

    def __init__(self, shape: dict[str, Any], *, nudge: float) -> None:
        self.shape, self.nudge = shape, nudge
        self.networks = outcome_networks(**shape)

    def __call__(self, game: Game, state: Any) -> Decisions:
        return decide(self.networks, game, state, nudge=self.nudge)

    def save(self, prefix: Path) -> None:
        """Write `prefix`.safetensors and `prefix`.json."""
        save_file(self.networks.state_dict(), prefix.with_suffix(".safetensors"))
        prefix.with_suffix(".json").write_text(json.dumps({"shape": self.shape, "nudge": self.nudge}, indent=1))

    @classmethod
    def load(cls, prefix: Path) -> OutcomePrincipal:
        """The principal that `save` wrote. Nothing in its files is run."""
        about = json.loads(prefix.with_suffix(".json").read_text())
        principal = cls(about["shape"], nudge=about["nudge"])
        principal.networks.load_state_dict(load_file(prefix.with_suffix(".safetensors")))
        return principal


def decide(networks: Any, game: Game, state: Any, *, nudge: float, explore: Any = lambda induced: induced) -> Decisions:
    """What is induced in every state, put through `explore`, and the payments (B, 1, 2) that induce it."""
    seen = classes(game.observe(state))
    with torch.no_grad():
        induced = explore(networks["principal"](seen).argmax(dim=-1))
        chance = torch.from_numpy(outcome_chance(game, state))
        promised = least_payments(networks["agent"](seen), chance, induced, nudge)
    return Decisions(induced[:, None].numpy(), promised[:, None].numpy())


def classes(observations: np.ndarray) -> torch.Tensor:
    """The class (n,) that one agent sees, from observations (n, 1, 1, 1)."""
    return torch.from_numpy(observations.reshape(-1).astype(np.int64))


def outcome_chance(game: Game, state: Any) -> np.ndarray:
    """(B, A, 2) float32: how probable each outcome is after each action."""
    return _chances(cast(Hashable, game))[tabular(game).index(state)]


@lru_cache(maxsize=16)
def _chances(game: Any) -> np.ndarray:
    """(S, A, 2) float32."""
    return tabulate(game).facts[:, :, 0].astype(np.float32)


def check(game: Game) -> None:
    """Raise UsageError for a game to which Algorithm 2 does not apply."""
    OutcomeContract(game=game).check_principal()
