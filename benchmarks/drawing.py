"""Pictures of episodes: a run's replay, or a game played at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..contracts.core import Mechanism
from ..envs import games, make
from ..envs.config import UsageError, nearest
from ..envs.core import Game
from ..envs.render import picture, write_gif, write_png
from .folders import RUN
from .overrides import parse_settings
from .record import read_run_spec
from .replay import Replay, frames, load_replay, play
from .spec import resolve

RANDOM = 0  # stream of the keys of an episode that no run recorded


def draw(what: str, out: Path, *, seed: int = 0, settings: list[str]) -> Path:
    """Draw a run's replay, or an episode of a game played at random, to `out`.

    A .gif holds the whole episode, a .png its first moment. Raises UsageError for anything that cannot be drawn or
    written.
    """
    if out.suffix.lower() not in (".gif", ".png"):
        raise UsageError(f"an episode is drawn to a .gif or a .png (got {str(out)!r})")
    game, replay = _of_run(Path(what), settings) if Path(what).is_dir() else _at_random(what, seed, settings)
    draw_replay(game, replay, out)
    return out


def draw_replay(game: Game, replay: Replay, out: Path) -> None:
    """Draw an episode to a .gif, or its first moment to a .png."""
    pictures = (picture(frame.scene, lines=[frame.line]) for frame in frames(game, replay))
    if out.suffix.lower() == ".png":
        write_png(next(pictures), out)
    else:
        write_gif(list(pictures), out)


def _of_run(folder: Path, settings: list[str]) -> tuple[Game, Replay]:
    if settings:
        raise UsageError("--set changes the rules of a GAME; a run's episode was played under its own")
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} is not a run's folder: it holds no {RUN}")
    return resolve(read_run_spec(folder / RUN)).game, load_replay(folder)


def _at_random(id: str, seed: int, settings: list[str]) -> tuple[Game, Replay]:
    if id not in games():
        raise UsageError(nearest("game", id, games()) + " A run is named by its folder.")
    game = make(id, **parse_settings(settings))
    random = np.random.default_rng(seed)
    actions = len(game.action_names)

    def policy(seen: object) -> np.ndarray:
        return random.integers(actions, size=(1, len(game.agents)))

    return game, play(game, Mechanism(game=game), None, policy, seed=seed, stream=RANDOM)
