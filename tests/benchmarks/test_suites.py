"""Suites are data: every shipped one resolves, a user's is checked to the last word, and nothing in a file is run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from paymaster.benchmarks.runs.schedule import jobs
from paymaster.benchmarks.specs.overrides import override, parse_settings
from paymaster.benchmarks.specs.resolve import explicit, resolve
from paymaster.benchmarks.specs.spec import RunSpec
from paymaster.benchmarks.specs.strict_yaml import parse, read
from paymaster.benchmarks.specs.suites import Suite, description_of, expand, load_suite, suites
from paymaster.core.config import UsageError, configure
from paymaster.learning.principals.algorithm_3 import Algorithm3

GAME = "coin_game/ivanov-3x3"
SMALL: dict[str, Any] = {"game": GAME, "steps": 100, "seeds": 2, "runs": [{"mechanism": "selfish"}]}


def suite(**changes: Any) -> Suite:
    return Suite.model_validate(SMALL | changes)


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", suites())
def test_a_description_is_that_of_the_whole_suite(name: str) -> None:
    assert description_of(name) == load_suite(name).description != ""


def test_the_suites_are_pinned() -> None:
    assert suites() == [
        "cleanup-10x10", "cleanup-7x7", "cleanup-ssd", "cleanup-ssd-long", "coin-3x3", "coin-7x7", "coin-frontier",
        "coin-frontier-ppo", "contracts-cleanup", "contracts-coin", "escape-room", "harvest", "matrix", "paper-3x3",
        "paper-7x7", "paper-ablations", "paper-tree", "quick", "rivals-bandits", "rivals-cleanup", "rivals-coin",
        "rivals-dilemmas",
        "rivals-escape-room", "rivals-incentives", "rivals-matrix", "rivals-persuasion", "rivals-tree", "robustness",
        "robustness-cleanup", "tree",
    ]  # fmt: skip
    assert [entry.name for entry in load_suite("quick").runs] == [
        "selfish/dqn", "joint/dqn", "principal-dqn/dqn", "principal-dqn/ppo", "selfish/ppo", "joint/ppo",
        "selfish/total",
    ]  # fmt: skip
    assert [entry.name for entry in load_suite("coin-7x7").runs] == [
        "principal-dqn/dqn", "principal-dqn/ppo", "principal-exact/dqn", "principal-dqn/flat", "advice/dqn",
        "joint-advice/dqn", "selfish/dqn", "selfish/ppo", "joint/dqn", "joint/ppo", "selfish/total", "joint/total",
        "selfish/total-ppo", "prosocial/dqn", "inequity-aversion/dqn", "constant-share/dqn", "constant-share/same",
        "funded-share/same", "spread-budget/lump", "spread-budget/share",
    ]  # fmt: skip
    small, large = ([entry.name for entry in load_suite(name).runs] for name in ("coin-3x3", "coin-7x7"))
    assert set(small) - set(large) == {"rates-bandit/ppo"}
    assert set(large) - set(small) == {"principal-exact/dqn", "principal-dqn/flat"}


def test_agents_of_an_entry_go_on_under_the_contract_that_they_signed() -> None:
    names = ["drawn-contract/ppo", "formal-contract/voted", "formal-contract/voted-on"]
    shipped = load_suite("contracts-cleanup")
    drawn, fresh, on = (
        spec for spec, entry in zip(expand(shipped, seeds=1), shipped.runs, strict=True) if entry.name in names
    )
    assert on.agents_from == drawn
    assert on.parameters == fresh.parameters
    assert on.model_copy(update={"agents_from": None}) == fresh
    assert resolve(on).folder != resolve(fresh).folder
    assert resolve(on).name == f"{resolve(fresh).name} agents_from=drawn-contract/ppo"
    assert [job.run.spec for job in jobs([on])] == [drawn, on]
    circle = suite(runs=[{"mechanism": "selfish", "agents_from": "selfish/dqn"}])
    with pytest.raises(UsageError, match="circle: selfish/dqn -> selfish/dqn"):
        expand(circle)


@pytest.mark.parametrize("name", suites())
def test_every_run_of_a_suite_resolves_and_no_two_are_the_same(name: str) -> None:
    suite = load_suite(name)
    specs = expand(suite)
    found = [resolve(spec) for spec in specs]
    assert len(specs) == suite.seeds * len(suite.runs) * len(suite.variations)
    assert len({each.folder for each in found}) == len(specs)
    # The budget is equal for all, but where agents learn as long as some principal and its agents do together.
    principals = {each.values["principal"]["steps"] for each in found if "steps" in (each.values["principal"] or {})}
    longer = {each.values["steps"] for each in found} - {suite.steps}
    assert longer <= {suite.steps + steps for steps in principals}


@pytest.mark.parametrize("name", ["coin-3x3", "coin-7x7"])
def test_jobs_come_after_those_they_need(name: str) -> None:
    made: set[str] = set()
    for job in jobs(expand(load_suite(name), seeds=2)):
        assert made.issuperset(job.needs)
        made.add(job.id)
    assert len(made) == 2 * len(load_suite(name).runs)


def test_the_principal_is_the_one_of_the_same_seed() -> None:
    runs = ({"mechanism": "principal-dqn"}, {"mechanism": "advice", "principal_from": "principal-dqn/dqn"})
    specs = expand(suite(runs=runs), seeds=3, first=100)
    assert [spec.seed for spec in specs] == [100, 100, 101, 101, 102, 102]
    for principal, advice in zip(specs[::2], specs[1::2], strict=True):
        assert advice.principal_from == principal


def test_settings_of_the_suite_and_of_an_entry() -> None:
    entry = {"mechanism": "selfish", "settings": {"lr": 0.1}}
    (spec,) = expand(suite(settings={"dqn": {"lr": 0.2, "tau": 0.3}, "ppo": {"clip": 0.1}}, runs=[entry]), seeds=1)
    assert spec.settings == {"lr": 0.1, "tau": 0.3}


def test_an_entry_may_learn_longer_than_the_suite() -> None:
    entries = [{"mechanism": "selfish"}, {"id": "selfish/total", "mechanism": "selfish", "steps": 250}]
    assert [spec.steps for spec in expand(suite(runs=entries), seeds=1)] == [100, 250]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": [{"mechanism": "advice", "principal_from": "principal/dqn"}]}, "unknown entry of the suite"),
        ({"runs": [{"mechanism": "advice", "principal_from": "advice/dqn"}]}, "circle: advice/dqn -> advice/dqn"),
        ({"runs": [{"mechanism": "selfish"}, {"mechanism": "selfish"}]}, "selfish/dqn appears twice"),
        ({"runs": []}, "runs"),
        ({"seeds": 0}, "seeds"),
        ({"steps": "many"}, "steps"),
        ({"step": 5}, "step: extra inputs are not permitted"),
        (
            {"runs": [{"mechanism": "joint", "parameters": {"a": {"from": 1, "b": 1}}}]},
            "a parameter is a value or",
        ),
    ],
)
def test_a_broken_suite_is_told(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    import json

    path = written(tmp_path / "mine.yaml", json.dumps(SMALL | changes))
    with pytest.raises(UsageError, match=message):
        expand(load_suite(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"game": "coin_game/ivanov-3"}, "Did you mean 'coin_game/ivanov-3x3'"),
        ({"mechanism": "selfsh"}, "Did you mean 'selfish'"),
        ({"algorithm": "dqnn"}, "Did you mean 'dqn'"),
        ({"rules": {"grid_size": 1}}, "grid_size"),
        ({"rules": {"grid_size": 3.5}}, "grid_size"),
        ({"settings": {"lr": -1.0}}, "lr"),
        ({"parameters": {"share": 0.5}}, "unknown parameter"),
        ({"mechanism": "constant-share", "parameters": {"share": 1.5}}, "share"),
        ({"principal": {"steps": 5}}, "no principal to train"),
        ({"mechanism": "principal-dqn", "principal": {"step": 5}}, "Did you mean 'steps'"),
    ],
)
def test_a_spec_that_does_not_hold_is_told(changes: dict[str, Any], message: str) -> None:
    spec = RunSpec.model_validate({"game": GAME, "mechanism": "selfish", "steps": 100} | changes)
    with pytest.raises(UsageError, match=message):
        resolve(spec)


def test_set_finds_where_a_key_belongs() -> None:
    spec = RunSpec(game=GAME, mechanism="constant-share", steps=100)
    pairs = ["share=0.25", "horizon=10", "lr=3e-4", "steps=50", "hidden=[16, 16]", "episodes=8", "runners=2"]
    settings = parse_settings(pairs)
    (found,) = override([spec], settings)
    assert found.parameters == {"share": 0.25}
    assert found.rules == {"horizon": 10}
    assert found.settings == {"lr": 3e-4, "hidden": [16, 16]}
    assert (found.steps, found.episodes) == (50, 8)
    assert found.resources == {"runners": 2}
    assert resolve(found).values["resources"] == {"runners": 2, "learners": 0, "gpu": False}


def test_set_reaches_those_that_a_run_depends_on() -> None:
    principal = RunSpec(game=GAME, mechanism="principal-dqn", steps=100)
    advice = RunSpec(game=GAME, mechanism="advice", principal_from=principal, steps=100)
    (found,) = override([advice], {"horizon": 10, "principal.lr": 0.01})
    assert found.principal_from is not None
    assert found.rules == found.principal_from.rules == {"horizon": 10}
    assert found.principal == {}
    assert found.principal_from.principal == {"lr": 0.01}


def test_set_reaches_those_that_agents_come_from() -> None:
    before = RunSpec(game=GAME, mechanism="selfish", steps=100)
    (found,) = override([RunSpec(game=GAME, mechanism="joint", agents_from=before, steps=100)], {"horizon": 10})
    assert found.agents_from is not None
    assert found.rules == found.agents_from.rules == {"horizon": 10}


def test_set_leaves_alone_what_has_no_such_key() -> None:
    specs = expand(suite(runs=({"mechanism": "selfish"}, {"mechanism": "constant-share"})), seeds=1)
    selfish, share = override(specs, {"share": 0.1})
    assert selfish == specs[0]
    assert share.parameters == {"share": 0.1}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lr", "ambiguous: write algorithm.lr or principal.lr"),
        ("steps", "ambiguous: write principal.steps or run.steps"),
        ("shar", "unknown key"),
        ("game.lr", "unknown key"),
    ],
)
def test_set_refuses_a_key_of_two_places_or_none(key: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override([RunSpec(game=GAME, mechanism="principal-dqn", steps=100)], {key: 1})


@pytest.mark.parametrize("pair", ["lr", "=3", "lr={a: 1}", "lr=!!python/name:os.system", "lr=[1"])
def test_set_refuses_what_is_no_setting(pair: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        parse_settings([pair])


HOSTILE = {  # content, and what is said of it
    "game: !!python/object/apply:os.system ['touch {canary}']": "could not determine a constructor",
    "!!python/object/new:os.system ['touch {canary}']": "could not determine a constructor",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]": "line 2, column 8: aliases are not allowed",
    "game: a\ngame: b": "'game' appears twice",
    "game: a\n---\ngame: b": "another document",
    "- game": "must hold a mapping",
    "": "must hold a mapping",
    "runs: [": "line 1, column 8",
    "? [a, b]\n: c": "unhashable",
    "game: \x00": "special characters are not allowed",
    "game: 2026-99-99": "month must be in",
}


@pytest.mark.parametrize("content", HOSTILE)
def test_hostile_yaml_is_refused_and_not_run(content: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = written(tmp_path / "mine.yaml", content.replace("{canary}", str(canary)))
    with pytest.raises(UsageError, match=rf"mine\.yaml.*{HOSTILE[content]}"):
        load_suite(path)
    assert not canary.exists()


def test_a_deep_or_large_file_is_refused_at_once(tmp_path: Path) -> None:
    began = time.perf_counter()
    with pytest.raises(UsageError, match="not plain YAML"):
        parse("[" * 100_000, what="it")
    with pytest.raises(UsageError, match="larger than"):
        read(Path(written(tmp_path / "large.yaml", "a" * 1_000_001)))
    assert time.perf_counter() - began < 5


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_suite(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        load_suite(str(tmp_path / "bytes.yaml"))


def test_numbers_as_everybody_writes_them() -> None:
    assert parse("[3e-4, 1E5, 1.5, 7, -2e3, .5e1, yes, 'no', a1e5]", what="it") == [
        3e-4, 1e5, 1.5, 7, -2e3, 5.0, True, "no", "a1e5",
    ]  # fmt: skip


def test_a_principal_that_is_taken_may_promise_otherwise() -> None:
    trained = RunSpec(game=GAME, mechanism="principal-dqn", steps=100, principal={"nudge": 0.02})
    spec = RunSpec(game=GAME, mechanism="principal-dqn", steps=100, principal_from=trained, principal={"bonus": 0.1})
    assert resolve(spec).name == "principal-dqn bonus=0.1"
    assert resolve(spec).values["principal"]["bonus"] == 0.1
    assert resolve(explicit(resolve(spec))).folder == resolve(spec).folder
    for setting in ("lr", "alpha"):
        with pytest.raises(
            UsageError, match=f"not trained again: got {setting}, allowed is nudge, due, bonus, stake, robust, cap"
        ):
            resolve(spec.model_copy(update={"principal": {setting: 1.0}}))
    with pytest.raises(UsageError, match=r"bonus: .*-1"):
        resolve(spec.model_copy(update={"principal": {"bonus": -1.0}}))


def test_a_trained_principal_may_promise_by_what_the_others_did_or_not() -> None:
    model: dict[str, Any] = {"joint_values": True, "contingent": True}
    values: dict[str, Any] = {"game": GAME, "mechanism": "principal-dqn", "steps": 100}
    trained = RunSpec(**values, principal=model)
    assert resolve(trained).name == "principal-dqn joint_values=True contingent=True"
    flat = resolve(RunSpec(**values, principal_from=trained, principal={"contingent": False, "bonus": 0.1}))
    assert flat.name == "principal-dqn contingent=False bonus=0.1"
    assert flat.values["principal"]["contingent"] is False
    assert resolve(explicit(flat)).folder == flat.folder


def test_an_exact_principal_needs_a_table() -> None:
    spec = RunSpec(game=GAME, mechanism="principal-exact", steps=100, principal={"against": "any"})
    assert resolve(spec).name == "principal-exact against=any"
    assert resolve(spec).values["principal"]["nudge"] == 0.0


def test_a_learned_principals_price_of_money_is_told_where_it_is_another() -> None:
    values: dict[str, Any] = {"game": GAME, "mechanism": "principal-dqn", "steps": 100}
    names = [resolve(RunSpec(**values, principal=principal)).name for principal in ({}, {"alpha": 0.1}, {"alpha": 0.5})]
    assert names == ["principal-dqn", "principal-dqn", "principal-dqn alpha=0.5"]


def test_a_setting_with_a_better_name_is_stored_by_the_old_one_and_taken_by_both() -> None:
    game, small = "coin_game/ivanov-3x3", {"steps": 100}
    old = RunSpec(game=game, mechanism="principal-dqn", principal={"nudge": 0.1, "fragment": 8}, **small)
    new = RunSpec(game=game, mechanism="principal-dqn", principal={"margin": 0.1, "rollout_length": 8}, **small)
    assert resolve(old).folder == resolve(new).folder
    assert resolve(new).values["principal"]["nudge"] == 0.1
    assert "margin" not in resolve(new).values["principal"]
    both = RunSpec(game=game, mechanism="principal-dqn", principal={"nudge": 0.1, "margin": 0.1}, **small)
    with pytest.raises(UsageError, match="margin and nudge are one setting, and both are given"):
        resolve(both)
    for spec in (old, new):
        (changed,) = override([spec], {"margin": 0.3, "principal.exploration_fraction": 0.5})
        assert resolve(changed).values["principal"]["nudge"] == 0.3
    assert resolve(changed).values["principal"]["nudge"] == 0.3
    assert resolve(changed).values["principal"]["explore_until"] == 0.5
    taken = RunSpec(game=game, mechanism="principal-dqn", principal_from=old, principal={"base_pay": 0.1}, **small)
    assert resolve(taken).name == "principal-dqn bonus=0.1"


def test_a_default_that_is_redeclared_keeps_its_bounds_and_its_help() -> None:
    described = Algorithm3.__pydantic_fields__
    assert described["epsilon"].default == 0.4
    assert described["epsilon"].description == "Share of random actions at the start ..."
    with pytest.raises(UsageError, match=r"epsilon: input should be less than or equal to 1 .got 1.5"):
        configure(Algorithm3, {"epsilon": 1.5}, what="the principal")
