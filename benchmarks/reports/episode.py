"""Pictures of episodes: a run's replay, a game under its exact principal, or one played at random."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, did_you_mean
from ...envs import games, make
from ...envs.game import Game
from ...render.page import picture
from ...render.player import NO_DISPLAY, watch
from ...render.video import write_gif, write_mp4, write_png
from ...render.window import Window
from ..files import RUN
from ..runs.record import read_about, read_run_spec
from ..runs.replay import Replay, frames, load_replay, play
from ..runs.solution import RANDOM, SOLUTION, replay_solution
from ..specs.overrides import parse_settings
from ..specs.resolve import resolve

FILMS = {".gif": write_gif, ".mp4": write_mp4}
STILL = ".png"


def draw(what: str, out: Path | None, *, seed: int = 0, step: int | None = None, settings: list[str]) -> Path | None:
    """Draw a run's replay, an episode of a solved game, or one of random play, to `out` or in a window.

    A .gif or .mp4 holds the whole episode, a .png the moment after `step` steps, by default its start. Raises
    UsageError where something cannot be drawn or written.
    """
    if out is not None:
        _check(out, step)
    elif step is not None:
        raise UsageError(f"--step {step} chooses the moment of a .png; give --out moment.png")
    window = Window(f"Paymaster: {what}", NO_DISPLAY)
    if out is None:
        window.open()
    game, replay = _of_folder(Path(what), seed, settings) if Path(what).is_dir() else _at_random(what, seed, settings)
    if out is None:
        watch(window, frames(game, replay), len(replay.actions))
    else:
        draw_replay(game, replay, out, step or 0)
    return out


def draw_replay(game: Game, replay: Replay, out: Path, step: int = 0) -> None:
    """Draw an episode to a .gif or .mp4, or its moment after `step` steps to a .png."""
    if out.suffix.lower() in FILMS:
        FILMS[out.suffix.lower()](_pictures(game, replay), out)
        return
    if step > len(replay.actions):
        raise UsageError(f"--step is {step}, and the episode has {len(replay.actions)} steps; ask for one of them")
    write_png(next(drawn for t, drawn in enumerate(_pictures(game, replay)) if t == step), out)


def _pictures(game: Game, replay: Replay) -> Iterator[np.ndarray]:
    return (picture(frame.scene, panel=frame.panel) for frame in frames(game, replay))


def _check(out: Path, step: int | None) -> None:
    """Raise UsageError unless a picture may be written to `out`, before anything is played."""
    suffix = out.suffix.lower()
    if suffix not in (*FILMS, STILL):
        raise UsageError(f"an episode is drawn to a .gif, .mp4 or .png (got {str(out)!r})")
    if step is not None and suffix != STILL:
        raise UsageError(f"--step {step} chooses the moment of a .png (got {str(out)!r})")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {str(out)!r}: {out.parent} is not a folder that may be written to")


def _of_folder(folder: Path, seed: int, settings: list[str]) -> tuple[Game, Replay]:
    if settings:
        raise UsageError("--set changes the rules of a GAME; what a folder holds was played or solved under its own")
    if (folder / SOLUTION).is_file():
        return replay_solution(folder, seed)
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} is no folder of a run or a solution: it holds no {RUN} and no {SOLUTION}")
    return of_run(folder)


def of_run(folder: Path) -> tuple[Game, Replay]:
    """The game and the replay of a run. Raises UsageError where they cannot be read."""
    return resolve(read_run_spec(folder / RUN)).game, load_replay(folder)


def worth_seeing(folders: Iterable[Path]) -> list[Path]:
    """The folders of runs, those with a principal first."""
    return sorted(folders, key=lambda folder: read_about(folder / RUN)["resolved"].get("principal") is None)


def _at_random(id: str, seed: int, settings: list[str]) -> tuple[Game, Replay]:
    if id not in games():
        raise UsageError(did_you_mean("game", id, games()) + " A run is named by its folder.")
    game = make(id, **parse_settings(settings))
    random = np.random.default_rng(seed)
    actions = len(game.action_names)

    def policy(seen: object) -> np.ndarray:
        return random.integers(actions, size=(1, len(game.agents)))

    return game, play(game, Mechanism(game=game), None, policy, seed=seed, stream=RANDOM)
