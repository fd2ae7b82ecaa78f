"""A principal learns rates by PPO while its agents learn by PPO: one Algorithm, with a module for each role.

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

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_LEARNER, COMPONENT_RL_MODULE
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiCategorical
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.evaluation.postprocessing import Postprocessing

from ...contracts.loop import AgentView, Situation, Step
from ...contracts.mechanism import Decisions
from ...contracts.rates import RatesContract
from ..exploration import sampled
from ..principals.rates import EXTRA, RatesNetwork, RatesShape, offered, world_rows
from ..principals.rates_ppo import RatesPPO as RatesSettings
from ..returns import interval_advantages
from .agents_ppo import ArrayPPO, ValuedRunner, ppo_config
from .algorithm import minibatch_batch
from .learner import MinibatchPlan
from .recommending import MODULE
from .runner import ModuleBatch, Rollout

WORLD, CLOCK, DUE, CHOSEN, LOGP, REWARD, ENDED = "world", "clock", "due", "chosen", "chosen_logp", "reward", "ended"
EXTRA_COLUMNS = (WORLD, CLOCK, DUE, CHOSEN, LOGP, REWARD)  # what the principal learns from, in a rollout's extras


class RatesPlan(MinibatchPlan):
    """What `learner_config_dict` tells a `RatesPPO`."""

    network: RatesShape
    alpha: float
    generations: int
    wait: float
    batch: int
    discount: float
    gae_lambda: float


class RatesModule(TorchRLModule, ValueFunctionAPI):
    """The principal's actor and critic over rows of the world and the extra inputs."""

    def setup(self) -> None:
        self.net = RatesNetwork(**self.model_config["network"])

    def compute_values(self, batch: ModuleBatch, embeddings: torch.Tensor | None = None) -> torch.Tensor:
        return self.net.values(batch[Columns.OBS])

    def _forward_train(self, batch: ModuleBatch, **kwargs: object) -> ModuleBatch:
        return {Columns.ACTION_DIST_INPUTS: self.net.logits(batch[Columns.OBS])}

    def get_train_action_dist_cls(self) -> type[TorchMultiCategorical]:
        shape = self.model_config["network"]
        return TorchMultiCategorical.get_partial_dist_cls(input_lens=[shape["rungs"]] * shape["heads"])

    get_exploration_action_dist_cls = get_train_action_dist_cls


class RatesRunner(ValuedRunner):
    """Plays the agents under a principal that draws its rates, and records what the principal learns from."""

    def make_module(self) -> None:
        super().make_module()
        self.plan: RatesPlan = self.config.learner_config_dict

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        shape = self.config.learner_config_dict["network"]
        seen = int(np.prod(shape["shape"][0])) + EXTRA
        actions: gym.Space = gym.spaces.MultiDiscrete([shape["rungs"]] * shape["heads"])
        return {**super().get_spaces(), MODULE: (gym.spaces.Box(-np.inf, np.inf, (seen,), np.float32), actions)}

    def act(self, seen: AgentView) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The agents' actions, and the principal's view of the state in which they act."""
        actions, outputs = super().act(seen)
        loop, contract = self.loop, self._contract
        rung = contract.highest / (self.plan["network"]["rungs"] - 1)
        columns = {
            WORLD: loop.game.world(loop.state),
            CLOCK: np.stack([loop.t / loop.game.horizon, contract.left(loop.memory)], axis=-1).astype(np.float32),
            DUE: contract.due(loop.memory, loop.B),
            CHOSEN: np.rint(loop.memory.rates.reshape(loop.B, -1)[:, : self._network.heads] / rung).astype(np.int64),
        }
        return actions, {**outputs, **columns}

    def extra_columns(self, step: Step) -> dict[str, np.ndarray]:
        value = self.task.game.principal_reward(step.transition.events)
        reward = value - self.plan["alpha"] * step.ledger.payments.sum(axis=1)
        return {REWARD: (reward / len(self.task.game.agents)).astype(np.float32)}

    def _play(self, T: int) -> Rollout:
        rollout = super()._play(T)
        due, chosen = rollout.extras[DUE], rollout.extras[CHOSEN]
        logp = np.zeros(due.shape, np.float32)
        with torch.no_grad():
            chances = self._network.chances(world_rows(rollout.extras[WORLD][due]))
            taken = chances.gather(-1, torch.from_numpy(chosen[due]).unsqueeze(-1))
        logp[due] = taken.sum(dim=(1, 2)).numpy()
        rollout.extras[LOGP] = logp
        return rollout

    def decide(self, situation: Situation) -> Decisions:
        """Rates sampled from the policy."""
        noise = torch.from_numpy(situation.noise(self._network.heads))
        with torch.no_grad():
            logits = self._network.chances(world_rows(self.task.game.world(situation.state)))
        chosen = sampled(logits, noise)
        return offered(chosen, self._contract.promised_shape, self._contract.highest, self._network.rungs)

    @property
    def _network(self) -> RatesNetwork:
        return self.module[MODULE].net

    @property
    def _contract(self) -> RatesContract:
        assert isinstance(self.task.mechanism, RatesContract)
        return self.task.mechanism


class RatesPPO(ArrayPPO):
    """PPO of the agents, and of their principal once it has enough decisions, with their whole intervals."""

    def setup(self, config: AlgorithmConfig) -> None:
        self._gathered: dict[str, np.ndarray] = {}  # (T, B, ...), steps that the principal has yet to learn from
        super().setup(config)
        self.plan: RatesPlan = self.config.learner_config_dict
        self._fresh = {name: self.weights()[name] for name in self.task.players}  # the agents before they learn

    def learn(self, rollouts: list[Rollout]) -> dict[str, float]:
        metrics = super().learn(rollouts)
        generation = self.task.steps / self.plan["generations"]
        played = sum(rollout.ended.size for rollout in rollouts)
        if self.steps // generation > (self.steps - played) // generation and self.steps < self.task.steps:
            self._begin_anew()
        if self.steps % generation <= self.plan["wait"] * generation and self.steps < self.task.steps:
            self._gathered = {}
            return metrics
        self._gather(rollouts)
        if not self._gathered:
            return metrics
        due = self._gathered[DUE]
        before = due.sum(axis=1).cumsum() - due.sum(axis=1)  # decisions before each step
        enough = (before >= self.plan["batch"]) & due[:, 0]  # cut where one interval ends and the next one begins
        if enough.any():
            cut = int(enough.argmax())
            metrics |= self._learn_rates(cut)
            self._gathered = {name: column[cut:] for name, column in self._gathered.items()}
        return metrics

    def _begin_anew(self) -> None:
        """A new generation: the agents return to their initial weights, which the next sync sends to the runners."""
        self.learner_group.set_state({COMPONENT_LEARNER: {COMPONENT_RL_MODULE: self._fresh}})

    def _gather(self, rollouts: list[Rollout]) -> None:
        """Add rollouts, the runners' environments side by side; the first from where an episode begins."""
        parts = [
            {**{name: rollout.extras[name] for name in EXTRA_COLUMNS}, ENDED: rollout.ended} for rollout in rollouts
        ]
        new = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        if self._gathered:
            self._gathered = {name: np.concatenate([self._gathered[name], new[name]]) for name in new}
            return
        begins = (new[CLOCK][..., 0] == 0).any(axis=1)
        if begins.any():
            self._gathered = {name: column[begins.argmax() :] for name, column in new.items()}

    def _learn_rates(self, cut: int) -> dict[str, float]:
        """One update of the principal from the first `cut` steps that have gathered, bootstrapped from the next one."""
        kept = {name: column[:cut] for name, column in self._gathered.items()}
        due, network = kept[DUE], self.env_runner.module[MODULE].net
        rows = _rows(kept[WORLD][due], kept[CLOCK][due])
        values = np.zeros(due.shape, np.float32)
        with torch.no_grad():
            logits = network.logits(rows)
            values[due] = network.values(rows).numpy()
            last = network.values(_rows(self._gathered[WORLD][cut], self._gathered[CLOCK][cut])).numpy()
        advantage = interval_advantages(
            kept[REWARD], values, last, due, kept[ENDED], self.plan["discount"], self.plan["gae_lambda"]
        )[due]
        columns = {
            Columns.OBS: rows.numpy(), Columns.ACTIONS: kept[CHOSEN][due], Columns.ACTION_LOGP: kept[LOGP][due],
            Columns.ACTION_DIST_INPUTS: logits.numpy(),
            Postprocessing.ADVANTAGES: (advantage - advantage.mean()) / max(1e-4, advantage.std()),
            Postprocessing.VALUE_TARGETS: advantage + values[due],
        }  # fmt: skip
        results = self.update(minibatch_batch({MODULE: columns}, cut * due.shape[1]))
        return {
            f"{MODULE}/{key}": float(results[0][MODULE][key].peek()) for key in ("policy_loss", "vf_loss", "entropy")
        }


def _rows(worlds: np.ndarray, extra: np.ndarray) -> torch.Tensor:
    """The critic's rows (n, D + EXTRA)."""
    return torch.cat([world_rows(worlds), torch.from_numpy(extra)], dim=1)


def rates_config(settings: RatesSettings, network: RatesShape) -> PPOConfig:
    """The RLlib configuration of the settings; `configured` adds the task and `with_principal` the module."""
    config = ppo_config(settings.agents)
    agents: MinibatchPlan = config.learner_config_dict
    plan: RatesPlan = {
        **agents, "network": network,
        "alpha": settings.alpha, "generations": settings.generations, "wait": settings.burn_in, "batch": settings.batch,
        "discount": settings.discount, "gae_lambda": settings.gae_lambda,
    }  # fmt: skip
    config.algo_class = RatesPPO
    return config.learners(learner_config_dict=plan)


def with_principal(config: AlgorithmConfig, settings: RatesSettings) -> AlgorithmConfig:
    """`config` with the principal's module next to the agents', and its own learning rates."""
    modules = dict(config._rl_module_spec.rl_module_specs)
    network = config.learner_config_dict["network"]
    modules[MODULE] = RLModuleSpec(module_class=RatesModule, model_config={"network": network})
    own = PPOConfig.overrides(
        lr=[[0, settings.lr], [settings.steps, settings.lr_final]], clip_param=settings.clip,
        entropy_coeff=[[0, settings.entropy], [settings.steps, settings.entropy_final]],
    )  # fmt: skip
    each, agents = settings.steps // settings.generations, settings.agents
    begun = range(0, settings.generations * each, max(1, each))
    lr = [point for t in begun for point in ([t, agents.lr], [t + max(1, each - 1), agents.lr_final])]
    return (
        config.training(lr=lr)
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=modules))
        .multi_agent(policies=tuple(modules), algorithm_config_overrides_per_module={MODULE: own})
    )
