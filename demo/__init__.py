"""The demo world: short films of objects on a table whose activities are known exactly."""
