"""The importance of pairs of objects for a prediction, and pictures of explained clips.

May import `clips`, `model`, `settings` and `shared`.
"""
