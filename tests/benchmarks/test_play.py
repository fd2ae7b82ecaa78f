"""A person at the game, and an episode in a window: keys are posted, pictures are kept, no screen is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pygame
import pytest

from paymaster.benchmarks.cli import play as playing
from paymaster.benchmarks.cli.app import main
from paymaster.benchmarks.cli.play import keys_of, play
from paymaster.benchmarks.reports.episode import draw
from paymaster.core.config import UsageError
from paymaster.envs import games, make
from paymaster.envs.game import Game
from paymaster.render import player as watching
from paymaster.render.page import Panel
from paymaster.render.panel import Columns, Offer, Step, Tally, panel
from paymaster.render.player import Viewer
from paymaster.render.window import Window

GAME = "coin_game/ivanov-3x3"
Press = Callable[..., None]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The pictures that a window shows."""
    frames: list[np.ndarray] = []
    monkeypatch.setattr(Window, "show", lambda self, frame: frames.append(frame))
    return frames


def test_a_person_steers_an_agent(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    tallies: dict[int, Tally] = {}

    def noted(game: Game, columns: Columns, tally: Tally, offer: Offer | None) -> Panel:
        tallies[tally.steps] = tally
        return panel(game, columns, tally, offer)

    monkeypatch.setattr(playing, "panel", noted)
    press("UP", "LEFT", "x", "RIGHT")
    assert play(GAME, "blue") == "no episode was finished"
    names = make(GAME).action_names
    assert [names[tally.last.actions[1]] for tally in tallies.values() if tally.last] == ["up", "left", "right"]


def test_an_episode_is_played_to_its_end_and_again(press: Press, shown: list[np.ndarray]) -> None:
    press("1", "1", "r", "2", "n", "1")
    told = play("matrix/prisoners-dilemma", "1", settings=["horizon=1"])
    assert told.startswith("3 episodes as agent_1: you earned ")
    assert len({frame.shape for frame in shown}) == 1
    assert len(shown) == 7, "a key after the end, but for those that leave, does nothing but show again"


def test_the_same_seed_gives_the_same_game(press: Press, shown: list[np.ndarray]) -> None:
    for _ in range(2):
        press("UP", "UP")
        play(GAME, seed=3)
    assert (np.stack(shown[:3]) == np.stack(shown[3:])).all()


@pytest.mark.parametrize("id", games())
def test_every_action_of_every_game_has_a_key(id: str) -> None:
    names = make(id).action_names
    keys = keys_of(names)
    assert list(keys) == list(names)
    assert len({key for key, _ in keys.values()}) == len(names)
    assert all(hasattr(pygame, key) for key, _ in keys.values())
    assert not {key for key, _ in keys.values()} & {"K_ESCAPE", "K_r", "K_n"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["coin_game/ivanov-3x4"], "Did you mean 'coin_game/ivanov-3x3'"),
        ([GAME, "--agent", "gren"], "unknown agent 'gren'"),
        ([GAME, "--agent", "2"], "a number from 0 to 1"),
        ([GAME, "--run", "nowhere"], "nowhere is not a run's folder"),
        ([GAME, "--set", "horizon=0"], "horizon"),
    ],
)
def test_mistakes_are_told_before_a_window_opens(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["play", *arguments])
    assert exit.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", ["play", "render"])
def test_a_missing_display_is_one_message(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as exit:
        main([command, GAME])
    told = capfd.readouterr()
    assert (exit.value.code, told.out) == (2, "")
    assert told.err.startswith("paymaster: there is no display")
    assert len(told.err.splitlines()) == 1


def test_keys_move_the_viewer() -> None:
    viewer = Viewer(last=3)
    viewer.tick()
    assert (viewer.at, viewer.paused) == (1, False)
    for key, at, paused in (
        (pygame.K_SPACE, 1, True), (pygame.K_RIGHT, 2, True), (pygame.K_RIGHT, 3, True), (pygame.K_RIGHT, 3, True),
        (pygame.K_LEFT, 2, True), (pygame.K_r, 0, False), (pygame.K_LEFT, 0, True), (pygame.K_SPACE, 0, False),
    ):  # fmt: skip
        viewer.press(key)
        assert (viewer.at, viewer.paused) == (at, paused)
    viewer.press(pygame.K_UP)
    assert viewer.told == "8 steps a second"
    for _ in range(9):
        viewer.press(pygame.K_DOWN)
    assert viewer.told == "1 step a second"
    viewer.press(pygame.K_ESCAPE)
    assert viewer.done


def test_an_episode_is_shown_in_a_window(press: Press, shown: list[np.ndarray]) -> None:
    press("RIGHT", "RIGHT", "LEFT", "r", "SPACE")
    assert draw(GAME, None, settings=["horizon=4"]) is None
    assert len(shown) == 6
    assert (shown[1] == shown[3]).all()
    assert len({frame.shape for frame in shown}) == 1
    assert watching.KEYS.startswith("space: pause")


def test_an_episode_plays_by_itself_and_stays_at_its_end(monkeypatch: pytest.MonkeyPatch, press: Press) -> None:
    frames: list[np.ndarray] = []

    def show(self: Window, frame: np.ndarray) -> None:
        frames.append(frame)
        if len(frames) == 3:
            press()

    monkeypatch.setattr(Window, "show", show)
    draw(GAME, None, settings=["horizon=2"])
    assert len(frames) == 3


@pytest.mark.parametrize("suffix", ["gif", "mp4", "png"])
def test_an_episode_is_drawn_to_a_file(suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"episode.{suffix}"
    assert draw("cleanup/lio-7x7", out, settings=["horizon=3"]) == out
    assert out.stat().st_size > 500


def test_a_still_is_of_the_step_that_was_asked_for(tmp_path: Path) -> None:
    stills = []
    for step in (0, 3):
        draw(GAME, tmp_path / "a.png", step=step, settings=["horizon=3"])
        stills.append((tmp_path / "a.png").read_bytes())
    assert stills[0] != stills[1]
    for out, step, told in (("a.png", 4, "3 steps"), ("a.gif", 1, "moment of a .png"), (None, 1, "moment of a .png")):
        with pytest.raises(UsageError, match=told):
            draw(GAME, out and tmp_path / out, step=step, settings=["horizon=3"])


def test_the_panel_tells_money_and_advice() -> None:
    game = make(GAME)
    columns = Columns(advice=True, payments=True, transfers=True, taxes=True, terms=10)
    amounts = (np.array(pair, float) for pair in ((1.0, 0.2), (0.5, 0.0), (-0.25, 0.25), (0.0, 0.0), (0.0, 0.1)))
    tally = Tally.start(2).after(Step(np.array([0, 3]), *amounts, np.array([0, 2]), np.array([True, False]), 1.2))
    offer = Offer(np.array([2, 1]), np.array([0.0, 0.4]), ["price 1", "price 1"])
    told = panel(game, columns, tally, offer)
    assert told.head == (
        "agent", "advised", "did", "reward", "paid", "taxed", "transfer", "so far", "advised next", "for", "terms"
    )  # fmt: skip
    assert told.rows == (
        ("red", "right", "right", "+1.00", "+0.50", "\u00b7", "-0.25", "1.25", "down", "0.00", "price 1"),
        ("blue", "down", "up", "+0.20", "\u00b7", "-0.10", "+0.25", "0.35", "left", "0.40", "price 1"),
    )
    assert told.lines == (
        "step 1 of 20", "welfare 1.20", "principal paid 0.50 (42% of welfare)", "agents transferred 0.25",
        "advice followed 50%",
    )  # fmt: skip
    assert told.curves == (("welfare", (1.2,)), ("paid", (0.5,)))
    over = panel(game, columns, tally, None)
    assert [row[8:] for row in over.rows] == [("", "", "")] * 2
    assert over.holds == told.holds


def test_a_contract_on_outcomes_is_told_by_them() -> None:
    game = make("tree/ivanov-d10")
    offer = Offer(np.array([1]), np.array([[0.0, 0.3]]), [""])
    told = panel(game, Columns(advice=True, payments=True), Tally.start(1), offer)
    assert told.rows[0][-2:] == ("right", "went right 0.30")
    assert "principal earned 0.00, 0.00 after paying" in told.lines
