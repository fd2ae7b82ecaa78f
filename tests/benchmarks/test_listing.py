"""What there is to run: for which games a mechanism is not, and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic_core import to_jsonable_python

from paymaster import UsageError, make, make_mechanism
from paymaster.baselines import MECHANISMS, mechanism_class
from paymaster.benchmarks.cli.list import listing, told, whole, written
from paymaster.benchmarks.specs.compatibility import why_not
from paymaster.benchmarks.specs.overrides import override
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.contracts.loop import Minds, Simulation
from paymaster.contracts.mechanism import Decisions, Mechanism
from paymaster.envs import FAMILIES, family, games
from paymaster.envs.game import Game
from paymaster.learning import algorithm_class, algorithms
from paymaster.learning.principals.rates_ppo import RatesPPO

ALGORITHMS = {item["id"]: item for item in listing(["algorithms"])["algorithms"]}
LISTED = listing(["mechanisms"])
NOT_FOR = {item["id"]: item.get("not_for", {}) for item in LISTED["mechanisms"]}


def test_every_mechanism_says_for_every_game_whether_it_is_for_it() -> None:
    assert NOT_FOR.keys() == MECHANISMS.keys()
    for id, reasons in NOT_FOR.items():
        assert reasons.keys() < set(games()), f"{id} is for no game at all"
        assert all(reasons.values())


@pytest.mark.parametrize("id", MECHANISMS)
def test_every_game_is_played_under_the_mechanism_or_refused_for_the_reason_listed(id: str) -> None:
    for name in games():
        game = make(name)
        if name not in NOT_FOR[id]:
            play(game, make_mechanism(id, game), steps=3)
            continue
        with pytest.raises(UsageError) as told:
            make_mechanism(id, game).check_principal()
        assert str(told.value).removeprefix(f"mechanism {id}: ") == NOT_FOR[id][name]


def play(game: Game, mechanism: Mechanism, steps: int) -> None:
    """At random, under a principal who recommends the first action and promises 1 wherever it may."""
    B, N, played = 2, len(game.agents), mechanism.played

    def principal(played: Game, state: Any) -> Decisions:
        count = len(played.world(state))
        return Decisions(np.zeros((count, N), np.int64), np.ones((count, *mechanism.promised_shape), np.float32))

    loop = Simulation(
        played, mechanism, B, seed=0, principal=principal if mechanism.principal else None,
        minds=Minds(lambda seen: seen.observations.reshape(B, N, -1).mean(axis=-1)),
    )  # fmt: skip
    draws = np.random.default_rng(0)
    for _ in range(steps):
        step = loop.step(draws.integers(len(played.action_names), size=(B, N)))
        assert step.earned.shape == step.ledger.payments.shape == (B, N)
        assert np.isfinite(step.earned).all()
        assert (step.ledger.payments >= 0).all()
        np.testing.assert_allclose(step.ledger.received().sum(axis=1), 0, atol=1e-4)
        assert loop.seen_after(step).terms.shape == (B, N, mechanism.terms_size)


@pytest.mark.parametrize("id", ["selfish", "joint", "committed-rates", "funded-share"])
def test_what_is_for_every_game(id: str) -> None:
    assert not NOT_FOR[id]


def families(id: str) -> set[str]:
    """The families of which some preset is refused."""
    return {game.partition("/")[0] for game in NOT_FOR[id]}


def test_what_is_for_some() -> None:
    assert families("drawn-contract") >= {"matrix", "public_goods", "escape_room", "tree"}
    assert families("drawn-contract").isdisjoint({"coin_game", "cleanup", "harvest"})
    of_several = ("symmetric-transfer", "transfer-matrix", "social-value-orientation", "inequity-aversion", "mate")
    of_one = {"tree", "persuasion", "principal_agent_bandit"}
    assert all(families(id) == of_one for id in of_several)
    hidden = {"tree/ivanov-d10", "principal_agent_bandit/scheid-5"}  # where principals pay on outcomes
    assert NOT_FOR["principal-dqn"].keys() == hidden
    assert set(games()) - NOT_FOR["outcome-dqn"].keys() == {"tree/ivanov-d10"}
    assert set(games()) - NOT_FOR["least-incentives"].keys() == {"principal_agent_bandit/scheid-5"}
    assert "coin_game/ivanov-7x7" not in NOT_FOR["principal-exact"]
    assert NOT_FOR["principal-exact"]["harvest/ssd"].startswith("Harvest cannot be solved exactly")
    assert "turning" in NOT_FOR["principal-exact"]["cleanup/ssd"]


def test_people_read_families_and_one_line_a_reason() -> None:
    def refused(id: str) -> list[str]:
        return [part for part in told(whole(id), as_json=False).split("\n\n") if part.startswith("not for")]

    contract = " ".join(refused("drawn-contract")[0].split())
    assert contract.startswith("not for matrix/*, public_goods/*, escape_room/*, tree/*")
    assert contract.endswith("got a MatrixGame, choose a Coin Game, Cleanup or Harvest")
    others = [f"{name}/*" for name in FAMILIES if name != "tree"]
    outcomes = " ".join(" ".join(refused("outcome-dqn")).split())
    assert f"not for {', '.join(others)}: CoinGame has 2 agents" in outcomes
    assert any(each.startswith("not for cleanup/ssd") for each in refused("principal-exact"))  # others differ


def test_as_json_every_game_has_its_reason() -> None:
    items = {item["id"]: item for item in json.loads(written(LISTED, as_json=True))}
    assert len(items["drawn-contract"]["not_for"]) == sum(
        len(family(name).presets) for name in families("drawn-contract")
    )
    assert "not_for" not in items["selfish"]


def test_rules_decide_too() -> None:
    assert why_not("principal-exact", make("cleanup/lio-10x10"))
    small = make("cleanup/lio-7x7", horizon=10)
    assert not why_not("principal-exact", small)


@pytest.mark.parametrize(
    ("game", "mechanism"), [("coin_game/ivanov-3x3", "outcome-dqn"), ("tree/ivanov-d10", "principal-dqn")]
)
def test_what_is_listed_so_is_refused_before_anything_runs(game: str, mechanism: str) -> None:
    reason = why_not(mechanism, make(game))
    with pytest.raises(UsageError) as told:
        resolve(RunSpec(game=game, mechanism=mechanism, steps=100))
    assert reason in str(told.value)


def test_the_settings_of_a_learner_are_keys_of_set_and_their_defaults() -> None:
    principals = {item["id"]: item["settings"] for item in LISTED["mechanisms"] if "settings" in item}
    assert principals.keys() == {id for id in MECHANISMS if mechanism_class(id).principal}
    assert principals["principal-exact"]["margin"]["default"] == 0.0
    assert principals["principal-ppo"]["agents.lr"]["default"] == RatesPPO().agents.lr
    assert ALGORITHMS.keys() == {*algorithms()}
    for id, item in ALGORITHMS.items():
        for key, setting in item["settings"].items():
            assert setting["help"], f"{id}: {key}"
            assert setting["default"] == to_jsonable_python(getattr(algorithm_class(id)(), key))
    spec = RunSpec(game="coin_game/ivanov-3x3", mechanism="principal-ppo", algorithm="ppo", steps=100)
    given = {f"algorithm.{key}": one["default"] for key, one in ALGORITHMS["ppo"]["settings"].items()}
    given |= {f"principal.{key}": one["default"] for key, one in principals["principal-ppo"].items()}
    assert resolve(override([spec], given)[0]).folder == resolve(spec).folder


def test_people_read_lists_and_settings_in_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (70, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        listed = written(listing(["games", "mechanisms", "algorithms", "suites"]), as_json=False)
        texts = [listed, *(told(whole(id), as_json=False) for id in ("dqn", "principal-dqn", "rivals-matrix"))]
        assert max(len(line) for text in texts for line in text.splitlines()) <= columns
    assert "  follow               Nobody learns" in listed
    assert 'policies = "shared"\n      shared: one network plays every agent' in texts[1]


@pytest.mark.parametrize(
    ("id", "kinds"),
    [
        ("coin_game", ["game"]), ("matrix/chicken", ["game"]), ("signals", ["mechanism"]), ("vdn", ["algorithm"]),
        ("tree", ["game", "suite"]), ("coin-3x3", ["suite"]),
    ],
)  # fmt: skip
def test_all_of_one_thing(id: str, kinds: list[str]) -> None:
    found = whole(id)
    assert [one["kind"] for one in found] == kinds
    assert [one["id"] for one in json.loads(told(found, as_json=True))] == [id] * len(kinds)
    assert all(setting["help"] for one in found for each in one["settings"].values() for setting in each.values())


def test_a_preset_has_its_own_rules_and_a_mechanism_both_kinds_of_settings() -> None:
    assert whole("matrix/chicken")[0]["settings"]["rules"]["pairwise"]["default"] == (3.0, 1.0, 4.0, 0.0)
    settings = whole("signals")[0]["settings"]
    assert settings["parameters"].keys() == {"signals"}
    assert settings["settings of its principal"]["margin"]["default"] == 0.05
    with pytest.raises(UsageError, match=r"unknown thing to list 'signal'\. Did you mean 'signals'"):
        whole("signal")
