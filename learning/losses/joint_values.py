"""Algorithm 3 with values of joint actions: for payments contingent on what the others did.

The agents' values Q_i(s, a_1, ..., a_N) take the place of Q((s, f_-i), a_i); the two regressions stay those of
`algorithm_3.losses`. Everybody follows from the next step on, and least payments leave agent i there what its best
action beside the others' recommended ones is worth, so

    y_a = r_i + discount max_a' Q_i'(s', a', rec_-i(s')),
    b_i(s, a) = max_a' Q_i(s, a', a_-i) - Q_i(s, a),

with rec the actions that the principal's online values choose. The paper leaves open whether fresh agents are paid by
what the others did or as if these followed; values of joint actions tell both prices. They also learn from every
transition, whatever the others did in it and why, and know nothing of who follows: an agent that does not takes what
is best while the others do. With A^N joint actions this is for few agents.
"""

from __future__ import annotations

import torch

from ..joint_networks import beside, joint
from .algorithm_3 import Values


def joint_values_at(
    net: torch.nn.ModuleDict, target: torch.nn.ModuleDict | None, rows_t: torch.Tensor, rows_tp1: torch.Tensor,
    actions_t: torch.Tensor,
) -> Values:  # fmt: skip
    """The values at joint rows (n, N, D) of transitions in which `actions_t` (n, N) were taken.

    Now the others do as they did, next as is recommended.
    """
    assert target is not None
    principal_t = joint(net["principal"], rows_t)
    A = principal_t.shape[-1]
    with torch.no_grad():
        principal_tp1 = joint(net["principal"], rows_tp1)
        recommended = principal_tp1.argmax(dim=-1)
        next_online = beside(joint(net["agents"], rows_tp1), recommended, A)
        now, later = joint(target["agents"], torch.cat([rows_t, rows_tp1])).chunk(2)
        principal_tp1_target = joint(target["principal"], rows_tp1)
    agents_t = beside(joint(net["agents"], rows_t), actions_t, A)
    return Values(
        agents_t, next_online, beside(later, recommended, A), agents_t.detach(), beside(now, actions_t, A),
        principal_t, principal_tp1, principal_tp1_target,
    )  # fmt: skip
