"""The gradient of a loss as one TorchScript graph.

It runs the kernels that plain torch runs, in the same order and with the same numbers to the last bit, but without
Python between them and without building autograd's graph anew at every step: for small networks that saves a third of
the time.

A graph takes the same steps each time. So a loss may be traced only where nothing but the shape of a minibatch, and
settings that stay the same, decides what it does: numbers that it reads of a tensor, draws at random, and tensors that
it keeps elsewhere would become constants. Where it reads one number torch tells; the rest is found at the second
minibatch of a shape, whose gradient is computed in both ways.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ...core.config import UsageError
from ..trained import Tensors
from .gradient_steps import FlatParameters, Notes
from .module import RoleModule

Tensor = torch.Tensor
Graph = Callable[..., tuple[Tensor, ...]]
SHAPES = 8  # of minibatches for which a graph is kept; to trace one takes a tenth of a second, and 1 to 4 MiB for good
RELATIVE = 1e-4  # by how much of a gradient's largest part the two ways may differ
READS = "_local_scalar_dense"  # the kernel that reads a number of a tensor


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

    The loss must be `traceable` and read no peers, and all tensors must be on the processor. Raises UsageError where it
    turns out that it is not.
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
        self.unchecked: set[tuple[object, ...]] = set()  # shapes of which one minibatch was seen

    def __call__(self, batch: Tensors) -> tuple[Tensor, Notes] | None:
        """The loss, whose gradient is set, and its notes; None where minibatches of this shape have no graph."""
        columns = list(batch.values())
        shape = tuple((name, column.shape, column.stride(), column.dtype) for name, column in batch.items())
        first = shape not in self.graphs
        if first and len(self.graphs) < SHAPES:
            self.graphs[shape] = self._trace(list(batch), columns)
        traced = self.graphs.get(shape)
        if traced is None:
            return None
        gradient, loss, *noted = _run(traced.graph, [*self.tensors, *columns])
        if first:
            self.unchecked.add(shape)
        elif shape in self.unchecked:
            self.unchecked.remove(shape)
            self._check(batch, gradient)
        self.flat.whole.grad = gradient
        notes = Notes()
        notes.last = {key: (value, kind) for (key, kind), value in zip(traced.last, noted, strict=False)}
        notes.series = {key: [value] for key, value in zip(traced.series, noted[len(traced.last) :], strict=True)}
        return loss, notes

    def _trace(self, names: Sequence[str], columns: Sequence[Tensor]) -> Traced | None:
        """The graph; None where the loss has no gradient, and where torch's tracer lacks a kernel.

        It lacks that of the gradient of torch's own convolution.
        """
        noted, unlearned = Notes(), False

        def step(tensors: list[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
            nonlocal unlearned
            for number in self.learned:
                tensors[number] = tensors[number].detach().requires_grad_()
            with self._holding(tensors):
                loss, notes = self.loss(dict(zip(names, columns, strict=True)))
            if loss.grad_fn is None:
                unlearned = True
                return [loss]
            gradient = self.flat.gradient(loss, [tensors[number] for number in self.learned], self.clip)
            noted.last, noted.series = notes.last, notes.series
            told = [value for value, _ in notes.last.values()] + [torch.cat(each) for each in notes.series.values()]
            return [gradient, loss.detach(), *(torch.as_tensor(value).detach() for value in told)]

        try:
            kernels = make_fx(step)(list(self.tensors), columns)
        except RuntimeError as error:
            if READS in str(error):
                raise self._untraceable("reads a number of a tensor") from error
            raise
        if unlearned:
            return None
        kernels.graph.eliminate_dead_code()
        kernels.recompile()
        count = len(self.tensors)

        def positional(*given: Tensor) -> tuple[Tensor, ...]:
            return tuple(kernels(list(given[:count]), given[count:]))

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's own: its tracer is deprecated
            try:
                graph = torch.jit.trace(positional, (*self.tensors, *columns), check_trace=False)
            except (AttributeError, RuntimeError):
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

    def _check(self, batch: Tensors, gradient: Tensor) -> None:
        """Raise UsageError unless plain torch finds this gradient, too."""
        loss, _ = self.loss(batch)
        plain = self.flat.gradient(loss, self.flat.parts, self.clip)
        if not torch.allclose(gradient, plain, rtol=0.0, atol=RELATIVE * float(plain.abs().max()), equal_nan=True):
            raise self._untraceable("takes other steps for other minibatches, draws at random or keeps tensors")

    def _untraceable(self, why: str) -> UsageError:
        role = type(self.module.role).__name__
        return UsageError(f"the loss of {role} {why}, so that it cannot be traced: set its `traceable` to False")


def _run(graph: Graph, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What the graph finds. Raises KeyboardInterrupt where it came while Python ran in a kernel of ours: torch makes a
    RuntimeError of it, and a suite that is to stop would take its run for a failed one and go on."""
    try:
        with torch.no_grad(), torch.jit.optimized_execution(False):  # its optimiser rewrites products, which then round
            return graph(*tensors)
    except RuntimeError as error:
        if KeyboardInterrupt.__name__ in str(error):
            raise KeyboardInterrupt from None
        raise
