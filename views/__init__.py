"""Games under mechanisms as others see them: PettingZoo, with a principal among the agents or not."""
