"""The money of a step, in four kinds that are kept apart, always.

`payments` come from the principal and are never negative, `taxes` go to it and are never negative either; `transfers`
move between agents, from payer to payee, so they sum to zero by construction; `shaping` changes what an agent wishes
for and moves no money. What taxes bring in pays for nothing: payments are counted as they are made.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np


class Ledger(NamedTuple):
    """The money of one step."""

    payments: np.ndarray  # (B, N) from the principal, >= 0
    transfers: np.ndarray  # (B, N, N) from payer (axis 1) to payee (axis 2), >= 0
    shaping: np.ndarray  # (B, N) moves no money
    taxes: np.ndarray  # (B, N) to the principal, >= 0

    @classmethod
    def zeros(cls, B: int, N: int) -> Self:
        """The ledger of a step in which no money moves."""
        payments, shaping, taxes = np.zeros((3, B, N), np.float32)
        return cls(payments, np.zeros((B, N, N), np.float32), shaping, taxes)

    def received(self) -> np.ndarray:
        """(B, N): each agent's net transfer; sums to zero over the agents."""
        return self.transfers.sum(axis=1) - self.transfers.sum(axis=2)

    def income(self) -> np.ndarray:
        """(B, N): what the mechanism adds to each agent's reward from the environment."""
        return self.payments - self.taxes + self.received() + self.shaping
