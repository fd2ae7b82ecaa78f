"""What must stay true of the house: arrows point down, quick commands stay quick, what the README shows works."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from importlinter.cli import lint_imports

from paymaster import benchmarks

ROOT = Path(benchmarks.__file__).resolve().parent.parent
README, USING = ROOT / "README.md", ROOT / "docs" / "using.md"
NOTEBOOK = ROOT / "docs" / "your-first-contract.ipynb"
HEAVY = ("ray", "torch", "pandas", "matplotlib", "pygame")


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_arrows_point_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["run", "--help"]])
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom paymaster.benchmarks.cli.app import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_the_docs_show_a_suite_that_runs(tmp_path: Path) -> None:
    from paymaster.benchmarks.specs.suites import expand, load_suite

    (shown,) = re.findall(r"```yaml\n(.*?)```", USING.read_text(), flags=re.DOTALL)
    assert yaml.safe_load(shown)["seeds"] == 5
    (tmp_path / "shown.yaml").write_text(shown)
    assert len(expand(load_suite(str(tmp_path / "shown.yaml")), seeds=None, first=0)) == 3 * 5


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_the_docs_show_pettingzoo_environments() -> None:
    blocks = re.findall(r"```python\n(.*?)```", USING.read_text(), flags=re.DOTALL)
    (shown,) = (block for block in blocks if "from pettingzoo import make" in block)
    namespace: dict[str, object] = {}
    exec(compile(shown, "using.md", "exec"), namespace)
    assert {"game", "paid", "run_by_you"} <= set(namespace)


@pytest.mark.slow
@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
@pytest.mark.parametrize("about", ["paymaster.run", "from ray import tune"])
def test_the_docs_show_code_that_trains(about: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text() + USING.read_text(), flags=re.DOTALL)
    shown = next(block for block in blocks if about in block)
    shown = (
        shown.replace("tune.Tuner", "trials = tune.Tuner") + "\nassert 'trials' not in globals() or not trials.errors\n"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown.py").write_text(shown)
    subprocess.run([sys.executable, "shown.py"], check=True, timeout=580)


@pytest.mark.slow
@pytest.mark.skipif(not NOTEBOOK.exists(), reason="needs the checkout")
def test_the_notebook_runs_and_its_contract_works(tmp_path: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    (tmp_path / "notebook.py").write_text(code + "\n\nassert fined.welfare > 0.9 * optimum > selfish.welfare\n")
    environment = {**os.environ, "MPLBACKEND": "agg"}
    subprocess.run([sys.executable, "notebook.py"], cwd=tmp_path, env=environment, check=True, timeout=580)


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_what_pages_link_to_is_there() -> None:
    """Files, and headings in them, of every page that is written or made."""
    for page in (README, *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            path, _, heading = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.exists(), f"{page.name} links to {target}"
            if heading:
                heads = re.findall(r"(?m)^#+ (.*)$", found.read_text())
                assert heading in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}, target


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_the_readme_is_short() -> None:
    """It is for people who have two minutes; the rest is in docs."""
    assert len(README.read_text().splitlines()) <= 140


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_every_folder_of_code_is_in_the_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    rooms = {path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/*.py")}
    here = {".".join(("paymaster", *room.parts)) for room in rooms if not _left_out(room)}
    assert sorted(listed) == sorted({"paymaster", *here})
    assert not [room for room in rooms if not _left_out(room) and not (ROOT / room / "__init__.py").exists()]


def _left_out(room: Path) -> bool:
    return room.parts[0] in ("tests", "docs", "build", "dist", "runs") or any(part[0] == "." for part in room.parts)


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_tests_mirror_the_house() -> None:
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert rooms <= {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert [path.name for path in sorted((ROOT / "tests").glob("test_*.py"))] == ["test_golden.py", "test_house.py"]


def test_games_views_and_the_solver_work_without_ray_torch_and_pygame(tmp_path: Path) -> None:
    bare = ROOT / "tests" / "bare.py"
    done = subprocess.run(
        [sys.executable, bare, "--refuse"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_they_work_in_an_environment_in_which_those_are_not_installed(tmp_path: Path) -> None:
    """From a wheel, with the other packages that setup.cfg names."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = [line.split()[0] for line in setup["options"]["install_requires"].split("\n") if line]
    light = [package for package in wanted if not package.startswith(("torch", "ray", "pygame"))]
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ("-c", str(ROOT / "constraints.txt"))
    for command in (
        [sys.executable, "-m", "venv", str(tmp_path / "venv")],
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        [str(python), "-m", "pip", "install", "-q", *constraints, *light],
    ):
        subprocess.run(command, check=True, timeout=560)
    (wheel,) = tmp_path.glob("paymaster-*.whl")
    subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, timeout=300)
    subprocess.run([str(python), str(ROOT / "tests" / "bare.py")], cwd=tmp_path, check=True, timeout=300)


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_the_files_that_the_architecture_names_are_there() -> None:
    """Whole paths, or names within one of the rooms."""
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "ARCHITECTURE.md").read_text()))
    kept = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("**/*.py") if ".venv" not in path.parts}
    assert len(named) > 30
    assert not {name for name in named if not any(path == name or path.endswith(f"/{name}") for path in kept)}


@pytest.mark.skipif(not README.exists(), reason="needs the checkout")
def test_docstrings_name_files_that_are_there() -> None:
    kept = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("**/*.py") if ".venv" not in path.parts}
    for path in sorted(kept):
        for named in set(re.findall(r"`([\w/]+/\w+\.py)`", (ROOT / path).read_text())):
            assert any(each == named or each.endswith(f"/{named}") for each in kept), f"{path} names {named}"
