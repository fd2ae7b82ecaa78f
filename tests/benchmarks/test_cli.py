"""The command line: what it says, and that a mistake is told in one message, with exit code 2 and nothing written."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from paymaster.benchmarks import files
from paymaster.benchmarks.cli.app import app, main
from paymaster.benchmarks.provenance import cores
from paymaster.core.stopping import keeps_sigterm
from paymaster.core.version import VERSION
from paymaster.learning import algorithms

from .. import unlearned

GAME = "coin_game/ivanov-3x3"
HEAVY = {"ray", "torch", "pandas", "pygame", "pyarrow", "matplotlib"}
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
Ran = tuple[int, str, str]  # exit code, stdout, stderr
Paymaster = Callable[..., Ran]


@pytest.fixture
def paymaster(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paymaster:
    """Run the command line in an empty folder, with nothing learned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)

    def ran(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return int(exit.value.code or 0), told.out, told.err

    return ran


def refused(ran: Ran, *parts: str) -> None:
    """One message that holds the `parts`, exit code 2, nothing on stdout, no traceback."""
    code, out, err = ran
    assert code == 2, err
    assert out == ""
    assert err.startswith("paymaster: ")
    assert len(err.strip().splitlines()) == 1, err
    for part in parts:
        assert part in err


@pytest.mark.parametrize("kind", ["games", "mechanisms", "algorithms", "suites"])
def test_everything_listed_has_an_id(paymaster: Paymaster, kind: str) -> None:
    code, out, _ = paymaster("list", kind, "--json")
    assert code == 0
    ids = [item["id"] for item in json.loads(out)]
    assert {"games": GAME, "mechanisms": "principal-dqn", "algorithms": "ppo", "suites": "quick"}[kind] in ids
    assert all(id in paymaster("list")[1] for id in ids)


def test_help_teaches_by_examples(paymaster: Paymaster) -> None:
    for command in ("run", "compare", "crossplay", "report", "render", "solve", "self-interest", "audit"):
        code, out, _ = paymaster(command, "--help")
        assert code == 0
        assert f"paymaster {command} " in out.replace("\n", " ")
    assert "Start with" in paymaster("--help")[1]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_the_short_flag_asks_for_help_too(paymaster: Paymaster, command: list[str]) -> None:
    code, out, err = paymaster(*command, "-h")
    assert (code, err) == (0, "")
    assert "-h" in out
    assert out == paymaster(*command, "--help")[1]


def test_the_version_is_printed(paymaster: Paymaster) -> None:
    assert paymaster("--version") == (0, f"paymaster {VERSION}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_plugin(paymaster: Paymaster, name: str) -> None:
    needed = ["given"] * any(each.required for each in COMMANDS[name].params)
    refused(paymaster(name, *needed, "--plugin", "no_such_module"), "no_such_module cannot be imported")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_and_its_default(name: str) -> None:
    for each in COMMANDS[name].params:
        assert re.match(r"[A-Z].*\.$|.*\)$", each.help), each.name
        if each.default not in (None, False):
            default = f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
            assert f"default: {default}" in each.help, each.name


def test_the_algorithms_are_named(paymaster: Paymaster) -> None:
    (option,) = (each for each in COMMANDS["run"].params if each.name == "algorithm")
    assert all(id in option.help for id in algorithms())


def test_without_a_command_there_is_help(paymaster: Paymaster) -> None:
    code, out, _ = paymaster()
    assert code == 2
    assert "compare" in out


@pytest.mark.parametrize("command", ["--help", "list"])
def test_help_and_list_load_nothing_heavy(command: str) -> None:
    script = (
        "import sys\nfrom paymaster.benchmarks.cli.app import main\n"
        f"try: main([{command!r}])\n"
        f"except SystemExit: print('HEAVY', *{HEAVY} & sys.modules.keys())"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "HEAVY"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "quik"], ["'quik'", "Did you mean 'quick'", "paymaster list"]),
        (["run", "coin_game/ivanov-4x4"], ["'coin_game/ivanov-4x4'", "Did you mean", "coin_game/ivanov-3x3"]),
        (["run", "coin_gam/ivanov-3x3"], ["Did you mean", "coin_game/ivanov-3x3"]),
        (["run", GAME, "--mechanism", "selfsh"], ["'selfsh'", "Did you mean 'selfish'"]),
        (["run", GAME, "--algorithm", "dqm"], ["'dqm'", "Did you mean 'dqn'"]),
        (["run", GAME, "--set", "grid_size=1"], ["grid_size", "greater than or equal to 2", "1"]),
        (["run", GAME, "--set", "grid_size=big"], ["grid_size", "integer", "'big'"]),
        (["run", GAME, "--set", "grid_size=3.5"], ["grid_size", "3.5"]),
        (["run", GAME, "--set", "grid_sise=3"], ["'grid_sise'", "Did you mean 'grid_size'"]),
        (["run", GAME, "--set", "lr=-1"], ["lr", "-1"]),
        (["run", GAME, "--set", "lr"], ["key=value", "'lr'"]),
        (["run", GAME, "--set", "steps=0"], ["steps", "0"]),
        (["run", GAME, "--mechanism", "constant-share", "--set", "share=1.5"], ["share", "1.5"]),
        (["run", GAME, "--mechanism", "principal-dqn", "--set", "lr=1"], ["algorithm.lr or principal.lr"]),
        (["run", GAME, "--seed", "-1"], ["-1"]),
        (["run", GAME, "--seed", "one"], ["one"]),
        (["run", "quick", "--seeds", "0"], ["at least 1", "0"]),
        (["run", "quick", "--seeds", "-3"], ["at least 1", "-3"]),
        (["run", "quick", "--workers", "0"], ["workers", "0"]),
        (["run", "quick", "--workers", str(cores() + 1)], ["workers", f"{cores()}", f"{cores() + 1}"]),
        (["run", "quick", "--set", "runners=1", "--workers", str(cores())], ["workers", "2 a run"]),
        (["run", GAME, "--set", f"runners={cores() + 1}"], [f"{cores() + 1} remote runners", f"there are {cores()}"]),
        (["run", GAME, "--set", "learners=-1"], ["learners", "-1"]),
        (["run", GAME, "--set", "gpu=true", "--set", "learners=999"], ["999 remote learners"]),
        (["run", "quick", "--mechanism", "joint"], ["--mechanism"]),
        (["run", "none.yaml"], ["none.yaml"]),
        (["run", "none/run.json"], ["none/run.json"]),
        (["run"], ["SUITE"]),
        (["run", "quick", "--sets", "a=1"], ["--sets"]),
        (["rum", "quick"], ["rum"]),
        (["list", "game"], ["game"]),
        (["compare", "nowhere"], ["nowhere"]),
        (["compare", ".", "--format", "html"], ["html"]),
        (["report", "nowhere"], ["nowhere", "runs/quick"]),
        (["report", ".", "--out", "a.pdf"], ["a.pdf", "report.html"]),
        (["render", "nowhere", "--out", "a.gif"], ["nowhere"]),
        (["render", GAME, "--out", "a.mp5"], ["a.mp5"]),
        (["render", GAME, "--out", "no/where/a.gif"], ["no/where/a.gif"]),
        (["render", GAME, "--out", "a.png", "--set", "horizon=0"], ["horizon", "0"]),
        (["solve", "coin_game"], ["Did you mean 'coin_game/", "paymaster list tells them"]),
        (["solve", GAME, "--discount", "1.5"], ["1.5"]),
        (["solve", GAME, "--alpha", "0"], ["alpha"]),
        (["solve", GAME, "--set", "tie=never"], ["tie", "'never'"]),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(
    paymaster: Paymaster, arguments: list[str], parts: list[str], tmp_path: Path
) -> None:
    refused(paymaster(*arguments), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch canary']", "game: [", "runs: []", "game: &a x\nruns: *a", "- a"]
)
def test_a_malformed_or_hostile_file_is_told_and_not_run(paymaster: Paymaster, text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    refused(paymaster("run", "mine.yaml"), "mine.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_damaged_run_json_is_told(paymaster: Paymaster, tmp_path: Path) -> None:
    for text in ("", "{}", "[1]", '{"run": 1, "spec": 2, "resolved": 3, "variant": 4}'):
        (tmp_path / "run.json").write_text(text)
        refused(paymaster("run", "run.json"), "run.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_foreign_folder_is_left_alone(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("precious")
    refused(paymaster("run", GAME, "--out", "theirs"), "theirs", "choose another --out")
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    refused(paymaster("run", GAME, "--out", "file"), "not a folder")
    refused(paymaster("run", GAME, "--out", "file/within"), "cannot be written")
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(paymaster("run", GAME, "--out", "locked"), "cannot be written")
    refused(paymaster("run", GAME, "--out", "locked/new"), "cannot be written")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody may write to")
def test_a_folder_that_the_system_refuses(paymaster: Paymaster) -> None:
    refused(paymaster("run", GAME, "--out", "/proc/self/runs"), "/proc/self/runs", "cannot be written")


def test_a_suite_from_start_to_table(paymaster: Paymaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paymaster.benchmarks.analysis.comparison.exact", lambda game: [])
    suite = {
        "game": GAME, "steps": 400, "episodes": 8, "seeds": 2, "rules": {"next_colour": "uniform"},
        "principal": {"steps": 400}, "runs": [{"mechanism": "selfish"}, {"mechanism": "principal-dqn"}],
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps(suite))
    code, out, err = paymaster("run", "mine.yaml", "--workers", 1)
    assert (code, err) == (0, "")
    assert "4 runs, 1 at a time, in runs/mine" in out
    assert "principal-dqn/dqn s1: welfare" in out
    assert "next_colour uniform" in out
    for name in ("curves.png", "replay.gif"):
        assert f"runs/mine/{name}" in out
        assert (tmp_path / "runs/mine" / name).stat().st_size > 1000
    assert len(files.runs(tmp_path / "runs")) == 4

    code, out, _ = paymaster("run", "mine.yaml", "--workers", 1, "--seeds", 3)
    assert "6 runs, 4 of them already made" in out
    again = next(path for path in files.runs(tmp_path / "runs") if "principal" in str(path))
    code, out, _ = paymaster("run", again / "run.json", "--workers", 1, "--out", "again")
    assert code == 0
    assert (tmp_path / "again" / again.relative_to(tmp_path / "runs/mine") / "run.json").is_file()

    _spoil(tmp_path / "runs/mine")
    code, out, err = paymaster("compare", "runs/mine", "--format", "json")
    assert code == 0
    assert len(err.strip().splitlines()) == 3
    assert all("left out" in line for line in err.strip().splitlines())
    assert sum(len(line["metrics"]["welfare"]["by_seed"]) for line in json.loads(out)["groups"][0]["lines"]) == 3


def _spoil(out: Path) -> None:
    """Damage three of the runs, each in another way."""
    cut, emptied, missing, *_ = files.runs(out)
    (cut / "episodes.parquet").write_bytes((cut / "episodes.parquet").read_bytes()[:500])
    (emptied / "run.json").write_text("{}")
    (missing / "episodes.parquet").unlink()


def test_a_run_that_fails_takes_only_those_that_need_it(
    paymaster: Paymaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise FloatingPointError("the loss is not finite")

    monkeypatch.setattr(unlearned, "train_principal", fail)
    runs = [
        {"mechanism": "principal-dqn"}, {"mechanism": "advice", "principal_from": "principal-dqn/dqn"},
        {"mechanism": "selfish"},
    ]  # fmt: skip
    suite = {"game": GAME, "steps": 400, "episodes": 8, "seeds": 1, "runs": runs}
    (tmp_path / "mine.yaml").write_text(json.dumps(suite))
    code, out, err = paymaster("run", "mine.yaml", "--workers", 1)
    assert code == 1
    assert "principal-dqn/dqn s0 failed: FloatingPointError: the loss is not finite" in err
    assert "advice/dqn s0 failed: not made, because it needs" in err
    assert "selfish/dqn s0: welfare" in out
    assert len(files.runs(tmp_path / "runs")) == 1


def test_agents_that_learn_nothing_have_no_curves(
    paymaster: Paymaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paymaster.benchmarks.analysis.comparison.exact", lambda game: [])
    monkeypatch.setattr(unlearned.Learning, "__iter__", lambda self: iter(()))
    code, out, err = paymaster("run", GAME, "--out", "runs", "--set", "horizon=3")
    assert (code, err) == (0, "paymaster: no learning curves: these agents learned nothing\n")
    assert "runs/replay.gif" in out
    assert not (tmp_path / "runs/curves.png").exists()


def test_a_game_is_drawn(paymaster: Paymaster, tmp_path: Path) -> None:
    code, out, _ = paymaster("render", GAME, "--out", "episode.gif", "--set", "horizon=3", "--seed", 4)
    assert (code, out.strip()) == (0, "episode.gif")
    assert (tmp_path / "episode.gif").read_bytes()[:3] == b"GIF"


def test_a_game_is_solved(paymaster: Paymaster) -> None:
    code, out, _ = paymaster("solve", GAME)
    assert code == 0
    assert re.search(r"social optimum +13\.900", out)
    found = json.loads(paymaster("solve", GAME, "--json", "--set", "next_colour=uniform")[1])
    assert found["principal"]["payment"] == pytest.approx(2.148, abs=1e-3)
    found = json.loads(paymaster("solve", GAME, "--json", "--alpha", "1e6", "--discount", "0.9")[1])
    assert (found["alpha"], found["discount"]) == (1e6, 0.9)
    assert found["principal"]["payment"] == 0  # money is dearer than any coin: it pays nothing


def test_sigterm_ends_a_command_as_control_c_does_and_says_so() -> None:
    script = (
        "import time\nfrom paymaster.benchmarks.cli import app as module\n"
        "def wait(*arguments, **more):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "module.app = wait\nmodule.main(['list'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.terminate()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 143
    assert told == "paymaster: terminated; what was finished is kept\n"


def test_what_ray_sets_for_sigterm_is_undone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with keeps_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before
