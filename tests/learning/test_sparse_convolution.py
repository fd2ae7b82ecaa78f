"""A convolution by patches, beside torch's own and beside sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, pad

from paymaster.learning.networks import ObservationEncoder, Shape
from paymaster.learning.sparse_convolution import Kernel, Padded, dense_convolution, fits, small, sparse_convolution

FILTERS = 5
KERNELS: dict[str, tuple[Kernel, int]] = {  # and the channels
    "the Coin Game, 7x7": (Kernel((7, 7), 4, 1, "circular"), 4),
    "the Coin Game, 3x3, where a kernel goes around": (Kernel((3, 3), 4, 1, "circular"), 4),
    "zeros around": (Kernel((4, 6), 4, 1, "zeros"), 3),
    "an odd kernel": (Kernel((5, 4), 3, 1, "circular"), 2),
    "windows, every other place": (Kernel((9, 7), 3, 2, "not"), 6),
}


def planes(kernel: Kernel, channels: int, share: float) -> torch.Tensor:
    """Rows of which about a `share` of the numbers is not zero, and some not one."""
    torch.manual_seed(0)
    shape = (33, channels * kernel.board[0] * kernel.board[1])
    return (torch.rand(shape) < share) * torch.randn(shape).clamp(min=0.5)


def by_torch(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kernel: Kernel) -> torch.Tensor:
    """The same by torch's own padding and convolution."""
    boards = rows.reshape(len(rows), -1, *kernel.board)
    if kernel.padded != "not":
        before, behind = (kernel.size - 1) // 2, kernel.size // 2
        mode = {"circular": "circular", "zeros": "constant"}[kernel.padded]
        boards = pad(boards, (before, behind, before, behind), mode=mode)
    return conv2d(boards, weight, bias, stride=kernel.stride).flatten(1)


def by_sums(row: np.ndarray, weight: np.ndarray, bias: np.ndarray, kernel: Kernel) -> np.ndarray:
    """One row's convolution, written out."""
    filters, channels, size, _ = weight.shape
    (rows, columns), (down, across) = kernel.board, kernel.found
    board, found = row.reshape(channels, rows, columns), np.zeros((filters, down, across))
    before = 0 if kernel.padded == "not" else (size - 1) // 2
    for f, y, x in np.ndindex(found.shape):
        found[f, y, x] = bias[f]
        for c, dy, dx in np.ndindex(channels, size, size):
            above, left = y * kernel.stride + dy - before, x * kernel.stride + dx - before
            if kernel.padded == "circular":
                above, left = above % rows, left % columns
            if 0 <= above < rows and 0 <= left < columns:
                found[f, y, x] += board[c, above, left] * weight[f, c, dy, dx]
    return found.ravel()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15, 1.0])
@pytest.mark.parametrize("name", KERNELS)
def test_values_and_gradients_are_those_of_torch(name: str, share: float) -> None:
    kernel, channels = KERNELS[name]
    rows = planes(kernel, channels, share)
    weight, bias = (
        torch.randn(shape, requires_grad=True) for shape in ((FILTERS, channels, kernel.size, kernel.size), (FILTERS,))
    )
    plain = by_torch(rows, weight, bias, kernel)
    slope = torch.randn_like(plain)
    gradients = torch.autograd.grad(plain, (weight, bias), slope)
    for found in (
        sparse_convolution(rows, weight, bias, kernel, classes=False), dense_convolution(rows, weight, bias, kernel)
    ):  # fmt: skip
        torch.testing.assert_close(found, plain)
        for one, other in zip(torch.autograd.grad(found, (weight, bias), slope), gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_what_comes_out_is_laid_out_alike_whether_rows_are_sparse_or_not() -> None:
    """A graph that was traced with the ones is run with the others."""
    kernel, channels = KERNELS["zeros around"]
    weight, bias = torch.randn(FILTERS, channels, 4, 4, requires_grad=True), torch.zeros(FILTERS)
    strides = set()
    for share in (0.05, 1.0):
        found = sparse_convolution(planes(kernel, channels, share), weight, bias, kernel, classes=False)
        (gradient,) = torch.autograd.grad(found.sum(), weight)
        strides.add((found.stride(), gradient.stride()))
    assert len(strides) == 1


def test_no_rows_give_no_rows() -> None:
    kernel, channels = KERNELS["zeros around"]
    rows, weight = torch.zeros(0, channels * 24), torch.randn(FILTERS, channels, 4, 4)
    assert sparse_convolution(rows, weight, torch.zeros(FILTERS), kernel, classes=False).shape == (0, FILTERS * 24)


@pytest.mark.parametrize("name", KERNELS)
def test_values_are_the_sums_that_define_them(name: str) -> None:
    kernel, channels = KERNELS[name]
    row = planes(kernel, channels, 0.15)[:1]
    weight, bias = torch.randn(FILTERS, channels, kernel.size, kernel.size), torch.randn(FILTERS)
    found = sparse_convolution(row, weight, bias, kernel, classes=False)[0]
    np.testing.assert_allclose(found, by_sums(row[0].numpy(), weight.numpy(), bias.numpy(), kernel), atol=1e-5)


@pytest.mark.parametrize("padded", ["circular", "zeros", "not"])
def test_classes_are_planes_of_0_and_1(padded: Padded) -> None:
    kernel, classes = Kernel((6, 5), 3, 2 if padded == "not" else 1, padded), 7
    torch.manual_seed(0)
    cells = torch.randint(classes, (40, 30))
    planes = torch.nn.functional.one_hot(cells, classes).float().transpose(1, 2).flatten(1)
    weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((FILTERS, classes, 3, 3), (FILTERS,)))
    patches = sparse_convolution(cells.float(), weight, bias, kernel, classes=True)
    found = patches, by_torch(planes, weight, bias, kernel)
    torch.testing.assert_close(*found)
    slope = torch.randn_like(found[0])
    for one, other in zip(*(torch.autograd.grad(each, (weight, bias), slope) for each in found), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("wrong", [-1.0, 7.0, float("nan")])
def test_a_class_that_is_none_is_told(wrong: float) -> None:
    cells = torch.zeros(3, 9)
    cells[1, 4] = wrong
    with pytest.raises(IndexError, match=f"hold {wrong:g}, which is no class: they are 0 to 6"):
        sparse_convolution(cells, torch.randn(2, 7, 3, 3), torch.zeros(2), Kernel((3, 3), 3, 1, "not"), classes=True)


def test_a_small_board_is_one_dense_layer() -> None:
    assert [small(kernel) for kernel, _ in KERNELS.values()] == [False, True, False, False, False]


@pytest.mark.parametrize("shape", [Shape((4, 7, 7), 0), Shape((4, 3, 3), 0), Shape((9, 9), 14)])
@pytest.mark.parametrize("encoder", ["conv", "conv-zeros"])
def test_an_encoder_sees_the_same_by_either_way(shape: Shape, encoder: str) -> None:
    """In double precision, and where rows have a gradient, torch's own convolution sees."""
    torch.manual_seed(0)
    sight = ObservationEncoder(shape, encoder)
    numbers = torch.randint(14, (20, sight.flat)) if shape.classes else torch.rand(20, sight.flat) < 0.03
    rows = torch.cat([numbers.float(), torch.randn(20, 2)], dim=1)
    assert fits(rows, next(sight.parameters()))
    found = sight(rows)
    assert found.shape == (20, sight.width + 2)
    assert not fits(rows.double(), next(sight.parameters()))
    torch.testing.assert_close(sight.double()(rows.double()).float(), found)
