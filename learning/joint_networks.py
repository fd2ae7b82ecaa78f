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
    joint_values: NotRequired[bool]


class SharedQNetwork(QNetwork):
    """A network that all `players` share; with `told_apart` a last one-hot input says which of them it plays."""

    def __init__(self, players: int, extra: int, *, told_apart: bool, **shape: Unpack[QShape]) -> None:
        super().__init__(beside=extra + players * told_apart, **shape)
        self.told_apart = told_apart


def principal_networks(
    players: int, *, told_apart: bool = False, joint_values: bool = False, **shape: Unpack[QShape]
) -> torch.nn.ModuleDict:
    """`principal` is q(s, .) as agent i sees s, `agents` is Q((s, f_-i), .); all `players` share both.

    With `joint_values` `agents` is Q(s, .) of the A^N joint actions instead, the agent's own action varying slowest.
    """
    each: QShape = {**shape, "actions": shape["actions"] ** players} if joint_values else shape
    principal = SharedQNetwork(players, 0, told_apart=told_apart, **shape)
    agents = SharedQNetwork(players, 0 if joint_values else players - 1, told_apart=told_apart, **each)
    return torch.nn.ModuleDict({"principal": principal, "agents": agents})


def joint_rows(observations: np.ndarray) -> torch.Tensor:
    """Observations (n, N, ...) as joint rows (n, N, D) float32."""
    return torch.from_numpy(observations.reshape(*observations.shape[:2], -1).astype(np.float32))


def joint(network: torch.nn.Module, rows: torch.Tensor, views: Sequence[Symmetry] = ()) -> torch.Tensor:
    """The values (n, N, A) of joint rows (n, N, D), or (n, N, A^N); with `views`, their mean over the views."""
    if views:
        return torch.stack([_turned(joint(network, _viewed(rows, view)), view) for view in views]).mean(dim=0)
    n, N, _ = rows.shape
    if network.told_apart:
        rows = torch.cat([rows, torch.eye(N, dtype=rows.dtype, device=rows.device).expand(n, N, N)], dim=-1)
    return network(rows.flatten(0, 1)).reshape(n, N, -1)


def _viewed(rows: torch.Tensor, view: Symmetry) -> torch.Tensor:
    """Rows (n, N, D) as seen in another view; the extra inputs stay as they are."""
    return torch.cat([rows[..., view.cells], rows[..., len(view.cells) :]], dim=-1)


def _turned(values: torch.Tensor, view: Symmetry) -> torch.Tensor:
    """Values (n, N, A) or (n, N, A^N) in another view, as those of the actions in the first one."""
    index, A = view.actions, len(view.actions)
    while len(index) < values.shape[-1]:
        index = (index[:, None] * A + view.actions).ravel()
    return values[..., index]


def by_others(values: torch.Tensor, actions: int) -> torch.Tensor:
    """Values (n, N, A^N) of joint actions as (n, N, A^(N-1), A): by what the others do, of each own action."""
    return values.unflatten(-1, (actions, -1)).transpose(-1, -2)


def beside(values: torch.Tensor, taken: torch.Tensor, actions: int) -> torch.Tensor:
    """The values (n, N, A) of an agent's actions while the others take theirs of `taken` (n, N), from (n, N, A^N)."""
    index = others_action(taken, actions)[..., None, None].expand(-1, -1, 1, actions)
    return by_others(values, actions).gather(2, index).squeeze(2)


def others_action(taken: torch.Tensor, actions: int) -> torch.Tensor:
    """(n, N): the index of the others' joint action beside each agent; `contracts.recommendation.others_index`."""
    index = torch.zeros_like(taken)
    for action in others(taken).unbind(dim=-1):
        index = index * actions + action
    return index


def all_follow(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 1 as extra inputs: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_ones(n, N, N - 1)], dim=-1)


def none_follows(rows: torch.Tensor) -> torch.Tensor:
    """Rows (n, N, D) with f_-i = 0 as extra inputs: (n, N, D + N - 1)."""
    n, N, _ = rows.shape
    return torch.cat([rows, rows.new_zeros(n, N, N - 1)], dim=-1)
