"""Pictures of scenes: what stands where in which colour, the text below, files that appear whole, a window."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imageio.v3
import imageio_ffmpeg
import numpy as np
import pytest

from paymaster.core.config import UsageError
from paymaster.envs import games, make
from paymaster.envs.game import Scene, Sprite
from paymaster.render.page import Panel, picture, recommended, steered, text
from paymaster.render.sprites import GOLD, GREY, PALETTE, colour_of, import_pygame, towards
from paymaster.render.video import write_gif, write_mp4, write_png
from paymaster.render.window import Window

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


@pytest.mark.parametrize("beam", ["beam-fire", "beam-clean"])
@pytest.mark.parametrize("thing", ["apple", "waste"])
def test_beams_go_below_what_agents_see_in_them(beam: str, thing: str) -> None:
    """An apple or waste hides the beam over it in what an agent sees; in the picture it lies above it."""
    middle = slice(CELL + 18, CELL + 22)
    above, alone = (
        picture(scene_of(*(Sprite(kind, 1, 1, -1) for kind in kinds)), height=120)
        for kinds in ((beam, thing), (thing,))
    )
    assert (above[middle, middle] == alone[middle, middle]).all()
    assert (above[CELL + 2, CELL + 2] != alone[CELL + 2, CELL + 2]).any()


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
    ink = [(frame[CELL * 3 :] < 130).all(axis=2).sum() for frame in frames]
    assert frames[0].shape[0] < frames[1].shape[0] < frames[2].shape[0]
    assert 0 < ink[0] < ink[1] < ink[2]
    assert (frames[2][: CELL * 3] == frames[0][: CELL * 3]).all()


def test_a_scene_as_text() -> None:
    scene = scene_of(Sprite("coin", 0, 0, 1), Sprite("agent", 0, 0, 0), Sprite("agent", 2, 1, 1), caption="step 3")
    expected = "Br .  .\n.  .  .\n.  b  .\nstep 3\nwelfare 2.0"
    assert text(recommended(scene, ["up", "down"]), lines=["welfare 2.0"]) == expected


def decoded(film: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The frames of a film, by ffmpeg itself."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", film, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(pixels, np.uint8).reshape(-1, *shape)


def test_text_tells_facings_and_what_lies_about() -> None:
    things = [Sprite("agent", 0, 0, 2, facing=1), Sprite("apple", 0, 1, -1), Sprite("waste", 1, 1, -1)]
    things += [Sprite("beam-clean", 0, 2, -1), Sprite("beam-fire", 1, 2, -1)]
    scene = Scene(2, 3, ("PAS", "HBR"), tuple(things), "")
    assert text(scene).splitlines()[:2] == ["g> *  ~", "R  H  !"]


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
    plain, marked = game.scene(state, events, 2), steered(scene, 0)
    assert (picture(plain) != frame).any()
    assert (picture(marked) != frame).any()
    assert len(text(scene).splitlines()) == scene.rows + 1 + (scene.kind == "payoffs")


def test_walls_are_drawn() -> None:
    walled, open_ = (make(f"coin_game/{preset}") for preset in ("mate-2", "lola-3x3"))
    scenes = [game.scene(game.reset(np.zeros(1, np.uint64)), None, 0) for game in (walled, open_)]
    assert scenes[0].ground == ("@@@@@", "@...@", "@...@", "@...@", "@@@@@")
    assert scenes[1].ground == ("...",) * 3
    inside = [(s.row, s.column) for s in scenes[0].sprites]
    assert all(scenes[0].ground[row][column] == "." for row, column in inside)


def test_colours_are_told_apart_by_the_colour_blind() -> None:
    """Machado, Oliveira and Fernandes 2009, severity 1, and the distance in CIE Lab."""
    colours = np.array([rgb for _, rgb in PALETTE]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = {
        "all": np.eye(3),
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }
    for name, matrix in seen.items():
        xyz = (
            np.clip(linear @ np.array(matrix).T, 0, 1)
            @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
            / [0.9505, 1, 1.089]
        )
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
        apart = np.linalg.norm(lab[:, None] - lab, axis=2)[np.triu_indices(len(lab), 1)]
        assert apart.min() > 15, name


def test_ten_agents_are_told_apart() -> None:
    crowd = [Sprite("agent", i // 3, i % 3, i) for i in range(9)]
    frame = picture(scene_of(*crowd), height=120)
    for i in range(9):
        assert where_is(frame, colour_of(i)) == [(i // 3, i % 3)]
    numbers = [frame[:CELL, column * CELL : (column + 1) * CELL] for column in range(2)]
    two = picture(scene_of(*crowd[:2]), height=120)
    assert (numbers[0] != two[:CELL, :CELL]).any(), "of more than two agents each bears its number"
    assert colour_of(-1) == GREY


def test_an_agent_looks_where_it_faces() -> None:
    frames = [picture(scene_of(Sprite("agent", 1, 1, 0, facing=facing)), height=120) for facing in range(4)]
    reach = []
    for frame in frames:
        row, column = np.nonzero((frame[CELL : 2 * CELL, CELL : 2 * CELL] == RED).all(axis=2))
        reach.append((CELL - 1 - row.min(), column.max(), row.max(), CELL - 1 - column.min()))
    assert [int(np.argmax(each)) for each in reach] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("label", "facing", "heading"),
    [("up", -1, 0), ("up", 0, 0), ("up", 1, 1), ("left", 1, 0), ("right", 3, 0), ("stay", 2, -1)],
)
def test_moves_of_an_agent_with_a_front_are_relative_to_it(label: str, facing: int, heading: int) -> None:
    assert towards(label, facing) == heading


def test_recommendations_that_are_no_moves_differ() -> None:
    names = ["clean", "fire", "stay", "turn_clockwise", "turn_counterclockwise", "up", "down"]
    plain = scene_of(Sprite("agent", 1, 1, 0, facing=0))
    frames = {picture(recommended(plain, [name]), height=180).tobytes() for name in names}
    assert len(frames) == len(names)


def test_a_recommended_choice_bears_a_ring() -> None:
    game = make("escape_room/3-2")
    scene = game.scene(game.reset(np.zeros(1, np.uint64)), None, 0)
    plain, marked = picture(scene), picture(recommended(scene, ["door", "lever", "lever"]))
    changed = [column for column in range(3) if (plain != marked)[:, column * 120 : column * 120 + 120].any()]
    assert changed == [0, 2]


def test_the_payoffs_that_were_played_are_marked() -> None:
    game = make("matrix/prisoners-dilemma")
    state, events = game.step(game.reset(np.zeros(1, np.uint64)), np.array([[0, 1]]))
    assert text(game.scene(state, events, 0)).splitlines()[:3] == [
        "           cooperate  defect",
        "cooperate  3, 3       0, 4 *",
        "defect     4, 0       1, 1",
    ]


def test_a_tree_shows_the_way_that_led_to_the_agent() -> None:
    game = make("tree/ivanov-d10")
    state = game.reset(np.zeros(1, np.uint64))._replace(node=np.array([0b110]))
    way = [(s.row, s.column) for s in game.scene(state, None, 0).sprites if s.kind == "way"]
    assert way == [(0, 10), (1, 11), (2, 10)]


def test_a_panel_stands_beside_the_board_and_never_changes_its_size() -> None:
    holds = (("red", "blue"), ("up", "right"), ("-00.00",))
    frames = []
    for did, earned in (("up", "0.00"), ("right", "-12.00")):
        panel = Panel(("agent", "did", "earned"), holds, (("red", did, earned), ("blue", "up", "1")), ("welfare 1",))
        frames.append(picture(scene_of(Sprite("agent", 0, 0, 0)), panel=panel, height=120))
    plain = picture(scene_of(Sprite("agent", 0, 0, 0)), height=120)
    assert frames[0].shape == frames[1].shape
    assert frames[0].shape[1] > plain.shape[1]
    assert (frames[0][: 3 * CELL, : 3 * CELL] == plain[: 3 * CELL]).all()
    assert (frames[0] != frames[1]).any()
    assert text(scene_of(), panel=panel).splitlines()[4:] == [
        "agent  did    earned", "red    right  -12.00", "blue   up     1", "welfare 1",
    ]  # fmt: skip


def test_files_hold_what_was_drawn(tmp_path: Path) -> None:
    frames = [picture(scene_of(Sprite("agent", row, 0, 0)), height=60) for row in range(3)]
    write_gif(iter(frames), tmp_path / "film.gif", fps=5)
    write_mp4(iter(frames), tmp_path / "film.mp4", fps=5)
    write_png(frames[1], tmp_path / "one.png")
    film = imageio.v3.imread(tmp_path / "film.gif")
    assert film.shape == (3, *frames[0].shape)
    assert abs(film.astype(int) - np.stack(frames)).max() < 40
    assert abs(decoded(tmp_path / "film.mp4", frames[0].shape).astype(int) - np.stack(frames)).mean() < 4
    assert imageio.v3.immeta(tmp_path / "film.gif")["duration"] == 200
    assert (imageio.v3.imread(tmp_path / "one.png") == frames[1]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.gif", "film.mp4", "one.png"]


def test_a_film_that_is_cut_short_leaves_nothing(tmp_path: Path) -> None:
    def cut() -> Iterator[np.ndarray]:
        yield picture(scene_of(), height=60)
        raise KeyboardInterrupt

    for write, name in ((write_gif, "film.gif"), (write_mp4, "film.mp4")):
        with pytest.raises(KeyboardInterrupt):
            write(cut(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    frame = picture(scene_of())
    with pytest.raises(UsageError, match=r"film\.png.*ends in \.gif"):
        write_gif([frame], tmp_path / "film.png")
    for write, name in ((write_gif, "one.gif"), (write_mp4, "one.mp4")):
        with pytest.raises(UsageError, match=rf"nowhere/{name}.*No such file.*may write"):
            write([frame], tmp_path / "nowhere" / name)
    with pytest.raises(UsageError, match=r"nowhere/one\.png.*No such file.*may write"):
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
        assert window.screen.get_at((column * CELL + 20, 28))[:3] == RED
    window.close()
    assert window.screen is None


def test_a_window_that_the_user_closed_opens_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window, frame = Window("Coin Game"), picture(scene_of())
    window.show(frame)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(frame)
    window.show(frame)
    assert (window.closed, window.screen) == (True, None)


def test_a_missing_display_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"no display for a window \(.*\); draw to a file$"):
        Window("Coin Game", "draw to a file").show(picture(scene_of()))


def test_importing_the_games_draws_nothing_in() -> None:
    code = (
        "import sys, paymaster, paymaster.render.page, paymaster.envs.coin_game.game; "
        "print([name for name in ('pygame', 'imageio', 'torch', 'ray') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_pictures_outlive_the_end_of_pygame() -> None:
    game = make("cleanup/ssd")
    scene = game.scene(game.reset(np.zeros(1, np.uint64)), None, 0)
    before = picture(scene)
    import_pygame().quit()  # as another environment does when it closes
    np.testing.assert_array_equal(picture(scene), before)
