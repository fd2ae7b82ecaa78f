"""The gradient of a loss as one TorchScript graph.

It runs the kernels that plain torch runs, in the same order and with the same numbers to the last bit, but without
Python between them and without building autograd's graph anew at every step: of small networks that is a third of the
time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ...core.config import UsageError
from ..trained import Losses, Tensors
from .gradient_steps import FlatParameters
from .module import RoleModule

Tensor = torch.Tensor
Graph = Callable[..., tuple[Tensor, ...]]
SHAPES = 8  # of minibatches for which a graph is kept; each takes a tenth of a second to trace


class Place(NamedTuple):
    """Where a module holds a tensor."""

    held: dict[str, Any]  # the parameters or the buffers of one layer
    name: str
    number: int  # of the tensor among all


class Traced(NamedTuple):
    """A graph of the gradient, the loss, its parts and, where there are any, its errors."""

    graph: Graph
    parts: tuple[str, ...]  # the names of the loss's parts


class TracedGradient:
    """The loss of a module on a minibatch, whose gradient is set in the module's parameters.

    The role's loss must be `traceable` and read no peers, and the tensors must be on the processor.
    """

    def __init__(self, module: RoleModule, flat: FlatParameters, clip: float | None) -> None:
        self.module, self.flat, self.clip = module, flat, clip
        self.tensors: list[Tensor] = []  # of the network and its average: each once, by what it shares memory with
        self.places: list[Place] = []
        found: dict[int, int] = {}
        for network in (module.net, module.target):
            for layer in [] if network is None else network.modules():
                for held in (layer._parameters, layer._buffers):
                    for name, tensor in held.items():
                        if tensor is not None:
                            index = found.setdefault(id(tensor), len(self.tensors))
                            if index == len(self.tensors):
                                self.tensors.append(tensor.detach())
                            self.places.append(Place(held, name, index))
        self.learned = [found[id(part)] for part in flat.parts]
        self.graphs: dict[tuple[object, ...], Traced | None] = {}  # by the shape of the minibatch

    def __call__(self, batch: Tensors) -> Losses | None:
        """The loss, whose gradient is set; None where there is no graph for minibatches of this shape."""
        columns = list(batch.values())
        shape = tuple((name, column.shape, column.dtype) for name, column in batch.items())
        if shape not in self.graphs and len(self.graphs) < SHAPES:
            self.graphs[shape] = self._traced(list(batch), columns)
        found = self.graphs.get(shape)
        if found is None:
            return None
        graph, names = found
        with torch.no_grad():
            gradient, total, *told = graph(*self.tensors, *columns)
        self.flat.whole.grad = gradient
        parts, errors = dict(zip(names, told, strict=False)), told[len(names) :]
        return Losses(total, parts, errors[0] if errors else None)

    def _traced(self, columns: Sequence[str], values: Sequence[Tensor]) -> Traced | None:
        """The graph; None where torch's tracer lacks a kernel, as it does for the gradient of a convolution."""
        named: list[str] = []

        def step(tensors: list[Tensor], values: Sequence[Tensor]) -> list[Tensor]:
            for index in self.learned:
                tensors[index] = tensors[index].detach().requires_grad_()
            with self._holding(tensors):
                role, batch = self.module.role, dict(zip(columns, values, strict=True))
                total, parts, errors = role.loss(self.module.net, self.module.target, batch, {})
            gradient = self.flat.gradient(total, [tensors[index] for index in self.learned], self.clip)
            named[:] = parts
            return [gradient, total.detach(), *(part.detach() for part in parts.values()), *_there(errors)]

        try:
            kernels = make_fx(step)(list(self.tensors), values)
        except RuntimeError as error:
            role = type(self.module.role).__name__
            raise UsageError(
                f"{role} says that its loss is `traceable`, and it is not: where it reads a number of a tensor, or "
                f"takes other steps by one, set `traceable` to False ({str(error).splitlines()[0]})"
            ) from error
        count = len(self.tensors)

        def flat(*given: Tensor) -> tuple[Tensor, ...]:
            return tuple(kernels(list(given[:count]), given[count:]))

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's own: its tracer is deprecated
            try:
                graph = torch.jit.trace(flat, (*self.tensors, *values), check_trace=False)
            except RuntimeError:
                return None
        return Traced(graph, tuple(named))

    @contextmanager
    def _holding(self, tensors: Sequence[Tensor]) -> Iterator[None]:
        """The module with other tensors in its places."""
        own = [place.held[place.name] for place in self.places]
        try:
            for place in self.places:
                place.held[place.name] = tensors[place.number]
            yield
        finally:
            for place, tensor in zip(self.places, own, strict=True):
                place.held[place.name] = tensor


def _there(errors: Tensor | None) -> Iterable[Tensor]:
    return () if errors is None else (errors,)
