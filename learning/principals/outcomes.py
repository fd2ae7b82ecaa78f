"""The principal that Algorithm 2 learns (Ivanov et al. 2024): it pays for outcomes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import TypedDict, cast

import numpy as np
import torch

from ...contracts.mechanism import Decisions
from ...envs.game import Game
from ...equilibria.tables.table import tabular
from ...equilibria.tables.tabulate import tabulate
from ..losses.algorithm_2 import acting, inducing
from ..payments_on_outcomes import OUTCOMES, least_payments_on_outcomes
from ..saved_network import SavedNetwork


class ClassNetwork(torch.nn.Module):
    """Observations (n,) of classes to `outputs` values (n, outputs): dense layers over the one-hot class.

    The first layer is a table of its weights for each class, which is the same and takes no ones and zeros.
    """

    def __init__(self, classes: int, outputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.first = torch.nn.Embedding(classes, hidden[0])
        torch.nn.init.normal_(self.first.weight, std=hidden[0] ** -0.5)
        layers: list[torch.nn.Module] = []
        for before, after in zip(hidden, (*hidden[1:], outputs), strict=True):
            layers += [torch.nn.ReLU(), torch.nn.Linear(before, after)]
        self.rest = torch.nn.Sequential(*layers)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.rest(self.first(seen))


def outcome_networks(classes: int, actions: int, hidden: Sequence[int]) -> torch.nn.ModuleDict:
    """`principal`, z(s, .), and `agent`, u(s, .) and w(s, .) side by side."""
    outputs = {"principal": OUTCOMES, "agent": actions + OUTCOMES}
    return torch.nn.ModuleDict({name: ClassNetwork(classes, count, hidden) for name, count in outputs.items()})


class OutcomeShape(TypedDict):
    """The arguments of `outcome_networks`, as they are stored with a principal."""

    classes: int
    actions: int
    hidden: Sequence[int]


class OutcomePrincipal(SavedNetwork):
    """A frozen principal: induces argmax_a q(s, a) by the least payments on outcomes, by its model of the agent."""

    network: torch.nn.ModuleDict

    def __init__(self, shape: OutcomeShape, *, nudge: float) -> None:
        self.about, self.nudge = {"shape": shape, "nudge": nudge}, nudge
        self.network = outcome_networks(**shape)

    def __call__(self, game: Game, state: object) -> Decisions:
        return decide(self.network, game, state, nudge=self.nudge)


def decide(
    networks: torch.nn.ModuleDict,
    game: Game,
    state: object,
    *,
    nudge: float,
    explore: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Decisions:
    """The action to induce in every state, passed through `explore`, and the payments (B, 1, 2) that induce it."""
    seen = classes(game.observe(state))
    with torch.no_grad():
        chance = torch.from_numpy(outcome_chance(game, state))
        agent = acting(networks["agent"](seen), chance)
        worth, _ = inducing(networks["principal"](seen), agent, chance, nudge)
        induced = worth.argmax(dim=-1)
        if explore is not None:
            induced = explore(induced)
        promised = least_payments_on_outcomes(agent, chance, induced, nudge)
    return Decisions(induced[:, None].numpy(), promised[:, None].numpy())


def classes(observations: np.ndarray) -> torch.Tensor:
    """The class (n,) that one agent sees, from observations (n, 1, 1, 1)."""
    return torch.from_numpy(observations.reshape(-1).astype(np.int64))


def outcome_chance(game: Game, state: object) -> np.ndarray:
    """(B, A, 2) float32: how probable each outcome is after each action."""
    return _chances(cast(Hashable, game))[tabular(game).index(state)]


@lru_cache(maxsize=16)
def _chances(game: Hashable) -> np.ndarray:
    """(S, A, 2) float32."""
    return tabulate(cast(Game, game)).facts[:, :, 0].astype(np.float32)
