"""`orn run`: a data set from its videos to a report, as a list of the commands that do it, with an
estimate before. Stage 1 takes part as the commands of `orn`; it is not imported."""
