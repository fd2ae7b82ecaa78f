"""The ground that everything stands on: configuration and its one error, registries, chance, the version."""
