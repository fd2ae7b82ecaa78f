"""A dense layer over rows of which most numbers are zero, as a board's planes are: it reads only the others.

On a 7x7 Coin Game, 196 numbers of which four are not zero, that takes a third of the time of a product of matrices, and
this first layer is most of a network. Values round otherwise than the product's, and a weight that is not a number is
not read where a row is zero.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

ROWS, INPUTS = 128, 64  # as few rows, or inputs, are faster by a product
SPARSE = 0.2  # the largest share of numbers that are not zero with which it pays
LOOKED_AT = 8  # rows, evenly spaced, in which the share is measured


def sparse_linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """`torch.nn.functional.linear` of rows (n, D) without a gradient of their own, by the numbers that are not zero.

    It is the product itself on a GPU, for few rows or inputs, and where the rows are not sparse.
    """
    if not _fit(rows, weight) or rows.shape[0] < ROWS or rows.shape[1] < INPUTS or rows.requires_grad:
        return linear(rows, weight, bias)
    return _SparseLinear.apply(rows, weight, bias)


def _fit(*tensors: torch.Tensor) -> bool:
    return all(each.dtype == torch.float32 and each.device.type == "cpu" and each.ndim == 2 for each in tensors)


class _SparseLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(rows)
        found: torch.Tensor = torch.ops.paymaster.sparse_linear(rows, weight, bias)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[None, torch.Tensor, torch.Tensor]:
        (rows,), (slope,) = ctx.saved_tensors, slopes
        return None, torch.ops.paymaster.sparse_gradient(slope, rows), slope.sum(0)


def _linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    given = rows.contiguous().numpy()
    if share_of(given) > SPARSE:
        return torch.addmm(bias, rows, weight.t())
    found = rows.new_empty(rows.shape[0], weight.shape[0])
    _add_columns(given, weight.t().contiguous().numpy(), bias.contiguous().numpy(), found.numpy())
    return found


def _gradient(slope: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(out, D): the gradient by the weight, laid out alike whatever is in the rows, as graphs take for granted."""
    given = rows.contiguous().numpy()
    if share_of(given) > SPARSE:
        return torch.mm(rows.t(), slope).t()
    found = slope.new_zeros(rows.shape[1], slope.shape[1])
    _add_rows(given, slope.contiguous().numpy(), found.numpy())
    return found.t()


OPERATORS = torch.library.Library("paymaster", "FRAGMENT")  # so that graphs can hold them
OPERATORS.define("sparse_linear(Tensor rows, Tensor weight, Tensor bias) -> Tensor")
OPERATORS.define("sparse_gradient(Tensor slope, Tensor rows) -> Tensor")
OPERATORS.impl("sparse_linear", _linear, "CPU")
OPERATORS.impl("sparse_gradient", _gradient, "CPU")


@numba.njit(cache=True)
def share_of(rows: np.ndarray) -> float:
    """The share of numbers that are not zero, in some of the rows."""
    count = 0
    if not len(rows):
        return 0.0
    for n in range(LOOKED_AT):
        for value in rows[n * len(rows) // LOOKED_AT]:
            count += value != 0.0
    return count / (LOOKED_AT * rows.shape[1])


@numba.njit(cache=True)
def _places(row: np.ndarray, places: np.ndarray) -> int:
    """How many numbers of `row` (D,) are not zero; the first of `places` (D + 1,) then say where they are."""
    count = 0
    for place in range(len(row)):  # without a branch, which would be mispredicted at most of them
        places[count] = place
        count += row[place] != 0.0
    return count


@numba.njit(cache=True)
def _add_columns(rows: np.ndarray, weight: np.ndarray, bias: np.ndarray, found: np.ndarray) -> None:
    """`found` (n, out) = rows (n, D) @ weight (D, out) + bias."""
    places = np.empty(rows.shape[1] + 1, np.int64)
    for n in range(len(rows)):
        row, sums = rows[n], found[n]
        sums[:] = bias
        for k in range(_places(row, places)):
            value, column = row[places[k]], weight[places[k]]
            for j in range(len(sums)):
                sums[j] += value * column[j]


@numba.njit(cache=True)
def _add_rows(rows: np.ndarray, slope: np.ndarray, found: np.ndarray) -> None:
    """`found` (D, out) += rows.T (D, n) @ slope (n, out)."""
    places = np.empty(rows.shape[1] + 1, np.int64)
    for n in range(len(rows)):
        row, given = rows[n], slope[n]
        for k in range(_places(row, places)):
            value, sums = row[places[k]], found[places[k]]
            for j in range(len(sums)):
                sums[j] += value * given[j]
