"""The mechanisms, and this registry of them.

Adding a mechanism is one file with a `Mechanism` whose fields are its parameters, and one line in `MECHANISMS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..contracts.core import Mechanism
from ..envs.config import UsageError, configure, nearest
from ..envs.core import Game

MECHANISMS: dict[str, str] = {
    # id: module:class, relative to this package
    "selfish": ".selfish:Selfish",
    "joint": ".prosocial:Joint",
    "prosocial": ".prosocial:Prosocial",
    "constant-share": ".constant_share:RedistributedShare",
    "funded-share": ".constant_share:FundedShare",
    "symmetric-transfer": ".reward_transfer:SymmetricTransfer",
    "transfer-matrix": ".reward_transfer:TransferMatrix",
    "inequity-aversion": ".inequity_aversion:InequityAversion",
    "social-value-orientation": ".social_value:SocialValueOrientation",
    "mate": ".mate:Mate",
    "gifting": ".gifting:Gifting",
    "drawn-contract": ".drawn_contract:DrawnContract",
    "formal-contract": ".formal_contract:FormalContract",
    "committed-rates": ".committed_rates:CommittedRates",
    "advice": ".advice:Advice",
    "principal-dqn": "..contracts.recommendation:RecommendationContract",
    "principal-exact": "..contracts.exact_principal:ExactContract",
    "outcome-dqn": "..contracts.outcome_contract:OutcomeContract",
    "principal-ppo": "..contracts.rates_contract:RatesContract",
}


def mechanism_class(id: str) -> type[Mechanism]:
    """The class of a mechanism. Raises UsageError for an unknown id."""
    if id not in MECHANISMS:
        raise UsageError(nearest("mechanism", id, MECHANISMS))
    module, cls = MECHANISMS[id].split(":")
    return getattr(import_module(module, __package__), cls)


def make_mechanism(id: str, game: Game, **parameters: Any) -> Mechanism:
    """The mechanism `id` for `game`.

    Raises UsageError for an unknown id or parameter, or a value that the parameter does not allow.
    """
    return configure(mechanism_class(id), {"game": game, **parameters}, what=f"mechanism {id}")
