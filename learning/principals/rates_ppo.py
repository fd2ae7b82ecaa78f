"""A principal learns rates by PPO while its agents learn by PPO: two roles of one Algorithm.

The principal is a role of the game: it acts every k steps and is rewarded for the interval up to its next decision. Its
objective is sum_t (welfare_t / alpha - payments_t) over an episode, scaled to one agent's return:
sum_t (welfare_t - alpha payments_t) / N.

What is open in multi-agent PPO with a principal, and what is done here:
- The horizon terminates the principal's episode: its objective is that of an episode, so it does not bootstrap there,
  and its critic sees the clock. Agents bootstrap where their game truncates, as everywhere.
- The principal learns more slowly: from many decisions at a time, each with its whole interval, in its own call of the
  learner; and not at all in the burn-in, while agents do not yet respond: until they do, paying only costs.
- Its agents restart several times, in generations. Agents that cleaned for a wage continue for less: a principal that
  knows no others lowers its rates to a level at which fresh agents would not start.
- The principal offers all agents the same rates by default. An individual rate for something that an agent never does
  costs nothing once agents have found their roles, is never corrected, and misleads fresh agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import gymnasium as gym
import numpy as np
from pydantic import Field

from ...contracts.loop import Situation, Step
from ...contracts.mechanism import Decisions, Mechanism
from ...contracts.rates import RatesContract
from ...core.config import UsageError, configuration
from ...core.search_space import Range, SearchSpace
from ...envs.game import Game
from ..agents.ppo import PPO
from ..exploration import sampled
from ..returns import interval_advantages
from ..role import Task
from ..settings import Count, Network, OnPolicy, Rate, Share
from ..trained import PRINCIPAL, Batch, Col, Columns, Context, Memory, Net, Networks, Rollout, Tensors, Trained, falling

if TYPE_CHECKING:
    import torch

    from .rates import RatesNetwork, RatesPrincipal, RatesShape

WORLD, CLOCK, DUE, CHOSEN, CHOSEN_LOGP, REWARD, ENDED = (
    "world", "clock", "due", "chosen", "chosen_logp", "reward", "ended",
)  # fmt: skip
NOTED = (WORLD, CLOCK, DUE, CHOSEN, CHOSEN_LOGP, REWARD)  # what the principal learns from, in a rollout's extras


@configuration
class RatesPPO(Network, OnPolicy, Trained):
    """A principal that learns rates by PPO while the agents that it pays learn by PPO too."""

    alpha: Rate = 0.1
    """The price of money: the principal maximises the sum of welfare / alpha - payments over an episode."""
    steps: Count = 1_000_000
    """Environment steps of the principal's own training; not part of the budget of the agents trained afterwards."""
    offers: Literal["same", "each"] = "same"
    """same: one rate for each fact, offered to every agent; each: every agent has rates of its own."""
    rungs: Annotated[int, Field(ge=2)] = 11
    """The number of rates to choose from, evenly spaced from 0 to the highest."""
    discount: Share = 1.0
    """Discount factor per step; 1 is allowed, since the horizon terminates the principal's episode."""
    entropy_final: Annotated[float, Field(ge=0.0)] = 0.0
    """Weight of the entropy bonus at the end, linear in between."""
    generations: Count = 2
    """How often the agents restart, after equal parts of the budget: the principal will pay fresh agents."""
    burn_in: Annotated[float, Field(ge=0.0, lt=1.0, alias="wait")] = 0.4
    """The share of each generation in which only the agents learn, to respond to the principal's rates."""
    batch: Count = 128
    """The least number of decisions in an update of the principal: it learns more slowly than the agents."""
    agents: PPO = Field(default_factory=PPO)
    """The settings of its agents; the environments, epochs and minibatches hold for both."""

    keeps: ClassVar[str] = ".principals.rates:RatesPrincipal"
    tuned: ClassVar[SearchSpace] = {
        "wait": Range(0.1, 0.8),
        "entropy": Range(1e-3, 0.1, log=True),
        "lr": Range(1e-4, 1e-2, log=True),
    }
    rllib_loss: ClassVar[str] = "ppo"

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism that offers no rates."""
        if not isinstance(mechanism, RatesContract):
            raise UsageError(
                f"a principal that learns rates needs a contract of rates (got {type(mechanism).__name__})"
            )

    def prepared(self, task: Task) -> Task:
        """The schedule of its settings."""
        return replace(task, phase=task.phase._replace(generations=self.generations, burn_in=self.burn_in))

    def roles(self) -> tuple[Trained, ...]:
        return (self.agents, self)

    def shape(self, task: Task) -> RatesShape:
        """The arguments of its network, as they are stored with a principal."""
        from ..worlds import world_shape

        agents, facts = task.mechanism.promised_shape
        return {
            "shape": world_shape(task.game), "heads": facts if self.offers == "same" else agents * facts,
            "rungs": self.rungs, "encoder": self.encoder, "hidden": self.hidden,
        }  # fmt: skip

    def network(self, task: Task) -> torch.nn.Module:
        from .rates import RatesNetwork

        return RatesNetwork(**self.shape(task))

    def action_space(self, task: Task) -> gym.Space:
        """A rung for each rate."""
        return gym.spaces.MultiDiscrete([self.rungs] * self.shape(task)["heads"])

    def decide(self, net: Net, context: Context, situation: Situation) -> Decisions:
        """Rates sampled from the policy."""
        from ..worlds import world_rows
        from .rates import offered

        contract = contract_of(context)
        chances = net.chances(world_rows(context.game.world(situation.state)))
        chosen = sampled(chances, context.drawn(situation, net.heads))
        return offered(chosen, contract.promised_shape, contract.highest, net.rungs)

    def before(self, net: Net, context: Context) -> Columns:
        """What the principal sees of the state in which agents act, and the rungs that hold."""
        loop, contract = context.loop, contract_of(context)
        rung = contract.highest / (self.rungs - 1)
        return {
            WORLD: loop.game.world(loop.state),
            CLOCK: np.stack([loop.t / loop.game.horizon, contract.left(loop.memory)], axis=-1).astype(np.float32),
            DUE: contract.due(loop.memory, loop.B),
            CHOSEN: np.rint(loop.memory.rates.reshape(loop.B, -1)[:, : net.heads] / rung).astype(np.int64),
        }

    def after(self, net: Net, game: Game, step: Step) -> Columns:
        reward = game.principal_reward(step.transition.events) - self.alpha * step.ledger.payments.sum(axis=1)
        return {REWARD: (reward / len(game.agents)).astype(np.float32)}

    def complete(self, nets: Networks, context: Context, rollout: Rollout) -> Columns:
        """The log probability (T, B) of the rungs, where rates were due."""
        from .rates import chosen_logp

        due, logp = rollout.extras[DUE], np.zeros(rollout.ended.shape, np.float32)
        logp[due] = chosen_logp(nets[PRINCIPAL], rollout.extras[WORLD][due], rollout.extras[CHOSEN][due])
        return {CHOSEN_LOGP: logp}

    def memory(self, task: Task) -> Intervals:
        return Intervals(self, task)

    @property
    def minibatches_and_epochs(self) -> tuple[int, int]:
        return self.agents.minibatches_and_epochs

    def training(self, task: Task) -> dict[str, object]:
        """Its own rates and clipping; all others are its agents'."""
        return {
            **self.agents.training(task), "lr": falling(self.lr, self.lr_final, task.steps), "clip_param": self.clip,
            "entropy_coeff": falling(self.entropy, self.entropy_final, task.steps),
        }  # fmt: skip

    def frozen(self, weights: Mapping[str, Tensors], task: Task) -> RatesPrincipal:
        from .rates import RatesPrincipal

        contract = task.mechanism
        assert isinstance(contract, RatesContract)
        principal = RatesPrincipal(self.shape(task), contract.promised_shape, contract.highest)
        principal.network.load_state_dict(weights[PRINCIPAL])
        return principal


class Intervals(Memory):
    """Gathers decisions with their whole intervals, until there are enough to learn from."""

    role: RatesPPO

    def __init__(self, role: RatesPPO, task: Task) -> None:
        super().__init__(role, task)
        self.gathered: Columns = {}  # (T, B, ...), steps that the principal has yet to learn from

    def add(self, rollouts: Sequence[Rollout], steps: int, nets: Networks) -> Batch | None:
        """A batch as soon as `batch` decisions are there, cut where one interval ends and the next one begins."""
        self._gather(rollouts)
        if not self.gathered:
            return None
        due = self.gathered[DUE]
        before = due.sum(axis=1).cumsum() - due.sum(axis=1)  # decisions before each step
        enough = (before >= self.role.batch) & due[:, 0]
        if not enough.any():
            return None
        cut = int(enough.argmax())
        batch = self._cut(cut, nets[PRINCIPAL])
        self.gathered = {name: column[cut:] for name, column in self.gathered.items()}
        return batch

    def forget(self) -> None:
        self.gathered = {}

    def _gather(self, rollouts: Sequence[Rollout]) -> None:
        """Add rollouts, the runners' environments side by side; the first from where an episode begins."""
        parts = [{**{name: rollout.extras[name] for name in NOTED}, ENDED: rollout.ended} for rollout in rollouts]
        new = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        if self.gathered:
            self.gathered = {name: np.concatenate([self.gathered[name], new[name]]) for name in new}
            return
        begins = (new[CLOCK][..., 0] == 0).any(axis=1)
        if begins.any():
            self.gathered = {name: column[begins.argmax() :] for name, column in new.items()}

    def _cut(self, cut: int, network: RatesNetwork) -> Batch:
        """The first `cut` steps that have gathered as a batch, bootstrapped from the next one."""
        from .rates import evaluated

        kept = {name: column[:cut] for name, column in self.gathered.items()}
        due, values = kept[DUE], np.zeros(kept[DUE].shape, np.float32)
        rows, logits, values[due] = evaluated(network, kept[WORLD][due], kept[CLOCK][due])
        _, _, last = evaluated(network, self.gathered[WORLD][cut], self.gathered[CLOCK][cut])
        advantage = interval_advantages(
            kept[REWARD], values, last, due, kept[ENDED], self.role.discount, self.role.gae_lambda
        )[due]
        columns = {
            Col.OBS: rows, Col.ACTIONS: kept[CHOSEN][due], Col.LOGP: kept[CHOSEN_LOGP][due], Col.LOGITS: logits,
            Col.ADVANTAGES: (advantage - advantage.mean()) / max(1e-4, advantage.std()),
            Col.VALUE_TARGETS: advantage + values[due],
        }  # fmt: skip
        return Batch({PRINCIPAL: columns}, cut * due.shape[1])


def contract_of(context: Context) -> RatesContract:
    """The contract of rates that is played."""
    contract = context.loop.mechanism
    assert isinstance(contract, RatesContract)
    return contract
