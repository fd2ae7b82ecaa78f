"""Runs beside each other: their table, lines, groups and differences."""
