"""Algorithm 3's loss and payments against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, make, make_mechanism
from paymaster.contracts.following import FollowedContract
from paymaster.contracts.margins import PaymentMargins
from paymaster.contracts.mechanism import Mechanism
from paymaster.contracts.recommendation import others_index
from paymaster.core.config import configure, to_json
from paymaster.core.random import Stream, episode_keys
from paymaster.learning.agents.dqn import DQN
from paymaster.learning.joint_networks import (
    all_follow,
    beside,
    by_others,
    joint,
    joint_rows,
    none_follows,
    others,
    others_action,
    principal_networks,
)
from paymaster.learning.least_payments import least_payments
from paymaster.learning.losses import algorithm_3
from paymaster.learning.losses.algorithm_3 import Transitions, Values, losses, others_on_policy
from paymaster.learning.losses.joint_values import joint_values_at
from paymaster.learning.networks import shape_of
from paymaster.learning.phases import train_principal
from paymaster.learning.principals.algorithm_3 import Algorithm3, mirrored
from paymaster.learning.principals.exact import ExactSolution
from paymaster.learning.principals.recommending import TrainedPrincipal
from paymaster.learning.role import REPLAY

SHAPE = {"players": 2, "shape": ((4, 3, 3), 0), "actions": 4, "encoder": "mlp", "hidden": (8,), "dueling": True}


@pytest.fixture(autouse=True)
def _same_networks() -> None:
    """Networks that nobody trains are drawn by torch: some draws pay nothing anywhere."""
    torch.manual_seed(0)


def q(*rows: list[float]) -> torch.Tensor:
    """Values (1, N, A) of one transition."""
    return torch.tensor([list(rows)], dtype=torch.float32)


def test_least_payment_is_what_the_agent_gives_up_by_following() -> None:
    values = q([1.0, 3.0], [2.0, 2.0])
    paid = least_payments(values, values, torch.tensor([[0, 1]]))
    assert paid.tolist() == [[2.0, 0.0]]


def test_best_action_is_chosen_by_the_online_values_and_priced_by_the_averaged() -> None:
    online, averaged = q([1.0, 3.0, 0.0]), q([4.0, 2.5, 2.0])
    # online, action 1 is best; it is worth 2.5 on average, so action 2 gives up 0.5 and action 0 less than nothing
    assert least_payments(online, averaged, torch.tensor([[2]])).tolist() == [[0.5]]
    assert least_payments(online, averaged, torch.tensor([[0]])).tolist() == [[0.0]]


def hand_worked() -> tuple[Values, Transitions]:
    values = Values(
        agents_t=q([1.0, 0.0], [0.0, 2.0]),
        agents_tp1=q([0.0, 5.0], [1.0, 0.0]),  # best: 1 and 0
        agents_tp1_target=q([9.0, 2.0], [3.0, 9.0]),  # worth: 2 and 3
        followers_t=q([1.0, 0.0], [0.0, 1.0]),  # best: 0 and 1
        followers_t_target=q([2.0, 1.5], [0.5, 1.0]),  # payments on (1, 1): 2 - 1.5 = 0.5 and 0
        principal_t=q([0.0, 4.0], [0.0, 2.0]),  # of (1, 1): 6
        principal_tp1=q([1.0, 0.0], [1.0, 0.0]),  # best: 0 and 0
        principal_tp1_target=q([3.0, 9.0], [2.0, 9.0]),  # worth: 5
    )
    batch = Transitions(
        actions_t=torch.tensor([[1, 1]]),  # as is recommended; by themselves the agents would take 0 and 1
        follows_t=torch.tensor([[1.0, 1.0]]),
        rewards_t=torch.tensor([[1.0, 0.0]]),
        terminated_t=torch.tensor([0.0]),
    )
    return values, batch


def test_both_regressions_by_hand() -> None:
    values, batch = hand_worked()
    found = losses(values, batch, discount=0.5, alpha=0.1)
    # agents: y = (1 + .5 * 2, 0 + .5 * 3) = (2, 1.5) against Q = (0, 2): errors 2 and .5, Huber 1.5 and .125
    assert found.agents.item() == pytest.approx((1.5 + 0.125) / 2)
    # principal: y = 1 + 0 - .1 * .5 + .5 * 5 = 3.45 against 6: error 2.55, Huber 2.05
    assert found.principal.item() == pytest.approx(2.05)
    assert found.errors.tolist() == pytest.approx([(2 + 0.5) / 2 + 2.55])


def test_agents_learn_from_what_others_do_as_they_are_meant_to() -> None:
    values, batch = hand_worked()
    everyone = losses(values, batch, discount=0.5, alpha=0.1)
    # The first would not take 1 by itself, so what the second got beside it is not learned from; the first errs by 2.
    own = losses(values, batch._replace(follows_t=torch.tensor([[0.0, 1.0]])), discount=0.5, alpha=0.1)
    assert own.agents.item() == pytest.approx(1.5)
    assert own.principal.item() == everyone.principal.item()
    assert own.errors.tolist() == pytest.approx([2 / 2 + 2.55])
    # The second took 1 by itself as it would: the same as if it had followed.
    same = losses(values, batch._replace(follows_t=torch.tensor([[1.0, 0.0]])), discount=0.5, alpha=0.1)
    assert same.agents.item() == everyone.agents.item()
    # Both took an exploratory recommendation: neither learns from the other's.
    strayed = values._replace(principal_t=q([4.0, 0.0], [2.0, 0.0]))
    assert losses(strayed, batch, discount=0.5, alpha=0.1).agents.item() == 0.0


def test_nothing_follows_a_terminal_step() -> None:
    values, batch = hand_worked()
    found = losses(values, batch._replace(terminated_t=torch.tensor([1.0])), discount=0.5, alpha=0.1)
    # y_a = (1, 0) against (0, 2): errors 1 and 2, Huber .5 and 1.5; y_p = .95 against 6: 5.05, Huber 4.55
    assert found.agents.item() == pytest.approx(1.0)
    assert found.principal.item() == pytest.approx(4.55)


def test_a_favourite_s_rewards_count_for_more() -> None:
    values, batch = hand_worked()
    batch = batch._replace(rewards_t=torch.tensor([[1.0, 4.0]]))
    found = losses(values, batch, discount=0.5, alpha=0.1, favour=0.25)
    # y_p = 1 + .75 * 4 - .1 * .5 + .5 * 5 = 6.45 against 6: error .45, Huber .45^2 / 2
    assert found.principal.item() == pytest.approx(0.45**2 / 2)
    assert found.agents.item() == losses(values, batch, discount=0.5, alpha=0.1).agents.item()


@pytest.mark.parametrize(
    ("margins", "paid"),
    [
        ({}, 0.5),
        ({"nudge": 0.3, "bonus": 0.1}, 0.5 + 0.3 + 2 * 0.1),  # the nudge where a payment is due, the bonus for both
        ({"nudge": 0.3, "bonus": 0.1, "due": 0.6}, 2 * 0.1),  # nothing is due
        ({"nudge": 0.3, "bonus": 0.1, "cap": 0.4}, 0.4 + 0.1),
    ],
)
def test_margins_in_training_are_paid_for_by_the_principal_s_values(margins: dict[str, float], paid: float) -> None:
    values, batch = hand_worked()
    found = losses(values, batch, discount=0.5, alpha=0.1, margins=PaymentMargins(**margins))
    error = 6 - (1 + 0 - 0.1 * paid + 0.5 * 5)
    assert found.principal.item() == pytest.approx(error - 0.5)
    assert found.agents.item() == losses(values, batch, discount=0.5, alpha=0.1).agents.item()


@pytest.mark.parametrize("in_training", [False, True])
def test_a_role_says_whether_its_margins_are_in_force_in_training(in_training: bool) -> None:
    values, happened = hand_worked()
    role = Algorithm3(nudge=0.3, margins_in_training=in_training)
    assert to_json(role).get("margins_in_training", False) is in_training
    assert ("margins_in_training" in to_json(role)) is in_training  # else the runs that are made have other names
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(algorithm_3, "values_at", lambda *_, **__: values)
        batch = dict(zip(["actions", "follows", "rewards", "terminateds"], happened, strict=True))
        found = role.loss(None, None, {"obs": None, "new_obs": None, **batch}, {})  # type: ignore[arg-type]
    paid = {"margins": PaymentMargins(nudge=0.3)} if in_training else {}
    expected = losses(values, happened, discount=role.discount, alpha=role.alpha, **paid)  # type: ignore[arg-type]
    assert found.parts["principal_loss"].item() == expected.principal.item()


def test_margins_that_need_a_trained_principal_are_refused_in_training() -> None:
    mechanism = make_mechanism("principal-dqn", make("coin_game/ivanov-3x3"))
    Algorithm3(nudge=0.1, margins_in_training=True).check(mechanism)
    for margin in ({"stake": 0.5}, {"robust": True}):
        with pytest.raises(UsageError, match="stake and robust are for trained principals alone"):
            Algorithm3(margins_in_training=True, **margin).check(mechanism)


def test_targets_carry_no_gradient() -> None:
    values, batch = hand_worked()
    values = Values(*(value.requires_grad_() for value in values))
    found = losses(values, batch, discount=0.5, alpha=0.1)
    (found.agents + found.principal).backward()
    assert [name for name in Values._fields if getattr(values, name).grad is not None] == ["agents_t", "principal_t"]


def test_others_leaves_out_the_agent_itself() -> None:
    follows = np.array([[True, False, False]])
    for given in (follows, torch.from_numpy(follows)):
        assert others(given).tolist() == [[[False, False], [True, False], [True, False]]]
    for given in (follows[:, :1], torch.from_numpy(follows[:, :1])):
        assert others(given).shape == (1, 1, 0)


def test_who_strayed_keeps_the_others_from_learning() -> None:
    """Everyone recommended action 1, of its own accord each would take 0; f = (1, 0, 1)."""
    values, _ = hand_worked()
    values = values._replace(principal_t=q(*[[0.0, 1.0]] * 3), agents_t=q(*[[1.0, 0.0]] * 3))
    cases = {(1, 0, 1): [1.0, 1.0, 1.0], (1, 1, 1): [0.0, 1.0, 0.0], (0, 1, 1): [0.0, 0.0, 0.0]}
    for actions, learns in cases.items():
        batch = Transitions(torch.tensor([actions]), torch.tensor([[1.0, 0.0, 1.0]]), torch.zeros(1, 3), torch.zeros(1))
        assert others_on_policy(values, batch).tolist() == [learns]
    alone = Values(*(value[:, :1] for value in values))
    one = Transitions(torch.tensor([[0]]), torch.tensor([[1.0]]), torch.zeros(1, 1), torch.zeros(1))
    assert others_on_policy(alone, one).tolist() == [[1.0]]


# Values of joint actions

JOINT = {**SHAPE, "joint_values": True}


def joint_q() -> torch.Tensor:
    """Values (1, 2, 9) of two agents with three actions: agent i's action a beside the other's b is worth a table."""
    return torch.tensor([[[0, 1, 2, 5, 3, 1, 4, 6, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1]]], dtype=torch.float32)


def test_values_beside_what_the_others_do() -> None:
    # beside agent 1's action 1 agent 0 has 1, 3, 6; beside agent 0's action 2 agent 1 has 7, 4, 1
    assert beside(joint_q(), torch.tensor([[2, 1]]), 3).tolist() == [[[1, 3, 6], [7, 4, 1]]]
    assert by_others(joint_q(), 3)[0, 0].tolist() == [[0, 5, 4], [1, 3, 6], [2, 1, 0]]
    three = torch.arange(27.0).expand(1, 3, 27)  # its own action, then the others' in their order
    assert beside(three, torch.tensor([[0, 1, 2]]), 3).tolist() == [[[5, 14, 23], [2, 11, 20], [1, 10, 19]]]


def test_others_actions_are_numbered_as_the_contract_pays_them() -> None:
    taken = np.random.default_rng(0).integers(5, size=(50, 4))
    np.testing.assert_array_equal(others_action(torch.from_numpy(taken), 5).numpy(), others_index(taken, 5))


def test_joint_values_now_are_beside_what_the_others_did_and_next_beside_what_is_recommended() -> None:
    """Two agents whose networks give the same everywhere, so the tables can be told apart."""
    net, target = _constant(joint_q(), [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), _constant(10 * joint_q(), [[3.0] * 3] * 2)
    rows, taken = torch.zeros(1, 2, 36), torch.tensor([[2, 0]])
    found = joint_values_at(net, target, rows, rows, taken)
    assert found.agents_t.tolist() == found.followers_t.tolist() == [[[0, 5, 4], [7, 4, 1]]]
    assert found.followers_t_target.tolist() == [[[0, 50, 40], [70, 40, 10]]]
    assert found.agents_tp1.tolist() == [[[2, 1, 0], [8, 5, 2]]]  # beside 2 and beside 1
    assert found.agents_tp1_target.tolist() == [[[20, 10, 0], [80, 50, 20]]]
    batch = Transitions(taken, torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.zeros(1))
    learned = losses(found, batch, discount=0.5, alpha=0.1, masked=False)
    # y_a: 1 + .5 * 20 = 11 against 4, and 0 + .5 * 80 = 40 against 7, though nobody did as is recommended: Huber
    assert learned.agents.item() == pytest.approx((6.5 + 32.5) / 2)
    # paid: 50 - 40 and nothing; y_p = 1 - .1 * 10 + .5 * (3 + 3) = 3 against 0 of recommending (2, 0)
    assert learned.principal.item() == pytest.approx(2.5)


class _Table(torch.nn.Module):
    told_apart = False

    def __init__(self, values: torch.Tensor) -> None:
        super().__init__()
        self.values = values  # (N, ...) for each agent

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.values.repeat(len(rows) // len(self.values), 1)


def _constant(agents: torch.Tensor, principal: list[list[float]]) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"agents": _Table(agents[0]), "principal": _Table(torch.tensor(principal))})


@pytest.mark.parametrize("mirrors", [False, True])
def test_a_contingent_principal_promises_the_regret_beside_whatever_the_other_does(mirrors: bool) -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    least = TrainedPrincipal(JOINT, mirrored=mirrors)
    state = game.reset(episode_keys(0, 0, np.arange(200), np.zeros(200, np.int64)))
    contingent, robust = (least.promising(**{name: True}) for name in ("contingent", "robust"))
    recommended, promised = contingent(game, state)
    assert promised.shape == (200, 2, 4)
    views = game.symmetries if mirrors else ()
    with torch.no_grad():
        q = joint(least.networks["agents"], joint_rows(game.observe(state)), views).reshape(200, 2, 4, 4).numpy()
    for b, i, other in np.ndindex(200, 2, 4):
        own = q[b, i, :, other]
        assert promised[b, i, other] == pytest.approx(own.max() - own[recommended[b, i]], abs=1e-6)
    path = np.take_along_axis(promised, recommended[:, ::-1, None], axis=2)[..., 0]
    np.testing.assert_allclose(least(game, state).promised, path, atol=1e-6)
    np.testing.assert_allclose(robust(game, state).promised, promised.max(axis=2), atol=1e-6)
    fee = least.promising(contingent=True, bonus=0.02, nudge=0.1)(game, state).promised
    np.testing.assert_allclose(fee, promised + 0.02 + 0.1 * (promised > 0), atol=1e-6)


def quarter_turn(state: Any) -> Any:
    """A state of the Coin Game 3x3 turned by a quarter: what was right is down, what was down is left."""
    return state._replace(
        agents=np.stack([state.agents[..., 1], -state.agents[..., 0] % 3], axis=-1),
        coins=np.stack([state.coins[..., 1], -state.coins[..., 0] % 3], axis=-1),
    )


@pytest.mark.parametrize("N", [2, 3])
def test_joint_values_are_alike_in_every_view(N: int) -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric", players=N)
    networks = principal_networks(**{**JOINT, "players": N, "shape": shape_of(game)})
    state = game.reset(episode_keys(0, 0, np.arange(100), np.zeros(100, np.int64)))
    turned = quarter_turn(state)
    with torch.no_grad():
        there, here = (
            joint(networks["agents"], joint_rows(game.observe(s)), game.symmetries).reshape(100, N, *[4] * N)
            for s in (turned, state)
        )
    for axis in range(2, 2 + N):
        there = there.index_select(axis, torch.tensor([2, 3, 1, 0]))
    torch.testing.assert_close(there, here)


def test_contingent_promises_are_kept_and_need_joint_values(tmp_path: Path) -> None:
    game = make("coin_game/ivanov-3x3")
    principal = TrainedPrincipal(JOINT, PaymentMargins(contingent=True, bonus=0.02))
    principal.save(tmp_path / "principal")
    state = game.reset(episode_keys(0, 0, np.arange(50), np.zeros(50, np.int64)))
    again = TrainedPrincipal.load(tmp_path / "principal")
    for one, other in zip(principal(game, state), again(game, state), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UsageError, match="joint_values"):
        TrainedPrincipal(SHAPE).promising(contingent=True)
    with pytest.raises(UsageError, match="leave robust out"):
        principal.promising(robust=True)
    with pytest.raises(UsageError, match="set joint_values too"):
        configure(Algorithm3, {"contingent": True}, what="the principal")
    many = make("coin_game/ivanov-7x7", players=6)
    with pytest.raises(UsageError, match=r"4,096 joint actions, allowed are 1,024"):
        Algorithm3(joint_values=True).check(Mechanism(game=many))


def test_new_settings_at_their_defaults_do_not_name_runs_anew() -> None:
    of_today = {"contingent", "joint_values", "strict_margin", "payments_by", "others_on_policy", "followed_only"}
    of_today |= {"dueling", "double", "target_interval", "horizon_terminates"}
    assert not of_today & (set(to_json(Algorithm3())) | set(to_json(DQN())))
    assert "bonus" not in to_json(ExactSolution())


@pytest.mark.slow
def test_values_of_joint_actions_are_learned_and_promised() -> None:
    """End to end on one state: in chicken cooperating costs 1 beside a cooperator and nothing beside a defector."""
    game = make("matrix/chicken", horizon=1)
    role = Algorithm3(
        joint_values=True, contingent=True, steps=12_000, environments=8, batch=64, hidden=(32,), epsilon_final=0.2
    )
    with train_principal(game, role, seed=100) as phase:
        principal = phase.result()
    recommended, promised = principal(game, game.reset(np.zeros(1, np.uint64)))
    assert recommended.tolist() == [[0, 0]]
    np.testing.assert_allclose(promised, [[[1.0, 0.0]] * 2], atol=0.1)


def test_who_follows_is_drawn_for_each_agent_and_episode() -> None:
    contract = FollowedContract(game=make("coin_game/ivanov-3x3"), follow=0.25)
    keys = episode_keys(0, 0, np.arange(4000), np.zeros(4000, np.int64))
    follows = contract.start(keys)
    assert follows.mean(axis=0) == pytest.approx([0.25, 0.25], abs=0.03)
    assert follows.all(axis=1).mean() == pytest.approx(0.0625, abs=0.015)


@pytest.mark.parametrize(("due", "nudge"), [(0.0, 0.0), (0.01, 0.5)])
def test_principal_promises_only_what_is_due(due: float, nudge: float) -> None:
    game = make("coin_game/ivanov-3x3")
    principal = TrainedPrincipal(SHAPE, PaymentMargins(due=due, nudge=nudge))
    bare = TrainedPrincipal(SHAPE, PaymentMargins(due=0.0, nudge=0.0))
    bare.networks.load_state_dict(principal.networks.state_dict())
    state = game.reset(episode_keys(0, 0, np.arange(500), np.zeros(500, np.int64)))
    least, decisions = bare(game, state).promised, principal(game, state)
    assert (least >= 0).all()
    assert ((decisions.promised > 0) == (least > due)).all()
    np.testing.assert_allclose(decisions.promised[least > due], least[least > due] + nudge, rtol=1e-6)


def test_principal_is_kept_as_tensors_and_json(tmp_path: Path) -> None:
    game = make("coin_game/ivanov-3x3")
    principal = TrainedPrincipal(SHAPE, PaymentMargins(due=0.01, nudge=0.1))
    principal.save(tmp_path / "principal")
    again = TrainedPrincipal.load(tmp_path / "principal")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    state = game.reset(episode_keys(0, 0, np.arange(50), np.zeros(50, np.int64)))
    for one, other in zip(principal(game, state), again(game, state), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nobody_is_paid_more_than_the_cap_in_a_step() -> None:
    game = make("coin_game/ivanov-3x3")
    free = TrainedPrincipal(SHAPE, PaymentMargins(bonus=0.01, nudge=0.1))
    state = game.reset(episode_keys(0, 0, np.arange(500), np.zeros(500, np.int64)))
    recommended, promised = free(game, state)
    cap = float(np.median(promised))
    for allowed in (cap, promised.max() + 1.0):
        capped = free.promising(cap=allowed)(game, state)
        np.testing.assert_array_equal(capped.recommended, recommended)
        np.testing.assert_allclose(capped.promised, np.minimum(promised, allowed), rtol=1e-6)
    assert (promised > cap).any()


def test_a_bonus_is_paid_everywhere_and_robust_payments_are_enough_whoever_follows() -> None:
    game = make("coin_game/ivanov-3x3")
    bare, bonus, robust = (
        TrainedPrincipal(SHAPE),
        TrainedPrincipal(SHAPE, PaymentMargins(bonus=0.5)),
        TrainedPrincipal(SHAPE, PaymentMargins(robust=True)),
    )
    for principal in (bonus, robust):
        principal.networks.load_state_dict(bare.networks.state_dict())
    state = game.reset(episode_keys(0, 0, np.arange(500), np.zeros(500, np.int64)))
    recommended, least = bare(game, state)
    np.testing.assert_allclose(bonus(game, state).promised, least + 0.5, rtol=1e-6)
    rows = joint_rows(game.observe(state))
    with torch.no_grad():
        alone = joint(bare.networks["agents"], none_follows(rows))
        enough = least_payments(alone, alone, torch.from_numpy(recommended)).numpy()
    np.testing.assert_allclose(robust(game, state).promised, np.maximum(least, enough), rtol=1e-6)
    assert (enough > least).any()


def test_a_stake_is_a_share_of_what_the_principal_would_lose() -> None:
    game = make("coin_game/ivanov-3x3")
    principal = TrainedPrincipal(SHAPE, PaymentMargins(stake=0.5))
    state = game.reset(episode_keys(0, 0, np.arange(500), np.zeros(500, np.int64)))
    rows = joint_rows(game.observe(state))
    with torch.no_grad():
        worth, agents = (
            joint(principal.networks["principal"], rows),
            joint(principal.networks["agents"], all_follow(rows)),
        )
    told = worth.argmax(dim=-1, keepdim=True)
    wanted = (agents - 0.5 * worth).amax(dim=-1) - (agents - 0.5 * worth).gather(-1, told)[..., 0]
    recommended, promised = principal(game, state)
    np.testing.assert_array_equal(recommended, told[..., 0])
    np.testing.assert_allclose(promised, wanted.numpy(), atol=1e-6)
    least = principal.promising(stake=0.0)(game, state).promised
    assert (promised >= least - 1e-6).all()
    assert (promised > least + 1e-3).any()


def test_agents_that_look_alike_are_told_apart_on_demand() -> None:
    rows = torch.zeros(1, 2, 36)
    with torch.no_grad():
        same = joint(principal_networks(**SHAPE)["principal"], rows)
        apart = joint(principal_networks(**SHAPE, told_apart=True)["principal"], rows)
    assert (same[0, 0] == same[0, 1]).all()
    assert (apart[0, 0] != apart[0, 1]).all()


def test_a_mirrored_principal_decides_alike_in_every_view() -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    principal = TrainedPrincipal(SHAPE, mirrored=True)
    state = game.reset(episode_keys(0, 0, np.arange(200), np.zeros(200, np.int64)))
    turned = quarter_turn(state)
    with torch.no_grad():
        there, here = (
            joint(principal.networks["principal"], joint_rows(game.observe(s)), game.symmetries)
            for s in (turned, state)
        )
    torch.testing.assert_close(there[..., [2, 3, 1, 0]], here)
    plain = joint(principal.networks["principal"], joint_rows(game.observe(turned)))
    assert (plain[..., [2, 3, 1, 0]] - here).abs().max() > 0.01


def test_rows_are_learned_from_in_every_view() -> None:
    game = make("coin_game/ivanov-3x3", observation="egocentric")
    state = game.reset(episode_keys(0, 0, np.arange(500), np.zeros(500, np.int64)))
    actions = np.random.default_rng(0).integers(4, size=(500, 2))
    after, events = game.step(state, actions)
    columns = {
        "obs": game.observe(state).reshape(500, 2, -1), "new_obs": game.observe(after).reshape(500, 2, -1),
        "actions": actions, "rewards": game.rewards(events),
    }  # fmt: skip
    found = mirrored(columns, game.symmetries, Stream(1, REPLAY))
    assert found["rewards"] is columns["rewards"]
    views = []
    for n in range(500):
        views.append([
            k for k, view in enumerate(game.symmetries)
            if (found["obs"][n] == columns["obs"][n][:, view.cells]).all()
            and (found["new_obs"][n] == columns["new_obs"][n][:, view.cells]).all()
            and (found["actions"][n] == view.actions[actions[n]]).all()
        ])  # fmt: skip
    assert all(views)
    assert {k for each in views if len(each) == 1 for k in each} == set(range(8))
