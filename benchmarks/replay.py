"""One evaluated episode, kept so that it can be drawn again exactly."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..contracts.core import Decisions, Mechanism
from ..contracts.loop import Loop, Principal
from ..envs.config import UsageError
from ..envs.core import Game, Scene
from ..envs.render import recommended

REPLAY = "replay.npz"


class Replay(NamedTuple):
    """An episode of `T` steps: with the game's rules, the key and the actions give it again."""

    key: np.ndarray  # (1,) uint64
    actions: np.ndarray  # (T, N) int
    recommended: np.ndarray  # (T, N) int, -1 where nothing is recommended
    promised: np.ndarray  # (T, N) what following pays, 0 where nothing is recommended
    rewards: np.ndarray  # (T, N) from the environment alone
    payments: np.ndarray  # (T, N) from the principal
    transfers: np.ndarray  # (T, N) net
    shaping: np.ndarray  # (T, N)


class Frame(NamedTuple):
    """A moment of an episode: what to draw, and what to write below it."""

    scene: Scene
    line: str


def play(
    game: Game, mechanism: Mechanism, principal: Principal | None, policy: Any, *, seed: int, stream: int
) -> Replay:
    """The first episode of environment 0 of a stream of keys, played by `policy(seen)`.

    With the stream of the phase evaluate it is one of the evaluated episodes.
    """
    loop = Loop(game, mechanism, 1, seed=seed, stream=stream, principal=principal)
    key, rows, ended = loop.keys.copy(), [], False
    while not ended:
        step = loop.step(policy(loop.seen))
        terms, ledger, actions = step.transition.terms, step.ledger, step.transition.actions
        if not isinstance(terms, Decisions):
            terms = Decisions(np.full_like(actions, -1), np.zeros(actions.shape, np.float32))
        rows.append((actions, *terms, step.transition.rewards, ledger.payments, ledger.received(), ledger.shaping))
        ended = bool(step.ended[0])
    return Replay(key, *(np.concatenate(column) for column in zip(*rows, strict=True)))


def save_replay(folder: Path, replay: Replay) -> None:
    """Write replay.npz."""
    np.savez_compressed(folder / REPLAY, **replay._asdict())


def load_replay(folder: Path) -> Replay:
    """The replay of a run. Raises UsageError where it is missing or damaged."""
    try:
        with np.load(folder / REPLAY, allow_pickle=False) as arrays:
            return Replay(**{name: arrays[name] for name in Replay._fields})
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{folder / REPLAY} cannot be read: {error}") from None


def frames(game: Game, replay: Replay) -> Iterator[Frame]:
    """The episode again, from its start to its end: `T + 1` frames, with arrows for what is recommended next.

    Raises UsageError where the game's rules no longer give the rewards that were recorded.
    """
    state = game.reset(replay.key)
    yield Frame(_advised(game, replay, game.scene(state, None, 0), 0), _earned(replay, 0))
    for t, actions in enumerate(replay.actions, 1):
        state, events = game.step(state, actions[None])
        if not np.allclose(game.rewards(events)[0], replay.rewards[t - 1]):
            raise UsageError(
                f"step {t} of the replay earns other rewards than were recorded: the game's rules have changed"
            )
        yield Frame(_advised(game, replay, game.scene(state, events, 0), t), _earned(replay, t))


def _advised(game: Game, replay: Replay, scene: Scene, t: int) -> Scene:
    if t == len(replay.recommended) or (replay.recommended[t] < 0).any():
        return scene
    return recommended(scene, [game.action_names[action] for action in replay.recommended[t]])


def _earned(replay: Replay, t: int) -> str:
    line = f"welfare {replay.rewards[:t].sum():.1f}"
    if replay.payments.any() or (replay.recommended >= 0).any():
        line += f", paid {replay.payments[:t].sum():.2f}"
    if replay.transfers.any():
        line += f", net transfers {', '.join(f'{net:+.2f}' for net in replay.transfers[:t].sum(axis=0))}"
    return line
