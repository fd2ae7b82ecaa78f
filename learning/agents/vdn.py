"""`vdn`: a team of agents that learn one value by deep Q-learning, the sum of their own (Sunehag et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, configuration
from ...envs.game import Game
from ..role import Task
from ..trained import Col, Losses, Net, Peer, Tensors
from .dqn import DQN

if TYPE_CHECKING:
    import torch

    from .policy import Policy

TEAM = "team"


@configuration
class VDN(DQN):
    """Agents that want the same, by value decomposition: they learn `Q(s, a) = sum_i Q_i(o_i, a_i)` by one error.

    With r what they all earn in a step, the target of a step is `r + discount sum_i max_a Q_i'(o_i', a)`. Each agent
    acts by its own part, so the agents that are kept are those of `dqn`. They are a team by definition, and so play
    under mechanisms alone in which all earn the same: `joint` and `joint-advice`.

    Value-decomposition networks, Sunehag et al. 2018 (arXiv:1706.05296); double, dueling and n-step as in `dqn`.
    """

    rllib_loss: ClassVar[str] = ""
    continues: ClassVar[bool] = False

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism under which agents do not all earn the same."""
        if not mechanism.common_reward:
            raise UsageError(
                f"vdn trains a team whose agents all earn the same (got the mechanism {type(mechanism).__name__}): "
                "choose joint, joint-advice, or another algorithm"
            )

    def modules(self, game: Game) -> dict[str, tuple[int, ...]]:
        """One module of all agents, whose networks are one or one each."""
        return {TEAM: tuple(range(len(game.agents)))}

    def network(self, task: Task) -> torch.nn.Module:
        from ..networks import TeamNetwork

        each = [super(VDN, self).network(task) for _ in super().modules(task.game)]
        return TeamNetwork(each, len(task.game.agents))

    def training(self, task: Task) -> dict[str, object]:
        return super(DQN, self).training(task)

    def loss(self, net: Net, target: Net | None, batch: Tensors, peers: Mapping[str, Peer]) -> Losses:
        """The error of the sum of the agents' values at rows (n * N, ...), each step's side by side."""
        import torch

        assert target is not None
        N = net.players
        taken = net(batch[Col.OBS]).gather(1, batch[Col.ACTIONS].unsqueeze(1)).reshape(-1, N)
        with torch.no_grad():
            following = target(batch[Col.NEXT_OBS])
            best = net(batch[Col.NEXT_OBS]) if self.double else following
            ahead = following.gather(1, best.argmax(dim=1, keepdim=True)).reshape(-1, N).sum(dim=1)
            earned, over, steps = (
                batch[name].reshape(-1, N)[:, 0] for name in (Col.REWARDS, Col.TERMINATEDS, "n_step")
            )
            wanted = earned + (1.0 - over.float()) * self.discount**steps * ahead
        errors = taken.sum(dim=1) - wanted
        total = torch.nn.functional.huber_loss(taken.sum(dim=1), wanted)
        return Losses(total, {"team_loss": total}, errors.detach())

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> Policy:
        modules = super().modules(task.game)
        parts: dict[str, Tensors] = {name: {} for name in modules}
        for key, tensor in weights[TEAM].items():
            _, place, rest = key.split(".", 2)
            parts[list(parts)[int(place)]][rest] = tensor
        return self.policy(modules, parts, task)
