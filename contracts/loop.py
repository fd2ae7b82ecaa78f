"""The loop on which everything hangs: a game under a mechanism, `B` environments at a time.

    decisions      = principal(state)                                # where any are due
    terms, memory  = mechanism.offer(memory, state, decisions)       # what every agent is promised
    seen           = game.observe(state), mechanism.view(terms)      # what it may know
    actions        = mechanism.act(terms, agents(seen))              # learned elsewhere; what is done
    state', events = game.step(state, actions)                       # what happened: named facts
    ledger, memory = mechanism.settle(memory, transition)            # who is paid what

`Loop` is the state of that play: whoever runs it decides, and passes decisions and actions in. It calls nobody back,
but for what agents with a memory make of a step.
`Simulation` runs it with a frozen principal. Learning, evaluation, the PettingZoo views and the recorded replay all
play this loop; none has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.arrays import take, where
from ..core.config import UsageError
from ..core.random import draws_of, episode_keys
from ..envs.game import Game, cut_short
from .episodes import Episodes, Played, Tally
from .ledger import Ledger
from .mechanism import Decisions, Mechanism, Transition

# Draws of agents and of decisions stand at steps that no episode reaches, so they never meet the game's.
AGENTS, DECISIONS = 1 << 41, 1 << 42

Principal = Callable[[Game, Any], Decisions]  # (game, state) -> decisions, with no memory of its own


class AgentView(NamedTuple):
    """What the agents know when they act."""

    observations: np.ndarray  # (B, N, *observation)
    terms: np.ndarray  # (B, N, K) float32
    noise: np.ndarray | None = None  # (B, N) in [0, 1): the episode's own draws, for agents that act by chance
    memory: Any = ()  # what the agents' policy remembers of the episode: arrays (B, ...) in tuples; () for nothing


Act = Callable[[AgentView], np.ndarray]  # (B, N): what each agent does
Value = Callable[[AgentView], np.ndarray]  # (B, N): what each agent expects to earn from here on, discounted


Start = Callable[[np.ndarray], Any]  # the agents' memory of new episodes, one for each key (B,)
Remember = Callable[[Any, Transition, np.ndarray], Any]  # (memory, step, what each earned (B, N)) -> memory after it


class Minds(NamedTuple):
    """What agents can be asked, for the mechanisms that settle by it, and what they remember; None for nothing."""

    values: Value | None = None
    probabilities: Callable[[AgentView], np.ndarray] | None = None  # (B, N, A): with which each agent acts
    start: Start | None = None
    remember: Remember | None = None

    @classmethod
    def of(cls, policy: object) -> Minds:
        """The methods `values` and `probabilities` of a policy, `start` and `remember`, where it has them."""
        return cls(*(getattr(policy, name, None) for name in cls._fields))

    @classmethod
    def remembering(cls, policies: Sequence[object]) -> Minds:
        """What policies that play together remember: a memory for each, which `own_view` tells apart."""
        minds = [cls.of(policy) for policy in policies]
        if not any(mind.remember for mind in minds):
            return cls()

        def start(keys: np.ndarray) -> Any:
            return tuple(mind.start(keys) if mind.start and mind.remember else () for mind in minds)

        def remember(memory: Any, transition: Transition, earned: np.ndarray) -> Any:
            each = zip(minds, memory, strict=True)
            return tuple(mind.remember(own, transition, earned) if mind.remember else () for mind, own in each)

        return cls(start=start, remember=remember)


def own_view(seen: AgentView, place: int) -> AgentView:
    """What the policy at `place`, of those that play together, sees: `seen` with its own memory."""
    return seen._replace(memory=seen.memory[place]) if seen.memory else seen


NOBODY = Minds()  # agents that cannot be asked


class Situation(NamedTuple):
    """Where a principal decides: before a step of `B` environments."""

    state: Any
    memory: Any
    keys: np.ndarray  # (B,) uint64 of the episodes
    t: np.ndarray  # (B,) int32 steps played

    def noise(self, count: int) -> np.ndarray:
        """(B, count) in [0, 1): the episode's own draws for this decision."""
        return draws_of(self.keys, DECISIONS + self.t.astype(np.int64), count)


class Step(NamedTuple):
    """One step of the loop, before any reset."""

    transition: Transition
    ledger: Ledger
    earned: np.ndarray  # (B, N) what each agent learns from: the environment's reward and the mechanism's income
    complied: np.ndarray | None  # (B, N) bool
    after: Situation  # at next_state
    ended: np.ndarray  # (B,) terminated or truncated: the loop has put a new episode in its place
    episodes: Episodes | None  # those that ended


class Loop:
    """`B` environments of a game under a mechanism, each replaced by a new episode when it ends.

    Episode `n` of environment `b` has the key `episode_keys(seed, stream, b, n)`, so what happens in it depends on
    the seed, the stream, the decisions and the actions alone. `first` numbers the environments from there, for parallel
    runners.

    Under a mechanism that needs a principal each step begins with `offer(decisions)`; before it `terms` is None and the
    agents see zeros in their place. Other mechanisms' terms are offered by the loop. It carries through each episode
    what the agents' `minds` remember, and shows it to them. Raises UsageError for a mechanism or agents whose memory is
    not arrays in tuples.
    """

    terms: Any  # of the coming step; None before they are offered
    seen: AgentView

    def __init__(
        self, game: Game, mechanism: Mechanism, B: int, *,
        seed: int, stream: int = 0, first: int = 0, minds: Minds = NOBODY,
    ) -> None:  # fmt: skip
        self.game, self.mechanism, self.B, self.minds = game, mechanism, B, minds
        self.N = len(game.agents)
        self.seed, self.stream = seed, stream
        self.environment = first + np.arange(B)
        self.restart()

    def restart(self) -> None:
        """Every environment at the start of its first episode."""
        self.episode = np.zeros(self.B, np.int64)
        self.steps = 0
        self.keys = self._keys()
        self.t = np.zeros(self.B, np.int32)
        self.state = self.game.reset(self.keys)
        self.memory = self.mechanism.start(self.keys)
        self.recalled = self._recalled()
        if self.minds.remember and (self.mechanism.needs_values or self.mechanism.needs_probabilities):
            raise UsageError(
                f"{type(self.mechanism).__name__} asks agents what they expect, or how likely they act, and who "
                "remembers an episode cannot be asked: choose agents without a memory, or another mechanism"
            )
        _check_memory(type(self.mechanism).__name__, self.memory, self.B)
        _check_memory("the agents", self.recalled, self.B)
        self._tally = Tally(self.B, self.N, len(self.mechanism.recorded))
        self._begin_step()

    def begin_anew(self) -> None:
        """Put new episodes everywhere; those that run are given up, and counted nowhere but in `steps`."""
        everywhere = np.ones(self.B, bool)
        self._tally.close(everywhere, self.steps, self.keys, np.maximum(self.t, 1))
        self._renew(everywhere)
        self._begin_step()

    @property
    def situation(self) -> Situation:
        """Where the principal decides now."""
        return Situation(self.state, self.memory, self.keys, self.t)

    def offer(self, decisions: Decisions | None = None) -> None:
        """Offer the terms of the coming step; `decisions` come from the principal, where any are due."""
        self.terms, self.memory = self.mechanism.offer(self.memory, self.state, decisions)
        self.seen = self.seen._replace(terms=self.mechanism.view(self.terms, self.B))

    def play(self, actions: np.ndarray) -> Transition:
        """Move the game by the agents' chosen `actions` (B, N); `settle` must follow.

        Raises UsageError where no terms have been offered.
        """
        if self.terms is None:
            raise UsageError(
                f"{type(self.mechanism).__name__} has a principal: offer(decisions) comes before the step's actions"
            )
        chosen, actions = actions, self.mechanism.act(self.terms, actions)
        next_state, events = self.game.step(self.state, actions)
        self.t = self.t + 1
        self.steps += self.B
        terminated = self.game.terminated(next_state)
        at_horizon = self.t >= self.game.horizon
        if not self.game.truncates:
            terminated = terminated | at_horizon
        truncated = (at_horizon | cut_short(self.game, next_state)) & ~terminated
        rewards = self.game.rewards(events)
        return Transition(
            self.state, self.terms, actions, events, rewards, next_state, terminated, truncated, chosen=chosen
        )

    def settle(self, transition: Transition) -> Step:
        """Pay for what was played, and begin a new episode where one ended.

        Raises UsageError where the mechanism needs what the transition does not tell of the agents.
        """
        mechanism = self.mechanism
        if mechanism.needs_values and transition.values is None:
            raise UsageError(
                f"{type(mechanism).__name__} needs value estimates, and these agents have no critic; "
                "play it with agents learned by dqn or ppo, or any whose policy has `values`"
            )
        if mechanism.needs_probabilities and transition.probabilities is None:
            raise UsageError(
                f"{type(mechanism).__name__} needs the probabilities of actions, and these agents tell none; "
                "play it with agents learned by dqn or ppo, or any whose policy has `probabilities`"
            )
        ledger, self.memory = self.mechanism.settle(self.memory, transition)
        chosen = transition.actions if transition.chosen is None else transition.chosen
        complied = self.mechanism.complied(transition.terms, chosen)
        earned = transition.rewards + ledger.income()
        if self.minds.remember:
            self.recalled = self.minds.remember(self.recalled, transition, earned)
        self._tally.add(Played(self.mechanism, transition, ledger, complied))
        self.state = transition.next_state
        after, ended, episodes = self.situation, transition.terminated | transition.truncated, None
        if ended.any():
            episodes = self._tally.close(ended, self.steps, self.keys, self.t)
            self._renew(ended)
        self._begin_step()
        return Step(transition, ledger, earned, complied, after, ended, episodes)

    def step(self, actions: np.ndarray) -> Step:
        """`play` and `settle`."""
        return self.settle(self.play(actions))

    def asked(self, transition: Transition, minds: Minds) -> Transition:
        """The transition with what the mechanism needs to know of the agents, by the terms that they know."""
        if self.mechanism.needs_values and minds.values is not None:
            following = AgentView(self.game.observe(transition.next_state), self.seen.terms)
            transition = transition._replace(values=minds.values(self.seen), next_values=minds.values(following))
        if self.mechanism.needs_probabilities and minds.probabilities is not None:
            transition = transition._replace(probabilities=minds.probabilities(self.seen))
        return transition

    def following(self, step: Step, offered: np.ndarray, decisions: Decisions | None = None) -> AgentView:
        """What the agents see after `step`, before any reset: `seen`, but for the last states of episodes that ended.

        There they see the terms of one more step where `offered` (B,), by the principal's `decisions` on just those
        rows of `step.after`, and zeros elsewhere. The terms of the coming step must have been offered.
        """
        if not step.ended.any():
            return self.seen
        observations, terms = self.seen.observations.copy(), np.where(step.ended[:, None, None], 0.0, self.seen.terms)
        observations[step.ended] = self.game.observe(take(step.after.state, step.ended))
        if offered.any() and terms.shape[2]:
            last = take(step.after, offered)
            promised, _ = self.mechanism.offer(last.memory, last.state, decisions)
            terms[offered] = self.mechanism.view(promised, len(last.t))
        return AgentView(observations, terms.astype(np.float32))

    def _begin_step(self) -> None:
        noise = draws_of(self.keys, AGENTS + self.t.astype(np.int64), self.N)
        unknown = np.zeros((self.B, self.N, self.mechanism.terms_size), np.float32)
        self.terms, self.seen = None, AgentView(self.game.observe(self.state), unknown, noise, self.recalled)
        if not self.mechanism.principal:
            self.offer()

    def _renew(self, ended: np.ndarray) -> None:
        """Put new episodes where one `ended`."""
        self.episode = self.episode + ended
        self.keys = np.where(ended, self._keys(), self.keys)
        self.t = np.where(ended, 0, self.t).astype(np.int32)
        self.state = where(ended, self.game.reset(self.keys), self.state)
        self.memory = where(ended, self.mechanism.start(self.keys), self.memory)
        self.recalled = where(ended, self._recalled(), self.recalled)

    def _recalled(self) -> Any:
        """The agents' memory of new episodes."""
        return self.minds.start(self.keys) if self.minds.start and self.minds.remember else ()

    def _keys(self) -> np.ndarray:
        return episode_keys(self.seed, self.stream, self.environment, self.episode)


class Simulation(Loop):
    """A loop that runs with a frozen `principal` and the agents' `minds`; both may be left out.

    Raises UsageError where a mechanism that needs a principal has none, and at the first step where one needs to know
    of the agents what they do not tell.
    """

    def __init__(
        self,
        game: Game,
        mechanism: Mechanism,
        B: int,
        *,
        seed: int,
        stream: int = 0,
        first: int = 0,
        principal: Principal | None = None,
        minds: Minds = NOBODY,
    ) -> None:
        self.principal = principal
        super().__init__(game, mechanism, B, seed=seed, stream=stream, first=first, minds=minds)

    def step(self, actions: np.ndarray) -> Step:
        return self.settle(self.asked(self.play(actions), self.minds))

    def seen_after(self, step: Step) -> AgentView:
        """`following`, with the terms that the principal would offer in the last states."""
        last = self._decisions(take(step.after, step.ended)) if step.ended.any() else None
        return self.following(step, step.ended, last)

    def _begin_step(self) -> None:
        super()._begin_step()
        if self.mechanism.principal:
            self.offer(self._decisions(self.situation))

    def _decisions(self, situation: Situation) -> Decisions | None:
        if not self.mechanism.due(situation.memory, len(situation.t)).any():
            return None
        if self.principal is None:
            raise UsageError(
                f"{type(self.mechanism).__name__} needs a principal's decisions: give a simulation its `principal`, or "
                "offer decisions of your own to a `Loop`"
            )
        return self.principal(self.game, situation.state)


def _check_memory(whose: str, memory: Any, B: int) -> None:
    """Raise UsageError unless `memory` is arrays (B, ...) in tuples, which a new episode can begin anew."""
    if isinstance(memory, tuple):
        for part in memory:
            _check_memory(whose, part, B)
    elif not (isinstance(memory, np.ndarray) and memory.shape[:1] == (B,)):
        shape = f" of shape {memory.shape}" if isinstance(memory, np.ndarray) else ""
        raise UsageError(
            f"the memory of {whose} holds a {type(memory).__name__}{shape}; allowed: arrays whose "
            f"first axis is the {B} environments, in tuples or NamedTuples, so that new episodes begin with a new one"
        )
