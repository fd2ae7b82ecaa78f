"""`signals`: a learned sender tells agents what they do not know, or what to do; no money moves (Lin et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from ..contracts.ledger import Ledger
from ..contracts.loop import Loop
from ..contracts.mechanism import Decisions, Mechanism, Summary, Transition
from ..core.config import UsageError, configuration
from ..core.random import uniform_array
from ..core.search_space import Range, SearchSpace
from ..learning.beside_agents import BesideAgents, climb, scaled
from ..learning.role import Task
from ..learning.settings import Rate
from ..learning.whole_episodes import Batch

if TYPE_CHECKING:
    import torch

    from ..learning.agents.companions import Companions
    from ..learning.incentives import Stack
    from ..learning.principals.sender import Sender

MOST_PROFILES = 256  # K^N, which a network has an output for
SIGNALS = 1 << 43  # draws of signals stand at steps that neither the game nor who acts reaches
TRUST = 2.0  # by which the logit of what a signal suggests is higher for agents that have learned nothing
KEPT = 0.95  # of what was measured before, in the mean of a constraint


class Memory(NamedTuple):
    """Where the next signals are drawn."""

    keys: np.ndarray  # (B,) uint64
    t: np.ndarray  # (B,) int64 steps played


class Sent(NamedTuple):
    """The terms of a step."""

    signals: np.ndarray  # (B, N) int64
    chances: np.ndarray  # (B, K^N) with which they were drawn


@configuration
class LearnedSender(BesideAgents):
    """A sender that learns what to signal beside agents that learn what to make of it.

    It climbs the principal's value of the game (welfare, unless the game says otherwise) through what agents do: by the
    gradient of the log-chance of their joint action, over all signals that it could have sent. In expectation that is
    the signalling gradient of Lin et al. 2023; theirs takes the signal that was sent and one through it. The gradient
    alone would deceive, and agents learn not to listen, so that obedience is a constraint: an agent that was sent
    signal k should earn by acting on it at least as much as by acting as on any other, estimated from what it earned
    by the ratio of both chances (Lin et al. estimate it by critics of joint actions). A multiplier for each agent and
    pair of signals grows where the constraint is violated, and shrinks elsewhere.
    """

    agents_lr: Rate = 3e-4
    """Adam's learning rate of its agents: slower than the sender, who leads."""
    entropy: Annotated[float, Field(ge=0.0)] = 0.2
    """Weight of the agents' entropy bonus at the start, linear to `entropy_final` at the end."""
    margin: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.05
    """By how much obedience is to pay, in deviations of what agents earn: fresh agents learn nothing from a tie."""

    penalty: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 10.0
    """What disobedience costs the sender where obedience does not pay."""
    signal_entropy: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight of the entropy of what is sent."""

    tuned: ClassVar[SearchSpace] = {**BesideAgents.tuned, "margin": Range(0.01, 0.3, log=True)}

    def check(self, mechanism: Mechanism) -> None:
        """Raise UsageError for a mechanism other than `signals`."""
        if not isinstance(mechanism, Signals):
            raise UsageError(f"a sender needs the mechanism signals (got {type(mechanism).__name__})")

    def begin(self, task: Task, agents: Companions) -> Sending:
        assert isinstance(task.mechanism, Signals)
        return Sending(self, task, task.mechanism, agents)

    def kept(self) -> type[Sender]:
        from ..learning.principals.sender import Sender

        return Sender


class Sending:
    """A sender that learns, with a critic of its own."""

    random = None

    def __init__(self, role: LearnedSender, task: Task, mechanism: Signals, agents: Companions) -> None:
        import torch

        from ..learning.incentives import stack
        from ..learning.principals.sender import Sender
        from ..learning.worlds import width

        self.role, self.K = role, mechanism.count
        sees, N = width(task.game), len(task.game.agents)
        self.kept = Sender(stack(1, sees, role.hidden, self.K**N), agents)
        self.critic = stack(1, sees, role.hidden, 1)
        trusting(agents.policies, self.K)
        self.optimiser = torch.optim.Adam([*self.kept.networks, *self.critic], lr=role.lr)
        self.profiles = torch.from_numpy(mechanism.profiles)  # (M, N)
        self.slack = torch.zeros(N, self.K, self.K)  # by the signal sent and the one acted on, a mean over batches

    def offer(self, loop: Loop) -> tuple[torch.Tensor, ...]:
        """Notes the world that it saw (B, D) and what it sent (B, N)."""
        import torch

        from ..learning.worlds import planes

        world = planes(loop.game, loop.state)
        loop.offer(self.kept.decisions(self.kept.logits(world)))
        return world, torch.from_numpy(loop.terms.signals)

    def learn(self, batch: Batch, earned: torch.Tensor, epsilon: float, entropy: float) -> dict[str, float]:
        import torch

        from ..learning.incentives import outputs

        world, sent = batch.noted  # (T, B, D), (T, B, N)
        T, B, N = sent.shape
        seen, counted = world.flatten(0, 1), batch.counts.sum()
        values = outputs(self.critic, seen[None]).reshape(1, T, B)
        gained = self.role.advantages(batch.principal[None], values.detach(), batch.counts, batch.cut)
        missed = ((values - values.detach() - gained).square() * batch.counts).sum() / counted
        log = self.kept.logits(seen).log_softmax(dim=-1).reshape(T, B, -1)  # (T, B, M)
        acting, meant = self.acting(batch, epsilon)  # (N, T, B, K) each
        of_profile = sum(acting[i][..., self.profiles[:, i]].log() for i in range(N))  # (T, B, M)
        done = (log + of_profile).logsumexp(dim=-1)  # the log-chance of the joint action in this state
        through = (done * scaled(gained, batch.counts)[0] * batch.counts).sum() / counted
        place = (sent * self.K ** torch.arange(N).flip(0)).sum(dim=-1, keepdim=True)
        told = log.gather(-1, place).squeeze(-1)  # (T, B) of what was sent
        better, pairs = obedience(acting, meant, sent, earned, batch.counts)
        self.slack = KEPT * self.slack + (1.0 - KEPT) * (pairs - self.role.margin)
        weighed = (better * (self.slack < 0.0)[:, None, None]).sum(dim=(0, -2, -1))  # (T, B)
        obeyed = self.role.penalty * (told * weighed * batch.counts).sum() / counted
        spread = -((log.exp() * log).sum(dim=-1) * batch.counts).sum() / counted
        climb(self.optimiser, through + obeyed + self.role.signal_entropy * spread - missed)
        return {"obedience": float(pairs.min()), "slack": float(self.slack.min())}

    def acting(self, batch: Batch, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, T, B, K): the chance of what each agent did, had it been sent each signal; and without random actions."""
        import torch

        from ..learning.incentives import explored, outputs

        policies, chosen, found = self.kept.agents.policies, batch.chosen[..., None], []
        with torch.no_grad():
            for signal in torch.eye(self.K):
                rows = torch.cat([batch.rows[..., : -self.K], signal.expand(*batch.rows.shape[:-1], -1)], dim=-1)
                logits = outputs(policies, rows.flatten(1, -2)).unflatten(1, rows.shape[1:-1])
                logs = (explored(logits, share) for share in (epsilon, 0.0))
                found.append([log.gather(-1, chosen).squeeze(-1).exp() for log in logs])
        acting, meant = (torch.stack(each, dim=-1) for each in zip(*found, strict=True))
        return acting, meant


def obedience(
    acting: torch.Tensor, meant: torch.Tensor, sent: torch.Tensor, earned: torch.Tensor, counts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """By how much acting on the signal that was sent is better than acting as on another.

    (N, T, B, K, K) estimates, by the signal sent and the other, zero but for what was `sent` (T, B, N); and their
    means over the steps in which it was, (N, K, K). `acting` (N, T, B, K) is the chance of what was done had each
    signal been sent, `meant` the same without random actions, `earned` (N, T, B) what came of it, above what was
    expected.
    """
    import torch

    told = torch.nn.functional.one_hot(sent.movedim(-1, 0), meant.shape[-1]).to(acting.dtype)  # (N, T, B, K)
    played, own = ((each * told).sum(dim=-1, keepdim=True) for each in (acting, meant))
    better = (own - meant) / played * earned[..., None]  # (N, T, B, K) by the other signal
    better = told[..., None] * better[..., None, :]
    number = (told * counts[..., None]).sum(dim=(1, 2))[..., None]
    return better, (better * counts[..., None, None]).sum(dim=(1, 2)) / number.clamp(min=1.0)


def trusting(policies: Stack, signals: int) -> None:
    """Make policies whose last inputs are `signals` begin by doing more often what a signal of that number suggests.

    A unit of each layer hands a signal on. Signals get a meaning by being believed: where none has one yet, sending
    them does nothing, and agents have no reason to listen.
    """
    import torch

    trusted = torch.arange(min(signals, policies[-1].shape[-1]))
    with torch.no_grad():
        place = trusted + policies[0].shape[1] - signals
        for weights in policies[::2]:
            last = weights is policies[-2]
            weights[..., trusted] *= float(last)
            weights[:, place] *= float(not last)
            weights[:, place, trusted] = TRUST if last else 1.0
            place = trusted


@configuration
class Signals(Mechanism):
    """A learned sender, who sees the state, sends each agent one of `signals`. No money of any kind.

    It commits to the chances of all signals together in each state (`LearnedSender`), and they are drawn by the
    episode's own draws, so that agents may be told different things that go together. A signal means what agents learn
    to make of it. With everything known to all it can do what a correlated equilibrium does; where the sender knows
    more, it can persuade. What signals alone can do is the control of every contract that recommends.

    Information design in multi-agent reinforcement learning, Lin, Li, Zha and Wang 2023 (arXiv:2305.06807).

    Raises UsageError where the signals of all agents together have more than 256 values.
    """

    principal: ClassVar[type] = LearnedSender
    keeps_agents: ClassVar[bool] = True

    signals: Annotated[int, Field(ge=2, le=64)] | None = None
    """How many signals there are: K; as many as actions unless given, which is enough to say what to do."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        N = len(self.game.agents)
        if self.count**N > MOST_PROFILES:
            fewer = f"; ask for at most {int(MOST_PROFILES ** (1 / N))} signals" if 2**N <= MOST_PROFILES else ""
            raise UsageError(
                f"{self.count} signals to each of {N} agents have {self.count**N:,} values together, "
                f"and {MOST_PROFILES} are allowed{fewer or '; choose a game of fewer agents'}"
            )
        return self

    @property
    def count(self) -> int:
        """K."""
        return len(self.game.action_names) if self.signals is None else self.signals

    @property
    def terms_size(self) -> int:  # type: ignore[override]
        return self.count

    @property
    def profiles(self) -> np.ndarray:
        """(K^N, N) int64: all signals together, agent 0's varying slowest."""
        N = len(self.game.agents)
        return np.indices((self.count,) * N).reshape(N, -1).T

    @property
    def promised_shape(self) -> tuple[int, ...]:
        """(K^N,): the chance of each of `profiles`."""
        return (self.count ** len(self.game.agents),)

    @property
    def promised_bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    def start(self, keys: np.ndarray) -> Memory:
        return Memory(keys, np.zeros(len(keys), np.int64))

    def offer(self, memory: Memory, state: Any, decisions: Decisions | None) -> tuple[Sent, Memory]:
        """The signals, drawn by the chances that were decided.

        Raises UsageError for chances none of which is above zero.
        """
        assert decisions is not None
        chances = decisions.promised.astype(np.float64)
        total = chances.sum(axis=1, keepdims=True)
        if not (np.isfinite(total).all() and (chances >= 0.0).all() and (total > 0.0).all()):
            raise UsageError("the chances of signals are to be finite numbers of 0 or more, one of them above 0")
        passed = np.cumsum(chances / total, axis=1) <= uniform_array(memory.keys, SIGNALS + memory.t, 0)[:, None]
        drawn = np.minimum(passed.sum(axis=1), chances.shape[1] - 1)
        return Sent(self.profiles[drawn], chances / total), memory

    def view(self, terms: Sent | None, B: int) -> np.ndarray:
        if terms is None:
            return super().view(terms, B)
        return np.eye(self.count, dtype=np.float32)[terms.signals]

    def settle(self, memory: Memory, transition: Transition) -> tuple[Ledger, Memory]:
        return Ledger.zeros(*transition.rewards.shape), Memory(memory.keys, memory.t + 1)

    def summary(self, terms: Sent, B: int) -> Summary:
        """For each agent in words: its signal, and the chance of it here."""
        N = len(self.game.agents)
        sent = self.profiles[:, :, None] == np.arange(self.count)  # (M, N, K)
        chance = np.take_along_axis(np.einsum("bm,mnk->bnk", terms.chances, sent), terms.signals[..., None], axis=2)
        words = [
            [f"signal {signal} (of {share:.0%} here)" for signal, share in zip(*each, strict=True)]
            for each in zip(terms.signals.tolist(), chance[..., 0].tolist(), strict=True)
        ]
        return Summary(np.full((B, N), -1), np.zeros((B, N), np.float32), np.array(words).reshape(B, N))
