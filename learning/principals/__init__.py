"""The learned principals, frozen: they decide without RLlib."""
