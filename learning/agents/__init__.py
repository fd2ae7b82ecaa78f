"""The algorithms of the agents, one file each: roles, and what those keep that learn nothing."""
