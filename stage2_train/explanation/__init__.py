"""Why a prediction was made: which objects and pairs of objects decided it."""
