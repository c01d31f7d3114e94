"""The demo: a world of short synthetic films with exact labels, its detector, and `orn demo`."""
