"""Proximal steps on exact returns: policies that maximise a return, and stay near where they were.

A policy pi (C, A) is moved by mirror ascent on V(pi) - beta KL(pi || pi_old), with the divergences of all situations
added up. With G = dV / dpi (C, A), a step of size lr / beta has a closed form,

    pi  <-  pi^(1 - lr) (pi_old exp(G / beta))^lr,  normalised in each situation,

which rests exactly where the objective is stationary. Only probabilities are in it, so that it comes to the same
however they are parameterised.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from .exact_gradients import ExactReturns, Policies


class Ascent(NamedTuple):
    """How a proximal objective is maximised."""

    steps: int
    lr: float  # in units of 1 / beta; at most 1
    beta: float  # the weight of the divergence, in units of the return


def respond(returns: ExactReturns, policies: Policies, j: int, old: torch.Tensor, by: Ascent) -> torch.Tensor:
    """Agent j's proximal response (C_j, A) to the others' `policies`, differentiable in these.

    It starts at its policy before, of which `old` (C_j, A) is the logarithm, and takes a fixed number of steps.
    """
    moved = old.detach().requires_grad_()
    for _ in range(by.steps):
        own = moved.exp()
        value = returns.of([*policies[:j], own, *policies[j + 1 :]])[j]
        (slope,) = torch.autograd.grad(value, own, create_graph=True)
        moved = _towards(moved, old + slope / by.beta, by.lr)
    return moved.exp()


def shape(returns: ExactReturns, logs: Policies, i: int, inner: Ascent, outer: Ascent) -> torch.Tensor:
    """The logarithm (C_i, A) of the policy that maximises agent i's return after the others' proximal responses to it.

    `logs` (C_j, A) are the logarithms of all policies before. Each of the others answers i's new policy, and takes all
    else as it was; i differentiates through every step of theirs. A step that does not raise the objective is taken
    back, and all further steps are half as long.
    """
    policies = [each.exp() for each in logs]
    kept = goal = tried = old = logs[i]
    best, lr = -torch.inf, outer.lr
    for _ in range(outer.steps):
        own = tried.exp().requires_grad_()
        met = [*policies[:i], own, *policies[i + 1 :]]
        after = [own if j == i else respond(returns, met, j, logs[j], inner) for j in range(len(logs))]
        value = returns.of(after)[i]
        objective = (value - outer.beta * (own * (tried - old)).sum()).item()
        if objective > best:
            (slope,) = torch.autograd.grad(value, own)
            best, kept, goal = objective, tried, old + slope / outer.beta
        else:
            lr /= 2
        tried = _towards(kept, goal, lr)
    return kept


def _towards(log: torch.Tensor, goal: torch.Tensor, lr: float) -> torch.Tensor:
    return ((1 - lr) * log + lr * goal).log_softmax(dim=-1)
