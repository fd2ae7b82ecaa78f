"""`make results`: every suite's table and pictures, and how each was made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import paymaster
from paymaster.benchmarks import provenance
from paymaster.benchmarks.analysis import dataset
from paymaster.benchmarks.analysis.comparison import compare
from paymaster.benchmarks.specs.suites import suites

ROOT = Path(paymaster.__file__).resolve().parent
SUITE = """
game: coin_game/ivanov-3x3
steps: 200
episodes: 8
seeds: 1
runs: [{mechanism: funded-share, parameters: {share: 0.3}}]
"""
PAYMASTER = """#!{python}
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import unlearned
unlearned.install()
from paymaster.benchmarks.specs import suites
suites.FOLDER = Path("suites")
sys.argv[0] = "paymaster"
from paymaster.benchmarks.cli.app import main
main()
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(folder: Path, *arguments: str) -> str:
    command = ["make", "-f", str(ROOT / "Makefile"), "-o", ".venv/installed", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_suite_becomes_a_table_with_how_it_was_made_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "tiny.yaml").write_text(SUITE)
    command = tmp_path / "paymaster"
    command.write_text(PAYMASTER.format(python=sys.executable, tests=str(ROOT / "tests")))
    command.chmod(0o755)
    make(tmp_path, "results", "SUITES=tiny", "BIN=.")
    runs, reference = tmp_path / "runs" / "tiny", tmp_path / "results" / "reference"
    assert {path.name for path in reference.iterdir()} == {
        "tiny.csv", "tiny.json", "tiny.png", "tiny-frontier.png", "tiny.gif",
    }  # fmt: skip
    about = json.loads((reference / "tiny.json").read_text())
    assert about["command"] == "paymaster compare runs/tiny --format csv --out results/reference/tiny.csv"
    assert [each["command"] for each in about["commands"]] == ["paymaster run tiny --out runs/tiny"]
    (made,) = about["made"]
    assert made["runs"] == 1
    assert {"dates", "commit", "machine", "versions"} <= made.keys()
    mine, theirs = compare(runs, reference / "tiny.csv", solve=False).groups[0].lines
    assert (mine.seeds, {mine.source, theirs.source}) == (theirs.seeds, {str(runs), str(reference / "tiny.csv")})


def test_suites_can_be_made_in_parts_and_all_but_the_quickest_and_the_longest_are_made_without_a_choice() -> None:
    def made(*choice: str) -> list[list[str]]:
        told = make(ROOT, "--dry-run", "results", "BIN=bin", *choice).splitlines()
        return [line.split()[1:3] for line in told if line.startswith("bin/paymaster")]

    assert made("SUITES=tree matrix") == [
        ["run", "tree"], ["compare", "runs/tree"], ["run", "matrix"], ["compare", "runs/matrix"],
    ]  # fmt: skip
    long = [name for name in suites() if name.startswith("paper-")]  # days: made by name alone
    assert [what for how, what in made() if how == "run"] == [name for name in suites() if name not in ("quick", *long)]


def test_the_tables_that_come_with_paymaster_can_be_read() -> None:
    for table in (ROOT / provenance.REFERENCE).glob("*.csv"):
        rows, _, damaged = dataset.read(table)
        assert rows
        assert not damaged
        about = json.loads(table.with_suffix(".json").read_text())
        assert sum(each["runs"] for each in about["made"]) == len(rows)


@pytest.mark.parametrize("table", sorted((ROOT / provenance.REFERENCE).glob("*.json")), ids=lambda table: table.stem)
def test_how_a_table_was_made_names_no_folder_of_the_machine_that_made_it(table: Path) -> None:
    about = json.loads(table.read_text())
    told = " ".join([about["command"], *(each["command"] for each in about["commands"])])
    assert not any(word.startswith(("/", "~")) for word in told.split()), told


def test_tables_that_were_written_since_do_not_change_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    table, code = tmp_path / "results" / "reference" / "coin.csv", tmp_path / "code.py"
    table.parent.mkdir(parents=True)
    for path in (table, code):
        path.write_text("before")
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    for arguments in (["init", "-q"], ["add", "."], [*me, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    table.write_text("after")
    first = provenance.commit.__wrapped__()
    assert len(first) == 40
    code.write_text("after")
    assert provenance.commit.__wrapped__() == f"{first}+changes"


def test_a_recorded_command_names_no_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = [f"{tmp_path}/suite.yaml", "--out", f"{tmp_path}/runs/a b", f"--out={tmp_path}/x"]
    monkeypatch.setattr("sys.argv", ["/bin/paymaster", "run", *inside, "/else/where=1", "a=b=/c", "/", "-"])
    assert provenance.command() == "paymaster run suite.yaml --out 'runs/a b' --out=x where=1 a=b=/c / -"
