"""The principal that Algorithm 3 learns (Ivanov et al. 2024): it recommends actions and pays agents that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import torch

from ...contracts.margins import PaymentMargins
from ...contracts.mechanism import Decisions
from ...core.checkpoint import Checkpoint, Saved
from ...core.config import configure, stored, to_json
from ...envs.game import Game, symmetries
from ..joint_networks import JointShape, all_follow, joint, joint_rows, none_follows, others, principal_networks
from ..least_payments import least_payments, with_margins
from ..networks import arrays_of, give_arrays


def own_actions(networks: torch.nn.ModuleDict, observations: np.ndarray, follows: np.ndarray) -> torch.Tensor:
    """The agents' best actions (B, N) by their own values, where they know who of the others `follows` (B, N)."""
    extra = torch.from_numpy(others(follows).astype(np.float32))
    return joint(networks["agents"], torch.cat([joint_rows(observations), extra], dim=-1)).argmax(dim=-1)


def exploring(
    networks: torch.nn.ModuleDict,
    observations: np.ndarray,
    explore: Callable[[torch.Tensor], torch.Tensor],
    margins: PaymentMargins,
) -> Decisions:
    """The best recommendations, passed through `explore`, and the least payments for them with the `margins`."""
    rows = joint_rows(observations)
    recommended = explore(joint(networks["principal"], rows).argmax(dim=-1))
    followers = joint(networks["agents"], all_follow(rows))
    least = least_payments(followers, followers, recommended)
    return Decisions(recommended.numpy(), with_margins(least, margins).numpy())


class TrainedPrincipal(Saved):
    """A frozen principal: it recommends argmax_a q(s, a_i), and promises the least payment that makes following best.

    The `margins` change the payment. It is due where the least payment exceeds `threshold` (smaller ones are estimation
    errors); there `margin` is added, so that following is strictly better. `base_pay` is paid for following everywhere.
    With a `proportional_margin`, following is better than each action by that share of the principal's loss from it, by
    the principal's own values. With `dominant` the least payment is the larger of those that suffice while all others
    follow and while none does. `max_payment` bounds the payment to an agent in a step: payments are most wrong in
    states off the recommended path, and without the bound agents are paid again and again to go there and be led back.
    If `mirrored`, all values are means over the game's symmetries.
    """

    def __init__(self, shape: JointShape, margins: PaymentMargins | None = None, *, mirrored: bool = False) -> None:
        self.shape, self.margins, self.mirrored = shape, margins or PaymentMargins(), mirrored
        self.networks = principal_networks(**shape)

    def __call__(self, game: Game, state: object) -> Decisions:
        rows = joint_rows(game.observe(state))
        views = symmetries(game) if self.mirrored else ()
        with torch.no_grad():
            worth = joint(self.networks["principal"], rows, views)
            recommended = worth.argmax(dim=-1)
            margins = self.margins.proportional_margin * (worth.amax(dim=-1, keepdim=True) - worth)
            following = joint(self.networks["agents"], all_follow(rows), views) + margins
            least = least_payments(following, following, recommended)
            if self.margins.dominant:
                alone = joint(self.networks["agents"], none_follows(rows), views) + margins
                least = torch.maximum(least, least_payments(alone, alone, recommended))
        return Decisions(recommended.numpy(), with_margins(least, self.margins).numpy())

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
