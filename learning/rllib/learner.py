"""The Learner of every role: many gradient steps in a call, averaged targets, and RLlib's own losses of PPO and DQN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_NEXT_PREDS, QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, TD_ERROR_KEY

from ...core.random import Stream
from ..role import ORDERS, PHASES
from ..trained import Col, Columns, Peer, Tensors
from .gradient_steps import FlatAdam, FlatParameters, Notes
from .module import RoleModule, Roles, roles_of
from .traced import TracedGradient

Batch = dict[str, Tensors]  # by module
PARTS = "parts"  # the metrics under which the parts of a role's own loss stand


class RoleLearner(PPOTorchLearner):
    """Cuts the batch of one `update` call into minibatches itself.

    RLlib's own iterator slices and concatenates Python objects for every minibatch, and cycles each module until the
    largest has done its epochs. Here the rows of every module are cut alike, in tensors, as its role says, so one call
    of a few milliseconds of overhead holds many gradient steps. With several epochs the rows are shuffled, alike for
    all modules of a batch of the same length. A module's targets follow it after each of its own steps.
    """

    metrics: Any  # RLlib's; `Notes` while minibatches are learned from

    def build(self) -> None:
        self._flat: dict[str, FlatParameters] = {}  # the parameters of every module
        super().build()
        self._averages: dict[str, FlatParameters] = {}
        self._graphs: dict[str, TracedGradient] = {}
        self._differentiated: set[str] = set()  # the modules whose graph has set their gradient in this minibatch
        for name in self.module.keys():  # noqa: SIM118 (it is no dict)
            module = self._own(name)
            module.make_target()
            if module.target is not None:
                learned = {key for key, each in module.net.named_parameters() if each.requires_grad}
                own = (each for key, each in module.target.named_parameters() if key in learned)
                self._averages[name] = FlatParameters(own)
            if self._traceable(name):
                noted = partial(self._noted_loss, name)
                self._graphs[name] = TracedGradient(module, self._flat[name], self._clip(name), noted)
        self._seen: Batch = {}  # the last minibatch of every module
        self._gradient_steps: Counter[str] = Counter()  # gradient steps of every module

    def configure_optimizers_for_module(self, module_id: str, config: AlgorithmConfig) -> None:
        """RLlib's Adam, its step fused into one kernel."""
        learned = (each for each in self._own(module_id).net.parameters() if each.requires_grad)
        self._flat[module_id] = flat = FlatParameters(learned)
        if self._many:
            parameters, optimizer = flat.parts, torch.optim.Adam(flat.parts, fused=True)
        else:
            parameters, optimizer = [flat.whole], FlatAdam(flat)
        self.register_optimizer(
            module_id=module_id, optimizer=optimizer, params=parameters, lr_or_lr_schedule=config.lr
        )

    def learn(self, columns: Mapping[str, Columns], steps: int) -> Notes:
        """RLlib's `update` in this process, for rows (n, ...) of arrays by module, after `steps` environment steps.

        RLlib's own spends a millisecond on iterators, and on metrics that nobody reads. Here what was logged is given
        back.
        """
        self._weights_seq_no += 1  # by which remote runners tell that there are other weights
        batch = {name: {key: self._tensor(array) for key, array in part.items()} for name, part in columns.items()}
        metrics, self.metrics = self.metrics, Notes()
        try:
            self._update(batch)
            self.after_gradient_based_update(timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: steps})
            return self.metrics
        finally:
            self.metrics = metrics

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        """As RLlib makes it: in single precision, on the Learner's device."""
        tensor = torch.from_numpy(array)
        return (tensor.float() if tensor.dtype == torch.float64 else tensor).to(self._device)

    def _uncompiled_update(self, batch: Batch, **kwargs: object) -> tuple[Tensors, Tensors, dict[str, object]]:
        """One gradient step of every module in a minibatch."""
        self._seen |= batch
        if self._many:  # RLlib's own step makes their gradients one
            return super()._uncompiled_update(batch, **kwargs)
        losses = self._losses(batch)
        self._differentiate(losses)
        self._step(losses)
        return {}, losses, {}

    def _losses(self, batch: Batch) -> Tensors:
        self._differentiated = set()
        return {name: self._loss(name, columns) for name, columns in batch.items()}

    def _loss(self, name: str, batch: Tensors) -> torch.Tensor:
        if name in self._graphs and (found := self._graphs[name](batch)) is not None:
            loss, notes = found
            notes.tell(self.metrics)
            self._differentiated.add(name)
            return loss
        return self._plain_loss(name, batch)

    def _plain_loss(self, name: str, batch: Tensors) -> torch.Tensor:
        config = self.config.get_config_for_module(name)
        return self.compute_loss_for_module(module_id=name, config=config, batch=batch, fwd_out={})

    def _noted_loss(self, name: str, batch: Tensors) -> tuple[torch.Tensor, Notes]:
        """The loss of a minibatch, and what is read of what it logs."""
        metrics, notes = self.metrics, Notes()
        self.metrics = notes
        try:
            loss = self._plain_loss(name, batch)
        finally:
            self.metrics = metrics
        if rllib := self._own(name).role.rllib_loss:
            read = {(name, part) for part in RLLIB[rllib][2]}
            notes.last = {key: value for key, value in notes.last.items() if key in read}
        return loss, notes

    def _traceable(self, name: str) -> bool:
        """Whether the loss is known to take the same steps each time: its class says so of it, and no setting moves."""
        role, config, flat = self._own(name).role, self.config.get_config_for_module(name), self._flat[name]
        steady = not isinstance(config.entropy_coeff, list | tuple) and not config.use_kl_loss
        here = not self._many and flat.whole.device.type == "cpu" and bool(flat.parts)
        says = next(kind for kind in type(role).__mro__ if "traceable" in vars(kind))
        of_this = next(kind for kind in type(role).__mro__ if {"loss", "rllib_loss"} & vars(kind).keys())
        return here and steady and role.traceable and not role.sees_peers and issubclass(says, of_this)

    def _clip(self, name: str) -> float | None:
        """The largest norm of the gradient."""
        clip: float | None = self.config.get_config_for_module(name).grad_clip
        return clip

    def _differentiate(self, losses: Tensors) -> None:
        """Set the gradients of each loss by its own module's parameters alone."""
        for name, loss in losses.items():
            if name in self._differentiated:
                continue
            keep = len(losses) > 1 and self._own(name).role.sees_peers  # peers' losses may rest on one computation
            self._flat[name].give(loss, self._clip(name), keep=keep)

    def _step(self, names: Iterable[str]) -> None:
        for name in names:
            self.get_optimizer(name).advance()

    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: Tensors, fwd_out: Tensors
    ) -> torch.Tensor:
        module = self._own(module_id)
        if module.role.rllib_loss:
            forward, of, _ = RLLIB[module.role.rllib_loss]
            return of.compute_loss_for_module(
                self, module_id=module_id, config=config, batch=batch, fwd_out=forward(module, batch)
            )
        others = [name for name in self._roles.modules if name != module_id] if module.role.sees_peers else []
        peers = {name: Peer(self._own(name).net, self._seen.get(name, {})) for name in others}
        total, parts, errors = module.role.loss(module.net, module.target, batch, peers)
        if errors is not None:
            self.metrics.log_value((module_id, TD_ERROR_KEY), errors, reduce="item_series")
        self.metrics.log_dict(dict(parts), key=(module_id, PARTS), window=1)
        return total

    def _update(self, batch: Batch, **kwargs: object) -> tuple[Batch, Tensors, dict[str, object]]:
        minibatches, epochs = self._roles.role_of[next(iter(batch))].minibatches_and_epochs
        metrics, notes = self.metrics, Notes()
        self.metrics = notes
        try:
            for _ in range(epochs):
                order = self._orders(batch) if epochs > 1 else {}
                for part in range(minibatches):
                    result = super()._update(_part(batch, order, part, minibatches), **kwargs)
                    self._average(batch)
        finally:
            self.metrics = metrics
        notes.tell(metrics)
        return result

    def _log_steps_trained_metrics(self, batch: object) -> None:
        """Nothing: RLlib would count the rows of every update in ten ways, which nobody reads."""

    def _average(self, names: Iterable[str]) -> None:
        """Move the targets of some modules, where it is time to."""
        for name in names:
            self._gradient_steps[name] += 1
            config = self.config.get_config_for_module(name)
            if name in self._averages and self._gradient_steps[name] % config.target_network_update_freq == 0:
                self._averages[name].average(self._flat[name], config.tau)

    @property
    def _many(self) -> bool:
        """Whether several Learners share each minibatch."""
        return self.config.num_learners > 1

    def _own(self, module_id: str) -> RoleModule:
        return self.module[module_id].unwrapped()

    @cached_property
    def _roles(self) -> Roles:
        return roles_of(self.config)

    @cached_property
    def _order(self) -> Stream:
        """The stream of this Learner's draws in this phase."""
        phase = self._roles.task.phase.stream
        return Stream(self._roles.task.seed, ORDERS, phase + len(PHASES) * self._learner_index)

    def _orders(self, batch: Batch) -> dict[int, torch.Tensor]:
        """A random order of the rows, for each length among the modules."""
        lengths = {len(next(iter(columns.values()))) for columns in batch.values()}
        return {length: torch.from_numpy(self._order.permutation(length)) for length in sorted(lengths)}


def _forward_dqn(module: RoleModule, batch: Tensors) -> Tensors:
    assert module.target is not None
    with torch.no_grad():  # the loss reads only which action is best next
        after, target = module.net(batch[Col.NEXT_OBS]), module.target(batch[Col.NEXT_OBS])
    return {QF_PREDS: module.net(batch[Col.OBS]), QF_NEXT_PREDS: after, QF_TARGET_NEXT_PREDS: target}


def _forward_ppo(module: RoleModule, batch: Tensors) -> Tensors:
    logits, values = module.net.evaluated(batch[Col.OBS])
    return {Col.LOGITS: logits, "embeddings": values}


RLLIB: dict[str, tuple[Callable[[RoleModule, Tensors], Tensors], type[TorchLearner], tuple[str, ...]]] = {
    # what the loss reads, whose it is, and what of it is recorded
    "dqn": (_forward_dqn, DQNTorchLearner, ("qf_loss", "qf_mean")),
    "ppo": (_forward_ppo, PPOTorchLearner, ("policy_loss", "vf_loss", "entropy")),
}


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
