"""The loss of deep Q-learning, beside RLlib's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.dqn_learner import QF_NEXT_PREDS, QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.torch.dqn_torch_learner import DQNTorchLearner

from paymaster.learning.losses.q_learning import Transitions, q_loss
from paymaster.learning.networks import QNetwork, Shape

ROWS, ACTIONS, DISCOUNT = 32, 4, 0.9


class Logged:
    """RLlib's metrics, as its loss logs to them."""

    def __init__(self) -> None:
        self.errors: Any = None

    def log_value(self, key: object, value: torch.Tensor, **kind: object) -> None:
        self.errors = value

    def log_dict(self, values: object, **kind: object) -> None:
        pass


def network() -> QNetwork:
    return QNetwork(Shape((2, 3, 3), 0), 0, ACTIONS, "mlp", (16,), dueling=True)


@pytest.mark.parametrize("double", [True, False])
def test_the_loss_its_gradient_and_its_errors_are_those_of_rllib(double: bool) -> None:
    torch.manual_seed(0)
    net, target = network(), network()
    rows, after, rewards = torch.randn(ROWS, 18), torch.randn(ROWS, 18), 3 * torch.randn(ROWS)
    actions, terminated = torch.randint(ACTIONS, (ROWS,)), (torch.rand(ROWS) < 0.3).float()
    steps = torch.randint(1, 5, (ROWS,)).float()

    metrics, config = Logged(), DQNConfig().training(double_q=double, num_atoms=1, gamma=DISCOUNT)
    config.td_error_loss_fn = "huber"
    theirs = DQNTorchLearner.compute_loss_for_module(
        SimpleNamespace(metrics=metrics, config=config),  # type: ignore[arg-type]
        module_id="agents", config=config,
        batch={
            "actions": actions, "rewards": rewards, "terminateds": terminated, "weights": torch.ones(ROWS),
            "n_step": steps,
        },
        fwd_out={QF_PREDS: net(rows), QF_NEXT_PREDS: net(after), QF_TARGET_NEXT_PREDS: target(after)},
    )  # fmt: skip
    discounts = DISCOUNT**steps * (1 - terminated)
    ours = q_loss(net, target, Transitions(rows, actions, rewards, after, discounts), double=double)

    torch.testing.assert_close(ours.mean, theirs)
    torch.testing.assert_close(ours.errors, metrics.errors)
    own = list(net.parameters())
    for mine, other in zip(torch.autograd.grad(ours.mean, own), torch.autograd.grad(theirs, own), strict=True):
        torch.testing.assert_close(mine, other)


def test_values_of_both_heads_are_the_states_and_the_advantages_without_their_mean() -> None:
    net, rows = network(), torch.randn(5, 18)
    features = net.encoder(rows)
    advantages = net.advantage(features)
    assert net.value is not None
    by_hand = net.value(features) + advantages - advantages.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(net(rows), by_hand)


def test_without_dueling_values_are_the_one_head() -> None:
    net, rows = QNetwork(Shape((2, 3, 3), 0), 0, ACTIONS, "mlp", (16,), dueling=False), torch.randn(5, 18)
    torch.testing.assert_close(net(rows), net.advantage(net.encoder(rows)))
