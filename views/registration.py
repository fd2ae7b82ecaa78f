"""PettingZoo environments by the ids of games; PettingZoo's own `make` finds them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from pettingzoo import AECEnv, aec_registry, parallel_registry, register

from ..baselines import make_mechanism
from ..contracts.loop import Principal
from ..contracts.mechanism import Mechanism
from ..core.config import UsageError
from ..envs import FAMILIES, family, make
from ..envs.game import Game
from .making import in_turns, view
from .parallel import ParallelView

T = TypeVar("T")


def parallel_env(
    game: str | Game,
    mechanism: str | Mechanism | None = None,
    principal: Principal | Literal["agent"] | None = None,
    render_mode: str | None = None,
    *,
    alpha: float = 0.1,
    **rules: object,
) -> ParallelView:
    """A PettingZoo environment in which all agents act at once.

    `game` is an id, with `rules` changed from its preset, or a Game. `mechanism` is an id (with its default
    parameters) or a Mechanism of that very game; none leaves the agents selfish. A mechanism that needs a principal
    takes a function `(game, state) -> Decisions`, or `"agent"`: then the principal is an agent too, and earns
    `game.principal_reward / alpha - payments` (see `PrincipalView` for the order of moves).

    Raises UsageError for what does not exist or does not fit.
    """
    name = f"{game}-v{family(game.partition('/')[0]).version}" if isinstance(game, str) else type(game).__name__
    contract = _mechanism(_game(game, rules), mechanism)
    return view(contract.played, contract, principal, render_mode, alpha=alpha, name=name)


def env(
    game: str | Game,
    mechanism: str | Mechanism | None = None,
    principal: Principal | Literal["agent"] | None = None,
    render_mode: str | None = None,
    *,
    alpha: float = 0.1,
    **rules: object,
) -> AECEnv:
    """`parallel_env` in turns, as a PettingZoo `AECEnv`; a principal that is an agent acts first."""
    return in_turns(parallel_env(game, mechanism, principal, render_mode, alpha=alpha, **rules))


def register_game(name: str) -> Callable[[type[T]], type[T]]:
    """Register your own games as `family/preset`: a decorator, above `@configuration`, above the class.

    Raises UsageError for a family that is taken, or a class that is no Game.
    """

    def registered(cls: type[T]) -> type[T]:
        FAMILIES.add(name, cls)
        name_in_pettingzoo(name)
        return cls

    return registered


def name_in_pettingzoo(name: str) -> None:
    """Let PettingZoo's `make("parallel" or "aec", "coin_game/ivanov-7x7-v1")` find every game of a family."""
    for preset in family(name).presets:
        id = f"{name}/{preset}"
        versioned = f"{id}-v{family(name).version}"
        if versioned not in parallel_registry:
            register("parallel", versioned, f"{__name__}:parallel_env", kwargs={"game": id})
        if versioned not in aec_registry:
            register("aec", versioned, f"{__name__}:env", kwargs={"game": id})


def _game(game: str | Game, rules: dict[str, object]) -> Game:
    if isinstance(game, str):
        return make(game, **rules)
    if rules:
        raise UsageError(f"{', '.join(rules)} came with a Game that is made already; give its id, or make it with them")
    return game


def _mechanism(game: Game, mechanism: str | Mechanism | None) -> Mechanism:
    if mechanism is None:
        return Mechanism(game=game)
    if isinstance(mechanism, str):
        return make_mechanism(mechanism, game)
    if mechanism.game != game:
        raise UsageError(f"the mechanism is for {mechanism.game}, and the game is {game}; make both for the same game")
    return mechanism
