"""Gradient steps on parameters that lie side by side, beside torch's own on the same parameters one by one."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys

import pytest
import torch
from torch import nn

from paymaster.core.config import UsageError
from paymaster.learning.rllib.allocator import long_lived
from paymaster.learning.rllib.gradient_steps import FlatAdam, FlatParameters, Notes


class Seen:
    """What was logged, as RLlib's metrics are asked to."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], object] = {}

    def log_value(self, key: tuple[str, ...], value: object, **kind: object) -> None:
        self.values[key] = value, kind


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


@pytest.mark.parametrize("clip", [None, 0.1, 1e6])
def test_steps_and_averages_are_those_of_each_parameter(clip: float | None) -> None:
    torch.manual_seed(0)
    plain = network()
    own, average = copy.deepcopy(plain), copy.deepcopy(plain)
    plain_average = copy.deepcopy(plain)
    flat, followed = FlatParameters(own.parameters()), FlatParameters(average.parameters())
    optimizer, lean = torch.optim.Adam(plain.parameters(), lr=0.1), FlatAdam(flat)
    lean.param_groups[0]["lr"] = 0.1  # as RLlib sets it
    lean.advance()  # where there is no gradient nothing moves
    for _ in range(5):
        rows = torch.randn(11, 5)
        optimizer.zero_grad()
        plain(rows).square().sum().backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(plain.parameters(), clip)
        flat.give(own(rows).square().sum(), clip)
        optimizer.step()
        lean.advance()
        with torch.no_grad():
            for one, other in zip(plain_average.parameters(), plain.parameters(), strict=True):
                one.lerp_(other, 0.3)
        followed.average(flat, 0.3)
    for one, other in ((plain, own), (plain_average, average)):
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_weights_that_are_loaded_are_stepped_from_and_what_is_not_learned_stays() -> None:
    own, other = network(), network()
    own[0].requires_grad_(False)
    flat = FlatParameters(each for each in own.parameters() if each.requires_grad)
    own.load_state_dict(other.state_dict())
    flat.give(own(torch.ones(1, 5)).sum(), None)
    torch.optim.SGD([flat.whole], lr=1.0).step()
    before, after = (list(each.parameters()) for each in (other, own))
    assert all(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    torch.testing.assert_close(after[3], before[3] - 1.0)


def test_a_part_without_a_gradient_has_one_of_zero_and_a_loss_without_one_moves_nothing() -> None:
    own = network()
    flat = FlatParameters(own.parameters())
    flat.give(own[2](torch.ones(1, 7)).sum(), None)
    assert flat.whole.grad is not None
    assert not flat.whole.grad[: 5 * 7 + 7].any()
    assert flat.whole.grad[5 * 7 + 7 :].all()
    flat.give(torch.zeros(()), 1.0)
    assert flat.whole.grad is None
    nothing = FlatParameters([])
    nothing.give(own(torch.ones(1, 5)).sum(), 1.0)
    assert nothing.whole.grad is None


def test_numbers_of_two_types_are_refused() -> None:
    with pytest.raises(UsageError, match="must be of one type of number"):
        FlatParameters([*network().parameters(), *network().double().parameters()])


def test_the_last_value_of_everything_is_noted_and_all_of_a_series() -> None:
    notes, metrics = Notes(), Seen()
    for step in (1.0, 2.0):
        notes.log_value(("agents", "errors"), torch.tensor([step, -step]), reduce="item_series")
        notes.log_dict({"loss": torch.tensor(step)}, key="agents", window=1)
        notes.log_dict({"loss": torch.tensor(10 * step)}, key=("principal", "parts"), window=1)
        notes.log_dict({("all", "age"): torch.tensor(step)}, window=1)  # as RLlib's step for several Learners does
        notes.log_dict({}, window=1)
    notes.tell(metrics)
    series, kind = metrics.values.pop(("agents", "errors"))
    assert series.tolist() == [1.0, -1.0, 2.0, -2.0]
    assert kind == {"reduce": "item_series"}
    assert metrics.values == {
        ("agents", "loss"): (torch.tensor(2.0), {"window": 1}),
        ("principal", "parts", "loss"): (torch.tensor(20.0), {"window": 1}),
        ("all", "age"): (torch.tensor(2.0), {"window": 1}),
    }


TWO_LEARNERS = """
import ray
ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
from paymaster import make, make_mechanism
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.agents.ppo import PPO
from paymaster.learning.phases import train_agents
from paymaster.learning.settings import Resources

game = make("coin_game/ivanov-3x3")
small = {"hidden": (8,), "environments": 8, "rollout_length": 8}
for settings in (DQN(batch=16, warm_up=0, policies="separate", priority=0.4, **small), PPO(**small)):
    with train_agents(
        game, make_mechanism("selfish", game), None, settings, seed=0, steps=512, resources=Resources(learners=2)
    ) as phase:
        print(sorted([*phase][-1].training))
"""


@pytest.mark.slow
def test_two_learners_share_minibatches() -> None:
    """In a process with a cluster of its own, which says that it has cores for them."""
    told = subprocess.run([sys.executable, "-c", TWO_LEARNERS], capture_output=True, text=True, check=False)
    lines = told.stdout.splitlines()
    assert told.returncode == 0, told.stderr
    assert "['blue/qf_loss', 'blue/qf_mean', 'red/qf_loss', 'red/qf_mean']" in lines
    assert "['agents/entropy', 'agents/policy_loss', 'agents/vf_loss']" in lines


def test_what_adam_remembers_is_saved_and_read_again() -> None:
    def stepped(adam: FlatAdam) -> torch.Tensor:
        adam.whole.grad = torch.linspace(-1.0, 1.0, adam.whole.numel())
        adam.advance()
        return adam.whole.detach().clone()

    one, other = (FlatAdam(FlatParameters(network().parameters())) for _ in range(2))
    stepped(one)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    other.whole.data.copy_(one.whole)
    assert torch.equal(stepped(one), stepped(other))


def test_the_search_for_garbage_is_as_it_was_after_a_training() -> None:
    assert gc.get_freeze_count() == 0

    def interrupted() -> None:
        with long_lived():
            with long_lived():
                pass
            assert gc.get_freeze_count() > 0, "of two trainings the outer one goes on"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert gc.get_freeze_count() == 0
