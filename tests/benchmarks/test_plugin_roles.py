"""Learning from outside the package: a mechanism with its principal, and an algorithm, on every way through a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .test_plugins import GAME as VOLUNTEERS

Paymaster = Callable[..., str]
GAME = "matrix/prisoners-dilemma"
MINE = '''
"""A principal that tries prices, and the contract it pays by."""
from dataclasses import replace
from typing import ClassVar

import numpy as np
import paymaster
from paymaster.core.checkpoint import Checkpoint, Saved
from paymaster.learning import Role
from paymaster.learning.role import Update
from paymaster.mechanisms import Decisions, RecommendationContract, configuration

__version__ = "0.3"


class Price(Saved):
    """Every agent is asked for the first action, and promised one price for it."""

    def __init__(self, price):
        self.price = price

    def __call__(self, game, state):
        shape = len(game.world(state)), len(game.agents)
        return Decisions(np.zeros(shape, np.int64), np.full(shape, self.price, np.float32))

    def checkpoint(self):
        return Checkpoint({"price": self.price})

    @classmethod
    def restored(cls, checkpoint):
        return cls(checkpoint.about["price"])


@configuration
class Prices(Role):
    """Offers each price to agents that follow for more than `wage`, and keeps the best."""

    steps: int = 60
    """Environment steps of its training."""
    alpha: float = 0.1
    """The price of money."""
    wage: float = 1.0
    """The price at which agents follow."""

    def learn(self, task):
        prices = (0.0, 1.5, 3.0)
        found = []
        for number, price in enumerate(prices, 1):
            simulation = replace(task, principal=Price(price)).simulation(4)
            net = 0.0
            while simulation.steps < task.steps / len(prices):
                actions = np.full((4, simulation.N), int(price <= self.wage))
                step = simulation.step(actions)
                net += (step.transition.rewards.sum() - self.alpha * step.ledger.payments.sum()) / simulation.B
                yield Update(task.steps * number // len(prices), task.steps, step.episodes, {"net": net})
            found.append(net)
        return Price(prices[int(np.argmax(found))])

    def kept(self):
        return Price


@paymaster.register_mechanism("mine")
@configuration
class Mine(RecommendationContract):
    """One price for the first action, learned by trying several. Payments."""

    principal: ClassVar = Prices
'''
THEIRS = '''
"""Agents that play what earned most."""
from typing import ClassVar

import numpy as np
from paymaster.core.checkpoint import Checkpoint, Saved
from paymaster.core.config import configuration
from paymaster.learning import Role, register_role
from paymaster.learning.role import Update


class Favourites(Saved):
    """Each agent plays its favourite."""

    def __init__(self, actions):
        self.actions = actions

    def __call__(self, seen):
        return np.tile(self.actions, (len(seen.observations), 1))

    def checkpoint(self):
        return Checkpoint({}, {"actions": self.actions})

    @classmethod
    def restored(cls, checkpoint):
        return cls(checkpoint.arrays["actions"])


@register_role("theirs")
@configuration
class Tallies(Role):
    """Each agent plays the action that earned it most on average."""

    plays: ClassVar = "agents"
    continues: ClassVar = True
    environments: int = 8
    """Parallel environments."""

    def learn(self, task):
        simulation, draws = task.simulation(self.environments), task.draws()
        N, A = simulation.N, len(task.game.action_names)
        earned, count = np.zeros((N, A)), np.ones((N, A))
        if task.begin is not None:  # learning goes on from what was liked best
            earned[np.arange(N), task.begin.actions] = 0.1
        while simulation.steps < task.steps:
            actions = draws.integers(A, simulation.B * N).reshape(simulation.B, N)
            step = simulation.step(actions)
            np.add.at(earned, (np.arange(N), actions), step.earned)
            np.add.at(count, (np.arange(N), actions), 1)
            yield Update(simulation.steps, task.steps, step.episodes, {"best": (earned / count).max()})
        return Favourites((earned / count).argmax(axis=1))

    def kept(self):
        return Favourites
'''

# What follows from the payoffs of the dilemma (3 for cooperating together, 1 for defecting, 4 and 0 for one of each).
# The principal's model defects without pay: 2. Paid 1.5 or 3, both cooperate: 6 - 0.1 * 3 = 5.7, 6 - 0.1 * 6 = 5.4.
PRICE, WELFARE, PAYMENT = 1.5, 6.0, 3.0


NAMED = """
from typing import ClassVar

import paymaster
from mine import Mine, Prices
from paymaster.learning import register_role
from paymaster.mechanisms import configuration

register_role("named")(Prices)  # a role may be called as a mechanism is


@paymaster.register_mechanism("named")
@configuration
class Named(Mine):
    \"\"\"As `mine`, with a principal that stands elsewhere.\"\"\"

    principal: ClassVar = "named"
"""
BROKEN = """
import sys

import paymaster
from paymaster.mechanisms import Mechanism, configuration


@paymaster.register_mechanism("broken")
@configuration
class Broken(Mechanism):
    def settle(self, memory, transition):
        return ERROR
"""

PLUGGED = ("--plugin", "mine", "--plugin", "theirs")
LEARNED = ("--mechanism", "mine", "--algorithm", "theirs", "--set", "run.steps=400", "--set", "episodes=16")


@pytest.fixture(autouse=True)
def modules(tmp_path: Path) -> None:
    """The modules in the folder in which the command line runs."""
    for name, text in {"mine": MINE, "theirs": THEIRS, "named": NAMED, "broken": BROKEN}.items():
        (tmp_path / f"{name}.py").write_text(text)


@pytest.fixture
def made(paymaster: Paymaster, tmp_path: Path) -> Path:
    """The folder of a run in which both learned."""
    paymaster("run", GAME, *LEARNED, *PLUGGED, "--out", "runs")
    (found,) = tmp_path.rglob("run.json")
    return found.parent


def test_both_learn_and_the_run_says_what_it_needed(made: Path) -> None:
    about = json.loads((made / "run.json").read_text())
    assert (about["evaluated"]["welfare"], about["evaluated"]["payment"]) == (WELFARE, PAYMENT)
    assert json.loads((made / "principal.json").read_text()) == {"price": PRICE}
    assert about["resolved"]["principal"] == {"steps": 60, "alpha": 0.1, "wage": 1.0}
    assert about["resolved"]["settings"] == {"environments": 8}
    assert (about["steps"]["train"], about["steps"]["validate"]) == (60, 400)
    assert about["plugins"] == [
        {"kind": "mechanism", "name": "mine", "module": "mine", "package": "", "version": "0.3"},
        {"kind": "role", "name": "theirs", "module": "theirs", "package": "", "version": ""},
    ]


def test_they_are_listed_with_their_settings(paymaster: Paymaster) -> None:
    told = json.loads(paymaster("list", "--json", *PLUGGED))
    listed = {item["id"]: item for item in told["algorithms"] + told["mechanisms"]}
    assert listed["theirs"] == {
        "id": "theirs",
        "description": "Each agent plays the action that earned it most on average.",
        "settings": {"environments": {"default": 8, "help": "Parallel environments."}},
    }
    assert listed["mine"]["settings"]["steps"] == {"default": 60, "help": "Environment steps of its training."}
    told = paymaster("list", "mine", *PLUGGED)
    assert "settings of its principal, for --set:\n  steps = 60\n" in told
    assert "  wage = 1.0\n" in told


def test_every_command_reads_what_they_learned(
    paymaster: Paymaster, made: Path, tmp_path: Path, press: Callable[..., None]
) -> None:
    assert re.search(r"mine +theirs +[0-9k+]+ +6\.00 +3\.00", paymaster("compare", "runs", *PLUGGED))
    (judged,) = json.loads(paymaster("audit", "runs", "--json", *PLUGGED))
    assert (judged["learned"]["welfare"], judged["learned"]["gain"]) == (WELFARE, [0.0, 0.0])
    assert re.search(r"agent_0 +100% +1\.500", paymaster("show", made, "--out", "shown.png", *PLUGGED))
    paymaster("render", made, "--out", "still.png", *PLUGGED)
    assert (tmp_path / "still.png").read_bytes()[1:4] == (tmp_path / "shown.png").read_bytes()[1:4] == b"PNG"
    press("2")  # defects, and the other agent cooperates
    told = paymaster("play", GAME, "--agent", "agent_1", "--run", made, *PLUGGED)
    assert told == "1 episode as agent_1: you earned 4.00, welfare 4.00 (means)\n"
    paymaster("run", made / "run.json", "--out", "again", *PLUGGED)
    assert (tmp_path / "again" / made.relative_to(tmp_path / "runs") / "run.json").is_file()


def test_a_missing_role_is_told(paymaster: Paymaster, made: Path) -> None:
    missing = "needs the role 'theirs' of theirs, which is not known here: name its module: --plugin theirs\n"
    for command in (("run", made / "run.json"), ("render", made, "--out", "no.png"), ("audit", made), ("show", made)):
        told = paymaster(*command, "--plugin", "mine", code=2)
        assert told.startswith("paymaster: ")
        assert told.endswith(missing)
    assert re.search(r"mine +theirs +[0-9k+]+ +6\.00", paymaster("compare", "runs"))  # its numbers need no code


def test_an_algorithm_is_searched_with(paymaster: Paymaster) -> None:
    """Where agents keep 3/4 of their rewards or less, cooperating is dominant: 3 > 4 s + 0 (1 - s)."""
    small = ("--set", "steps=800", "--set", "episodes=16", "--seeds", 3, "--seed", 100, "--workers", 1)
    told = paymaster("self-interest", GAME, "--algorithm", "theirs", "--json", "--plugin", "theirs", *small)
    assert 0.6 < json.loads(told[told.index("{") :])["level"] <= 0.75


def test_a_search_goes_on_from_agents_that_can(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(THEIRS.replace('"theirs"', '"once"').replace("continues: ClassVar = True", ""))
    told = paymaster("self-interest", GAME, "--algorithm", "once", "--plugin", "once", code=2)
    assert "agents go on from those of the level before, and those of once cannot" in told


def test_rays_workers_know_plugins_and_one_that_fails_leaves_the_others(apart: Paymaster, tmp_path: Path) -> None:
    runs = "[{mechanism: broken, algorithm: theirs}, {mechanism: mine, algorithm: theirs}, {mechanism: named}]"
    suite = f"game: volunteers/three\nsteps: 400\nepisodes: 16\nseeds: 1\nruns: {runs}\n"
    (tmp_path / "suite.yaml").write_text(suite)
    (tmp_path / "volunteers.py").write_text(VOLUNTEERS)
    (tmp_path / "broken.py").write_text(BROKEN.replace("ERROR", "1 / 0"))
    plugged = (f"--plugin={name}" for name in ("volunteers", "broken", "named", "theirs"))
    told = apart("run", "suite.yaml", "--workers", 2, *plugged, code=1)
    assert "2 at a time" in told
    assert "\npaymaster: broken/theirs s0 failed: ZeroDivisionError: division by zero, in broken.py:12\n" in told
    assert "    return 1 / 0\n" in told  # the traceback, for whoever mends it
    abouts = {path.parts[-4]: json.loads(path.read_text()) for path in tmp_path.rglob("run.json")}
    assert abouts.keys() == {"mine", "named"}
    assert abouts["mine"]["evaluated"]["payment"] == 3 * PRICE  # who volunteers has 2 - 1 + 1.5, who does not at most 2
    assert [(each["kind"], each["name"], each["module"]) for each in abouts["named"]["plugins"]] == [
        ("game family", "volunteers", "volunteers"), ("mechanism", "named", "named"), ("role", "named", "mine"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero, in broken.py:12"),
        ("sys.exit()", "SystemExit, in broken.py:12"),
        ("transition.rewards @ transition.rewards", "ValueError: matmul: Input operand 1 has a mismatch"),
    ],
)
def test_a_plugin_that_fails_in_a_run_is_one_sentence_and_its_traceback(
    error: str, sentence: str, paymaster: Paymaster, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN.replace("ERROR", error))
    named = ("--algorithm", "theirs", "--plugin", "broken", "--plugin", "theirs", "--set", "steps=64")
    told = paymaster("run", GAME, "--mechanism", "broken", *named, code=1)
    assert told.startswith(f"paymaster: broken/theirs s0 failed: {sentence}")
    assert told.endswith(", in broken.py:12\n")
    assert len(told.splitlines()) == 1


def test_a_principal_that_nobody_registered_is_told(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text(NAMED.replace('ClassVar = "named"', 'ClassVar = "name"'))
    plugged = ("--plugin", "named", "--plugin", "theirs")
    told = paymaster("run", GAME, "--mechanism", "named", "--algorithm", "theirs", *plugged, code=2)
    assert told.startswith("paymaster: Named asks for an unknown principal 'name'. Did you mean 'named'")
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    assert "named" in paymaster("list", "mechanisms", "--plugin", "named")
    assert "--algorithm" in paymaster("run", "--help", "--plugin", "named")
