"""The networks of Algorithm 3, over joint rows (n, N, D) with one row for each agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict, TypeVar, Unpack

import numpy as np
import torch

from ..envs.game import Symmetry
from .networks import QNetwork, Shape

Follows = TypeVar("Follows", np.ndarray, torch.Tensor)


def others(follows: Follows) -> Follows:
    """The others' f_-i of every agent, (n, N, N - 1), from f (n, N)."""
    N = follows.shape[1]
    return follows[:, np.array([[j for j in range(N) if j != i] for i in range(N)], np.int64)]


class QShape(TypedDict):
    """The arguments that the networks of Algorithm 3 share."""

    shape: Shape
    actions: int
    encoder: str
    hidden: Sequence[int]
    dueling: bool


class JointShape(QShape):
    """The arguments of `principal_networks`, as they are stored with a principal."""

    players: int
    told_apart: NotRequired[bool]


class SharedQNetwork(QNetwork):
    """A network that all `players` share; with `told_apart` a last one-hot input says which of them it plays."""

    def __init__(self, players: int, extra: int, *, told_apart: bool, **shape: Unpack[QShape]) -> None:
        super().__init__(beside=extra + players * told_apart, **shape)
        self.told_apart = told_apart


def principal_networks(players: int, *, told_apart: bool = False, **shape: Unpack[QShape]) -> torch.nn.ModuleDict:
    """`principal` is q(s, .) as agent i sees s, `agents` is Q((s, f_-i), .); all `players` share both."""
    extra = {"principal": 0, "agents": players - 1}
    return torch.nn.ModuleDict(
        {name: SharedQNetwork(players, count, told_apart=told_apart, **shape) for name, count in extra.items()}
    )


def joint_rows(observations: np.ndarray) -> torch.Tensor:
    """Observations (n, N, ...) as joint rows (n, N, D) float32."""
    return torch.from_numpy(observations.reshape(*observations.shape[:2], -1).astype(np.float32))


def joint(network: torch.nn.Module, rows: torch.Tensor, views: Sequence[Symmetry] = ()) -> torch.Tensor:
    """The values (n, N, A) of joint rows (n, N, D); with `views`, their mean over the views."""
    if views:
        return torch.stack([joint(network, _viewed(rows, view))[..., view.actions] for view in views]).mean(dim=0)
    n, N, _ = rows.shape
    if network.told_apart:
        rows = torch.cat([rows, torch.eye(N, dtype=rows.dtype, device=rows.device).expand(n, N, N)], dim=-1)
    return network(rows.flatten(0, 1)).reshape(n, N, -1)


def _viewed(rows: torch.Tensor, view: Symmetry) -> torch.Tensor:
    """Rows (n, N, D) as seen in another view; the extra inputs stay as they are."""
    return torch.cat([rows[..., view.cells], rows[..., len(view.cells) :]], dim=-1)


def all_follow(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 1 as extra inputs: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_ones(n, N, N - 1)], dim=-1)


def none_follows(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 0 as extra inputs: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_zeros(n, N, N - 1)], dim=-1)
