"""What a mechanism of your own is written with: everything it needs, at paths that stay.

`@register_mechanism("id")` above `@configuration` above a subclass of `Mechanism` makes it known by its id; the
`docs/extending.md` shows one, and `baselines/` holds ours.
"""

from .baselines import make_mechanism, register_mechanism
from .contracts.ledger import Ledger
from .contracts.mechanism import Decisions, Mechanism, Summary, Transition
from .contracts.recommendation import RecommendationContract
from .core.config import UsageError, configuration

__all__ = [
    "Decisions", "Ledger", "Mechanism", "RecommendationContract", "Summary", "Transition",
    "UsageError", "configuration", "make_mechanism", "register_mechanism",
]  # fmt: skip
