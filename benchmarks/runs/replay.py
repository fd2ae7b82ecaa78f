"""The replay of a run: one evaluated episode, recorded so that it can be drawn exactly."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...contracts.loop import AgentView, Minds, Principal, Simulation
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError
from ...envs.game import Game, Scene
from ...render.panel import Columns, Frame, Offer, Step, Tally, advised, panel

REPLAY = "replay.npz"


class Replay(NamedTuple):
    """An episode of `T` steps. The game's rules, the key and the actions reproduce it."""

    key: np.ndarray  # (1,) uint64
    actions: np.ndarray  # (T, N) int
    recommended: np.ndarray  # (T, N) int, -1 where nothing is recommended
    promised: np.ndarray  # (T, N) the payment for following, 0 for none; (T, N, K) where each verifiable fact pays
    rewards: np.ndarray  # (T, N) from the environment alone
    payments: np.ndarray  # (T, N) from the principal
    transfers: np.ndarray  # (T, N) net
    shaping: np.ndarray  # (T, N)
    taxes: np.ndarray  # (T, N) to the principal
    terms: np.ndarray  # (T, N) str: the terms of other mechanisms in words, empty for none


def play(
    game: Game,
    mechanism: Mechanism,
    principal: Principal | None,
    policy: Callable[[AgentView], np.ndarray],
    *,
    seed: int,
    stream: int,
) -> Replay:
    """Play the first episode of environment 0 in a stream of keys, in which the agents act by `policy(seen)`.

    With the stream of the phase evaluate it is one of the evaluated episodes.
    """
    loop = Simulation(game, mechanism, 1, seed=seed, stream=stream, principal=principal, minds=Minds.of(policy))
    key, ended = loop.keys.copy(), False
    rows: list[dict[str, np.ndarray]] = []
    while not ended:
        step = loop.step(policy(loop.seen))
        moved, ledger = step.transition, step.ledger
        summary = mechanism.summary(moved.terms, 1)
        rows.append(
            {
                "actions": moved.actions,
                "recommended": summary.recommended,
                "promised": summary.promised,
                "rewards": moved.rewards,
                "payments": ledger.payments,
                "transfers": ledger.received(),
                "shaping": ledger.shaping,
                "taxes": ledger.taxes,
                "terms": summary.words,
            }
        )
        ended = bool(step.ended[0])
    return Replay(key=key, **{name: np.concatenate([row[name] for row in rows]) for name in rows[0]})


def save_replay(folder: Path, replay: Replay) -> None:
    """Write replay.npz."""
    np.savez_compressed(folder / REPLAY, **replay._asdict())


def load_replay(folder: Path) -> Replay:
    """The replay of a run. Raises UsageError where it is missing or damaged."""
    try:
        with (folder / REPLAY).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in Replay._fields if name in arrays or name != "taxes"}
            return Replay(**{"taxes": np.zeros_like(arrays["payments"]), **kept})  # older ones know no taxes
    except (OSError, EOFError, KeyError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(f"{folder / REPLAY} cannot be read: {error}") from None


def frames(game: Game, replay: Replay) -> Iterator[Frame]:
    """The `T + 1` frames of the episode, from its start to its end, with marks for the next recommendation.

    Raises UsageError where the replay is none of the game's, and where its rules no longer give the recorded rewards.
    """
    if not _fits(game, replay):
        raise UsageError("the replay is damaged: it is no episode of the game")
    columns = Columns(
        advice=bool((replay.recommended >= 0).any()),
        payments=bool(replay.payments.any() or (replay.recommended >= 0).any()),
        transfers=bool(replay.transfers.any()),
        shaping=bool(replay.shaping.any()),
        taxes=bool(replay.taxes.any()),
        terms=max(map(len, replay.terms.ravel().tolist())),
    )
    state, tally = game.reset(replay.key), Tally.start(len(game.agents))
    yield _frame(game, replay, columns, game.scene(state, None, 0), tally)
    for t, actions in enumerate(replay.actions):
        state, events = game.step(state, actions[None])
        if not np.allclose(game.rewards(events)[0], replay.rewards[t]):
            raise UsageError(
                f"step {t + 1} of the replay differs from its recorded rewards: the game's rules have changed"
            )
        money = replay.rewards[t], replay.payments[t], replay.transfers[t], replay.shaping[t], replay.taxes[t]
        complied, valued = actions == replay.recommended[t], float(game.principal_reward(events)[0])
        tally = tally.after(Step(actions, *money, replay.recommended[t], complied, valued))
        yield _frame(game, replay, columns, game.scene(state, events, 0), tally)


def _fits(game: Game, replay: Replay) -> bool:
    """Whether the game's compiled rules, which check nothing, may be given what was recorded."""
    key, actions, recommended, promised, *others = replay
    steps = actions.shape[0] if actions.ndim else 0
    shape = (steps, len(game.agents))
    chosen = all(each.dtype.kind in "iu" and each.shape == shape for each in (actions, recommended))
    return (
        0 < steps <= game.horizon
        and (key.shape, key.dtype) == ((1,), np.uint64)
        and chosen
        and promised.shape in (shape, (*shape, len(game.verifiable)))
        and all(each.shape == shape for each in others)
        and 0 <= actions.min() <= actions.max() < len(game.action_names)
        and -1 <= recommended.min() <= recommended.max() < len(game.action_names)
    )


def _frame(game: Game, replay: Replay, columns: Columns, scene: Scene, tally: Tally) -> Frame:
    """The frame after `tally.steps` steps, with the offer for the next step."""
    t = tally.steps
    if t == len(replay.actions):
        return Frame(scene, panel(game, columns, tally, None))
    offer = Offer(replay.recommended[t], replay.promised[t], replay.terms[t].tolist())
    return Frame(advised(game, scene, offer), panel(game, columns, tally, offer))
