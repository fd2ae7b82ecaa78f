"""A convolution over boards of which most numbers are zero, or of classes: it adds a patch for each piece on a board.

The planes of a 7x7 Coin Game hold four numbers that are not zero among 196, and a window on a map holds one class in
each cell, which as planes of 0 and 1 would be one number among 14. On a board of a few cells a kernel reads all of them
for each, and the convolution is one dense layer. Values round otherwise than those of torch's own convolution, whose
gradient, unlike these, no graph can hold.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any, Literal, NamedTuple, Self

import numba
import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, linear, pad
from torch.nn.grad import conv2d_weight

from .sparse_layer import OPERATORS, SPARSE, share_of

SMALL = 16  # cells

Padded = Literal["circular", "zeros", "not"]


class Kernel(NamedTuple):
    """A kernel of `size` rows and columns that moves over a board by `stride`.

    Padded, an even kernel has one row and column less of the padding before the board than behind it.
    """

    board: tuple[int, int]  # rows, columns
    size: int
    stride: int
    padded: Padded

    @property
    def before(self) -> int:
        """How many rows and columns of padding stand before the board."""
        return 0 if self.padded == "not" else (self.size - 1) // 2

    @property
    def found(self) -> tuple[int, int]:
        """Rows and columns of what is found."""
        rows, columns = self.board
        if self.padded != "not":
            return rows, columns
        return (rows - self.size) // self.stride + 1, (columns - self.size) // self.stride + 1

    def around(self, rows: torch.Tensor, channels: int) -> torch.Tensor:
        """Rows as planes (n, channels, rows, columns), padded."""
        planes = rows.unflatten(1, (channels, *self.board))
        if self.padded == "not":
            return planes
        edges = (self.before, self.size - 1 - self.before) * 2
        return pad(planes, edges, mode="circular" if self.padded == "circular" else "constant")

    @property
    def arguments(self) -> tuple[list[int], str]:
        """How an operator is told of it."""
        return [*self.board, self.size, self.stride], self.padded

    @classmethod
    def of(cls, numbers: list[int], padded: Padded) -> Self:
        """The kernel of such arguments."""
        rows, columns, size, stride = numbers
        return cls((rows, columns), size, stride, padded)


@cache
def places(kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """(M, 2) int64: for each cell of the board in turn, the places in the kernel that read it, each with the cell that
    is found there; and (cells + 1,), where those of each cell begin.
    """
    (rows, columns), (down, across), size, before = kernel.board, kernel.found, kernel.size, kernel.before
    y, x, dy, dx = np.indices((down, across, size, size)).reshape(4, -1)
    row, column = y * kernel.stride + dy - before, x * kernel.stride + dx - before
    if kernel.padded == "circular":
        row, column = row % rows, column % columns
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    cells = (row * columns + column)[inside]
    pairs = np.stack([dy * size + dx, y * across + x], axis=1)[inside]
    starts = np.searchsorted(np.sort(cells), np.arange(rows * columns + 1))
    return pairs[np.argsort(cells, kind="stable")], starts


@cache
def spread(kernel: Kernel) -> torch.Tensor:
    """(size * size, M * cells) float32: how often each place of a kernel reads a cell for one of the M found."""
    pairs, starts = places(kernel)
    cells = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    counts = np.zeros((kernel.size**2, prod(kernel.found), len(starts) - 1), np.float32)
    np.add.at(counts, (pairs[:, 0], pairs[:, 1], cells), 1.0)
    return torch.from_numpy(counts).flatten(1)


def small(kernel: Kernel) -> bool:
    """Whether a board is so small that `dense_convolution` is faster."""
    return prod(kernel.board) <= SMALL


def dense_convolution(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """What `sparse_convolution` finds of planes, as one dense layer, whose weights are those of the kernel, spread.

    On a 3x3 board that takes half the time: its kernel reads every cell for almost every other.
    """
    (filters, channels, _, _), found = weight.shape, prod(kernel.found)
    each = weight.reshape(filters * channels, -1) @ spread(kernel).to(weight)
    layer = each.reshape(filters, channels, found, -1).transpose(1, 2)  # (filters, M, channels, cells)
    return linear(rows, layer.reshape(filters * found, -1), bias.repeat_interleave(found))


def fits(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether `sparse_convolution` is for these: on the processor, in single precision, rows without a gradient."""
    return not rows.requires_grad and all(
        each.dtype == torch.float32 and each.device.type == "cpu" for each in (rows, weight)
    )


def sparse_convolution(
    rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kernel: Kernel, *, classes: bool
) -> torch.Tensor:
    """The convolution (n, filters * M) of rows, by weights (filters, channels, size, size), to M cells.

    Rows are planes (n, channels * cells), or with `classes` the channel of each cell (n, cells). Raises IndexError for
    a class that is none.
    """
    found: torch.Tensor = _SparseConvolution.apply(rows, weight, bias, kernel, classes)
    return found


class _SparseConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kernel: Kernel, classes: bool
    ) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.kernel, ctx.classes, ctx.shape = kernel, classes, weight.shape
        found: torch.Tensor = torch.ops.paymaster.sparse_convolution(rows, weight, bias, *kernel.arguments, classes)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor, None, None]:
        (rows,), (slope,) = ctx.saved_tensors, slopes
        gradient = torch.ops.paymaster.sparse_convolution_gradient(
            slope, rows, ctx.shape, *ctx.kernel.arguments, ctx.classes
        )
        return None, gradient, slope.unflatten(1, (ctx.shape[0], -1)).sum((0, 2)), None, None


def _convolution(
    rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, numbers: list[int], padded: Padded, classes: bool
) -> torch.Tensor:
    (filters, channels, _, _), kernel, given = weight.shape, Kernel.of(numbers, padded), rows.contiguous().numpy()
    if not classes and share_of(given) > SPARSE:
        return conv2d(kernel.around(rows, channels), weight, bias, kernel.stride).flatten(1).clone()
    found = rows.new_empty(len(rows), filters * prod(kernel.found))
    by_place = weight.flatten(2).permute(1, 2, 0).contiguous().numpy()  # (channels, places, filters)
    if not _add_patches(given, classes, *places(kernel), by_place, bias.contiguous().numpy(), found.numpy()):
        wrong = given[~((given >= 0) & (given < channels))][0]
        raise IndexError(f"observations hold {wrong:g}, which is no class: they are 0 to {channels - 1}")
    return found


def _gradient(
    slope: torch.Tensor, rows: torch.Tensor, shape: list[int], numbers: list[int], padded: Padded, classes: bool
) -> torch.Tensor:
    (filters, channels, height, width), kernel = shape, Kernel.of(numbers, padded)
    given = rows.contiguous().numpy()
    if not classes and share_of(given) > SPARSE:
        slopes = slope.unflatten(1, (filters, *kernel.found)).contiguous()
        return conv2d_weight(kernel.around(rows, channels), shape, slopes, kernel.stride)
    found = slope.new_zeros(channels, height * width, filters)
    _add_slopes(given, classes, *places(kernel), slope.contiguous().numpy(), found.numpy())
    return (
        found.permute(2, 0, 1).reshape(shape).contiguous()
    )  # alike whatever is in the rows, as graphs take for granted


OPERATORS.define(
    "sparse_convolution(Tensor rows, Tensor weight, Tensor bias, int[] numbers, str padded, bool classes) -> Tensor"
)
OPERATORS.define(
    "sparse_convolution_gradient"
    "(Tensor slope, Tensor rows, int[] shape, int[] numbers, str padded, bool classes) -> Tensor"
)
OPERATORS.impl("sparse_convolution", _convolution, "CPU")
OPERATORS.impl("sparse_convolution_gradient", _gradient, "CPU")


@numba.njit(cache=True)
def _add_patches(
    rows: np.ndarray, classes: bool, pairs: np.ndarray, starts: np.ndarray, weight: np.ndarray, bias: np.ndarray,
    found: np.ndarray,
) -> bool:  # fmt: skip
    """`found` (n, filters * M) by `weight` (channels, size, filters); False where a class is none."""
    channels, _, filters = weight.shape
    cells, count = len(starts) - 1, found.shape[1] // filters
    sums = np.empty((count, filters), np.float32)
    for n in range(len(rows)):
        sums[:] = bias
        for at in range(rows.shape[1]):
            value = rows[n, at]
            if classes:
                if not (value >= 0.0 and value < channels):
                    return False
                channel, cell, value = int(value), at, np.float32(1.0)
            elif value != 0.0:
                channel, cell = at // cells, at % cells
            else:
                continue
            for m in range(starts[cell], starts[cell + 1]):
                patch, into = weight[channel, pairs[m, 0]], sums[pairs[m, 1]]
                for f in range(filters):
                    into[f] += value * patch[f]
        for f in range(filters):
            for place in range(count):
                found[n, f * count + place] = sums[place, f]
    return True


@numba.njit(cache=True)
def _add_slopes(
    rows: np.ndarray, classes: bool, pairs: np.ndarray, starts: np.ndarray, slope: np.ndarray, found: np.ndarray
) -> None:
    """`found` (channels, size, filters) += the gradient by the weight, for the `slope` (n, filters * M)."""
    filters = found.shape[2]
    cells, count = len(starts) - 1, slope.shape[1] // filters
    slopes = np.empty((count, filters), np.float32)
    for n in range(len(rows)):
        for f in range(filters):
            for place in range(count):
                slopes[place, f] = slope[n, f * count + place]
        for at in range(rows.shape[1]):
            value = rows[n, at]
            if classes:
                channel, cell, value = int(value), at, np.float32(1.0)
            elif value != 0.0:
                channel, cell = at // cells, at % cells
            else:
                continue
            for m in range(starts[cell], starts[cell + 1]):
                into, given = found[channel, pairs[m, 0]], slopes[pairs[m, 1]]
                for f in range(filters):
                    into[f] += value * given[f]
