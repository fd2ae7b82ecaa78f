"""Markov games: policies, best responses, and equilibria by backward induction and value iteration."""
