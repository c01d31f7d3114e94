"""Frames of videos: the clip store (HDF5 files with rescaled frames), or decoding without a store.

This package imports no other package of stage 2.
"""
