"""The mixed equilibrium of a stage game, for stage games without a pure one, of any number of agents.

The first of these that finds one:

1. The equilibria in which two agents mix while each of the others plays one action, all extreme ones
   (`vertex_enumeration`). Of two agents these are all equilibria that matter, and there always is one.
2. Those in which three or more mix, by supports, the ones with fewest actions in all first (`support_enumeration`).
3. The end of the path of logit equilibria (`logit_path`).

Steps 1 and 2 take the equilibrium of highest or of lowest total value among those that they compare: in step 1 all that
they find, in step 2 those with the same number of actions. Every equilibrium returned leaves no agent a regret above
`PAYOFF_TIE`.
"""

from __future__ import annotations

import numba
import numpy as np

from .logit_path import logit_limit
from .support_enumeration import equilibrium_on_supports
from .vertex_enumeration import equilibrium_of_two


@numba.njit(cache=True, nogil=True)
def mixed_equilibrium(q: np.ndarray, actions: np.ndarray, A: int, sign: float) -> tuple[bool, np.ndarray]:
    """Whether an equilibrium was found, and its strategies (N, A); of several the largest `sign` * total value counts.

    `q[j, i]` is agent i's payoff of the joint action `actions[j]`, which stand in lexicographic order.
    """
    found, strategies = equilibrium_of_two(q, actions, A, sign)
    if not found and actions.shape[1] > 2:
        found, strategies = equilibrium_on_supports(q, actions, A, sign)
        if not found:
            found, strategies = logit_limit(q, actions, A)
    return found, strategies
