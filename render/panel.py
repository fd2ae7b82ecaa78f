"""The panel beside a picture: what each agent did, was advised and earned, and what all of it came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..envs.game import Game, Scene, hides_actions, values_its_own
from .page import Panel, recommended

AMOUNT = ("-000.00",)  # a wide amount
TERMS = 40  # letters of an agent's terms that are shown at most


class Columns(NamedTuple):
    """Which columns and lines a panel has; the same for every moment of an episode."""

    advice: bool = False
    payments: bool = False
    transfers: bool = False
    shaping: bool = False
    taxes: bool = False
    terms: int = 0  # letters of the longest terms in words


class Step(NamedTuple):
    """One step of an episode."""

    actions: np.ndarray  # (N,)
    rewards: np.ndarray  # (N,) from the environment alone
    payments: np.ndarray  # (N,)
    transfers: np.ndarray  # (N,) net
    shaping: np.ndarray  # (N,)
    taxes: np.ndarray  # (N,)
    recommended: np.ndarray  # (N,) -1 where nothing was
    complied: np.ndarray  # (N,) bool; False where nothing was recommended
    valued: float  # by the principal, before it pays


class Tally(NamedTuple):
    """What an episode came to so far."""

    steps: int
    last: Step | None
    earned: np.ndarray  # (N,) from the environment, the principal and the others
    welfare: float
    paid: float
    moved: float  # between agents, what is left of it after each step
    followed: float  # sum over steps of the share of agents that did as recommended
    valued: float
    history: tuple[tuple[float, float, float], ...]  # welfare, what was paid and what was valued, after each step

    @classmethod
    def start(cls, agents: int) -> Tally:
        return cls(0, None, np.zeros(agents), 0.0, 0.0, 0.0, 0.0, 0.0, ())

    def after(self, step: Step) -> Tally:
        welfare, paid = self.welfare + float(step.rewards.sum()), self.paid + float(step.payments.sum())
        valued = self.valued + step.valued
        return Tally(
            self.steps + 1,
            step,
            self.earned + step.rewards + step.payments - step.taxes + step.transfers,
            welfare,
            paid,
            self.moved + float(np.abs(step.transfers).sum() / 2),
            self.followed + float(step.complied.mean()),
            valued,
            (*self.history, (welfare, paid, valued)),
        )


class Offer(NamedTuple):
    """What holds for the coming step."""

    recommended: np.ndarray  # (N,) -1 where nothing is
    promised: np.ndarray  # (N,) for following, or (N, K) for each verifiable fact
    terms: Sequence[str]  # each agent's, in words


def panel(game: Game, columns: Columns, tally: Tally, offer: Offer | None) -> Panel:
    """What was advised and done in the last step, what all came to, and what is on offer for the coming step."""
    table = _table(game, columns, tally, offer)
    rows = zip(*(cells for _, _, cells in table), strict=True)
    heads, holds, _ = zip(*table, strict=True)
    lines = tuple(_lines(game, columns, tally))
    return Panel(tuple(heads), tuple(holds), tuple(rows), lines, _curves(game, columns, tally), game.horizon)


def _curves(game: Game, columns: Columns, tally: Tally) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """What is worth having, the principal's own where it has some, and what is paid for it."""
    welfare, paid, valued = zip(*tally.history, strict=True) if tally.history else ((), (), ())
    worth = ("principal earned", valued) if values_its_own(game) else ("welfare", welfare)
    return (worth, ("paid", paid)) if columns.payments else (worth,)


Column = tuple[str, Sequence[str], list[str]]  # its name, texts that it may hold, its cells


def _table(game: Game, columns: Columns, tally: Tally, offer: Offer | None) -> list[Column]:
    """The columns that are shown."""
    agents, last = range(len(game.agents)), tally.last
    names = [name.replace("_", " ") for name in game.action_names]
    table: list[Column] = [("agent", game.agents, list(game.agents))]
    if columns.advice:
        table.append(("advised", names, [_named(names, last.recommended[i] if last else -1) for i in agents]))
    table.append(("did", names, [names[last.actions[i]] if last else "" for i in agents]))
    for name, column, shown in (
        ("reward", "rewards", True),
        ("paid", "payments", columns.payments),
        ("taxed", "taxes", columns.taxes),
        ("transfer", "transfers", columns.transfers),
        ("shaping", "shaping", columns.shaping),
    ):
        if shown:
            sign = -1.0 if column == "taxes" else 1.0
            table.append((name, AMOUNT, [_change(sign * getattr(last, column)[i]) if last else "" for i in agents]))
    table.append(("so far", AMOUNT, [f"{amount:.2f}" for amount in tally.earned]))
    if columns.advice:
        table.append(("advised next", names, [_named(names, offer.recommended[i] if offer else -1) for i in agents]))
        table.append(("for", _promises(game), [_promised(game, offer, i) for i in agents]))
    if columns.terms:
        letters = min(columns.terms, TERMS)
        table.append(("terms", ("n" * letters,), [offer.terms[i][:letters] if offer else "" for i in agents]))
    return table


def _lines(game: Game, columns: Columns, tally: Tally) -> list[str]:
    """What holds for all: the time, the welfare, and what the principal and the contract moved."""
    own, paid = values_its_own(game), tally.paid
    lines = [f"step {tally.steps} of {game.horizon}", f"welfare {tally.welfare:.2f}"]
    if columns.payments:
        share = f" ({paid / tally.welfare:.0%} of welfare)" if tally.welfare > 0 and not own else ""
        lines.append(f"principal paid {paid:.2f}{share}")
    if own:
        lines.append(f"principal earned {tally.valued:.2f}, {tally.valued - paid:.2f} after paying")
    if columns.transfers:
        lines.append(f"agents transferred {tally.moved:.2f}")
    if columns.advice:
        lines.append(f"advice followed {tally.followed / tally.steps:.0%}" if tally.steps else "advice followed -")
    return lines


def _named(names: Sequence[str], action: int) -> str:
    """The name of an action; empty for none (-1)."""
    return names[action] if action >= 0 else ""


def _promised(game: Game, offer: Offer | None, agent: int) -> str:
    """What following pays, or what each outcome pays."""
    if offer is None or (offer.recommended[agent] < 0 and offer.promised.ndim == 1):
        return ""
    amounts = offer.promised[agent]
    if offer.promised.ndim == 1:
        return f"{amounts:.2f}"
    due = [
        f"{name.replace('_', ' ')} {amount:.2f}"
        for name, amount in zip(game.verifiable, amounts, strict=True)
        if amount > 0
    ]
    return ", ".join(due) or "0.00"


def _promises(game: Game) -> list[str]:
    """Wide texts of what following pays, or what an outcome pays."""
    if not hides_actions(game):
        return ["000.00"]
    return [f"{name.replace('_', ' ')} 0.00" for name in game.verifiable]


def _change(amount: float) -> str:
    return f"{amount:+.2f}" if abs(amount) > 0.004 else "\u00b7"


class Frame(NamedTuple):
    """A moment of an episode: what to draw, and what to write beside it."""

    scene: Scene
    panel: Panel


def advised(game: Game, scene: Scene, offer: Offer) -> Scene:
    """The scene with what is recommended, if anything is."""
    if (offer.recommended < 0).any():
        return scene
    return recommended(scene, [game.action_names[action] for action in offer.recommended])
