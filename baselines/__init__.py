"""The mechanisms, and their registry.

To add a mechanism, write one file with a `Mechanism` whose fields are its parameters, and add one line to `OWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..contracts.mechanism import Mechanism
from ..core.config import configure, made_by_configuration
from ..core.registry import Registry
from ..envs.game import Game

T = TypeVar("T")

OWN: dict[str, str] = {
    # id: module:class, relative to this package
    "selfish": ".selfish:Selfish",
    "joint": ".prosocial:Joint",
    "prosocial": ".prosocial:Prosocial",
    "constant-share": ".constant_share:RedistributedShare",
    "funded-share": ".constant_share:FundedShare",
    "spread-budget": ".spread_budget:SpreadBudget",
    "symmetric-transfer": ".reward_transfer:SymmetricTransfer",
    "transfer-matrix": ".reward_transfer:TransferMatrix",
    "inequity-aversion": ".inequity_aversion:InequityAversion",
    "social-value-orientation": ".social_value:SocialValueOrientation",
    "mate": ".mate:Mate",
    "reciprocity": ".reciprocity:Reciprocity",
    "lio": ".lio:LearnedIncentives",
    "mediator": ".mediator:Mediation",
    "signals": ".signals:Signals",
    "adaptive-mechanism-design": ".adaptive_design:AdaptiveMechanism",
    "gifting": ".gifting:Gifting",
    "budget-gifting": ".gifting:BudgetGifting",
    "drawn-contract": ".drawn_contract:DrawnContract",
    "formal-contract": ".formal_contract:FormalContract",
    "committed-rates": ".committed_rates:CommittedRates",
    "advice": ".advice:Advice",
    "joint-advice": ".advice:JointAdvice",
    "principal-dqn": "..contracts.recommendation:RecommendationContract",
    "principal-exact": ".principal_exact:ExactContract",
    "outcome-dqn": "..contracts.outcomes:OutcomeContract",
    "contractual-rl": ".contractual_rl:ContractualContract",
    "least-incentives": ".least_incentives:LeastIncentives",
    "principal-ppo": "..contracts.rates:RatesContract",
    "rates-bandit": ".rates_bandit:RatesBanditContract",
}


def _fault(cls: Any) -> str:
    """What is wrong with `cls` as a mechanism; empty if nothing is."""
    if not (isinstance(cls, type) and issubclass(cls, Mechanism)):
        return "is no subclass of Mechanism"
    return "" if made_by_configuration(cls) else "has no parameters that are checked: put @configuration above it"


MECHANISMS: Registry[Mechanism] = Registry("mechanism", "paymaster.mechanisms", __package__, OWN, _fault)


def mechanism_class(id: str) -> type[Mechanism]:
    """The class of a mechanism. Raises UsageError for an unknown id."""
    return MECHANISMS.get_or_tell(id)


def register_mechanism(id: str) -> Callable[[type[T]], type[T]]:
    """A decorator that registers your own mechanism under `id`: write it above `@configuration`, above the class.

    Raises UsageError for an id that is taken, or a class that is not a Mechanism.
    """

    def register(cls: type[T]) -> type[T]:
        MECHANISMS.add(id, cls)
        return cls

    return register


def make_mechanism(id: str, game: Game, **parameters: Any) -> Mechanism:
    """The mechanism `id` for `game`.

    Raises UsageError for an unknown id or parameter, or for a value that the parameter does not allow.
    """
    return configure(mechanism_class(id), {"game": game, **parameters}, what=f"mechanism {id}")
