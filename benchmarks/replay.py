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
    """A moment of an episode: what to draw, and what to write beside it."""

    scene: Scene
    lines: tuple[str, ...]


def play(game: Game, mechanism: Mechanism, principal: Principal | None, policy: Any, *, seed: int, stream: int) -> Replay:
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
    """The episode again, from its start to its end: `T + 1` frames.

    Raises UsageError where the game's rules no longer give the rewards that were recorded.
    """
    state, paid, welfare = game.reset(replay.key), 0.0, 0.0
    yield Frame(game.scene(state, None, 0), _lines(game, replay, 0, welfare, paid))
    for t, actions in enumerate(replay.actions):
        state, events = game.step(state, actions[None])
        if not np.allclose(game.rewards(events)[0], replay.rewards[t]):
            raise UsageError(f"step {t + 1} of the replay gives other rewards than were recorded: the rules have changed")
        welfare, paid = welfare + float(replay.rewards[t].sum()), paid + float(replay.payments[t].sum())
        yield Frame(game.scene(state, events, 0), _lines(game, replay, t + 1, welfare, paid))


def _lines(game: Game, replay: Replay, t: int, welfare: float, paid: float) -> tuple[str, ...]:
    """Welfare and payment so far, and what each agent is recommended next."""
    lines = [f"welfare {welfare:.1f}   paid {paid:.2f}"]
    if t < len(replay.actions):
        for i, agent in enumerate(game.agents):
            advised = replay.recommended[t, i]
            if advised >= 0:
                lines.append(f"{agent}: {game.action_names[advised]} for {replay.promised[t, i]:.2f}")
    return tuple(lines)
