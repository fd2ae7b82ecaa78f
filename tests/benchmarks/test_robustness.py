"""The suites of robustness, and what an agent gains that learns while the others follow, from the command line on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from paymaster.benchmarks.runs.load import load
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.suites import Suite, expand, load_suite

Paymaster = Callable[..., str]
FEE = '''
"""A contract that asks all to take the first action, for a fee that is too low."""
from typing import ClassVar

import numpy as np
from paymaster.core.checkpoint import Checkpoint, Saved
from paymaster.learning import Role
from paymaster.mechanisms import Decisions, RecommendationContract, configuration, register_mechanism


class Fee(Saved):
    def __call__(self, game, state):
        shape = len(state.key), len(game.agents)
        return Decisions(np.zeros(shape, np.int64), np.full(shape, 0.5, np.float32))

    def checkpoint(self):
        return Checkpoint({})

    @classmethod
    def restored(cls, checkpoint):
        return cls()


@configuration
class Asking(Role):
    """Asks for the first action."""

    learns: ClassVar[bool] = False

    def learn(self, task):
        yield from ()
        return Fee()

    def kept(self):
        return Fee


@register_mechanism("fee")
@configuration
class FeeContract(RecommendationContract):
    """Half a coin for the first action."""

    principal: ClassVar[type] = Asking
'''


@pytest.mark.parametrize(
    ("agents", "gain", "best"),
    [
        # who defects earns 4 while the other follows, and 3 + 0.5 by following
        ("[dqn, follow]", 0.5, 0.5),
        # among three, half of each game of two: 2.5 for each of two that defect, above 1.5 + 0.5 for one that stops
        ("[dqn, follow, dqn]", -2.0, 0.5),
    ],
)
def test_what_is_gained_while_others_follow(
    agents: str, gain: float, best: float, paymaster: Paymaster, tmp_path: Path
) -> None:
    (tmp_path / "fee.py").write_text(FEE)
    players = agents.count(",") + 1
    paymaster(
        "run", "matrix/prisoners-dilemma", "--set", f"players={players}", "--mechanism", "fee", "--plugin", "fee",
        "--algorithm", "mixed", "--set", f"agents={agents}", "--set", "lr=0.01", "--set", "steps=20000",
        "--seed", "100", "--out", "runs",
    )  # fmt: skip
    (found,) = (tmp_path / "runs").glob("*/*/*/*/run.json")
    assert json.loads(found.read_text())["evaluated"]["exploited_income"] == pytest.approx(gain)
    told = json.loads(paymaster("compare", "runs", "--plugin", "fee", "--format", "json"))
    text = json.dumps(told)
    (line,) = told["groups"][0]["rows"] if "rows" in told["groups"][0] else told["groups"][0]["lines"]
    assert line["algorithm"] == agents.strip("[]").replace(", ", "+")
    for name, value in (("exploited_income", gain), ("exploited_gain", gain), ("followed_gain", best)):
        assert f'"{name}"' in text
        assert line["metrics"][name]["mean"] == pytest.approx(value, abs=1e-6)
    paymaster("audit", found.parent, "--plugin", "fee")  # it is the same, read again
    again = json.loads((found.parent / "audit.json").read_text())
    assert again["exploited_gain"] == pytest.approx(gain, abs=1e-6)


def test_a_run_without_followers_has_no_exploiters(paymaster: Paymaster, tmp_path: Path) -> None:
    paymaster(
        "run", "matrix/prisoners-dilemma", "--algorithm", "mixed", "--set", "agents=[dqn, ppo]", "--set", "steps=2000",
        "--seed", "100", "--out", "runs",
    )  # fmt: skip
    (found,) = (tmp_path / "runs").glob("*/*/*/*/run.json")
    assert json.loads(found.read_text())["evaluated"]["exploited_income"] is None
    assert json.loads((found.parent / "audit.json").read_text())["exploited_gain"] is None
    assert load(found.parent).run.label == "selfish/dqn+ppo"
    told = paymaster("run", "matrix/prisoners-dilemma", "--algorithm", "mixed", "--set", "agents=[dqn]", code=2)
    assert "got 1 algorithms" in told


def test_learners_of_a_mixture_have_the_settings_that_a_suite_gives_them() -> None:
    suite = Suite.model_validate(
        {
            "game": "coin_game/ivanov-3x3", "steps": 100,
            "settings": {"dqn": {"hidden": [8], "n_step": 2}, "ppo": {"clip": 0.1}},
            "runs": [
                {
                    "mechanism": "selfish", "algorithm": "mixed",
                    "settings": {"agents": ["dqn", "a2c"], "settings": {"dqn": {"n_step": 3}}},
                }
            ],
        }
    )  # fmt: skip
    (spec,) = expand(suite, seeds=1)
    settings = resolve(spec).agents.settings  # type: ignore[attr-defined]
    assert (settings["dqn"]["hidden"], settings["dqn"]["n_step"]) == ([8], 3)
    assert set(settings) == {"dqn", "a2c"}


def test_every_contract_is_trained_once_and_met_by_all() -> None:
    for name, trained in (("robustness", "learned/dqn"), ("robustness-cleanup", "principal-dqn/dqn")):
        suite = load_suite(name)
        learned = [entry for entry in suite.runs if entry.mechanism == "principal-dqn"]
        assert {entry.principal_from for entry in learned if entry.name != trained} == {trained}
        exploiters = [entry for entry in suite.runs if "follow" in entry.settings.get("agents", ())]  # type: ignore[operator]
        assert len(exploiters) >= 4
