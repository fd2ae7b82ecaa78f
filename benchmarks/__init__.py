"""Suites, runs, records, statistics, comparison and the command line."""
