"""The principal that Algorithm 3 learns (Ivanov et al. 2024): it recommends actions and pays agents that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Self

import numpy as np
import torch

from ...contracts.margins import PaymentMargins
from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import UsageError, configure, stored, to_json
from ...envs.game import Game, Symmetry, symmetries
from ..joint_networks import (
    JointShape,
    all_follow,
    beside,
    by_others,
    joint,
    joint_rows,
    none_follows,
    others,
    others_action,
    principal_networks,
)  # fmt: skip
from ..least_payments import least_payments, with_margins
from ..networks import arrays_of, give_arrays
from .remembered import Remembered


def own_actions(networks: torch.nn.ModuleDict, observations: np.ndarray, follows: np.ndarray) -> torch.Tensor:
    """The agents' best actions (B, N) by their own values, where they know who of the others `follows` (B, N)."""
    extra = torch.from_numpy(others(follows).astype(np.float32))
    return joint(networks["agents"], torch.cat([joint_rows(observations), extra], dim=-1)).argmax(dim=-1)


def own_actions_beside(
    networks: torch.nn.ModuleDict, observations: np.ndarray, recommended: np.ndarray, actions: int
) -> torch.Tensor:
    """The best of an agent's `actions`, (B, N), by values of joint actions, while the others do as `recommended`."""
    values = joint(networks["agents"], joint_rows(observations))
    return beside(values, torch.from_numpy(recommended), actions).argmax(dim=-1)


def exploring(
    networks: torch.nn.ModuleDict, observations: np.ndarray, explore: Callable[[torch.Tensor], torch.Tensor],
    margins: PaymentMargins, *, joint_values: bool = False,
) -> Decisions:  # fmt: skip
    """The best recommendations, passed through `explore`, and the least payments for them with the `margins`."""
    rows = joint_rows(observations)
    worth = joint(networks["principal"], rows)
    recommended = explore(worth.argmax(dim=-1))
    if joint_values:
        followers = beside(joint(networks["agents"], rows), recommended, worth.shape[-1])
    else:
        followers = joint(networks["agents"], all_follow(rows))
    least = least_payments(followers, followers, recommended, margins.strict_margin)
    return Decisions(recommended.numpy(), with_margins(least, margins).numpy())


class TrainedPrincipal(Saved):
    """A frozen principal: it recommends argmax_a q(s, a_i), and promises the least payment that makes following best.

    The `margins` change the payment. It is due where the least payment exceeds `threshold` (smaller ones are estimation
    errors); there `margin` is added, so that following is strictly better. `base_pay` is paid for following everywhere.
    With a `proportional_margin`, following is better than each action by that share of the principal's loss from it, by
    the principal's own values. With `dominant` the least payment is the larger of those that suffice while all others
    follow and while none does. `max_payment` bounds the payment to an agent in a step: payments are most wrong in
    states off the recommended path, and without the bound agents are paid again and again to go there and be led back.
    A principal with values of joint actions may be `contingent`: it promises (B, N, A^(N-1)), by what the others do.
    If `mirrored`, all values are means over the game's symmetries.

    Networks are asked once about what is seen again, in double precision, and what they say is rounded to single. Else
    the last digits of a payment, and which of equal actions is recommended, would depend on what is decided together,
    and an audit would not judge the very contract that was played. Its networks must not change once it has decided.
    """

    def __init__(self, shape: JointShape, margins: PaymentMargins | None = None, *, mirrored: bool = False) -> None:
        self.shape, self.margins, self.mirrored = shape, margins or PaymentMargins(), mirrored
        if self.margins.contingent and not shape.get("joint_values"):
            raise UsageError(
                "contingent: this principal has no values of joint actions; leave contingent out, or train one with "
                "joint_values"
            )
        self.networks = principal_networks(**shape)
        self._last: tuple[Game | None, Remembered | None] = None, None  # the game in which it decided last, and what

    def __call__(self, game: Game, state: object) -> Decisions:
        last, decisions = self._last
        if game is not last or decisions is None:
            views = symmetries(game) if self.mirrored else ()
            decisions = Remembered(partial(self._decide, deepcopy(self.networks).double(), views))
            self._last = game, decisions
        return decisions(game.observe(state))

    def _decide(self, networks: torch.nn.ModuleDict, views: Sequence[Symmetry], observations: np.ndarray) -> Decisions:
        rows = joint_rows(observations).double()
        with torch.no_grad():
            worth = joint(networks["principal"], rows, views).float()
            recommended = worth.argmax(dim=-1)
            margins = self.margins.proportional_margin * (worth.amax(dim=-1, keepdim=True) - worth)
            price = self._contingent if self.shape.get("joint_values") else self._least
            least = price(networks["agents"], rows, views, recommended, margins)
        return Decisions(recommended.numpy(), with_margins(least, self.margins).numpy())

    def _least(
        self, agents: torch.nn.Module, rows: torch.Tensor, views: Sequence[Symmetry], recommended: torch.Tensor,
        margins: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """(B, N): least payments, by the agents' values where the others follow, and where they do not."""
        strict = self.margins.strict_margin
        following = joint(agents, all_follow(rows), views).float() + margins
        least = least_payments(following, following, recommended, strict)
        if self.margins.dominant:
            alone = joint(agents, none_follows(rows), views).float() + margins
            least = torch.maximum(least, least_payments(alone, alone, recommended, strict))
        return least

    def _contingent(
        self, agents: torch.nn.Module, rows: torch.Tensor, views: Sequence[Symmetry], recommended: torch.Tensor,
        margins: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Least payments by values of joint actions: (B, N, A^(N-1)) if `contingent`, else (B, N)."""
        A = margins.shape[-1]
        values = by_others(joint(agents, rows, views).float(), A) + margins[:, :, None]
        beside_any = recommended[..., None].expand(values.shape[:3])
        least = least_payments(values, values, beside_any, self.margins.strict_margin)
        if self.margins.contingent:
            return least
        if self.margins.dominant:
            return least.amax(dim=-1)
        return least.gather(2, others_action(recommended, A)[..., None]).squeeze(2)

    def promising(self, **changed: object) -> TrainedPrincipal:
        """The same principal with a `PaymentMargins` of other values."""
        values = {**to_json(self.margins), **stored(PaymentMargins, changed)}
        margins = configure(PaymentMargins, values, what="the principal")
        principal = TrainedPrincipal(self.shape, margins, mirrored=self.mirrored)
        principal.networks = self.networks
        return principal

    def checkpoint(self) -> Checkpoint:
        about = {"shape": self.shape, **to_json(self.margins), "mirrored": self.mirrored}
        return Checkpoint(about, arrays_of(self.networks))

    @classmethod
    def restored(cls, checkpoint: Checkpoint) -> Self:
        promise = {name: value for name, value in checkpoint.about.items() if name not in ("shape", "mirrored")}
        mirrored = checkpoint.about.get("mirrored", False)
        principal = cls(checkpoint.about["shape"], PaymentMargins(**promise), mirrored=mirrored)
        give_arrays(principal.networks, checkpoint.arrays)
        return principal
