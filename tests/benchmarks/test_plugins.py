"""Games and mechanisms from outside the package: by `--plugin`, by entry points, broken, and missing."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paymaster import benchmarks, register_game, register_mechanism
from paymaster.baselines import MECHANISMS
from paymaster.contracts.mechanism import Mechanism
from paymaster.core.config import UsageError, configuration
from paymaster.envs import FAMILIES, make

from .. import unlearned

Paymaster = Callable[..., str]
EXTENDING = Path(benchmarks.__file__).resolve().parent.parent / "docs" / "extending.md"
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


NAMED = ("--plugin", "volunteers", "--plugin", "wages")


@pytest.fixture(autouse=True)
def nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paymaster.learning.phases", unlearned)
    monkeypatch.setattr("paymaster.learning.phases", unlearned, raising=False)


def about(folder: Path) -> dict[str, Any]:
    (found,) = folder.rglob("run.json")
    return json.loads(found.read_text())


@pytest.fixture
def made(paymaster: Paymaster, tmp_path: Path) -> Path:
    """The run.json of a finished run that needs two modules, `volunteers` and `wages`, beside it."""
    (tmp_path / "volunteers.py").write_text(GAME)
    (tmp_path / "wages.py").write_text(REGISTERED)
    paymaster("run", "volunteers/three", "--mechanism", "wage", *SMALL, *NAMED, "--out", "runs/one")
    (found,) = tmp_path.rglob("run.json")
    return found


def test_every_command_knows_a_plugin(
    paymaster: Paymaster, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`show`, `play` and `self-interest` too, in test_plugin_roles.py."""
    assert "volunteers/three" in paymaster("list", "games", *NAMED)
    assert '"id": "wage"' in paymaster("list", "mechanisms", "--json", *NAMED)
    solved = json.loads(paymaster("solve", "volunteers/three", "--json", "--plugin", "volunteers"))
    assert solved["cooperative"]["welfare"] == pytest.approx(5.0)  # one volunteer of three: 2 each, less its cost of 1
    told = paymaster("compare", "runs/one", *NAMED)
    assert re.search(r"social optimum +exact +5\.00", told)
    assert re.search(r"wage( \*)? +dqn", told)
    paymaster("render", made.parent, "--out", "still.png", *NAMED)
    assert (tmp_path / "still.png").stat().st_size > 0
    assert "as learned" in paymaster("audit", "runs/one", *NAMED)
    monkeypatch.setattr("paymaster.benchmarks.speed.stepping.speed", lambda game, *_, **__: make(game).agents)
    assert "agent_2" in paymaster("speed", "volunteers/three", *NAMED)


def test_a_run_says_which_plugins_it_needed(made: Path) -> None:
    assert json.loads(made.read_text())["plugins"] == [
        {"kind": "game family", "name": "volunteers", "module": "volunteers", "package": "", "version": "0.7"},
        {"kind": "mechanism", "name": "wage", "module": "wages", "package": "", "version": ""},
    ]


def test_a_run_whose_plugin_is_missing_says_what_it_needs(paymaster: Paymaster, made: Path) -> None:
    for command in (("run", made), ("render", made.parent, "--out", "no.png"), ("audit", made.parent)):
        told = paymaster(*command, code=2)
        assert told.startswith("paymaster: ")
        assert "needs the game family 'volunteers' of volunteers 0.7" in told
        assert "--plugin volunteers" in told
    told = paymaster("run", made, "--plugin", "volunteers", code=2)
    assert "needs the mechanism 'wage' of wages" in told
    assert "--plugin wages" in told
    assert re.search(r"wage( \*)? +dqn", paymaster("compare", "runs/one"))  # its numbers need no code


def test_a_run_json_is_made_again_with_its_plugins(paymaster: Paymaster, made: Path, tmp_path: Path) -> None:
    paymaster("run", made, "--out", "runs/again", *NAMED)
    assert about(tmp_path / "runs" / "again")["run"] == json.loads(made.read_text())["run"]


def test_a_suite_names_ids_and_no_module(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "volunteers.py").write_text(GAME)
    suite = "game: volunteers/three\nsteps: 400\nruns:\n  - mechanism: joint\n"
    (tmp_path / "mine.yaml").write_text(suite + "plugins: [volunteers]\n")
    assert "plugins" in paymaster("run", "mine.yaml", code=2)
    (tmp_path / "mine.yaml").write_text(suite)
    assert "--plugin MODULE" in paymaster("run", "mine.yaml", code=2)
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not EXTENDING.exists(), reason="needs the checkout")
def test_the_docs_show_a_mechanism_and_games_that_work(paymaster: Paymaster, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", EXTENDING.read_text(), flags=re.DOTALL)
    for name, about in (("thanks", "class Thanks"), ("volunteers", "class Volunteers"), ("bad", "class Pong")):
        (shown,) = (block for block in blocks if about in block)
        (tmp_path / f"{name}.py").write_text(shown)
    named = ("--plugin", "volunteers", "--plugin", "thanks")
    solved = json.loads(paymaster("solve", "volunteers/three", "--json", *named))
    assert solved["cooperative"]["welfare"] == pytest.approx(5.0)
    paymaster("run", "volunteers/three", "--mechanism", "thanks", "--set", "policies=separate", *SMALL, *named)
    told = json.loads(paymaster("list", "--json", *named, "--plugin", "bad"))
    assert {"volunteers/three", "volunteers/five", "pong/short"} <= {item["id"] for item in told["games"]}
    assert "thanks" in {item["id"] for item in told["mechanisms"]}


def test_an_installed_package_needs_no_naming(paymaster: Paymaster, apart: Paymaster, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "their_games-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "volunteers.py").write_text(GAME)
    (site / "wages.py").write_text(MECHANISM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-games\nVersion: 1.2\n")
    offered = "[paymaster.games]\nvolunteers = volunteers:Volunteers\n\n[paymaster.mechanisms]\nwage = wages:Wage\n"
    (info / "entry_points.txt").write_text(offered)
    assert "volunteers/three" in apart("list", "games", path=site)
    sys.path.insert(0, str(site))
    paymaster("run", "volunteers/three", "--mechanism", "wage", *SMALL, "--out", "runs/one")
    needed = about(tmp_path / "runs" / "one")["plugins"]
    assert [(each["name"], each["package"], each["version"]) for each in needed] == [
        ("volunteers", "their-games", "1.2"),
        ("wage", "their-games", "1.2"),
    ]
    for fault, said in (("import nowhere", "ModuleNotFoundError: No module"), ("raise SystemExit", "SystemExit, in")):
        (site / "wages.py").write_text(fault)  # told where it is asked for, and nowhere else
        told = paymaster("list", code=2)
        assert f"the entry point wage = wages:Wage of the package their-games cannot be loaded ({said}" in told
    paymaster("list", "games")
    sys.path.remove(str(site))
    (made,) = (tmp_path / "runs" / "one").rglob("run.json")
    told = paymaster("run", made, code=2)
    assert "'volunteers' of their-games 1.2" in told
    assert "install their-games" in told


def test_an_installed_package_cannot_take_a_name(paymaster: Paymaster, tmp_path: Path) -> None:
    info = tmp_path / "their_games-1.2.dist-info"
    info.mkdir()
    (tmp_path / "wages.py").write_text(MECHANISM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-games\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[paymaster.mechanisms]\nselfish = wages:Wage\n")
    sys.path.insert(0, str(tmp_path))
    assert "'selfish' is already taken by .selfish:Selfish" in paymaster("list", "mechanisms", code=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere", "cannot be imported (ModuleNotFoundError: No module named 'nowhere', in bad.py:1): mend it"),
        ("\n{}['a\\nb']", "cannot be imported (KeyError: 'a\\nb', in bad.py:2): mend it"),
        ("raise RuntimeError('first\\nlast')", "cannot be imported (RuntimeError: first, in bad.py:1): mend it"),
        ("import sys\nsys.exit(0)", "cannot be imported (SystemExit: 0, in bad.py:2): mend it"),
        ("exit()", "cannot be imported (SystemExit: None, in bad.py:1): mend it"),
        ("raise BaseException", "cannot be imported (BaseException, in bad.py:1): mend it"),
        ("x = (", "--plugin bad cannot be imported (SyntaxError"),
        (REGISTERED.replace("'wage'", "'selfish'"), "'selfish' of bad:Wage is already taken by paymaster.baselines"),
        (REGISTERED.replace("(Mechanism)", ""), "mechanism 'wage': bad:Wage is no subclass of Mechanism"),
        (GAME.replace("@configuration", ""), "'volunteers': bad:Volunteers is no class whose rules are checked"),
        (GAME.replace("    presets: ClassVar = {\"three\": {}}\n", ""), "bad:Volunteers has no presets"),
        (GAME.replace('"volunteers"', '"Volunteers/x"'), "'Volunteers/x' is no name of a game family"),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_told_in_one_message(text: str, message: str, paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(text)
    told = paymaster("list", "suites", "--plugin", "bad", code=2)
    assert told.startswith("paymaster: --plugin bad")
    assert len(told.splitlines()) == 1
    assert message in told


def test_whoever_interrupts_a_plugin_leaves(paymaster: Paymaster, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("raise KeyboardInterrupt")
    assert paymaster("list", "suites", "--plugin", "bad", code=130) == ""


def test_a_module_that_is_not_there_is_told(paymaster: Paymaster) -> None:
    assert "name a module as Python's import does" in paymaster("list", "--plugin", "bad.py", code=2)


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
