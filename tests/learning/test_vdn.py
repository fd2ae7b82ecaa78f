"""Value decomposition: the team's error by hand, its gradients, what it learns, and its runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paymaster import UsageError, load, make, make_mechanism, run
from paymaster.benchmarks.runs.record import read_episodes
from paymaster.contracts.loop import Simulation
from paymaster.learning.agents.policy import Policy
from paymaster.learning.agents.vdn import VDN
from paymaster.learning.networks import TeamNetwork
from paymaster.learning.phases import train_agents
from paymaster.learning.trained import Col

HUNT = make("matrix/stag-hunt")  # 4 both, 0 alone, 3 and 1 for the hare
SMALL: dict[str, Any] = {"hidden": (16,), "environments": 16, "batch": 32, "replay": 1000, "warm_up": 0, "n_step": 1}


class Table(torch.nn.Module):
    """Values (n, A) of rows that name their place in a table."""

    def __init__(self, values: list[list[float]]) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(torch.tensor(values))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.values[rows[:, 0].long()]


def team(first: list[list[float]], second: list[list[float]]) -> TeamNetwork:
    return TeamNetwork([Table(first), Table(second)], 2)


def batch(**changes: Any) -> dict[str, torch.Tensor]:
    """One step of two agents, from place 0 to place 1, in which both earn 5 and take actions 1 and 0."""
    columns = {
        Col.OBS: torch.zeros(2, 1), Col.NEXT_OBS: torch.ones(2, 1), Col.ACTIONS: torch.tensor([1, 0]),
        Col.REWARDS: torch.tensor([5.0, 5.0]), Col.TERMINATEDS: torch.tensor([0.0, 0.0]),
        "n_step": torch.tensor([2.0, 2.0]),
    }  # fmt: skip
    return {**columns, **changes}


def test_the_teams_error_by_hand() -> None:
    """Taken 2 + 3 = 5. Next the online values choose actions 0 and 1, which the targets value 4 and 1; 5 + .25 * 5."""
    net, target = (
        team([[1.0, 2.0], [9.0, 0.0]], [[3.0, 0.0], [0.0, 9.0]]),
        team([[0.0] * 2, [4.0, 7.0]], [[0.0] * 2, [8.0, 1.0]]),
    )
    role = VDN(discount=0.5)
    found = role.loss(net, target, batch(), {})
    assert found.errors is not None
    np.testing.assert_allclose(found.errors, [5.0 - (5.0 + 0.25 * 5.0)])
    plain = VDN(discount=0.5, double=False).loss(net, target, batch(), {})
    np.testing.assert_allclose(plain.errors, [5.0 - (5.0 + 0.25 * 15.0)])  # type: ignore[arg-type]
    over = role.loss(net, target, batch(**{Col.TERMINATEDS: torch.ones(2)}), {})
    np.testing.assert_allclose(over.errors, [0.0])  # type: ignore[arg-type]


def test_both_agents_move_by_the_one_error() -> None:
    net = team([[1.0, 2.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 0.0]])
    found = VDN(discount=0.5).loss(net, team([[0.0] * 2] * 2, [[0.0] * 2] * 2), batch(), {})
    found.total.backward()
    error = found.errors[0].clamp(-1.0, 1.0)  # type: ignore[index]
    first, second = (part.values.grad for part in net.networks)
    np.testing.assert_allclose(first, [[0.0, error], [0.0, 0.0]])
    np.testing.assert_allclose(second, [[error, 0.0], [0.0, 0.0]])


def test_a_network_for_all_or_one_each() -> None:
    rows = torch.tensor([[0.0], [1.0], [1.0], [0.0]])  # two steps of two agents
    each = team([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    np.testing.assert_allclose(each(rows).detach(), [[1, 2], [7, 8], [3, 4], [5, 6]])
    one = TeamNetwork([Table([[1.0, 2.0], [3.0, 4.0]])], 2)
    np.testing.assert_allclose(one(rows).detach(), [[1, 2], [3, 4], [3, 4], [1, 2]])


@pytest.mark.parametrize("policies", ["shared", "separate"])
def test_a_team_learns_to_hunt_the_stag(policies: Any) -> None:
    role = VDN(policies=policies, epsilon=0.6, lr=3e-3, **SMALL)
    mechanism = make_mechanism("joint", HUNT)
    with train_agents(HUNT, mechanism, None, role, seed=100, steps=5_000) as learning:
        learned = learning.result()
    assert isinstance(learned, Policy)
    assert len(learned.networks) == (1 if policies == "shared" else 2)
    loop = Simulation(HUNT, mechanism, 4, seed=0)
    assert not learned(loop.seen).any()  # both cooperate


def test_it_is_for_teams() -> None:
    VDN().check(make_mechanism("joint", HUNT))
    with pytest.raises(UsageError, match="choose joint, joint-advice, or another algorithm"):
        VDN().check(make_mechanism("selfish", HUNT))


def test_runs_end_to_end(tmp_path: Path) -> None:
    settings = {f"algorithm.{name}": value for name, value in SMALL.items() if name != "hidden"}
    done = run("matrix/stag-hunt", mechanism="joint", algorithm="vdn", seed=100, steps=640, out=tmp_path, **settings)
    assert isinstance(load(done.folder).policy, Policy)
    assert (read_episodes(done.folder, "evaluate")["welfare"] >= 2.0).all()
