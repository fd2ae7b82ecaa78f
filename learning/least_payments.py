"""The least payment that makes an action a best response, by learned values (Ivanov et al. 2024, Algorithm 3)."""

from __future__ import annotations

import torch

from ..contracts.margins import PaymentMargins


def least_payments(
    q_online: torch.Tensor, q_price: torch.Tensor, actions: torch.Tensor, strict_margin: float = 0.0
) -> torch.Tensor:
    """b_i(s, a_i) = max_a Q((s, 1), a) - Q((s, 1), a_i), at least 0: (n, N).

    The least payment on `actions` that makes them best responses while the others follow, or, by values of joint
    actions, do what the values are of: any more axes stand before the last. The best action is taken from `q_online`,
    both prices from `q_price`, each (n, N, A).
    With a `strict_margin` `actions` are better than every other action by it: it is added to the others' values.
    """
    if strict_margin > 0.0:
        margin = torch.full_like(q_price, strict_margin).scatter(-1, actions.unsqueeze(-1), 0.0)
        q_online, q_price = q_online + margin, q_price + margin
    best = taken(q_price, q_online.argmax(dim=-1))
    return (best - taken(q_price, actions)).clamp(min=0.0)


def with_margins(least: torch.Tensor, margins: PaymentMargins) -> torch.Tensor:
    """What is promised where `least` is the least payment, both (n, N).

    b + [least > threshold] (least + margin), with b the base pay, at most `max_payment`; `least` itself where all of
    them have their defaults. A proportional or dominant payment is a matter of the least payment.
    """
    promised = margins.base_pay + torch.where(least > margins.threshold, least + margins.margin, 0.0)
    return promised.clamp(min=0.0, max=margins.max_payment)


def taken(q: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """The values (n, N, ...) of `actions` (n, N, ...) among `q` (n, N, ..., A)."""
    return q.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
