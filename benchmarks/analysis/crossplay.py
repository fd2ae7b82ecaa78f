"""Cross-play: the agents of finished runs, and scripted ones, play with each other as they never learned to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from ...contracts.episodes import Episodes
from ...contracts.loop import AgentView
from ...contracts.mechanism import Mechanism
from ...core.config import UsageError, to_json
from ...envs.game import Game, tells_cooperation
from ...learning.agents.follow import FollowPolicy
from ...learning.agents.mixed import MixedPolicy, Part
from ...learning.agents.scripted import ScriptedPolicy, Strategy
from ..files import RUN, runs
from ..measures.statistics import Estimate, estimate
from ..runs.load import Loaded, load

NONE = "none"  # the contract where there is none
MEASURES = ("welfare", "row_income", "column_income", "payment")


class Player(NamedTuple):
    """A line of runs, which differ in their seed alone, or a script: who stands in a row and a column."""

    name: str
    runs: tuple[Loaded, ...]  # none for a script
    policies: tuple[Any, ...]  # one for each seed


class Cell(NamedTuple):
    """What comes of it where `row` plays the first agent and `column` all others, under a contract, per episode."""

    contract: str  # the player under whose contract they play, or `NONE`
    row: str
    column: str
    welfare: Estimate  # the sum of all agents' rewards
    row_income: Estimate  # rewards, payments and transfers, less taxes: of the first agent, and ...
    column_income: Estimate  # ... of one of the others, on average
    payment: Estimate  # what the principal pays
    over: str  # of what the intervals are: "seeds", or "episodes" where there is a single seed


class CrossPlay(NamedTuple):
    """All pairings of the players, under each of their contracts and under none."""

    game: str
    rules: dict[str, Any]
    agents: int
    episodes: int
    players: list[Player]
    contracts: list[str]
    cells: list[Cell]
    left_out: list[str]  # a sentence for each run that cannot play, and each reason why pairings were not played


class Pairing(NamedTuple):
    """Who plays with whom under whose contract."""

    contract: Player | None
    row: Player
    column: Player


def crossplay(path: Path, *, episodes: int, progress: Any = iter) -> CrossPlay:
    """Let the agents of the runs at or below `path`, and scripted ones, play `episodes` episodes with each other.

    Agents play with those of another seed, which they never met; where a line has one seed alone, with that. Those of
    one line play in disjoint pairs of seeds, so that the pairs are independent draws. Raises UsageError where no run
    can play, and for runs of several games or rules.
    """
    loaded, left_out = _loaded(path)
    players = _players(loaded)
    contracts: list[Player | None] = [None, *(player for player in players if _pays(player))]
    game = loaded[0].game
    if tells_cooperation(game):
        players += [Player(name, (), (ScriptedPolicy(game, name),)) for name in get_args(Strategy)]
    pairings = [Pairing(contract, row, column) for contract in contracts for row in players for column in players]
    cells = []
    for pairing in progress(pairings):
        try:
            cells.append(_cell(game, pairing, episodes))
        except UsageError as error:
            left_out.append(f"under the contract {_named(pairing.contract)}: {error}")
    named = [_named(contract) for contract in contracts]
    told = loaded[0].spec.game, to_json(game), len(game.agents)
    return CrossPlay(*told, episodes, players, named, cells, [*dict.fromkeys(left_out)])


def _loaded(path: Path) -> tuple[list[Loaded], list[str]]:
    """The runs that can play, and why others cannot."""
    found, left_out = list[Loaded](), list[str]()
    for folder in runs(path):
        try:
            run = load(folder)
            if run.mechanism.played is not run.mechanism.game:
                raise UsageError(f"under {run.spec.mechanism} agents have an action that the others' game has not")
            found.append(run)
        except UsageError as error:
            left_out.append(f"{folder}: {error}")
    if not found:
        raise UsageError("; ".join([f"{path} holds no finished run whose agents can play", *left_out]))
    games = {(run.spec.game, str(to_json(run.game))): run for run in found}
    if len(games) > 1:
        one, other, *_ = games.values()
        raise UsageError(
            f"only agents of one game under the same rules can play with each other: {path} holds runs of "
            f"{_differing(one, other)}; name a folder that holds one of these ({RUN} tells the rules)"
        )
    if len(found[0].game.agents) < 2:
        raise UsageError(f"{found[0].spec.game} has a single agent, who plays with nobody")
    return found, left_out


def _differing(one: Loaded, other: Loaded) -> str:
    """Two games in words: their ids, or the rules in which they differ."""
    if one.spec.game != other.spec.game:
        return f"{one.spec.game} and {other.spec.game}"
    ours, theirs = to_json(one.game), to_json(other.game)
    rules = [f"{name}={ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    return f"{one.spec.game} with {', '.join(rules)}"


def _players(loaded: Sequence[Loaded]) -> list[Player]:
    """The lines of the runs, in the order of their names; a name that several have is told with the variant."""
    lines: dict[str, list[Loaded]] = {}
    for run in loaded:
        lines.setdefault(run.run.variant, []).append(run)
    labels = [line[0].run.label for line in lines.values()]
    found = []
    for variant, line in lines.items():
        label = line[0].run.label
        name = label if labels.count(label) == 1 else f"{label} ({variant})"
        line = sorted(line, key=lambda run: run.spec.seed)
        found.append(Player(name, tuple(line), tuple(run.policy for run in line)))
    return sorted(found, key=lambda player: player.name)


def _pays(player: Player) -> bool:
    """Whether a line's mechanism is a contract: it shows terms, or moves money among its own agents."""
    run = player.runs[0]
    if run.mechanism.terms_size or run.mechanism.principal:
        return True
    played = _evaluated(run.game, run, run.policy, 1, seed=run.spec.seed)
    return bool(played.payments.any() or played.taxes.any() or played.transfer_volume.any())


def _named(contract: Player | None) -> str:
    return NONE if contract is None else contract.name


def _cell(game: Game, pairing: Pairing, episodes: int) -> Cell:
    contract, row, column = pairing
    played = list(_played(game, pairing, episodes))
    over = "episodes" if len(played) == 1 else "seeds"

    def estimated(values: Sequence[np.ndarray]) -> Estimate:
        return estimate(values[0] if over == "episodes" else np.array([each.mean() for each in values]))

    incomes = [each.returns + each.payments + each.transfers - each.taxes for each in played]
    return Cell(
        _named(contract), row.name, column.name,
        welfare=estimated([each.returns.sum(axis=1) for each in played]),
        row_income=estimated([income[:, 0] for income in incomes]),
        column_income=estimated([income[:, 1:].mean(axis=1) for income in incomes]),
        payment=estimated([each.payments.sum(axis=1) for each in played]),
        over=over,
    )  # fmt: skip


def _played(game: Game, pairing: Pairing, episodes: int) -> Iterator[Episodes]:
    """The episodes of each pair of seeds; a script has as many as who plays with it."""
    contract, row, column = pairing
    learned = [len(player.runs) for player in (row, column, contract) if player is not None and player.runs]
    count = min(learned, default=1)
    for seed in range(0, max(1, count - 1), 2) if row is column else range(count):
        run = contract.runs[seed] if contract else None
        sides = (row, seed), (column, seed + 1)  # agents of one seed may have learned together
        (first, others) = (_partner(player, at % len(player.policies), run) for player, at in sides)
        N = len(game.agents)
        policy = MixedPolicy([Part("", {}, (0,), first), Part("", {}, tuple(range(1, N)), others)])
        keys = row.runs[seed].spec.seed if row.runs else seed
        yield _evaluated(game, run, policy, episodes, seed=keys)


def _evaluated(game: Game, contract: Loaded | None, policy: Any, episodes: int, *, seed: int) -> Episodes:
    from ...learning.phases import evaluate

    mechanism, principal = (contract.mechanism, contract.principal) if contract else (Mechanism(game=game), None)
    return evaluate(game, mechanism, principal, policy, seed=seed, episodes=episodes)


def _partner(player: Player, seed: int, contract: Loaded | None) -> Any:
    """The policy of a player's seed under a contract: who did not learn under its mechanism is not shown its terms.

    Raises UsageError for agents that follow recommendations, where these are none that they know.
    """
    policy = player.policies[seed]
    if not player.runs:
        return policy
    own = player.runs[seed].mechanism
    known = contract is not None and type(contract.mechanism) is type(own)
    same = contract.mechanism.terms_size == own.terms_size if contract else not own.terms_size
    if same and (known or not own.terms_size):
        return policy
    if _follows(policy):
        raise UsageError(f"{player.name} follows recommendations, and is given none")
    return Unaware(policy, own.terms_size)


def _follows(policy: Any) -> bool:
    """Whether a policy, or a part of it, does as it is recommended."""
    if isinstance(policy, MixedPolicy):
        return any(_follows(part.policy) for part in policy.parts)
    return isinstance(policy, FollowPolicy)


class Unaware:
    """A policy that plays where its own terms are not offered: it sees zeros in their place, and no others."""

    def __init__(self, policy: Any, terms_size: int) -> None:
        self.policy, self.terms_size = policy, terms_size
        for name in ("values", "probabilities"):
            if hasattr(policy, name):
                setattr(self, name, partial(self._asked, name))
        for name in ("start", "remember"):
            setattr(self, name, getattr(policy, name, None))

    def __call__(self, seen: AgentView) -> np.ndarray:
        """The agents' actions (B, N)."""
        return self._asked("__call__", seen)

    def _asked(self, what: str, seen: AgentView) -> np.ndarray:
        unseen = np.zeros((*seen.terms.shape[:2], self.terms_size), np.float32)
        return getattr(self.policy, what)(seen._replace(terms=unseen))
