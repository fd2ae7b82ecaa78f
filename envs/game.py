"""What every game is: pure functions over `B` parallel environments held in arrays.

Axes everywhere: `B` parallel environments, `N` agents, leading, in that order. Randomness lives in the state's keys
(`core/random.py`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import gymnasium as gym
import numba
import numpy as np
from numba.core import event

from ..core.compiling import Announcer
from ..core.config import UsageError, made_by_configuration
from ..core.random import uniform_array

event.register("numba:compile", Announcer())

LARGEST_LIST = 100_000_000  # beyond the memory of most machines; the solver says what fits into this one

State = TypeVar("State")
Events = TypeVar("Events")


class Sprite(NamedTuple):
    """One thing on the board: its kind, its place and its colour."""

    kind: str  # "agent", "coin", ...
    row: float
    column: float
    colour: int  # index of the agent whose colour it has; -1 for none
    label: str = ""
    facing: int = -1  # 0 up, 1 right, 2 down, 3 left; -1 for what has no front


class Scene(NamedTuple):
    """What a renderer draws of one environment; it knows nothing of pixels."""

    rows: int
    columns: int
    ground: tuple[str, ...]  # one string a row, one character a cell
    sprites: tuple[Sprite, ...]
    caption: str
    kind: str = "map"  # "map": tiles; "choices": a row for each agent; "payoffs": a table of two agents; "tree"
    choices: tuple[str, ...] = ()  # of "choices" and "payoffs": what each column is called


class Game(Protocol[State, Events]):
    """A social dilemma as pure functions over arrays. Implementations are frozen configurations."""

    presets: ClassVar[dict[str, dict[str, object]]]  # preset: the rules it changes
    version: ClassVar[int]  # rises when behaviour changes, never for speed

    @property
    def horizon(self) -> int:
        """Steps in an episode."""

    @property
    def truncates(self) -> bool:
        """Whether the horizon cuts the episode (learners bootstrap) or ends it."""

    @property
    def agents(self) -> tuple[str, ...]:
        """The N agents' names."""

    @property
    def observation_space(self) -> gym.spaces.Box:
        """Of one agent."""

    @property
    def classes(self) -> int:
        """C, where an observation holds class indices in [0, C), of which a network makes planes; 0 for numbers."""

    @property
    def action_names(self) -> tuple[str, ...]:
        """Of one agent: action `a` is called `action_names[a]`."""

    @property
    def verifiable(self) -> tuple[str, ...]:
        """The K facts about an agent that a contract may pay on, as `facts` counts them."""

    def reset(self, keys: np.ndarray) -> State:
        """New episodes, one for each key (B,) uint64."""

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, N). Neither argument is changed."""

    def rewards(self, events: Events) -> np.ndarray:
        """(B, N) float32, from the environment alone."""

    def principal_reward(self, events: Events) -> np.ndarray:
        """(B,) float32: what the principal values before it pays; welfare unless the game says otherwise."""

    def facts(self, events: Events) -> np.ndarray:
        """(B, N, K) float32: how often each agent did what each name of `verifiable` says, in one step."""

    def observe(self, state: State) -> np.ndarray:
        """(B, N, *observation_space.shape)."""

    def world(self, state: State) -> np.ndarray:
        """(B, ...): all there is to see, for a principal."""

    def terminated(self, state: State) -> np.ndarray:
        """(B,) bool: the natural end. The horizon is the loop's business."""

    def scene(self, state: State, events: Events | None, index: int) -> Scene:
        """What a renderer draws of environment `index`."""


MEMBERS = [name for name in {**vars(Game), **Game.__annotations__} if not name.startswith("_")]


def missing_members(cls: Any) -> str:
    """What a class lacks to be a family of games, as the end of a sentence; empty if nothing."""
    if not made_by_configuration(cls):
        return "is no class whose rules are checked: put @configuration above it"
    missing = [name for name in MEMBERS if not hasattr(cls, name) and name not in cls.__pydantic_fields__]
    if missing:
        return f"has no {', '.join(missing)}, which a Game has"
    if not (isinstance(cls.presets, dict) and cls.presets):
        return "has no preset: presets maps the name of each to the rules that it changes"
    return ""


class WithoutChance(Generic[State, Events]):
    """The methods that the exact solver needs, for a game without chance."""

    def reset(self, keys: np.ndarray) -> State:
        raise NotImplementedError

    def step(self, state: State, actions: np.ndarray) -> tuple[State, Events]:
        raise NotImplementedError

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        """`reset`: there are no `draws` (B, 0)."""
        return self.reset(keys)

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        """`step`: there are no `draws` (B, 0)."""
        return self.step(state, actions)

    def outcomes(self, state: State, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The one outcome of each step: no draws (B, 1, 0), probability one (B, 1)."""
        return np.empty((len(actions), 1, 0)), np.ones((len(actions), 1))

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """The one start: no draws (1, 0), probability one (1,)."""
        return np.empty((1, 0)), np.ones(1)


class OneDrawAStep(Generic[State, Events]):
    """What games of one agent share in which nothing is drawn at the start, and one number in each step.

    What all can see of them, their `world`, is what the agent observes.
    """

    def begin(self, keys: np.ndarray, draws: np.ndarray) -> State:
        raise NotImplementedError

    def play(self, state: State, actions: np.ndarray, draws: np.ndarray) -> tuple[State, Events]:
        raise NotImplementedError

    def world(self, state: State) -> np.ndarray:
        raise NotImplementedError

    @property
    def agents(self) -> tuple[str, ...]:
        return ("agent_0",)

    def reset(self, keys: np.ndarray) -> State:
        return self.begin(keys, np.empty((len(keys), 0)))

    def step(self, state: Any, actions: np.ndarray) -> tuple[State, Events]:
        """One step of every environment; `actions` (B, 1).

        Raises UsageError where an action is none of `action_names`.
        """
        return self.play(state, actions, uniform_array(state.key, state.t + 1, 0)[:, None])

    def observe(self, state: State) -> np.ndarray:
        return self.world(state)[:, None]

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """The one start: no draws (1, 0), probability one (1,)."""
        return np.empty((1, 0)), np.ones(1)


def hides_actions(game: object) -> bool:
    """Whether a game, or its class, hides the agents' actions: it says so by a class variable `hidden_actions`.

    Then contracts may pay on the realised outcome, one of its verifiable facts, and the principal has rewards of its
    own, which it counts as money: it maximises `principal_reward - payments`.
    """
    return bool(getattr(game, "hidden_actions", False))


def hides_state(game: object) -> bool:
    """Whether agents do not observe what the principal sees, by a class variable `hidden_state` of a game.

    Then the solver, which lets everybody know the state, does not solve the game; it says what signals about the state
    can do (`equilibria/principal/persuasion.py`).
    """
    return bool(getattr(game, "hidden_state", False))


def values_its_own(game: object) -> bool:
    """Whether the principal has rewards of its own, counted as money, and does not value welfare."""
    return hides_actions(game) or hides_state(game)


def cut_short(game: object, state: object) -> np.ndarray | bool:
    """(B,) bool: where a game with a method `truncated` cuts an episode before the horizon."""
    return game.truncated(state) if hasattr(game, "truncated") else False


class Symmetry(NamedTuple):
    """A mirrored or rotated view, in which the game has the same rules."""

    cells: np.ndarray  # (D,) int: who sees the flat observation `seen` sees `seen[cells]` in that view, ...
    actions: np.ndarray  # (A,) int: ... and does `actions[a]` there where it does `a` here


def symmetries(game: object) -> tuple[Symmetry, ...]:
    """The symmetric views of a game, the identity among them; empty unless it has a property `symmetries`."""
    return tuple(getattr(game, "symmetries", ()))


def tells_cooperation(game: object) -> bool:
    """Whether a game says what cooperating and defecting are, for scripted agents and their strategies.

    It does so by two methods: `scripted(observations, cooperating)` gives the actions (B, N) of agents that cooperate
    where `cooperating` (B, N) and else defect; `defections(events)` (B, N, N) bool says who (axis 1) defected on whom
    (axis 2) in a step, which is never oneself.
    """
    return hasattr(game, "scripted") and hasattr(game, "defections")


def check_listable(count: int, what: str, smaller: str) -> int:
    """`count`, or UsageError where so many states, starts, ... are too many to list; `smaller` says what to ask for."""
    if count > LARGEST_LIST:
        raise UsageError(f"{count:,} {what} are too many to list, {LARGEST_LIST:,} are allowed; ask for {smaller}")
    return count


def legal(actions: np.ndarray, shape: tuple[int, ...], names: tuple[str, ...]) -> np.ndarray:
    """`actions` (B, N) of a game whose `action_names` are `names`, as contiguous int64: what compiled rules take.

    Raises UsageError unless they are integers of `shape` (B, N) that name an action each.
    """
    if actions.shape != shape or actions.dtype.kind not in "iu":
        raise UsageError(f"actions are {actions.dtype} of shape {actions.shape}; integers of shape {shape} are needed")
    actions = np.ascontiguousarray(actions, np.int64)
    if not _all_below(actions, len(names)):
        raise UsageError(
            f"actions from {actions.min()} to {actions.max()} were played; "
            f"0 to {len(names) - 1} are allowed ({', '.join(names)})"
        )
    return actions


@numba.njit(cache=True)
def _all_below(actions: np.ndarray, count: int) -> bool:
    """Whether all `actions` (B, N) are from 0 to `count - 1`; for small batches faster than numpy's reductions."""
    allowed = True
    for action in actions.flat:
        allowed &= 0 <= action < count
    return allowed


def with_agent_ids(seen: np.ndarray) -> np.ndarray:
    """Observations (B, N, D) with a one-hot agent id appended: (B, N, D + N).

    Without it agents that share a network would always act alike (Gupta, Egorov and Kochenderfer 2017).
    """
    B, N, _ = seen.shape
    who = np.broadcast_to(np.eye(N, dtype=seen.dtype), (B, N, N))
    return np.concatenate([seen, who], axis=-1)
