"""What can be promised, what it pays, the exact equilibria, and the learned principals' mathematics."""
