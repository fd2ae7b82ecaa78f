"""The gradient of a loss as one TorchScript graph.

It runs the kernels that plain torch runs, in the same order and with the same numbers to the last bit, but without
Python between them and without building autograd's graph anew at every step: of small networks that is a third of the
time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.distributions import Distribution
from torch.fx.experimental.proxy_tensor import make_fx

from ...core.config import UsageError
from ..trained import Tensors
from .gradient_steps import FlatParameters, Notes
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
    """A graph of the gradient, the loss and what is noted of it."""

    graph: Graph
    last: list[tuple[tuple[str, ...], dict[str, Any]]]  # the keys of values, and how they are logged
    series: list[tuple[str, ...]]


class TracedGradient:
    """A loss of minibatches by a module, whose gradient is set in the module's parameters.

    The loss must be `traceable` and read no peers, and all tensors must be on the processor.
    """

    def __init__(
        self,
        module: RoleModule,
        flat: FlatParameters,
        clip: float | None,
        loss: Callable[[Tensors], tuple[Tensor, Notes]],
    ) -> None:
        self.module, self.flat, self.clip, self.loss = module, flat, clip, loss
        self.tensors: list[Tensor] = []  # of the network and its average, each once
        self.places: list[Place] = []
        found: dict[int, int] = {}
        for network in (module.net, module.target):
            for layer in [] if network is None else network.modules():
                for held in (layer._parameters, layer._buffers):
                    for name, tensor in held.items():
                        if tensor is not None:
                            number = found.setdefault(id(tensor), len(self.tensors))
                            if number == len(self.tensors):
                                self.tensors.append(tensor.detach())
                            self.places.append(Place(held, name, number))
        self.learned = [found[id(part)] for part in flat.parts]
        self.graphs: dict[tuple[object, ...], Traced | None] = {}  # by the shape of the minibatch

    def __call__(self, batch: Tensors) -> tuple[Tensor, Notes] | None:
        """The loss, whose gradient is set, and its notes; None where minibatches of this shape have no graph."""
        columns = list(batch.values())
        shape = tuple((name, column.shape, column.dtype) for name, column in batch.items())
        if shape not in self.graphs and len(self.graphs) < SHAPES:
            self.graphs[shape] = self._traced(list(batch), columns)
        traced = self.graphs.get(shape)
        if traced is None:
            return None
        with torch.no_grad():
            gradient, loss, *noted = traced.graph(*self.tensors, *columns)
        self.flat.whole.grad = gradient
        notes = Notes()
        notes.last = {key: (value, kind) for (key, kind), value in zip(traced.last, noted, strict=False)}
        notes.series = {key: [value] for key, value in zip(traced.series, noted[len(traced.last) :], strict=True)}
        return loss, notes

    def _traced(self, columns: Sequence[str], values: Sequence[Tensor]) -> Traced | None:
        """The graph; None where torch's tracer lacks a kernel, as it does for the gradient of a convolution."""
        noted = Notes()

        def step(tensors: list[Tensor], values: Sequence[Tensor]) -> list[Tensor]:
            for number in self.learned:
                tensors[number] = tensors[number].detach().requires_grad_()
            with self._holding(tensors):
                loss, notes = self.loss(dict(zip(columns, values, strict=True)))
            gradient = self.flat.gradient(loss, [tensors[number] for number in self.learned], self.clip)
            noted.last, noted.series = notes.last, notes.series
            told = [value for value, _ in notes.last.values()] + [torch.cat(each) for each in notes.series.values()]
            return [gradient, loss.detach(), *(value.detach() for value in told)]

        try:
            with _unchecked():
                kernels = make_fx(step)(list(self.tensors), values)
        except RuntimeError as error:
            role = type(self.module.role).__name__
            raise UsageError(
                f"{role} says that its loss is `traceable`, and it is not: where it reads a number of a tensor, or "
                f"takes other steps by one, set `traceable` to False ({str(error).splitlines()[0]})"
            ) from error
        kernels.graph.eliminate_dead_code()
        kernels.recompile()
        count = len(self.tensors)

        def flat(*given: Tensor) -> tuple[Tensor, ...]:
            return tuple(kernels(list(given[:count]), given[count:]))

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's own: its tracer is deprecated
            try:
                graph = torch.jit.trace(flat, (*self.tensors, *values), check_trace=False)
            except RuntimeError:
                return None
        return Traced(graph, [(key, kind) for key, (_, kind) in noted.last.items()], list(noted.series))

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


@contextmanager
def _unchecked() -> Iterator[None]:
    """Without torch's checks of the parameters of distributions, which read numbers."""
    checked = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(checked)
