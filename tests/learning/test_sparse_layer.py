"""A layer over rows that are mostly zero, beside the product of matrices that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from paymaster.learning import sparse_layer
from paymaster.learning.sparse_layer import INPUTS, ROWS, sparse_linear

OUT = 24


def board(rows: int, inputs: int, share: float) -> torch.Tensor:
    """Rows of which about a `share` of the numbers is not zero, and some not one."""
    torch.manual_seed(0)
    return (torch.rand(rows, inputs) < share) * torch.randn(rows, inputs).clamp(min=0.5)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.15, 1.0])
def test_values_and_gradients_are_those_of_the_product(share: float) -> None:
    rows = board(ROWS + 5, INPUTS + 3, share)
    weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((OUT, INPUTS + 3), (OUT,)))
    slope = torch.randn(ROWS + 5, OUT)
    found = [function(rows, weight, bias) for function in (sparse_linear, linear)]
    torch.testing.assert_close(*found)
    for one, other in zip(
        *(torch.autograd.grad(value, (weight, bias), slope) for value in found), strict=True
    ):  # fmt: skip
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_rows_and_weights_may_be_parts_of_others() -> None:
    rows = board(2 * ROWS, 2 * INPUTS, 0.05)[::2, INPUTS:]
    weight, bias = torch.randn(INPUTS, OUT).t(), torch.randn(2 * OUT)[::2]
    torch.testing.assert_close(sparse_linear(rows, weight, bias), linear(rows, weight, bias))


@pytest.mark.parametrize("case", ["few rows", "few inputs", "doubles", "rows with a gradient"])
def test_elsewhere_it_is_the_product_itself(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_layer, "_SparseLinear", None)
    rows = board(ROWS - (case == "few rows"), INPUTS - (case == "few inputs"), 0.05)
    weight, bias = torch.randn(OUT, rows.shape[1]), torch.randn(OUT)
    if case == "doubles":
        rows, weight, bias = rows.double(), weight.double(), bias.double()
    rows.requires_grad_(case == "rows with a gradient")
    assert torch.equal(sparse_linear(rows, weight, bias), linear(rows, weight, bias))


def test_one_row_alone_is_a_product() -> None:
    row, weight, bias = board(1, INPUTS, 0.1)[0], torch.randn(OUT, INPUTS), torch.randn(OUT)
    assert torch.equal(sparse_linear(row, weight, bias), linear(row, weight, bias))


def test_what_comes_out_is_laid_out_alike_whether_rows_are_sparse_or_not() -> None:
    """A graph that was traced with the ones is run with the others: of terms, few or many may be zero."""
    weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((OUT, INPUTS), (OUT,)))
    strides = set()
    for share in (0.05, 1.0):
        found = sparse_linear(board(ROWS, INPUTS, share), weight, bias)
        gradients = torch.autograd.grad(found.sum(), (weight, bias))
        strides.add((found.stride(), *(each.stride() for each in gradients)))
    assert len(strides) == 1
