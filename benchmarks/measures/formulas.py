"""Metrics of an episode: pure functions of its returns and payments."""

from __future__ import annotations

import numpy as np


def payment_share(welfare: np.ndarray, payment: np.ndarray) -> np.ndarray:
    """`P / W`, the principal's payment as a fraction of the welfare; nan where the welfare is not positive."""
    return np.divide(payment, welfare, out=np.full(np.shape(welfare), np.nan), where=np.asarray(welfare) > 0)


def equality(returns: np.ndarray) -> np.ndarray:
    """`1 - sum_ij |R_i - R_j| / (2 N sum_i R_i)` of returns (..., N); nan where their sum is not positive.

    This is 1 - the Gini coefficient: an even split gives 1, and one agent with everything 1/N.
    """
    total = returns.sum(axis=-1)
    apart = np.abs(returns[..., :, None] - returns[..., None, :]).sum(axis=(-2, -1))
    undefined = np.full(np.shape(total), np.nan)
    return 1.0 - np.divide(apart, 2 * returns.shape[-1] * total, out=undefined, where=np.asarray(total) > 0)


def utility(welfare: float, payment: float, alpha: float, own: float | None = None) -> float:
    """`W / alpha - P`, which the principal of Ivanov et al. 2024 maximises with alpha = 0.1.

    Where the principal has a return of its `own`, in money over the episode, `own - P`.
    """
    return (welfare / alpha if own is None else own) - payment
