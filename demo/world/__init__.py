"""The generated world: what its films show."""
