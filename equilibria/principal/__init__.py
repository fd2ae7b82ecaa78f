"""The principal's problem: least payments, linear contracts, hidden actions, the paper's meta-algorithm."""
