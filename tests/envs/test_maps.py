"""Maps of a user's own, and what is wrong with them, told alike in Python, on the command line and in a suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paymaster.benchmarks.cli.app import main
from paymaster.core.config import UsageError
from paymaster.envs import make

GAMES = ("cleanup/ssd", "cleanup_features/ssd", "harvest/ssd")
WRONG: list[tuple[Any, str]] = [
    (["@@@", "@PPPPP@"], "row 1 of the map has 7 cells and row 0 has 3; give all rows the same length"),
    (["PPPPPX"], "the map has 'X'; its characters may be '@', ' ', 'P',"),
    (["@ABRH@"], "the map has"),  # an apple cell has another letter in each family
    (["@@@@@@", "@    @"], "the map has 0 spawn points 'P' for 5 players; add some, or ask for fewer"),
    (["@PPPP@"], "the map has 4 spawn points 'P' for 5 players; add some, or ask for fewer"),
    (["PPPPP "], "the map has no "),
    ([], "the map is empty; give one string for each row, as '@P B@'"),
    ([""], "the map is empty"),
    (["P" * 101], "the map is 1 x 101 cells; 100 x 100 are allowed"),
    ("PPPPPHBA", "map: input should be a list (got 'PPPPPHBA')"),
    ([1, 2], "map.0: input should be a valid string (got 1)"),
]


def in_python(game: str, map: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(UsageError) as error:
        make(game, map=map, players=5)
    return str(error.value)


def on_the_command_line(game: str, map: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    settings = ["--set", f"map={json.dumps(map)}", "--set", "players=5"]
    return refused(["render", game, "--out", str(folder / "board.png"), *settings], capsys)


def in_a_suite(game: str, map: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    suite = {"game": game, "rules": {"map": map, "players": 5}, "steps": 100, "runs": [{"mechanism": "selfish"}]}
    (folder / "mine.yaml").write_text(json.dumps(suite))
    return refused(["run", str(folder / "mine.yaml"), "--out", str(folder / "runs")], capsys)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which the command is refused."""
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    told = capsys.readouterr()
    assert (exit.value.code, told.out) == (2, "")
    assert told.err.startswith("paymaster: ")
    (line,) = told.err.splitlines()
    return line


@pytest.mark.parametrize("asked", [in_python, on_the_command_line, in_a_suite])
@pytest.mark.parametrize("game", GAMES)
def test_a_wrong_map_is_one_message(
    asked: Callable[..., str], game: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for map, message in WRONG:
        told = asked(game, map, tmp_path, capsys)
        assert f"game {game}: {message}" in told, told
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.yaml"}


@pytest.mark.parametrize("text", ["[@PP@]", "@PP@"])
def test_who_forgets_the_quotes_of_a_wall_is_told(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(["render", "cleanup/ssd", "--out", str(tmp_path / "a.png"), "--set", f"map={text}"], capsys)
    assert told.endswith("found character '@' that cannot start any token; put it in quotes")


def test_a_map_of_ones_own_is_played_from_a_suite_file_too(tmp_path: Path) -> None:
    """Fewer agents than spawn points, no walls, and rows that are written below each other."""
    from paymaster.benchmarks.specs.suites import expand, load_suite

    (tmp_path / "mine.yaml").write_text(
        "game: harvest/ssd\nsteps: 100\nrules:\n  players: 2\n  map:\n    - 'P AA'\n    - '@ AP'\n    - 'P  A'\n"
        "runs: [{mechanism: selfish}]\n"
    )
    rules = expand(load_suite(str(tmp_path / "mine.yaml")))[0].rules
    game: Any = make("harvest/ssd", **rules)
    state = game.reset(np.arange(64, dtype=np.uint64))
    assert {*map(tuple, state.agents.reshape(-1, 2).tolist())} == {(0, 0), (1, 3), (2, 0)}
    assert game.world(state).shape == (64, 3, 4)
