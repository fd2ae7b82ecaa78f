"""Comparisons of runs: their table, lines, groups and differences."""
