"""A principal that offers rates: the network that learns them by PPO, and the frozen principal that is kept of it.

`rates_ppo` trains it; `contracts.rates` says what its rates pay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import nn

from ...contracts.mechanism import Decisions
from ...envs.game import Game
from ..networks import Encoder, Shape
from ..saved_network import SavedNetwork
from ..worlds import world_rows

EXTRA = 2  # extra inputs of the critic: the clock, and the share of the cap that is left


class RatesNetwork(nn.Module):
    """An actor that sees the world, and a critic that also sees the clock and the share of the cap that is left.

    The actor chooses one of `rungs` for each of `heads` rates. Only training needs the critic.
    """

    def __init__(self, shape: Shape, heads: int, rungs: int, encoder: str, hidden: Sequence[int]) -> None:
        super().__init__()
        self.policy_encoder = Encoder(shape, 0, encoder, hidden)
        self.value_encoder = Encoder(shape, EXTRA, encoder, hidden)
        self.policy = nn.Linear(self.policy_encoder.width, heads * rungs)
        self.value = nn.Linear(self.value_encoder.width, 1)
        self.heads, self.rungs = heads, rungs
        nn.init.normal_(self.policy.weight, std=0.01)  # near-uniform at the start: every contract is tried
        nn.init.zeros_(self.policy.bias)

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, heads * rungs) of rows (n, D + EXTRA) or, without the extra inputs, (n, D)."""
        return self.policy(self.policy_encoder(rows[:, : self.policy_encoder.sight.flat]))

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        """(n,) of rows (n, D + EXTRA)."""
        return self.value(self.value_encoder(rows)).squeeze(-1)

    def evaluated(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, heads * rungs) and values (n,) of rows (n, D + EXTRA)."""
        return self.logits(rows), self.values(rows)

    def chances(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, heads, rungs) log probabilities."""
        return self.logits(rows).reshape(-1, self.heads, self.rungs).log_softmax(dim=-1)


class RatesShape(TypedDict):
    """The arguments of a `RatesNetwork`, as they are stored with a principal."""

    shape: Shape
    heads: int
    rungs: int
    encoder: str
    hidden: Sequence[int]


class RatesPrincipal(SavedNetwork):
    """A frozen principal: in every state it offers the mean of its learned distribution over rates from 0 to `highest`.

    The distribution is categorical and not Gaussian: near-uniform at the start, it offers every contract, so that
    agents learn to respond to all of them before the principal chooses, and it needs no clipping at limited liability.
    The principal offers the mean and not the mode, which jumps where several rates are about as good, and may be 0 with
    most of the probability above it.
    """

    network: RatesNetwork

    def __init__(self, shape: RatesShape, promised: Sequence[int], highest: float) -> None:
        self.about = {"shape": shape, "promised": promised, "highest": highest}
        self.promised, self.highest = tuple(promised), highest
        self.network = RatesNetwork(**shape)

    def __call__(self, game: Game, state: object) -> Decisions:
        with torch.no_grad():
            chances = self.network.chances(world_rows(game.world(state))).exp()
        chosen = (chances * torch.arange(self.network.rungs)).sum(dim=-1)
        return offered(chosen, self.promised, self.highest, self.network.rungs)


def offered(chosen: torch.Tensor, promised: Sequence[int], highest: float, rungs: int) -> Decisions:
    """Decisions that offer the `chosen` rungs, or rates between them, and recommend nothing.

    `promised` is (N, K), and `chosen` (B, N * K), each agent's, or (B, K), the same for all.
    """
    rates = chosen.numpy().reshape(len(chosen), -1, promised[1]).astype(np.float32) * np.float32(highest / (rungs - 1))
    return Decisions.pay_only(np.broadcast_to(rates, (len(rates), *promised)))


def chosen_logp(network: RatesNetwork, worlds: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The log probability (n,) of the `chosen` rungs (n, heads) in `worlds` (n, ...)."""
    with torch.no_grad():
        chances = network.chances(world_rows(worlds))
        taken = chances.gather(-1, torch.from_numpy(chosen).unsqueeze(-1))
    return taken.sum(dim=(1, 2)).numpy()


def evaluated(
    network: RatesNetwork, worlds: np.ndarray, extra: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The critic's rows (n, D + EXTRA) of `worlds` (n, ...), and its logits (n, heads * rungs) and values (n,)."""
    rows = torch.cat([world_rows(worlds), torch.from_numpy(extra)], dim=1)
    with torch.no_grad():
        logits, values = network.evaluated(rows)
    return rows.numpy(), logits.numpy(), values.numpy()
