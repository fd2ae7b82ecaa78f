"""Games and mechanisms from outside the package: by `--plugin`, by entry points, in Ray's workers, and missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paymaster import benchmarks, register_game, register_mechanism
from paymaster.baselines import MECHANISMS
from paymaster.contracts.core import Mechanism
from paymaster.envs import FAMILIES
from paymaster.envs.config import UsageError, configuration

README = Path(benchmarks.__file__).resolve().parent.parent / "README.md"
SMALL = ("--set", "steps=400", "--set", "episodes=16")

GAME = '''
"""The volunteer's dilemma."""
from typing import ClassVar
import paymaster
from paymaster.envs.config import configuration
from paymaster.envs.matrix_games import StageGame

__version__ = "0.7"

@paymaster.register_game("volunteers")
@configuration
class Volunteers(StageGame):
    presets: ClassVar = {"three": {}}
    players: int = 3
    horizon: int = 1
    truncates: bool = False

    def earned(self, cooperated):
        return 2.0 * cooperated.any(axis=1, keepdims=True) - cooperated
'''
MECHANISM = '''
"""A wage for the first verifiable fact."""
from paymaster.contracts.core import Mechanism, nothing
from paymaster.envs.config import configuration

@configuration
class Wage(Mechanism):
    wage: float = 0.5

    def settle(self, memory, transition):
        done = self.game.facts(transition.events)[..., 0]
        return nothing(transition.rewards)._replace(payments=self.wage * done), memory
'''
REGISTERED = MECHANISM.replace("@configuration", "@paymaster.register_mechanism('wage')\n@configuration").replace(
    "from", "import paymaster\nfrom", 1
)


def paymaster(folder: Path, *arguments: object, code: int = 0, path: str = "") -> str:
    """What the command line says, run in `folder` as a process of its own; stderr where it ends with `code` 2."""
    known = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-m", "paymaster", *map(str, arguments)],
        cwd=folder, env={**os.environ, "PYTHONPATH": known, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def about(folder: Path) -> dict[str, object]:
    (found,) = folder.rglob("run.json")
    return json.loads(found.read_text())


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two modules, `volunteers` and `wages`, and a finished run that needs both."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "volunteers.py").write_text(GAME)
    (folder / "wages.py").write_text(REGISTERED)
    named = ("--plugin", "volunteers", "--plugin", "wages")
    paymaster(folder, "run", "volunteers/three", "--mechanism", "wage", *SMALL, *named, "--out", "runs/one")
    return folder


def test_every_command_knows_a_plugin(plugins: Path) -> None:
    named = ("--plugin", "volunteers", "--plugin", "wages")
    assert "volunteers/three" in paymaster(plugins, "list", "games", *named)
    assert '"id": "wage"' in paymaster(plugins, "list", "mechanisms", "--json", *named)
    # one volunteer of three: 2 each less its cost of 1
    solved = json.loads(paymaster(plugins, "solve", "volunteers/three", "--json", "--plugin", "volunteers"))
    assert solved["cooperative"]["welfare"] == pytest.approx(5.0)
    told = paymaster(plugins, "compare", "runs/one", *named)
    assert re.search(r"social optimum +exact +5\.00", told)
    assert re.search(r"wage +dqn", told)
    (made,) = (plugins / "runs" / "one").rglob("run.json")
    paymaster(plugins, "render", made.parent, "--out", "still.png", *named)
    assert (plugins / "still.png").stat().st_size > 0
    assert "as learned" in paymaster(plugins, "audit", "runs/one", *named)


def test_a_run_says_which_plugins_it_needed(plugins: Path) -> None:
    assert about(plugins / "runs" / "one")["plugins"] == [
        {"kind": "game family", "name": "volunteers", "module": "volunteers", "package": "", "version": "0.7"},
        {"kind": "mechanism", "name": "wage", "module": "wages", "package": "", "version": ""},
    ]


def test_a_run_whose_plugin_is_missing_says_what_it_needs(plugins: Path) -> None:
    (made,) = (plugins / "runs" / "one").rglob("run.json")
    for command in (("run", made), ("render", made.parent, "--out", "no.png")):
        told = paymaster(plugins, *command, code=2)
        assert told.startswith("paymaster: ")
        assert "needs the game family 'volunteers' of volunteers 0.7" in told
        assert "--plugin volunteers" in told
    told = paymaster(plugins, "run", made, "--plugin", "volunteers", code=2)
    assert "needs the mechanism 'wage' of wages" in told
    assert "--plugin wages" in told
    assert "left out" not in paymaster(plugins, "compare", "runs/one")  # its numbers need no code


def test_ray_workers_and_runs_made_again_know_a_plugin(plugins: Path) -> None:
    named = ("--plugin", "volunteers", "--plugin", "wages")
    suite = "game: volunteers/three\nsteps: 400\nepisodes: 16\nseeds: 1\nruns:\n  - mechanism: wage\n  - mechanism: joint\n"
    (plugins / "mine.yaml").write_text(suite)
    told = paymaster(plugins, "run", "mine.yaml", "--workers", 2, *named)
    assert "2 at a time" in told
    made = sorted((plugins / "runs" / "mine").rglob("run.json"))
    assert len(made) == 2
    paymaster(plugins, "run", made[1], "--out", "runs/again", *named)
    again = about(plugins / "runs" / "again")
    assert again["run"] == json.loads(made[1].read_text())["run"]
    assert "plugin" in paymaster(plugins, "run", "mine.yaml", "--out", "runs/none", code=2)
    assert not (plugins / "runs" / "none").exists()


def test_an_installed_package_needs_no_naming(tmp_path: Path) -> None:
    path = tmp_path / "site"
    info = path / "their_games-1.2.dist-info"
    info.mkdir(parents=True)
    (path / "volunteers.py").write_text(GAME)
    (path / "wages.py").write_text(MECHANISM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-games\nVersion: 1.2\n")
    offered = "[paymaster.games]\nvolunteers = volunteers:Volunteers\n\n[paymaster.mechanisms]\nwage = wages:Wage\n"
    (info / "entry_points.txt").write_text(offered)
    assert "volunteers/three" in paymaster(tmp_path, "list", path=str(path))
    paymaster(tmp_path, "run", "volunteers/three", "--mechanism", "wage", *SMALL, "--out", "runs/one", path=str(path))
    needed = about(tmp_path / "runs" / "one")["plugins"]
    assert [(each["name"], each["package"], each["version"]) for each in needed] == [  # type: ignore[attr-defined]
        ("volunteers", "their-games", "1.2"),
        ("wage", "their-games", "1.2"),
    ]
    (made,) = (tmp_path / "runs" / "one").rglob("run.json")
    told = paymaster(tmp_path, "run", made, code=2)
    assert "'volunteers' of their-games 1.2" in told
    assert "install their-games" in told
    # one that cannot be used is told where it is asked for, and nowhere else
    (path / "wages.py").write_text("import nowhere")
    told = paymaster(tmp_path, "list", path=str(path), code=2)
    assert "the entry point wage = wages:Wage of the package their-games cannot be loaded" in told
    paymaster(tmp_path, "solve", "matrix/chicken", path=str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere", "--plugin bad cannot be imported (ModuleNotFoundError: No module named 'nowhere')"),
        ("x = (", "--plugin bad cannot be imported (SyntaxError"),
        (REGISTERED.replace("'wage'", "'selfish'"), "'selfish' of bad:Wage is already taken by paymaster.baselines"),
        (REGISTERED.replace("(Mechanism)", ""), "mechanism 'wage': bad:Wage is no subclass of Mechanism"),
        (GAME.replace("@configuration", ""), "'volunteers': bad:Volunteers is no class whose rules are checked"),
        (GAME.replace("    presets: ClassVar = {\"three\": {}}\n", ""), "bad:Volunteers has no presets"),
        (GAME.replace('"volunteers"', '"Volunteers/x"'), "'Volunteers/x' is no name of a game family"),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_told_in_one_message(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(text)
    told = paymaster(tmp_path, "list", "suites", "--plugin", "bad", code=2)
    assert told.startswith("paymaster: --plugin bad")
    assert len(told.splitlines()) == 1
    assert message in told


def test_a_module_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "name a module as Python's import does" in paymaster(tmp_path, "list", "--plugin", "bad.py", code=2)


def test_a_class_that_is_defined_again_takes_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MECHANISMS, "added", {})

    def defined(register: str = "again") -> type[Mechanism]:
        @register_mechanism(register)
        @configuration
        class Again(Mechanism):
            """Nothing."""

        return Again

    defined()
    second = defined()
    assert MECHANISMS["again"] is second

    @configuration
    class Other(Mechanism):
        """Nothing either."""

    with pytest.raises(UsageError, match="already taken by"):
        register_mechanism("again")(Other)
    with pytest.raises(UsageError, match="has no horizon, truncates, agents"):
        register_game("other")(Other)
    assert "other" not in FAMILIES
