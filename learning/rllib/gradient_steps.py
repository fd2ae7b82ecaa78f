"""A gradient step of a module, in few kernels: RLlib's own goes through every parameter by its name, several times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.adam import adam

from ...core.config import UsageError


class FlatParameters:
    """Parameters of a network side by side in one tensor, of which each is a part from now on.

    The norm of a gradient, a step of Adam and the averaging of a target are then one kernel each, and give the same
    numbers as parameter by parameter. But one without a gradient counts as one with a gradient of zero, so that Adam
    moves it on by what it has left of its momentum.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parts = list(parameters)
        kinds = {part.dtype for part in self.parts}
        if len(kinds) > 1:
            raise UsageError(f"the parameters of a network must be of one type of number (got {len(kinds)} types)")
        flat = [part.detach().ravel() for part in self.parts]
        joined = torch.cat(flat) if flat else torch.zeros(0)
        self.whole = nn.Parameter(joined)
        for part, place in zip(self.parts, joined.split([part.numel() for part in self.parts]), strict=True):
            part.data = place.view_as(part)

    def give(self, loss: torch.Tensor, clip: float | None, *, keep: bool = False) -> None:
        """Set the gradient to that of a loss, scaled so that its norm is at most `clip`; none where the loss has none.

        With `keep` another loss may be differentiated that rests on the same computation.
        """
        if loss.grad_fn is None or not self.parts:
            self.whole.grad = None
            return
        self.whole.grad = self.gradient(loss, self.parts, clip, keep=keep)

    @staticmethod
    def gradient(
        loss: torch.Tensor, parts: Sequence[torch.Tensor], clip: float | None, *, keep: bool = False
    ) -> torch.Tensor:
        """The gradient by `parts`, side by side, scaled so that its norm is at most `clip`."""
        gradients = torch.autograd.grad(loss, parts, retain_graph=keep, allow_unused=True)
        joined = torch.cat([
            part.new_zeros(part.numel()) if gradient is None else gradient.ravel()
            for part, gradient in zip(parts, gradients, strict=True)
        ])  # fmt: skip
        if clip is not None:
            joined.mul_(clip / (joined.norm() + 1e-6).clamp_(min=clip))
        return joined

    def average(self, followed: FlatParameters, tau: float) -> None:
        """Move towards other parameters by the share `tau` of the distance."""
        with torch.no_grad():
            self.whole.lerp_(followed.whole, tau)


class FlatAdam(torch.optim.Adam):
    """torch's Adam for one tensor, as one kernel, whose step does not look again for what there is to do."""

    def __init__(self, flat: FlatParameters) -> None:
        super().__init__([flat.whole], fused=True)
        self.whole = flat.whole
        self.state[self.whole] = {
            "step": torch.zeros((), device=flat.whole.device),
            "exp_avg": torch.zeros_like(flat.whole.data), "exp_avg_sq": torch.zeros_like(flat.whole.data),
        }  # fmt: skip

    def advance(self) -> None:
        """A step by the gradient, as `step` takes it; none where there is no gradient."""
        if self.whole.grad is None:
            return
        group, state = self.param_groups[0], self.state[self.whole]
        with torch.no_grad():
            adam(
                [self.whole], [self.whole.grad], [state["exp_avg"]], [state["exp_avg_sq"]], [], [state["step"]],
                foreach=False, fused=True, amsgrad=False, lr=group["lr"], beta1=group["betas"][0],
                beta2=group["betas"][1], weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
            )  # fmt: skip


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

    def log_dict(self, values: Mapping[Any, torch.Tensor], *, key: str | tuple[str, ...] = (), **kind: object) -> None:
        for name, value in values.items():
            self.last[(*_path(key), *_path(name))] = value, kind

    def told(self) -> dict[tuple[str, ...], Any]:
        """The last value of everything, and all the values of a series as arrays, by their keys."""
        values = {key: [part.detach().cpu().numpy() for part in series] for key, series in self.series.items()}
        return {key: torch.as_tensor(value).detach() for key, (value, _) in self.last.items()} | values

    def tell(self, metrics: Any) -> None:
        """Log what was noted in RLlib's metrics, or in other notes."""
        for key, (value, kind) in self.last.items():
            metrics.log_value(key, value, **kind)
        for key, values in self.series.items():
            metrics.log_value(key, torch.cat(values), reduce="item_series")


def _path(name: str | tuple[str, ...]) -> tuple[str, ...]:
    return (name,) if isinstance(name, str) else name
