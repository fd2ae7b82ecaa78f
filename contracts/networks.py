"""The networks: an encoder of what an agent sees, and heads on it. Plain torch, so that policies act without RLlib.

A row of input is flat: the observation's planes, then whatever stands beside them (terms, who follows).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn


class Encoder(nn.Module):
    """Rows (n, prod(planes) + beside) to features (n, hidden[-1]).

    `encoder` "mlp": every layer is dense; "conv": one convolution, circular as the torus is, then the dense layers.
    """

    FILTERS, KERNEL = 32, 4  # Ivanov et al. 2024, appendix

    def __init__(self, planes: Sequence[int], beside: int, encoder: str, hidden: Sequence[int]) -> None:
        super().__init__()
        self.planes, self.flat = tuple(planes), prod(planes)
        self.convolution: nn.Module | None = None
        width = self.flat
        if encoder == "conv":
            channels, rows, columns = planes
            self.convolution = nn.Sequential(
                nn.Conv2d(channels, self.FILTERS, self.KERNEL, padding="same", padding_mode="circular"), nn.ReLU()
            )
            width = self.FILTERS * rows * columns
        layers: list[nn.Module] = []
        for inputs, outputs in zip((width + beside, *hidden), hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.dense = nn.Sequential(*layers)
        self.width = hidden[-1]

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.convolution is not None:
            seen = self.convolution(rows[:, : self.flat].reshape(-1, *self.planes)).flatten(1)
            rows = torch.cat([seen, rows[:, self.flat :]], dim=1)
        return self.dense(rows)


class QNetwork(nn.Module):
    """Rows (n, D) to action values (n, A); `dueling`: Q = V + A - mean A (Wang et al. 2016)."""

    def __init__(
        self, planes: Sequence[int], beside: int, actions: int, encoder: str, hidden: Sequence[int], dueling: bool
    ) -> None:
        super().__init__()
        self.encoder = Encoder(planes, beside, encoder, hidden)
        self.advantage = nn.Linear(self.encoder.width, actions)
        self.value = nn.Linear(self.encoder.width, 1) if dueling else None

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        features = self.encoder(rows)
        q: torch.Tensor = self.advantage(features)
        if self.value is not None:
            q = self.value(features) + q - q.mean(dim=-1, keepdim=True)
        return q


class ActorCritic(nn.Module):
    """Rows (n, D) to action logits (n, A) and values (n,), with an encoder for each."""

    def __init__(self, planes: Sequence[int], beside: int, actions: int, encoder: str, hidden: Sequence[int]) -> None:
        super().__init__()
        self.policy_encoder = Encoder(planes, beside, encoder, hidden)
        self.value_encoder = Encoder(planes, beside, encoder, hidden)
        self.policy = nn.Linear(self.policy_encoder.width, actions)
        self.value = nn.Linear(self.value_encoder.width, 1)
        nn.init.normal_(self.policy.weight, std=0.01)  # near-uniform at the start (Andrychowicz et al. 2021)
        nn.init.zeros_(self.policy.bias)

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        return self.policy(self.policy_encoder(rows))

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        return self.value(self.value_encoder(rows)).squeeze(-1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.logits(rows)
