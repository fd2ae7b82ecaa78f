"""The policies of the agents of a finished run, which act without RLlib."""
