"""Pictures of scenes: what stands where in which colour, the text below, files that appear whole, a window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import imageio.v3
import numpy as np
import pytest

from paymaster.envs import games, make
from paymaster.envs.config import UsageError
from paymaster.envs.core import Scene, Sprite
from paymaster.envs.render import GOLD, PALETTE, Window, picture, recommended, text, write_gif, write_png

RED, BLUE, GREEN = (rgb for _, rgb in PALETTE[:3])
CELL = 40


def scene_of(*sprites: Sprite, caption: str = "") -> Scene:
    return Scene(3, 3, ("...",) * 3, sprites, caption)


def shows(frame: np.ndarray, colour: tuple[int, int, int], row: int, column: int) -> bool:
    """Whether some pixels of a cell have a colour."""
    cell = frame[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
    return bool((cell == colour).all(axis=2).sum() > 4)


def where_is(frame: np.ndarray, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    return [(row, column) for row in range(3) for column in range(3) if shows(frame, colour, row, column)]


def test_agents_and_coins_stand_in_their_cells_in_their_colours() -> None:
    frame = picture(scene_of(Sprite("agent", 0, 1, 0), Sprite("agent", 2, 0, 1), Sprite("coin", 1, 2, 2)), height=120)
    assert where_is(frame, RED) == [(0, 1)]
    assert where_is(frame, BLUE) == [(2, 0)]
    assert where_is(frame, GREEN) == where_is(frame, GOLD) == [(1, 2)]


def test_all_that_share_a_cell_can_be_seen() -> None:
    crowd = [Sprite("agent", 1, 1, 0), Sprite("agent", 1, 1, 1), Sprite("coin", 1, 1, 2)]
    frame = picture(scene_of(*crowd), height=120)
    assert [where_is(frame, colour) for colour in (RED, BLUE, GREEN, GOLD)] == [[(1, 1)]] * 4


def test_things_look_the_same_wherever_they_stand() -> None:
    one = picture(scene_of(Sprite("agent", 0, 0, 0)), height=120)
    other = picture(scene_of(Sprite("agent", 2, 1, 0)), height=120)
    inner = slice(2, CELL - 2)
    assert (one[:CELL, :CELL][inner, inner] == other[2 * CELL : 3 * CELL, CELL : 2 * CELL][inner, inner]).all()


@pytest.mark.parametrize(
    ("action", "side"),
    [("right", np.s_[10:30, 31:]), ("left", np.s_[10:30, :9]), ("down", np.s_[31:, 10:30]), ("up", np.s_[:9, 10:30])],
)
def test_a_recommendation_points_where_it_leads(action: str, side: tuple[slice, slice]) -> None:
    plain = scene_of(Sprite("agent", 1, 1, 0))
    with_arrow = recommended(plain, [action])
    change = (picture(with_arrow, height=120) != picture(plain, height=120)).any(axis=2)[CELL:80, CELL:80]
    assert change[side].any()
    change[side] = False
    assert not change.any()


def test_a_recommendation_to_stay_can_be_seen() -> None:
    plain = scene_of(Sprite("agent", 1, 1, 0))
    assert (picture(recommended(plain, ["stay"])) != picture(plain)).any()


def test_recommendations_to_agents_on_one_cell_are_all_seen() -> None:
    both = scene_of(Sprite("agent", 1, 1, 0), Sprite("agent", 1, 1, 1))
    frame, plain = picture(recommended(both, ["up", "up"]), height=120), picture(both, height=120)
    for colour in (RED, BLUE):
        assert ((frame == colour).all(axis=2) & ~(plain == colour).all(axis=2)).sum() > 4


def test_pictures_of_an_episode_have_one_even_shape_whatever_is_written() -> None:
    captions = ["", "step 1", "step 2; " + "red picks blue coin; " * 10]
    shapes = {picture(scene_of(caption=caption), lines=["", "welfare 1.0"], height=121).shape for caption in captions}
    assert len(shapes) == 1
    height, width, _ = shapes.pop()
    assert (height % 2, width) == (0, 120)


def test_each_line_is_written_below_the_board() -> None:
    frames = [picture(scene_of(caption="step 1"), lines=["welfare"] * lines, height=120) for lines in range(3)]
    ink = [(frame[CELL * 3 :] < 100).all(axis=2).sum() for frame in frames]
    assert frames[0].shape[0] < frames[1].shape[0] < frames[2].shape[0]
    assert 0 < ink[0] < ink[1] < ink[2]
    assert (frames[2][: CELL * 3] == frames[0][: CELL * 3]).all()


def test_a_scene_as_text() -> None:
    scene = scene_of(Sprite("coin", 0, 0, 1), Sprite("agent", 0, 0, 0), Sprite("agent", 2, 1, 1), caption="step 3")
    expected = "Br .  .\n.  .  .\n.  b  .\nstep 3\nwelfare 2.0"
    assert text(recommended(scene, ["up", "down"]), lines=["welfare 2.0"]) == expected


@pytest.mark.parametrize("id", games())
def test_every_game_can_be_drawn(id: str) -> None:
    game = make(id)
    state = game.reset(np.arange(3, dtype=np.uint64))
    state, events = game.step(state, np.zeros((3, len(game.agents)), int))
    scene = recommended(game.scene(state, events, 2), [game.action_names[0]] * len(game.agents))
    frame = picture(scene)
    assert frame.dtype == np.uint8
    assert frame.shape[2] == 3
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 10
    assert len(text(scene).splitlines()) == scene.rows + 1


def test_files_hold_what_was_drawn(tmp_path: Path) -> None:
    frames = [picture(scene_of(Sprite("agent", row, 0, 0)), height=60) for row in range(3)]
    write_gif(frames, tmp_path / "film.gif", fps=5)
    write_png(frames[1], tmp_path / "one.png")
    film = imageio.v3.imread(tmp_path / "film.gif")
    assert film.shape == (3, *frames[0].shape)
    assert abs(film.astype(int) - np.stack(frames)).max() < 40
    assert imageio.v3.immeta(tmp_path / "film.gif")["duration"] == 200
    assert (imageio.v3.imread(tmp_path / "one.png") == frames[1]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif", "one.png"]


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    frame = picture(scene_of())
    with pytest.raises(UsageError, match=r"film\.png.*ends in \.gif"):
        write_gif([frame], tmp_path / "film.png")
    with pytest.raises(UsageError, match=r"nowhere/one\.png.*directory does not exist.*may write"):
        write_png(frame, tmp_path / "nowhere" / "one.png")
    assert list(tmp_path.iterdir()) == []


def test_a_window_shows_pictures_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window("Coin Game")
    window.close()
    for column in (0, 2):
        frame = picture(scene_of(Sprite("agent", 0, column, 0)), height=120)
        window.show(frame)
        assert window.screen is not None
        assert window.screen.get_size() == frame.shape[1::-1]
        assert window.screen.get_at((column * CELL + 20, 10))[:3] == RED
    window.close()
    assert window.screen is None


def test_importing_the_games_draws_nothing_in() -> None:
    code = (
        "import sys, paymaster, paymaster.envs.render, paymaster.envs.coin_game; "
        "print([name for name in ('pygame', 'imageio', 'torch', 'ray') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
