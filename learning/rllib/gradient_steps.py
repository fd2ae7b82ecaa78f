"""A gradient step of a module, in few kernels: RLlib's own goes through every parameter by its name, several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class FlatParameters:
    """The parameters of a network side by side in one tensor, of which each is a part from now on.

    The norm of a gradient, a step of Adam and the averaging of a target are then one kernel each, and give the same
    numbers as parameter by parameter.
    """

    def __init__(self, network: nn.Module) -> None:
        self.parts = list(network.parameters())
        joined = torch.cat([part.detach().ravel() for part in self.parts])
        self.whole = nn.Parameter(joined, requires_grad=self.parts[0].requires_grad)
        for part, place in zip(self.parts, joined.split([part.numel() for part in self.parts]), strict=True):
            part.data = place.view_as(part)

    def give(self, gradients: Sequence[torch.Tensor | None], clip: float | None) -> None:
        """Set the gradient from that of each part, scaled so that its norm is at most `clip`."""
        given = [
            part.new_zeros(part.numel()) if gradient is None else gradient.ravel()
            for part, gradient in zip(self.parts, gradients, strict=True)
        ]
        joined = torch.cat(given)
        if clip is not None:
            joined.mul_(clip / (joined.norm() + 1e-6).clamp_(min=clip))
        self.whole.grad = joined

    def average(self, followed: FlatParameters, tau: float) -> None:
        """Move towards other parameters by the share `tau` of the distance."""
        with torch.no_grad():
            self.whole.lerp_(followed.whole, tau)


class Notes:
    """Stands for RLlib's metrics while minibatches are learned from, and keeps what is read of them.

    That is the last value of everything, and all the values of a series.
    """

    def __init__(self) -> None:
        self.last: dict[tuple[str, ...], tuple[Any, dict[str, Any]]] = {}
        self.series: dict[tuple[str, ...], list[torch.Tensor]] = {}

    def log_value(self, key: tuple[str, ...], value: torch.Tensor, reduce: str = "", **kind: object) -> None:
        if reduce == "item_series":
            self.series.setdefault(key, []).append(value)
        else:
            self.last[key] = value, kind

    def log_dict(self, values: dict[str, torch.Tensor], *, key: str | tuple[str, ...], **kind: object) -> None:
        above = (key,) if isinstance(key, str) else key
        for name, value in values.items():
            self.last[(*above, name)] = value, kind

    def tell(self, metrics: Any) -> None:
        """Log what was noted in RLlib's metrics."""
        for key, (value, kind) in self.last.items():
            metrics.log_value(key, value, **kind)
        for key, values in self.series.items():
            metrics.log_value(key, torch.cat(values), reduce="item_series")
