"""Ways to run the units of a plan."""
