"""Explanations of predictions by the importance of objects and pairs, and reports on runs."""
