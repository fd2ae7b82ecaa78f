"""What plays the agents of a finished run, without RLlib."""
