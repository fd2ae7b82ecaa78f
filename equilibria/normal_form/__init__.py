"""Games in normal form: their equilibria, and the transfers that make cooperation one."""
