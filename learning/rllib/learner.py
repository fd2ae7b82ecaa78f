"""The bases of the RLlib Learners here: several gradient steps in one call, and averaged target networks."""

from __future__ import annotations

from functools import cached_property
from typing import TypedDict

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.rl_module.apis import TargetNetworkAPI

from ...core.random import Stream
from .runner import ORDERS, STREAMS, ModuleBatch

Batch = dict[str, ModuleBatch]  # by module id


class MinibatchPlan(TypedDict):
    """What `learner_config_dict` tells a `MinibatchLearner`."""

    minibatches: int
    epochs: int


class MinibatchLearner(TorchLearner):
    """Cuts the batch of one `update` call into minibatches itself.

    RLlib's own iterator slices and concatenates Python objects for every minibatch, and cycles each module until the
    largest has done its epochs. Here `learner_config_dict` says `minibatches` and `epochs`: the rows of every module
    are cut alike, in tensors, so one call of a few milliseconds of overhead holds many gradient steps. With several
    epochs the rows are shuffled, alike for all modules of a batch of the same length.
    """

    def configure_optimizers_for_module(self, module_id: str, config: AlgorithmConfig) -> None:
        """RLlib's Adam, its step fused into one kernel."""
        parameters = self.get_parameters(self._module[module_id])
        optimizer = torch.optim.Adam(parameters, fused=True)
        self.register_optimizer(
            module_id=module_id, optimizer=optimizer, params=parameters, lr_or_lr_schedule=config.lr
        )

    def _update(self, batch: Batch, **kwargs: object) -> tuple[Batch, ModuleBatch, dict[str, object]]:
        plan: MinibatchPlan = self.config.learner_config_dict
        for _ in range(plan["epochs"]):
            order = self._orders(batch) if plan["epochs"] > 1 else {}
            for part in range(plan["minibatches"]):
                result = super()._update(_part(batch, order, part, plan["minibatches"]), **kwargs)
        return result

    @cached_property
    def orders(self) -> Stream:
        """The stream of this Learner's draws in this phase."""
        phase = self.config.env_config["task"].stream
        return Stream(self.config.seed or 0, ORDERS, phase + len(STREAMS) * self._learner_index)

    def _orders(self, batch: Batch) -> dict[int, torch.Tensor]:
        """A random order of the rows, for each length among the modules."""
        lengths = {len(next(iter(columns.values()))) for columns in batch.values()}
        return {length: torch.from_numpy(self.orders.permutation(length)) for length in sorted(lengths)}


class AveragedTargets(TorchLearner):
    """Target networks follow the online ones by `tau` after every gradient step (Polyak averaging)."""

    def apply_gradients(self, gradients_dict: ModuleBatch) -> None:
        super().apply_gradients(gradients_dict)
        for wrapped in self.module.values():
            module = wrapped.unwrapped()
            if isinstance(module, TargetNetworkAPI):
                for online, target in module.get_target_network_pairs():
                    with torch.no_grad():
                        torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), self.config.tau)

    def after_gradient_based_update(self, *, timesteps: dict[str, int]) -> None:
        """Step the learning rate only; RLlib's DQN learner would copy the targets here."""
        TorchLearner.after_gradient_based_update(self, timesteps=timesteps)


def _part(batch: Batch, orders: dict[int, torch.Tensor], part: int, parts: int) -> Batch:
    minibatch: Batch = {}
    for module_id, columns in batch.items():
        length = len(next(iter(columns.values())))
        cut = slice(part * length // parts, (part + 1) * length // parts)
        if orders:  # whole rows, in less than half the time of `column[chosen]`
            chosen = orders[length][cut]
            minibatch[module_id] = {
                name: column.index_select(0, chosen.to(column.device)) for name, column in columns.items()
            }
        else:
            minibatch[module_id] = {name: column[cut] for name, column in columns.items()}
    return minibatch
