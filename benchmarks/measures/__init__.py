"""Measures of runs and of tables of states: metrics, statistics, audits, exact solutions."""
