"""Ground truth: games as tables, their exact equilibria, and what a principal pays in them. One algorithm a file."""
