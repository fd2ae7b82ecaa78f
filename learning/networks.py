"""The networks: an encoder of the observation, and heads on it. They know no RLlib: policies act without it.

A row of input is flat: the observation, then extra numbers (the terms, who follows). An observation is planes of
numbers; or, with `classes`, a class index for each cell, which the network turns into planes of 0 and 1; or, with
`pixels`, a colour for each cell, which it turns into three planes from 0 to 1.

The names of the modules (`sight`, `policy_tower`, `value_tower`) and the argument `beside`, the number of extra inputs,
are stored with every policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding, linear

from ..contracts.loop import AgentView
from ..envs.game import Game
from .features import rows as rows_of
from .sparse_convolution import Kernel, dense_convolution, fits, small, sparse_convolution
from .sparse_layer import sparse_linear


class Shape(NamedTuple):
    """The shape of an agent's observation."""

    cells: tuple[int, ...]  # (channels, rows, columns); (rows, columns) with classes; (rows, columns, 3)
    classes: int  # the number of classes; 0 where the observation is numbers
    pixels: bool = False  # whether the numbers are red, green and blue, from 0 to 255


class NetworkShape(TypedDict):
    """The arguments of a network of the agents, as they are stored with a policy."""

    shape: Shape
    beside: int  # extra inputs after the observation
    actions: int
    encoder: str
    hidden: Sequence[int]
    dueling: NotRequired[bool]  # of a `QNetwork`


def shape_of(game: Game) -> Shape:
    """The shape of an agent's observations."""
    space = game.observation_space
    pixels = not game.classes and space.dtype == np.uint8 and space.shape[-1:] == (3,) and space.high.min() == 255
    return Shape(tuple(space.shape), game.classes, pixels=bool(pixels))


class ObservationEncoder(nn.Module):
    """Rows (n, prod(cells) + extra) to the observation as numbers, with the extra inputs after it (n, width + extra).

    With the `encoder` "mlp" the planes stay as they are. With "conv" there is one convolution over them: circular over
    planes of numbers, for the torus of the Coin Game (Ivanov et al. 2024, appendix), and plain over classes and pixels,
    for a window on a map. With "conv-zeros" planes of numbers are padded by zeros instead.
    """

    def __init__(self, shape: Shape, encoder: str) -> None:
        super().__init__()
        self.shape, self.flat = Shape(*shape), prod(shape[0])
        self.planes: torch.Tensor  # (classes, classes): looking a class up costs a tenth of comparing it with each
        self.register_buffer("planes", torch.eye(self.shape.classes), persistent=False)
        self.convolution: nn.Sequential | None = None
        self.width = self.flat * max(1, self.shape.classes)
        if encoder != "mlp":
            self.convolution, self.kernel = _convolution(self.shape, circular=encoder == "conv")
            self.width = self._layer.out_channels * prod(self.kernel.found)

    @property
    def _layer(self) -> nn.Conv2d:
        assert self.convolution is not None
        layer = self.convolution[-2]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        classes, pixels = self.shape.classes > 0, self.shape.pixels
        if self.convolution is None and not classes and not pixels:
            return rows
        seen = rows[:, : self.flat]
        if self.convolution is None:
            seen = self._planes(seen)
        else:
            layer, dense = self._layer, not classes and not pixels and small(self.kernel)
            if pixels or not (dense or fits(rows, layer.weight)):
                seen = self._planes(seen)
                seen = self.convolution(seen.movedim(-1, 1) if classes or pixels else seen)
            else:
                assert layer.bias is not None
                given = seen, layer.weight, layer.bias, self.kernel
                seen = torch.relu_(dense_convolution(*given) if dense else sparse_convolution(*given, classes=classes))
        flat = seen.flatten(1)
        return flat if rows.shape[1] == self.flat else torch.cat([flat, rows[:, self.flat :]], dim=1)

    def _planes(self, seen: torch.Tensor) -> torch.Tensor:
        """The observation (n, flat) as planes: (n, rows, columns, planes) of classes and pixels, else (n, *cells)."""
        seen = seen.reshape(-1, *self.shape.cells)
        if self.shape.classes:
            return embedding(seen.long(), self.planes)
        return seen / 255 if self.shape.pixels else seen


class MLP(nn.Sequential):
    """Dense layers: features (n, inputs), which may be `sparse`, to features (n, width)."""

    def __init__(self, inputs: int, hidden: Sequence[int], *, sparse: bool = False) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *hidden), hidden, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.width, self.sparse = hidden[-1], sparse

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for place, layer in enumerate(self):  # by its own weights: calling a module costs as much as a small product
            if isinstance(layer, nn.Linear):
                product = linear if place or not self.sparse else sparse_linear
                features = torch.relu_(product(features, layer.weight, layer.bias))
        return features


class Encoder(nn.Module):
    """Rows (n, prod(cells) + extra) to features (n, hidden[-1])."""

    def __init__(self, shape: Shape, extra: int, encoder: str, hidden: Sequence[int]) -> None:
        super().__init__()
        self.sight = ObservationEncoder(shape, encoder)
        self.dense = MLP(self.sight.width + extra, hidden, sparse=self.sight.convolution is None)
        self.width = self.dense.width

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.dense.forward(self.sight.forward(rows))


def _convolution(shape: Shape, *, circular: bool) -> tuple[nn.Sequential, Kernel]:
    """One convolution over the observation, and where its kernel lies."""
    if shape.classes or shape.pixels:
        rows, columns = shape.cells[:2]
        kernel = Kernel((rows, columns), size=min(3, rows, columns), stride=2, padded="not")
        filters = 16  # every other place costs a quarter and sees each cell
        return nn.Sequential(nn.Conv2d(shape.classes or 3, filters, kernel.size, kernel.stride), nn.ReLU()), kernel
    channels, rows, columns = shape.cells
    kernel = Kernel((rows, columns), size=4, stride=1, padded="circular" if circular else "zeros")
    filters = 32
    if not circular:  # the same places as of the circular one; torch warns of its own zeros around an even kernel
        return nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(channels, filters, kernel.size), nn.ReLU()), kernel
    layer = nn.Conv2d(channels, filters, kernel.size, padding="same", padding_mode="circular")
    return nn.Sequential(layer, nn.ReLU()), kernel


class QNetwork(nn.Module):
    """Rows (n, D) to action values (n, A); `dueling`: Q = V + A - mean A (Wang et al. 2016)."""

    def __init__(
        self, shape: Shape, beside: int, actions: int, encoder: str, hidden: Sequence[int], dueling: bool
    ) -> None:
        super().__init__()
        self.encoder = Encoder(shape, beside, encoder, hidden)
        self.advantage = nn.Linear(self.encoder.width, actions)
        self.value = nn.Linear(self.encoder.width, 1) if dueling else None

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        features, advantage, value = self.encoder.forward(rows), self.advantage, self.value
        if value is None:
            return linear(features, advantage.weight, advantage.bias)
        weight = value.weight + advantage.weight - advantage.weight.mean(dim=0)  # both heads are one layer
        return linear(features, weight, value.bias + advantage.bias - advantage.bias.mean())

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        """The values (n,) of the best actions."""
        return self(rows).amax(dim=-1)

    def probabilities(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, A): 1 for the best action."""
        q = self(rows)
        return nn.functional.one_hot(q.argmax(dim=-1), q.shape[-1]).float()


class TeamNetwork(nn.Module):
    """The networks of `players` agents as one, over rows (n * N, D), an environment step's side by side: (n * N, A).

    There is one of `networks` for all, or one each.
    """

    def __init__(self, networks: Sequence[nn.Module], players: int) -> None:
        super().__init__()
        self.networks, self.players = nn.ModuleList(networks), players

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if len(self.networks) == 1:
            return self.networks[0](rows)
        each = rows.unflatten(0, (-1, self.players)).unbind(dim=1)
        found = [network(part) for network, part in zip(self.networks, each, strict=True)]
        return torch.stack(found, dim=1).flatten(0, 1)


class ActorCritic(nn.Module):
    """Rows (n, D) to action logits (n, A) and values (n,), each an `MLP` behind one shared `ObservationEncoder`."""

    def __init__(self, shape: Shape, beside: int, actions: int, encoder: str, hidden: Sequence[int]) -> None:
        super().__init__()
        self.sight = ObservationEncoder(shape, encoder)
        sparse = self.sight.convolution is None
        self.policy_tower = MLP(self.sight.width + beside, hidden, sparse=sparse)
        self.value_tower = MLP(self.sight.width + beside, hidden, sparse=sparse)
        self.policy = nn.Linear(self.policy_tower.width, actions)
        self.value = nn.Linear(self.value_tower.width, 1)
        nn.init.normal_(self.policy.weight, std=0.01)  # near-uniform at the start (Andrychowicz et al. 2021)
        nn.init.zeros_(self.policy.bias)

    def logits_of(self, seen: torch.Tensor) -> torch.Tensor:
        """Logits (n, A) from the encoded observation."""
        return self.policy(self.policy_tower(seen))

    def values_of(self, seen: torch.Tensor) -> torch.Tensor:
        """Values (n,) from the encoded observation."""
        return self.value(self.value_tower(seen)).squeeze(-1)

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        return self.values_of(self.sight(rows))

    def probabilities(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, A)."""
        return self(rows).softmax(dim=-1)

    def evaluated(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, A) and values (n,), from one look at the observation."""
        seen = self.sight(rows)
        return self.logits_of(seen), self.values_of(seen)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.logits_of(self.sight(rows))


def read_each(
    seen: AgentView,
    networks: Mapping[str, tuple[Any, tuple[int, ...]]],
    read: Callable[[Any, torch.Tensor], torch.Tensor],
) -> np.ndarray:
    """(B, N, ...): what `read` takes from each network on the rows (B * P, D) of the agents that it plays.

    It is 0 for agents that none plays.
    """
    flat, found = rows_of(seen), np.zeros(0)
    with torch.no_grad():
        for network, players in networks.values():
            part = read(network, torch.from_numpy(flat.take(players, 1).reshape(-1, flat.shape[-1]))).numpy()
            part = part.reshape(len(flat), len(players), *part.shape[1:])
            if not found.size:
                found = np.zeros((*flat.shape[:2], *part.shape[2:]), part.dtype)
            found[:, players] = part
    return found


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a module, as a checkpoint stores them."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def give_arrays(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Load the weights that `arrays_of` returned. Raises RuntimeError where they belong to another module."""
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
