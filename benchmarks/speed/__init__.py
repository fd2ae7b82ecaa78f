"""How fast games step, are sampled and are learned, against RLlib as it comes."""
