"""A run's record: a row for every episode, the same ones whenever it is made, whole or not there at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paymaster.benchmarks import files
from paymaster.benchmarks.analysis.comparison import compare
from paymaster.benchmarks.analysis.dataset import of_run
from paymaster.benchmarks.measures import formulas as metrics
from paymaster.benchmarks.measures.audit import read_audit
from paymaster.benchmarks.measures.columns import COLUMNS, Column
from paymaster.benchmarks.reports.comparison_rows import group_rows
from paymaster.benchmarks.reports.comparison_table import present
from paymaster.benchmarks.reports.doc_pages import pages
from paymaster.benchmarks.reports.episode import draw
from paymaster.benchmarks.runs.launch import run_suite
from paymaster.benchmarks.runs.load import load
from paymaster.benchmarks.runs.record import read_about, read_episodes, read_run_spec, read_training
from paymaster.benchmarks.runs.replay import frames, load_replay
from paymaster.benchmarks.runs.run import perform, run
from paymaster.benchmarks.runs.schedule import jobs
from paymaster.benchmarks.specs.overrides import override
from paymaster.benchmarks.specs.resolve import resolve
from paymaster.benchmarks.specs.spec import Reference, RunSpec
from paymaster.contracts.loop import Simulation
from paymaster.core.config import UsageError
from paymaster.learning import ROLES

from .. import unlearned

GAME = "coin_game/ivanov-3x3"
PRINCIPAL = RunSpec(game=GAME, mechanism="principal-dqn", principal={"steps": 400}, steps=400, episodes=32, seed=1)


@pytest.fixture(autouse=True)
def _unlearned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)
    monkeypatch.setattr(unlearned, "calls", [])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with a principal; its results' folder is four above."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
        patch.setattr("paymaster.learning.phases", unlearned, raising=False)
        return make(PRINCIPAL, out)


def make(spec: RunSpec, out: Path) -> Path:
    for source in spec.needs():
        make(source, out)
    list(perform(resolve(spec), out))
    return out / resolve(spec).folder


def test_equality_by_hand() -> None:
    # returns 3 and 1: |3 - 1| + |1 - 3| = 4, over 2 * 2 agents * sum 4 = 16
    found = metrics.equality(np.array([[3.0, 1.0], [2.0, 2.0], [5.0, 0.0], [1.0, -1.0], [-2.0, 1.0]]))
    np.testing.assert_allclose(found, [0.75, 1.0, 0.5, np.nan, np.nan])


def test_payment_share_and_utility_by_hand() -> None:
    found = metrics.payment_share(np.array([10.0, 0.0, -1.0]), np.array([2.5, 1.0, 1.0]))
    np.testing.assert_allclose(found, [0.25, np.nan, np.nan])
    assert metrics.utility(10.0, 2.5, 0.1) == pytest.approx(97.5)


def test_every_episode_of_every_phase_has_a_row(made: Path) -> None:
    rows = read_episodes(made)
    # 8 environments play 400 steps: 50 each, so two whole episodes of 20 steps
    assert rows.groupby("phase", sort=False).size().to_dict() == {"train": 16, "validate": 16, "evaluate": 32}
    for _, phase in rows.groupby("phase"):
        assert phase["episode"].tolist() == list(range(len(phase)))
        assert phase["steps"].is_monotonic_increasing
    assert set(rows["steps"][rows["phase"] == "validate"]) == {160, 320}
    assert rows["key"].is_unique


def test_rows_hold_the_money_that_was_played(made: Path) -> None:
    """The same episodes, played again step by step beside the record."""
    learned = load(made)
    loop = Simulation(
        learned.game, learned.mechanism, 32, seed=1, stream=unlearned.EVALUATE.stream, principal=learned.principal
    )
    keys, returns, payments, followed = loop.keys.copy(), np.zeros((32, 2)), np.zeros((32, 2)), np.zeros(32)
    for _ in range(20):
        step = loop.step(learned.policy(loop.seen))
        returns += step.transition.rewards
        payments += step.ledger.payments
        followed += step.complied.mean(axis=1) / 20
    rows = read_episodes(made, "evaluate").set_index("key").loc[keys]
    for i in (0, 1):
        np.testing.assert_allclose(rows[f"return_{i}"], returns[:, i], atol=1e-5)
        np.testing.assert_allclose(rows[f"payment_{i}"], payments[:, i], atol=1e-5)
        assert not rows[f"transfer_{i}"].any()
        assert not rows[f"shaping_{i}"].any()
    np.testing.assert_allclose(rows["welfare"], returns.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(rows["principal_payment"], payments.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(rows["compliance"], followed)
    positive = returns.sum(axis=1) > 0
    shares = payments.sum(axis=1)[positive] / returns.sum(axis=1)[positive]
    np.testing.assert_allclose(rows["payment_share"][positive], shares, atol=1e-5)
    assert rows["payment_share"][~positive].isna().all()
    assert (rows["deviation_regret"] >= 0).all()
    assert rows["deviation_regret"].mean() == pytest.approx(read_audit(made).deviation_regret)
    assert set(rows["length"]) == {20}


def test_every_row_says_whose_it_is(made: Path) -> None:
    rows = read_episodes(made)
    same = rows[["run", "game", "game_version", "mechanism", "algorithm", "seed"]].drop_duplicates()
    assert same.to_numpy().tolist() == [[resolve(PRINCIPAL).folder, GAME, 1, "principal-dqn", "dqn", 1]]


def test_run_json_tells_how_it_was_made(made: Path) -> None:
    about = read_about(made / "run.json")
    assert about["finished"]
    assert about["steps"]["validate"] == 400
    assert about["seconds"].keys() == {"train", "validate", "evaluate"}
    assert about["resolved"]["rules"]["grid_size"] == 3
    assert about["resolved"]["settings"]["discount"] == 0.99
    assert {"numpy", "torch", "ray", "python"} <= about["versions"].keys()
    assert about["machine"]["cores"] >= 1
    assert read_training(made)["name"].unique().tolist() == ["loss"]


def test_a_record_from_before_a_column_came_can_be_read(made: Path, tmp_path: Path) -> None:
    spec = RunSpec(game=GAME, mechanism="drawn-contract", steps=400, episodes=32, seed=1)
    folder = make(spec, tmp_path)
    acceptance = of_run(folder)["acceptance"]
    assert acceptance is not None
    assert 0 < acceptance < 1
    assert of_run(made)["acceptance"] is None  # nothing was there to be signed
    later = ["terms_theta", "terms_held"]
    rows = read_episodes(folder)
    rows.drop(columns=later).to_parquet(folder / "episodes.parquet")
    assert of_run(folder)["acceptance"] is None
    assert of_run(folder)["welfare"] == rows["welfare"][rows["phase"] == "evaluate"].mean()
    assert read_episodes(folder, columns=["key", *later])[later].isna().all(axis=None)


def test_a_metric_is_one_entry(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry alone takes it to the CSV table, which is read again, to the text tables, to JSON and to the docs."""
    before = compare(made)
    entry = Column(
        "poorest", "poorest", "return of the poorest", "what the agent with the lowest return earns",
        lambda run: float(run.episodes[["return_0", "return_1"]].min(axis=1).mean()), format="{:.3f}",
    )  # fmt: skip
    monkeypatch.setitem(COLUMNS, entry.name, entry)
    rows = read_episodes(made, "evaluate")
    poorest = np.minimum(rows["return_0"], rows["return_1"]).mean()
    comparison = compare(made)
    table = tmp_path / "table.csv"
    table.write_text(present(comparison, "csv") + "\n")
    assert pd.read_csv(table)["poorest"].tolist() == [pytest.approx(poorest)]
    assert compare(table).rows == comparison.rows
    head, *lines = group_rows(comparison.groups[0])
    assert lines[-1][head.index("poorest")] == f"{poorest:.3f}"
    for format in ("table", "markdown"):
        text = " ".join(present(comparison, format, everything=True).split())
        assert "poorest: return of the poorest, what the agent with the lowest return earns" in text
    found = json.loads(present(comparison, "json"))
    assert found["columns"]["poorest"]["label"] == "return of the poorest"
    assert found["groups"][0]["lines"][0]["metrics"]["poorest"]["by_seed"] == {"1": pytest.approx(poorest)}
    assert "| `poorest` | return of the poorest |" in pages()["columns.md"]
    old = tmp_path / "old.csv"  # from before the metric came
    old.write_text(present(before, "csv") + "\n")
    assert compare(old).groups[0].lines[0].values("poorest") == {}


def test_run_json_gives_the_run_again(made: Path) -> None:
    again = read_run_spec(made / "run.json")
    assert again.settings["discount"] == 0.99  # defaults are written out
    assert resolve(again).folder == resolve(PRINCIPAL).folder


def test_the_replay_is_an_evaluated_episode(made: Path) -> None:
    replay = load_replay(made)
    row = read_episodes(made, "evaluate").set_index("key").loc[int(replay.key[0])]
    assert replay.rewards.sum() == pytest.approx(row["welfare"], abs=1e-5)
    assert replay.payments.sum() == pytest.approx(row["principal_payment"], abs=1e-5)
    assert len(replay.actions) == row["length"]
    assert len(list(frames(resolve(PRINCIPAL).game, replay))) == 21


def test_a_replay_under_changed_rules_is_refused(made: Path) -> None:
    replay = load_replay(made)._replace(rewards=load_replay(made).rewards + 1)
    with pytest.raises(UsageError, match="rules have changed"):
        list(frames(resolve(PRINCIPAL).game, replay))


def test_a_run_is_drawn(made: Path, tmp_path: Path) -> None:
    assert draw(str(made), tmp_path / "episode.png", settings=[]).read_bytes()[:4] == b"\x89PNG"


def test_a_finished_run_is_not_made_again(made: Path) -> None:
    before = (made / "run.json").stat().st_mtime_ns
    assert list(perform(resolve(PRINCIPAL), made.parents[3])) == []
    assert unlearned.calls == []
    assert (made / "run.json").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_episodes_and_another_others(made: Path, tmp_path: Path) -> None:
    again = read_episodes(make(PRINCIPAL, tmp_path))
    pd.testing.assert_frame_equal(again, read_episodes(made))
    other = read_episodes(make(PRINCIPAL.model_copy(update={"seed": 2}), tmp_path))
    assert not set(other["key"]) & set(again["key"])


def test_a_principal_is_taken_from_another_run(made: Path) -> None:
    spec = RunSpec(game=GAME, mechanism="advice", principal_from=PRINCIPAL, steps=400, episodes=32, seed=1)
    folder = make(spec, made.parents[3])
    assert unlearned.calls == ["validate", "evaluate"]
    rows = read_episodes(folder, "evaluate")
    assert not rows["principal_payment"].any()
    assert rows["compliance"].notna().all()
    ours, theirs = load(folder).principal, load(made).principal
    state = resolve(spec).game.reset(np.arange(5, dtype=np.uint64))
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(
        ours(resolve(spec).game, state).recommended, theirs(resolve(spec).game, state).recommended
    )


def test_agents_go_on_from_another_run(tmp_path: Path) -> None:
    small: dict[str, Any] = {"game": GAME, "steps": 400, "episodes": 32, "seed": 1}
    before = RunSpec(mechanism="selfish", **small)
    spec = RunSpec(mechanism="joint", agents_from=before, **small)
    assert [job.run.spec for job in jobs([spec])] == [before, spec]
    source = make(before, tmp_path)
    unlearned.calls.clear()
    folder = make(spec, tmp_path)
    assert unlearned.calls == ["go on", "evaluate"]
    assert folder != make(spec.model_copy(update={"agents_from": None}), tmp_path)
    about = read_about(folder / "run.json")
    assert about["name"] == "joint agents_from=selfish/dqn"
    assert about["resolved"]["agents_from"]["variant"] == read_about(source / "run.json")["variant"]
    assert resolve(read_run_spec(folder / "run.json")).folder == resolve(spec).folder
    further = spec.model_copy(update={"agents_from": spec, "parameters": {}})
    assert resolve(further).name == f"joint agents_from={about['variant']}"
    with pytest.raises(UsageError, match="seed 1 depends on a run of seed 2"):
        resolve(spec.model_copy(update={"agents_from": before.model_copy(update={"seed": 2})}))


def test_a_parameter_is_taken_from_another_run(tmp_path: Path) -> None:
    small: dict[str, Any] = {"game": GAME, "steps": 400, "episodes": 32, "seed": 1}
    source = RunSpec(mechanism="funded-share", parameters={"share": 0.3}, **small)  # pays 30% of the welfare
    share = Reference(source=source, column="payment_share")
    about = read_about(
        make(RunSpec(mechanism="constant-share", parameters={"share": share}, **small), tmp_path) / "run.json"
    )
    assert about["resolved"]["given"]["share"] == pytest.approx(0.3)
    assert about["name"] == "constant-share share=funded-share share=0.3/dqn.payment_share"


def test_the_same_money_is_spread_as_another_run_paid(tmp_path: Path) -> None:
    small: dict[str, Any] = {"game": GAME, "steps": 400, "episodes": 32, "seed": 1}
    payer = RunSpec(mechanism="funded-share", parameters={"share": 0.8}, **small)
    pilot = RunSpec(mechanism="funded-share", parameters={"share": 0.2}, **small)
    references = {
        "budget": Reference(source=payer, column="payment"), "welfare": Reference(source=pilot, column="paid_welfare")
    }  # fmt: skip
    paid = [read_episodes(make(each, tmp_path), "evaluate")["principal_payment"].mean() for each in (payer, pilot)]
    lump, share = (
        make(RunSpec(mechanism="spread-budget", parameters=parameters, **small), tmp_path)
        for parameters in ({"budget": references["budget"]}, references)
    )
    given = read_about(share / "run.json")["resolved"]["given"]
    assert given == {"budget": pytest.approx(paid[0]), "welfare": pytest.approx(paid[1] / 0.2)}
    assert paid[0] > 0
    # agents that do not learn earn the same under all of them
    np.testing.assert_allclose(read_episodes(lump, "evaluate")["principal_payment"], paid[0], rtol=1e-5)
    assert read_episodes(share, "evaluate")["principal_payment"].mean() == pytest.approx(paid[0], rel=1e-5)
    wrong = {"welfare": Reference(source=RunSpec(mechanism="joint", **small), column="paid_welfare")}
    with pytest.raises(UsageError, match=r"take it from a run of funded-share \(got joint\)"):
        resolve(RunSpec(mechanism="spread-budget", parameters=wrong, **small))
    nothing = Reference(source=pilot.model_copy(update={"parameters": {"share": 0.0}}), column="paid_welfare")
    make(nothing.source, tmp_path)
    with pytest.raises(UsageError, match="paid a share of 0"):
        make(RunSpec(mechanism="spread-budget", parameters={"welfare": nothing}, **small), tmp_path)


def test_transfers_are_net_for_each_and_gross_for_all(tmp_path: Path) -> None:
    spec = RunSpec(game=GAME, mechanism="constant-share", steps=400, episodes=32, seed=1)
    folder = make(spec, tmp_path)
    learned = load(folder)
    loop = Simulation(learned.game, learned.mechanism, 32, seed=1, stream=unlearned.EVALUATE.stream)
    keys, net, gross = loop.keys.copy(), np.zeros((32, 2)), np.zeros(32)
    for _ in range(20):
        transfers = loop.step(learned.policy(loop.seen)).ledger.transfers
        net += transfers.sum(axis=1) - transfers.sum(axis=2)
        gross += transfers.sum(axis=(1, 2))
    rows = read_episodes(folder, "evaluate").set_index("key").loc[keys]
    np.testing.assert_allclose(rows[["transfer_0", "transfer_1"]], net, atol=1e-5)
    np.testing.assert_allclose(rows["transfer_volume"], gross, atol=1e-5)
    assert (gross > np.abs(net[:, 0]) + 1e-3).any()  # money went both ways
    assert not rows["principal_payment"].any()
    assert rows["compliance"].isna().all()


def test_what_changes_the_run_changes_its_folder() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"rules": {"horizon": 10}}, {"settings": {"lr": 0.123}}, {"principal": {"steps": 401}},
        {"steps": 500}, {"episodes": 33}, {"seed": 2}, {"algorithm": "ppo"},
    ]  # fmt: skip
    found = {resolve(PRINCIPAL.model_copy(update=change)).folder for change in changes}
    assert len(found) == len(changes)
    same = PRINCIPAL.model_copy(
        update={"settings": {"lr": ROLES["dqn"]().lr}, "rules": {"grid_size": 3}}
    )  # the defaults
    assert resolve(same).folder == resolve(PRINCIPAL).folder


def test_seeds_of_one_variant_share_it() -> None:
    share = Reference(source=PRINCIPAL, column="payment_share")
    spec = RunSpec(game=GAME, mechanism="funded-share", parameters={"share": share}, steps=400, seed=1)
    other = override([spec], {})[0].model_copy(update={"seed": 2})
    with pytest.raises(UsageError, match="must be the same"):
        resolve(other)
    share = Reference(source=PRINCIPAL.model_copy(update={"seed": 2}), column="payment_share")
    assert resolve(other.model_copy(update={"parameters": {"share": share}})).variant == resolve(spec).variant


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paymaster.benchmarks.runs.run.write_about", _fail)
    with pytest.raises(RuntimeError, match="power cut"):
        make(PRINCIPAL, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name.startswith("s1")] == []


def _fail(*arguments: object) -> None:
    raise RuntimeError("power cut")


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    with files.locked(tmp_path, "first"):
        left = tmp_path / "game" / f"{files.PARTIAL}abc"
        left.mkdir(parents=True)
        with files.locked(tmp_path, "second"):  # while the first is at work
            assert left.exists()
    with files.locked(tmp_path, "third"):
        assert not left.exists()
    assert [each["command"] for each in files.commands(tmp_path)] == ["first", "second", "third"]


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import unlearned
unlearned.install()
unlearned.NAP = 0.01
from paymaster.benchmarks.runs.launch import run_suite
run_suite({suite!r}, out={out!r}, workers=1)
"""
SUITE = """
game: coin_game/ivanov-3x3
steps: 800
episodes: 16
seeds: 2
principal: {steps: 800}
runs:
  - {mechanism: selfish}
  - {mechanism: principal-dqn}
"""


def test_runs_are_found_while_unfinished_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/s0", "b/s1", "b/.partial-x", "gone"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    scandir = os.scandir

    def scanned(path: str) -> Any:
        if Path(path).name in ("gone", ".partial-x"):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scanned)
    assert files.runs(tmp_path) == [tmp_path / "a" / "s0", tmp_path / "b" / "s1"]


def test_killed_at_any_moment_a_suite_goes_on_and_gives_the_same_episodes(tmp_path: Path) -> None:
    suite, cut, whole = tmp_path / "suite.yaml", tmp_path / "cut", tmp_path / "whole"
    suite.write_text(SUITE)
    process = _start(suite, cut)
    while process.poll() is None and not (cut.exists() and files.runs(cut)):
        time.sleep(0.05)
    time.sleep(0.2)  # into the next run
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: (path / "run.json").stat().st_mtime_ns for path in files.runs(cut)}
    assert 1 <= len(before) < 4
    made = run_suite(suite, out=cut, workers=1)
    assert before.items() <= {path: (path / "run.json").stat().st_mtime_ns for path in files.runs(cut)}.items()
    for ours, theirs in zip(made, run_suite(suite, out=whole, workers=1), strict=True):
        assert ours.folder.relative_to(cut) == theirs.folder.relative_to(whole)
        pd.testing.assert_frame_equal(read_episodes(ours.folder), read_episodes(theirs.folder))
    assert len(files.runs(cut)) == len(made) == 4


def _start(suite: Path, out: Path) -> subprocess.Popen[bytes]:
    script = KILLED.format(tests=str(Path(__file__).parents[1]), suite=str(suite), out=str(out))
    return subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_single_run_from_python(tmp_path: Path) -> None:
    result = run(GAME, mechanism="constant-share", seed=3, steps=400, out=tmp_path, share=0.25, episodes=16, horizon=10)
    rows = read_episodes(result.folder, "evaluate")
    assert result.welfare == pytest.approx(rows["welfare"].mean())
    assert set(rows["length"]) == {10}
    assert result.about["resolved"]["parameters"] == {"share": 0.25}
    assert load(result.folder).policy is not None
    with pytest.raises(UsageError, match="shares"):
        run(GAME, mechanism="constant-share", out=tmp_path / "none", shares=0.25)
    assert not (tmp_path / "none").exists()
