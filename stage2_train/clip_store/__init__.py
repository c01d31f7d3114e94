"""Frames of videos: the clip store (HDF5 files with rescaled frames), or decoding without a store.

May import `settings` and `shared`.
"""
