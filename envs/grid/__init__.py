"""What the games on a map share: reading it (`maps`), moves and beams over it, and what is seen of it (`windows`)."""
