"""What a run, or a table of states, is measured by."""
