"""What is kept of a learned principal, to decide without RLlib."""
