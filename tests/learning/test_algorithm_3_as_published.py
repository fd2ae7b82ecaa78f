"""What Algorithm 3 is as published, beside what it is by default, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from paymaster import make, make_mechanism
from paymaster.contracts.margins import PaymentMargins
from paymaster.core.random import episode_keys
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.joint_networks import all_follow, joint, joint_rows, principal_networks
from paymaster.learning.losses import algorithm_3
from paymaster.learning.losses.algorithm_3 import Transitions, Values, losses, values_at
from paymaster.learning.networks import ObservationEncoder, Shape
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.algorithm_3 import Algorithm3
from paymaster.learning.principals.recommending import TrainedPrincipal
from paymaster.learning.rllib.training import configuration_of
from paymaster.learning.role import VALIDATE, Task

SMALL: dict[str, Any] = {"hidden": (16,), "environments": 8, "fragment": 1, "batch": 16, "warm_up": 0, "replay": 1000}
PUBLISHED: dict[str, Any] = {"encoder": "conv", "hidden": (64, 64), "dueling": False}


def q(*rows: list[float]) -> torch.Tensor:
    """Values (1, N, A) of one transition."""
    return torch.tensor([list(rows)], dtype=torch.float32)


VALUES = Values(
    agents_t=q([1.0, 0.0], [0.0, 2.0]),
    agents_tp1=q([0.0, 5.0], [1.0, 0.0]),
    agents_tp1_target=q([9.0, 2.0], [3.0, 8.0]),
    followers_t=q([0.0, 1.0], [0.0, 1.0]),
    followers_t_target=q([2.0, 1.5], [0.5, 1.0]),
    principal_t=q([0.0, 4.0], [0.0, 2.0]),  # of (1, 1): 6
    principal_tp1=q([1.0, 0.0], [1.0, 0.0]),
    principal_tp1_target=q([3.0, 9.0], [2.0, 7.0]),
)
BATCH = Transitions(torch.tensor([[1, 1]]), torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([0.0]))


def test_targets_are_the_maximum_of_the_target_networks() -> None:
    found = losses(VALUES, BATCH, discount=0.5, alpha=0.1, double=False)
    # y_a = (1 + .5 * 9, 0 + .5 * 8) = (5.5, 4) against (0, 2): errors 5.5 and 2, Huber 5 and 1.5
    assert found.agents.item() == pytest.approx((5 + 1.5) / 2)
    # nothing is paid; y_p = 1 + .5 * (9 + 7) = 9 against 6
    assert found.principal.item() == pytest.approx(2.5)
    assert found.errors.tolist() == pytest.approx([(5.5 + 2) / 2 + 3])


@pytest.mark.parametrize(
    ("payments_by", "online", "strict_margin", "paid"),
    [
        ("double", [0.0, 1.0], 0.0, 0.0),  # online action 1 is best
        ("online", [0.0, 1.0], 0.0, 0.0),
        ("target", [0.0, 1.0], 0.0, 0.5),  # 2 - 1.5
        ("double", [4.0, 1.0], 0.0, 0.5),
        ("online", [4.0, 1.0], 0.0, 3.0),
        ("target", [4.0, 1.0], 0.0, 0.5),
        # The second agent's action is best by .5 already: what is missing to .75 is due.
        ("target", [4.0, 1.0], 0.75, 0.5 + 0.75 + 0.25),
        ("online", [4.0, 1.0], 0.75, 3.0 + 0.75),
    ],
)
def test_payments_in_training_by_the_networks_that_price_them(
    payments_by: Any, online: list[float], strict_margin: float, paid: float
) -> None:
    values = VALUES._replace(followers_t=q(online, [0.0, 1.0]))
    margins = PaymentMargins(strict_margin=strict_margin)
    found = losses(values, BATCH, discount=0.5, alpha=0.1, payments_by=payments_by, margins=margins)
    # y_p = 1 - .1 * paid + .5 * (3 + 2), against 6
    assert found.principal.item() == pytest.approx(6 - (1 - 0.1 * paid + 2.5) - 0.5)


def test_agents_learn_from_every_transition_unless_others_must_be_on_policy() -> None:
    strayed = VALUES._replace(principal_t=q([4.0, 0.0], [2.0, 0.0]))
    masked, found = (losses(strayed, BATCH, discount=0.5, alpha=0.1, masked=masked) for masked in (True, False))
    assert masked.agents.item() == 0.0
    # y_a = (1 + .5 * 2, 0 + .5 * 3) against (0, 2)
    assert found.agents.item() == pytest.approx((1.5 + 0.125) / 2)
    assert found.errors.item() - masked.errors.item() == pytest.approx((2 + 0.5) / 2)


def test_a_principal_may_learn_only_where_all_follow() -> None:
    two = Transitions(*(torch.cat([each, each]) for each in BATCH))
    two = two._replace(follows_t=torch.tensor([[1.0, 1.0], [0.0, 1.0]]), rewards_t=torch.tensor([[1.0, 0.0], [9, 9.0]]))
    values = Values(*(torch.cat([each, each]) for each in VALUES))
    alone = losses(VALUES, BATCH, discount=0.5, alpha=0.1)
    found = losses(values, two, discount=0.5, alpha=0.1, masked=False, followed_only=True)
    assert found.principal.item() == alone.principal.item()
    assert found.errors[1].item() == pytest.approx(((9 + 1) + (9 + 1.5 - 2)) / 2)  # the agents' alone
    nobody = losses(VALUES, BATCH._replace(follows_t=torch.zeros(1, 2)), discount=0.5, alpha=0.1, followed_only=True)
    assert nobody.principal.item() == 0.0


def test_a_role_passes_its_choices_to_the_loss() -> None:
    role = Algorithm3(
        others_on_policy=False, payments_by="online", double=False, followed_only=True, strict_margin=0.75,
        margins_in_training=True,
    )  # fmt: skip
    strayed = VALUES._replace(principal_t=q([4.0, 0.0], [2.0, 0.0]), followers_t=q([4.0, 1.0], [0.0, 1.0]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(algorithm_3, "values_at", lambda *_, **__: strayed)
        batch = dict(zip(["actions", "follows", "rewards", "terminateds"], BATCH, strict=True))
        found = role.loss(None, None, {"obs": None, "new_obs": None, **batch}, {})  # type: ignore[arg-type]
    # y_a = (1 + .99 * 9, .99 * 8) against (0, 2), y_p = 1 - .1 * 3.75 + .99 * 16 against 0
    assert found.parts["agents_loss"].item() == pytest.approx((9.91 - 0.5 + 5.92 - 0.5) / 2)
    assert found.parts["principal_loss"].item() == pytest.approx(1 - 0.375 + 15.84 - 0.5)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("payments_by", ["double", "online", "target"])
def test_values_that_the_loss_does_not_read_are_not_needed(double: bool, payments_by: Any) -> None:
    torch.manual_seed(0)
    shape: Any = {"shape": Shape((2, 3, 3), 0), "actions": 5, "encoder": "mlp", "hidden": (8,), "dueling": False}
    net, target = (principal_networks(2, **shape) for _ in range(2))
    n = 40
    batch = Transitions(torch.randint(5, (n, 2)), torch.randint(2, (n, 2)).float(), torch.randn(n, 2), torch.zeros(n))
    rows = torch.randn(2, n, 2, 18)
    settings: Any = {"double": double, "payments_by": payments_by}
    values = values_at(net, target, *rows, batch.follows_t), values_at(net, target, *rows, batch.follows_t, **settings)
    found = [losses(each, batch, discount=0.9, alpha=0.1, **settings) for each in values]
    torch.testing.assert_close(*found)


def test_a_strict_margin_is_promised_wherever_following_is_not_better_by_it() -> None:
    torch.manual_seed(0)
    game = make("coin_game/ivanov-3x3")
    principal = TrainedPrincipal(Algorithm3().shape(game), PaymentMargins(strict_margin=0.05))
    state = game.reset(episode_keys(0, 0, np.arange(300), np.zeros(300, np.int64)))
    with torch.no_grad():
        values = joint(principal.networks["agents"], all_follow(joint_rows(game.observe(state)))).numpy()
    recommended, promised = principal(game, state)
    own = np.take_along_axis(values, recommended[..., None], axis=2)[..., 0]
    others = np.where(np.arange(4) == recommended[..., None], -np.inf, values).max(axis=2)
    np.testing.assert_allclose(promised, np.maximum(others + 0.05 - own, 0.0), atol=1e-6)
    least = principal.promising(strict_margin=0.0)(game, state).promised
    assert ((promised > 0) & (least == 0)).any()


def built(settings: DQN, steps: int) -> Any:
    game = make("coin_game/ivanov-3x3")
    return configuration_of(settings, Task(game, make_mechanism("selfish", game), VALIDATE, 0, steps)).build_algo()


def flat_of(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().ravel() for parameter in network.parameters()])


def test_targets_are_copied_at_every_third_gradient_step() -> None:
    algorithm = built(DQN(**SMALL, tau=1.0, target_interval=3, double=False, priority=0.4), steps=64)
    module = algorithm.learner_group._learner.module["agents"]
    copied = flat_of(module.net)
    for step in range(1, 8):
        algorithm.turn()
        online, target = flat_of(module.net), flat_of(module.target)
        copied = online if step % 3 == 0 else copied
        assert not torch.equal(online, copied) or step % 3 == 0
        assert torch.equal(target, copied)
    algorithm.stop()


@pytest.mark.parametrize("double", [True, False])
def test_the_agents_learning_is_double_or_not(double: bool) -> None:
    algorithm = built(DQN(**SMALL, double=double), steps=64)
    assert algorithm.config.double_q is double
    algorithm.stop()


@pytest.mark.parametrize("ends", [False, True])
def test_the_horizon_bootstraps_or_terminates(ends: bool) -> None:
    algorithm = built(DQN(**{**SMALL, "fragment": 5}, n_step=1, horizon_terminates=ends), steps=240)
    for _ in range(5):
        algorithm.train()
    terminated = algorithm.memories[0][1].kept.columns["terminated"][:200]
    algorithm.stop()
    assert terminated.sum() == 8 * ends  # one of 20 steps of each environment


def test_the_published_networks() -> None:
    game = make("coin_game/ivanov-3x3")
    task = Task(game, make_mechanism("principal-dqn", game), VALIDATE, 0, 100)
    networks = Algorithm3(**PUBLISHED).network(task)
    shapes = {
        "principal": networks["principal"], "agents": networks["agents"], "fresh": DQN(**PUBLISHED).network(task)
    }  # fmt: skip
    for name, beside in {"principal": 0, "agents": 1, "fresh": 4}.items():  # whether the other follows; what is advised
        assert [tuple(each.shape) for each in shapes[name].parameters() if each.ndim > 1] == [
            (32, 4, 4, 4), (64, 32 * 9 + beside), (64, 64), (4, 64)
        ]  # fmt: skip
    assert sum(each.ndim > 1 for each in DQN().network(task).parameters()) == 4  # two layers, actions, and the state


@pytest.mark.parametrize(("encoder", "same"), [("conv", True), ("conv-zeros", False)])
def test_circular_padding_sees_a_torus(encoder: str, same: bool) -> None:
    torch.manual_seed(0)
    network = ObservationEncoder(Shape((4, 3, 3), 0), encoder)
    board = torch.rand(1, 4, 3, 3)
    here, there = (network(each.reshape(1, -1)).reshape(1, 32, 3, 3) for each in (board, board.roll(1, dims=3)))
    assert torch.allclose(here.roll(1, dims=3), there, atol=1e-5) is same


def test_steps_one_at_a_time() -> None:
    """End to end, with every choice as published."""
    role = Algorithm3(
        **{**SMALL, **PUBLISHED, "environments": 1}, steps=60, follow=0.5, others_on_policy=False, payments_by="online",
        double=False, tau=1.0, target_interval=10, epsilon_final=0.0, explore_until=1.0, strict_margin=0.07,
        margins_in_training=True,
    )  # fmt: skip
    game = make("coin_game/ivanov-3x3")
    with train_principal(game, role, seed=100) as phase:
        assert [update.steps for update in phase] == [60]  # short rollouts are told together
        principal = phase.result()
    assert principal.shape["dueling"] is False
    recommended, promised = principal(game, game.reset(np.arange(5, dtype=np.uint64)))
    assert recommended.shape == promised.shape == (5, 2)


def test_losses_of_all_turns_of_an_iteration_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of each: of two roles that learn in turns neither is lost."""
    algorithm = built(DQN(**SMALL), steps=64)
    turns: list[int] = []

    def learn(rollouts: object) -> dict[str, float]:
        turns.append(1)
        return {"early": 1.0} if len(turns) == 1 else {"late": float(len(turns))}

    monkeypatch.setattr(algorithm, "learn", learn)
    algorithm.training_step()
    assert len(turns) > 1
    assert algorithm.training == {"early": 1.0, "late": float(len(turns))}
    algorithm.stop()
