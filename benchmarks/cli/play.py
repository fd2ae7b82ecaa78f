"""`paymaster play`: a person steers one agent of a game; the others act at random, or by a run's policies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...contracts.loop import AgentView, Minds, Principal, Simulation
from ...contracts.mechanism import Mechanism
from ...contracts.recommendation import RecommendationContract
from ...core.config import UsageError, did_you_mean
from ...envs import games, make
from ...envs.game import Game
from ...render.page import Panel, picture, steered
from ...render.panel import TERMS, Columns, Offer, Step, Tally, advised, panel
from ...render.sprites import import_pygame
from ...render.window import Window
from ..files import RUN
from ..runs.solution import RANDOM
from ..specs.overrides import parse_settings

KEYS = {  # the key of each action: its name in pygame, and its name on the screen
    "left": ("K_LEFT", "\u2190"),
    "right": ("K_RIGHT", "\u2192"),
    "up": ("K_UP", "\u2191"),
    "down": ("K_DOWN", "\u2193"),
    "stay": ("K_s", "s"),
    "turn_counterclockwise": ("K_q", "q"),
    "turn_clockwise": ("K_e", "e"),
    "clean": ("K_SPACE", "space"),
    "fire": ("K_f", "f"),
}
NUMBERS = 9  # the number keys, for actions without a key of their own
CONTROLS = "r: again    n: next episode    Esc: leave"
NO_DISPLAY = "play on a machine with a screen; `paymaster render` draws to a file without one"


class Table(NamedTuple):
    """A game with its players: one person, and policies for the other agents."""

    game: Game
    mechanism: Mechanism
    principal: Principal | None
    others: Callable[[AgentView], np.ndarray]  # (1, N): the actions of all agents; that of the person is replaced
    seat: int  # the agent that the person steers
    columns: Columns


def play(
    what: str, agent: str | None = None, run: Path | None = None, *, seed: int = 0, settings: Sequence[str] = ()
) -> str:
    """Let a person play until they leave; returns a text with their mean return and the mean welfare.

    Raises UsageError for a game, an agent or a run that does not exist or does not fit, and without a display.
    """
    table = _of_run(what, run, agent, settings) if run else _at_random(what, agent, seed, settings)
    window = Window(f"Paymaster: {what}, as {table.game.agents[table.seat]}", NO_DISPLAY)
    window.open()
    try:
        finished = _episodes(table, window, seed)
    finally:
        window.close()
    return _format_result(table, finished)


def keys_of(actions: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The key of every action, as its names in pygame and on the screen: its own key, or the next number.

    Raises UsageError where there are more actions than keys.
    """
    unnamed = [action for action in actions if action not in KEYS]
    if len(unnamed) > NUMBERS:
        raise UsageError(f"{len(unnamed)} actions have no key of their own; {NUMBERS} number keys are there for them")
    numbers = {action: (f"K_{number}", str(number)) for number, action in enumerate(unnamed, 1)}
    return {action: KEYS.get(action) or numbers[action] for action in actions}


def _episodes(table: Table, window: Window, seed: int) -> list[Tally]:
    """Play until the person leaves; returns the tallies of the finished episodes."""
    pygame, finished, episode = import_pygame(), list[Tally](), 0
    while True:
        tally, key = _episode(table, window, seed, episode)
        if tally is not None:
            finished.append(tally)
        if key is None or key == pygame.K_ESCAPE:
            return finished
        episode += key == pygame.K_n


def _episode(table: Table, window: Window, seed: int, episode: int) -> tuple[Tally | None, int | None]:
    """Play an episode; returns its tally, if it ended, and the key that leaves it: again, next or leave.

    Every episode is the first one of its own stream of keys, so that it can be played again.
    """
    pygame = import_pygame()
    game, N = table.game, len(table.game.agents)
    loop = Simulation(
        game, table.mechanism, 1,
        seed=seed, stream=RANDOM + episode, principal=table.principal, minds=Minds.of(table.others),
    )  # fmt: skip
    named = keys_of(game.action_names)
    numbers = {getattr(pygame, key): action for action, (key, _) in enumerate(named.values())}
    named_keys = "    ".join(f"{key}: {action.replace('_', ' ')}" for action, (_, key) in named.items())
    leaving = (pygame.K_ESCAPE, pygame.K_r, pygame.K_n)
    tally, state, events, ended = Tally.start(N), loop.state, None, False
    while True:
        scene = game.scene(state, events, 0)
        offer = None if ended else _offer(table.mechanism, loop.terms)
        if offer is not None:
            scene = advised(game, scene, offer)
        lines = ["the episode is over" if ended else named_keys, CONTROLS]
        shown = panel(game, table.columns, tally, offer)
        window.show(picture(steered(scene, table.seat), panel=_marked(shown, table.seat), lines=lines))
        key = window.pressed()
        if key is None or key in leaving:
            return (tally if ended else None), key
        if key in numbers and offer is not None:
            actions = np.array(table.others(loop.seen))
            actions[0, table.seat] = numbers[key]
            step = loop.step(actions)
            moved, ledger = step.transition, step.ledger
            complied = np.zeros(N, bool) if step.complied is None else step.complied[0]
            money = moved.rewards[0], ledger.payments[0], ledger.received()[0], ledger.shaping[0], ledger.taxes[0]
            valued = float(game.principal_reward(moved.events)[0])
            tally = tally.after(Step(moved.actions[0], *money, offer.recommended, complied, valued))
            state, events, ended = moved.next_state, moved.events, bool(step.ended[0])


def _offer(mechanism: Mechanism, terms: object) -> Offer:
    summary = mechanism.summary(terms, 1)
    return Offer(summary.recommended[0], summary.promised[0], summary.words[0].tolist())


def _marked(shown: Panel, seat: int) -> Panel:
    """The panel with a mark at the agent of the person."""
    rows = [(f"{row[0]} (you)", *row[1:]) if i == seat else row for i, row in enumerate(shown.rows)]
    return shown._replace(rows=tuple(rows), holds=((*shown.holds[0], rows[seat][0]), *shown.holds[1:]))


def _at_random(id: str, agent: str | None, seed: int, settings: Sequence[str]) -> Table:
    if id not in games():
        raise UsageError(did_you_mean("game", id, games()))
    game = make(id, **parse_settings(list(settings)))
    random = np.random.default_rng(seed)

    def others(seen: AgentView) -> np.ndarray:
        return random.integers(len(game.action_names), size=(1, len(game.agents)))

    return Table(game, Mechanism(game=game), None, others, _seat(game, agent), Columns())


def _of_run(id: str, folder: Path, agent: str | None, settings: Sequence[str]) -> Table:
    from ..runs.load import load

    if settings:
        raise UsageError("--set changes the rules of a GAME; a run's policies learned under its own: leave out one")
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} is not a run's folder: it holds no {RUN}")
    loaded = load(folder)
    if loaded.spec.game != id:
        raise UsageError(f"the run in {folder} played {loaded.spec.game}, not {id}; play that, or name another --run")
    mechanism, advice = loaded.mechanism, isinstance(loaded.mechanism, RecommendationContract)
    settles = type(mechanism).settle is not Mechanism.settle and not advice
    columns = Columns(
        advice=advice, payments=advice or settles, transfers=settles, shaping=settles, taxes=settles,
        terms=TERMS * (bool(mechanism.terms_size) and not advice),
    )  # fmt: skip
    return Table(loaded.game, mechanism, loaded.principal, loaded.policy, _seat(loaded.game, agent), columns)


def _seat(game: Game, agent: str | None) -> int:
    """The index of the agent with this name or number; that of the first agent for None."""
    if agent is None:
        return 0
    if agent in game.agents:
        return game.agents.index(agent)
    if agent.isdecimal() and int(agent) < len(game.agents):
        return int(agent)
    raise UsageError(did_you_mean("agent", agent, game.agents) + f" Or a number from 0 to {len(game.agents) - 1}.")


def _format_result(table: Table, finished: Sequence[Tally]) -> str:
    if not finished:
        return "no episode was finished"
    you, welfare = (
        f"{np.mean(parts):.2f}" for parts in ([t.earned[table.seat] for t in finished], [t.welfare for t in finished])
    )
    count = f"{len(finished)} episode{'s' * (len(finished) > 1)}"
    return f"{count} as {table.game.agents[table.seat]}: you earned {you}, welfare {welfare} (means)"
