"""The page of a run, `orn report`: what it got right, what it confused, and why."""
