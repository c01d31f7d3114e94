"""Explanations of predictions by the importance of objects and pairs, and the report of a run."""
